/**
 * The log gone under an app that runs, by command, with Node 22.18 or later:
 *
 *     node scripts/outage-kafka.mjs [--runtime node,bun,deno] [--client platformatic,confluent] [--kind kill,pause,cut] [--seconds 60] [--before 15] [--verbose]
 *
 * `millrace run` runs an app with a webhook, state and an output topic under light load. Its only broker is killed and started again, stands still, or is cut off. One line a run: CPU of the worker
 * before and meanwhile, memory, how soon it works again, what senders of webhooks and `/admin/health` said. Exit code 1 when anything that was acknowledged is lost or counted twice, when the app ended,
 * or when it did not say that it could not work.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { outageRun } from "../tests/broker/outage.ts";
import { startBroker } from "./kafka/broker-process.mjs";
import { clientsAndRuntimes, itemsOf } from "./kafka/clients.mjs";

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: "node,bun,deno" },
    client: { type: "string", default: "platformatic" },
    kind: { type: "string", default: "kill,pause,cut" },
    seconds: { type: "string", default: "60" },
    before: { type: "string", default: "15" },
    verbose: { type: "boolean", default: false },
  },
});

for (const { client, runtime } of clientsAndRuntimes(values)) {
  for (const kind of itemsOf(values.kind)) await run({ runtime, client, kind });
}

async function run(what) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-outage-"));
  const broker = await startBroker();
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
  let isRight = false;
  try {
    const { wrong, said, ...figures } = await outageRun({
      ...what,
      awayMs: 1000 * Number(values.seconds),
      beforeMs: 1000 * Number(values.before),
      requestTimeout: "30s",
      sessionTimeout: "10s",
      broker,
      directory,
      onEvent: (sentence) => values.verbose && console.log(`  ${seconds()} s: ${sentence}`),
    });
    isRight = wrong.length === 0;
    console.log(`${isRight ? "✓" : "✗"} ${Object.values(what).join(" ")}: ${JSON.stringify({ ...figures, wrong: wrong.length })}`);
    for (const { atMs, status, isReady, reason } of said) {
      console.log(`  after ${(atMs / 1000).toFixed(1)} s ${status}${isReady ? "" : ", not ready"}${reason === null ? "" : `: ${reason}`}`);
    }
    for (const sentence of wrong) console.log(`  ✗ ${sentence}`);
  } catch (error) {
    console.log(`✗ ${Object.values(what).join(" ")}: ${error.stack}`);
  } finally {
    await broker.remove();
  }
  if (isRight) rmSync(directory, { recursive: true, force: true });
  else {
    process.exitCode = 1;
    console.log(`  State is kept: ${directory}`);
  }
}
