/**
 * Records that fail, and crashes, by command, with Node 22.18 or later:
 *
 *     node scripts/errors-run.mjs [memory|embedded|kafka …] [--runtime node,bun,deno] [--client platformatic,confluent] [--records 100000] [--crashes 20] [--life-ms 2000] [--seed 1] [--verbose]
 *
 * In every kind of step 1 % of the records fail a time or two and 0.1 % for good; data that no one can read, late and skipped records are among them. Meanwhile the app is killed again and again: by
 * SIGKILL, on the log in memory within its process. At the end each record must have exactly one fate, and the right one: processed, late, skipped or dead. One line a run; exit code 1 when anything is wrong.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { embeddedErrorsRun } from "../tests/errors/embedded-run.ts";
import { kafkaErrorsRun } from "../tests/errors/kafka-run.ts";
import { spawnProgram } from "../tests/shim/spawn.ts";
import { startBroker } from "./kafka/broker-process.mjs";
import { installKafka } from "./kafka/jars.mjs";
import { installNative } from "./kafka/native.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runtime: { type: "string", default: "node,bun,deno" },
    client: { type: "string", default: "platformatic" },
    records: { type: "string", default: "100000" },
    crashes: { type: "string", default: "20" },
    "life-ms": { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
    verbose: { type: "boolean", default: false },
  },
});

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const memoryFixture = new URL("../tests/errors/memory-fixture.ts", import.meta.url);
const list = (text) => text.split(",").map((item) => item.trim());
const startedAt = performance.now();
const seconds = (since) => Math.round((performance.now() - since) / 100) / 10;

for (const log of positionals.length > 0 ? positionals : ["memory", "embedded", "kafka"]) {
  if (log === "memory") {
    for (const runtime of list(values.runtime)) {
      await run(`memory ${runtime}`, (options) => memoryRun(runtime, options));
    }
  } else if (log === "embedded") {
    for (const runtime of list(values.runtime)) {
      await run(`embedded ${runtime}`, (options) => embeddedErrorsRun({ ...options, runtime: runtime }));
    }
  } else if (log === "kafka") await kafkaRuns();
  else throw new Error(`There is no log "${log}": wanted memory, embedded or kafka`);
}

async function kafkaRuns() {
  const missing = installKafka();
  if (missing !== null) throw new Error(`No broker can be started: ${missing}`);
  const broker = await startBroker();
  try {
    for (const client of list(values.client)) {
      const fault = client === "confluent" ? installNative() : null;
      if (fault !== null) throw new Error(`The native client cannot be used: ${fault}`);
      // It loads on Node alone.
      for (const runtime of list(values.runtime).filter((name) => client !== "confluent" || name === "node")) {
        const prefix = `${client}-${runtime}-`;
        await run(
          `kafka ${client} ${runtime}`,
          (options) => kafkaErrorsRun({ ...options, runtime, client, prefix, brokers: broker.bootstrap, sessionTimeout: "6s" }),
        );
      }
    }
  } finally {
    await broker.remove();
  }
}

/** In a process of the runtime, for the worker is in the one that kills it. */
async function memoryRun(runtime, { onEvent, ...options }) {
  const program = spawnProgram(runtime, memoryFixture, [JSON.stringify(options)]);
  let last = "";
  for await (const line of program.lines()) {
    if (last !== "") onEvent?.(last);
    last = line;
  }
  const { code } = await program.exited;
  if (code !== 0) throw new Error(`It ended with ${code}: ${program.stderr()}`);
  return JSON.parse(last);
}

async function run(what, work) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-errors-"));
  const since = performance.now();
  const seed = Number(values.seed);
  let isRight = false;
  try {
    const { wrong, ...figures } = await work({
      records: Number(values.records),
      seed,
      crashes: Number(values.crashes),
      directory,
      lifeMs: Number(values["life-ms"]),
      onEvent: (sentence) => values.verbose && console.log(`  ${seconds(startedAt)} s: ${sentence}`),
    });
    isRight = wrong.length === 0;
    console.log(`${isRight ? "✓" : "✗"} ${what}: ${JSON.stringify({ seed, ...figures, seconds: seconds(since) })}`);
    for (const sentence of wrong) console.log(`  ✗ ${sentence}`);
  } catch (error) {
    console.log(`✗ ${what}: seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
  }
  if (isRight) rmSync(directory, { recursive: true, force: true });
  else {
    process.exitCode = 1;
    console.log(`  The directory is kept: ${directory}`);
  }
}
