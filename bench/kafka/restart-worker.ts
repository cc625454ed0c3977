/**
 * A running sum per key, to be killed and started again. Arguments: brokers, name, input, output, client, directory, records. Prints "open" once its tasks may run, "first" with the first record, and
 * "caught up" when so many records of the input are committed; each with ms since its start and CPU ms.
 */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { internalsOf, makeApp } from "../../src/app/app.ts";
import { json } from "../../src/record/codec-json.ts";
import { count, sum } from "../../src/stream/aggregator.ts";
import { tumbling } from "../../src/stream/window.ts";
import type { Reading } from "../jobs/input.ts";

const [brokers, name, input, output, client, directory, records] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  "platformatic" | "confluent",
  string,
  string,
];
const runtime = await hostRuntime();
const app = makeApp(name, { log: kafka({ brokers: [brokers], client, sessionTimeout: "6s" }) }, async () => runtime);
const source = app.topic<string, Reading>(input, { value: json<Reading>(), retention: "infinity" });
let isFirst = true;
app.stream(source).groupByKey().window(tumbling("52w", { offset: "7d" }), { emit: "update" }).aggregate({ n: count(), total: sum((reading) => reading.value) })
  .map(({ value }) => {
    if (isFirst) say("first");
    isFirst = false;
    return value;
  }).to(app.topic<string, unknown>(output, { value: json<unknown>(), retention: "infinity" }));

const engine = await internalsOf(app).open({ directory });
say("open");
const look = setInterval(() => {
  let committed = 0;
  for (const task of engine.worker.tasks) for (const one of task.inputs) if (one.topic.name === input) committed += Math.max(0, one.committed);
  if (committed < Number(records)) return;
  clearInterval(look);
  say("caught up");
}, 5);
await engine.drive();

function say(what: string): void {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${what}\t${Math.round(process.uptime() * 1000)}\t${Math.round((user + system) / 1000)}\n`);
}
