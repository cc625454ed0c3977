/**
 * How long a worker with much state is away after a kill, by command, with Node 22.18 or later: `node bench/kafka/restart.mjs [--keys 1000000] [--runtime node,bun,deno] [--client platformatic]`.
 *
 * A worker sums one record of each key, and is killed (SIGKILL). Once its group and its transactions have given it up (nobody can be faster than that), more records come, and it is started again: on its own
 * disk, and then, after another kill, on an empty one. Prints seconds from the start of the process to the first record it takes and to the commit of all that waited; and checks that sums went on.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startBroker } from "../../scripts/kafka/broker-process.mjs";
import { findKafka, installKafka } from "../../scripts/kafka/jars.mjs";
import { installNative } from "../../scripts/kafka/native.mjs";
import { hasCompiler, javaRecords } from "../../tests/broker/java-records.ts";
import { ownRecords } from "../../tests/broker/own-records.ts";
import { START_MS } from "../jobs/input.ts";

const PARTITIONS = 4;
/** Records that wait for a restarted worker. */
const WAITING = 1_000;
/** Sessions last 6 s and transactions 10 s. */
const GIVEN_UP_MS = 12_000;

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    runtime: { type: "string", default: "node,bun,deno" },
    client: { type: "string", default: "platformatic" },
  },
});
const keys = Number(values.keys);
const list = (text) => text.split(",").map((item) => item.trim());
const flags = { node: ["--disable-warning=ExperimentalWarning"], bun: ["run"], deno: ["run", "-A", "--no-check", "--quiet"] };

const missing = installKafka() ?? (list(values.client).includes("confluent") ? installNative() : null);
if (missing !== null) {
  console.error(`This cannot run: ${missing}.`);
  process.exit(1);
}
const broker = await startBroker({ heapMb: 1024 });
const content = hasCompiler() ? javaRecords({ classPath: findKafka().classPath, brokers: broker.bootstrap }) : await ownRecords(broker.bootstrap);
try {
  console.log(`${cpus().length} x ${cpus()[0].model.trim()}, load ${loadavg()[0].toFixed(1)}; ${keys} keys on ${PARTITIONS} partitions.`);
  for (const client of list(values.client)) {
    for (const runtime of list(values.runtime)) if (client !== "confluent" || runtime === "node") await measure(runtime, client);
  }
} finally {
  await content.close();
  await broker.remove();
}

async function measure(runtime, client) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-restart-"));
  const name = `restart-${runtime}-${client}`, input = `${name}-in`, output = `${name}-out`;
  await content.create(PARTITIONS, [input, output]);
  await load(input, keys);
  const worker = () => start(runtime, [broker.bootstrap, name, input, output, client, join(directory, "state")], total += total === 0 ? keys : WAITING);
  let total = 0;

  const first = worker();
  const { "caught up": filled } = await first.caughtUp;
  await first.kill();
  const marks = {};
  for (const disk of ["kept", "lost"]) {
    await load(input, WAITING);
    await new Promise((resolve) => setTimeout(resolve, GIVEN_UP_MS));
    if (disk === "lost") rmSync(join(directory, "state"), { recursive: true });
    const again = worker();
    marks[disk] = await again.caughtUp;
    await again.kill();
  }
  await new Promise((resolve) => setTimeout(resolve, GIVEN_UP_MS));
  rmSync(directory, { recursive: true, force: true });

  const counts = new Map();
  await content.dump(output, ({ value }) => {
    const { n, total: sum } = JSON.parse(value);
    counts.set(n, (counts.get(n) ?? 0) + 1);
    if (sum !== n) counts.set("wrong sums", (counts.get("wrong sums") ?? 0) + 1);
  });
  const isRight = counts.size === 3 && counts.get(1) === keys && counts.get(2) === WAITING && counts.get(3) === WAITING;
  if (!isRight) process.exitCode = 1;
  const seconds = ({ ms }) => (ms / 1000).toFixed(2);
  const told = (disk) =>
    `disk ${disk}: first record after ${seconds(marks[disk].first)} s, all committed after ${seconds(marks[disk]["caught up"])} s, ${
      seconds({ ms: marks[disk].first.cpuMs })
    } s of CPU`;
  console.log(
    `${isRight ? "✓" : "✗"} ${runtime} ${client}: ${told("kept")}; ${told("lost")}; filled in ${seconds(filled)} s${
      isRight ? "" : `; counts said: ${JSON.stringify([...counts])}`
    }`,
  );
}

async function load(topic, count) {
  const loader = content.load(topic);
  for (let from = 0; from < count; from += 50_000) {
    const lines = [];
    for (let id = from; id < Math.min(count, from + 50_000); id++) {
      const key = `key-${id}`;
      lines.push({ at: START_MS + id, key, value: JSON.stringify({ id, key, ts: START_MS + id, value: 1 }), partition: null });
    }
    await loader.write(lines);
  }
  await loader.end();
}

function start(runtime, args, records) {
  const path = fileURLToPath(new URL("restart-worker.ts", import.meta.url));
  const startedAt = performance.now();
  const child = spawn(fileURLToPath(new URL(`../../node_modules/.bin/${runtime}`, import.meta.url)), [...flags[runtime], path, ...args, String(records)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const caughtUp = (async () => {
    const marks = {};
    for await (const line of createInterface({ input: child.stdout })) {
      const [what, , cpuMs] = line.split("\t");
      marks[what] = { ms: performance.now() - startedAt, cpuMs: Number(cpuMs) };
      if (what === "caught up") return marks;
    }
    throw new Error(`The worker on ${runtime} ended before it had caught up.`);
  })();
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { caughtUp, kill };
}
