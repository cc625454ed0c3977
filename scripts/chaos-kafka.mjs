/**
 * Chaos on a real broker, by command, with Node 22.18 or later:
 *
 *     node scripts/chaos-kafka.mjs [--runtime node,bun,deno] [--client platformatic,confluent] [--job J2,J3] [--guarantee exactly-once,at-least-once]
 *       [--records 1000000] [--keys 10000] [--workers 3] [--partitions 6] [--faults 10] [--seed 1] [--pause-ms 60000] [--fault-ms 6000] [--own] [--verbose]
 *
 * Three workers count and sum records that come in for about a minute, while they are killed (SIGKILL), paused (SIGSTOP) and stopped (SIGTERM), and the broker killed and paused, in an order of the
 * seed's. At the end a read_committed reader (the Java client, where there is a JDK and not --own) holds what was said against a brute force over the input. One line a run; exit code 1 when anything is wrong.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { chaosRun, faultsOf } from "../tests/broker/chaos.ts";
import { hasCompiler, javaRecords } from "../tests/broker/java-records.ts";
import { ownRecords } from "../tests/broker/own-records.ts";
import { startBroker } from "./kafka/broker-process.mjs";
import { clientsAndRuntimes, itemsOf } from "./kafka/clients.mjs";
import { findKafka } from "./kafka/jars.mjs";

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: "node,bun,deno" },
    client: { type: "string", default: "platformatic" },
    job: { type: "string", default: "J2,J3" },
    guarantee: { type: "string", default: "exactly-once,at-least-once" },
    records: { type: "string", default: "1000000" },
    keys: { type: "string", default: "10000" },
    workers: { type: "string", default: "3" },
    partitions: { type: "string", default: "6" },
    faults: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    "pause-ms": { type: "string", default: "60000" },
    "fault-ms": { type: "string", default: "6000" },
    own: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

for (const { client, runtime } of clientsAndRuntimes(values)) {
  for (const job of itemsOf(values.job)) for (const guarantee of itemsOf(values.guarantee)) await run({ client, runtime, job, guarantee });
}

async function run(what) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-chaos-"));
  const broker = await startBroker();
  const content = hasCompiler() && !values.own
    ? javaRecords({ classPath: findKafka().classPath, brokers: broker.bootstrap })
    : await ownRecords(broker.bootstrap);
  const seed = Number(values.seed), faults = faultsOf(Number(values.faults), seed);
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
  let isRight = false;
  try {
    const { wrong, ...figures } = await chaosRun({
      ...what,
      records: Number(values.records),
      keys: Number(values.keys),
      workers: Number(values.workers),
      partitions: Number(values.partitions),
      faults,
      seed,
      pauseMs: Number(values["pause-ms"]),
      inputMs: Number(values["fault-ms"]) * faults.length,
      sessionTimeout: "6s",
      drainMs: 180_000,
      broker,
      content,
      directory,
      onEvent: (sentence) => values.verbose && console.log(`  ${seconds()} s: ${sentence}`),
    });
    isRight = wrong.length === 0;
    const names = Object.entries(Object.groupBy(faults, (fault) => fault)).map(([fault, all]) => `${fault} ${all.length}`).join(", ");
    console.log(
      `${isRight ? "✓" : "✗"} ${Object.values(what).join(" ")}: ${
        JSON.stringify({ seed, faults: names, ...figures, wrong: wrong.length, reader: content.name, seconds: Number(seconds()) })
      }`,
    );
    for (const sentence of wrong) console.log(`  ✗ ${sentence}`);
  } catch (error) {
    console.log(`✗ ${Object.values(what).join(" ")}: seed ${seed}: ${error.stack}`);
  } finally {
    await content.close();
    await broker.remove();
  }
  if (isRight) rmSync(directory, { recursive: true, force: true });
  else {
    process.exitCode = 1;
    console.log(`  State is kept: ${directory}`);
  }
}
