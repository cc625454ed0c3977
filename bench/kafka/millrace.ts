/** J1, J2 and J3 as Millrace programs. Arguments after the contest's: client, guarantee, "ms:100" or "records:10000" between two commits, directory. */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { internalsOf, makeApp } from "../../src/app/app.ts";
import { json } from "../../src/record/codec-json.ts";
import { count, sum } from "../../src/stream/aggregator.ts";
import { tumbling } from "../../src/stream/window.ts";
import type { Reading } from "../jobs/input.ts";
import { CLOSING_KEY } from "./input.ts";
import { readContest, tellProgress } from "./progress.ts";

const { job, brokers, name, input, output, records, results, rest } = readContest();
const [client, guarantee, commits, directory] = rest as ["platformatic" | "confluent", "exactly-once" | "at-least-once", string, string];
const [unit, amount] = commits.split(":") as [string, string];
const runtime = await hostRuntime();

const app = makeApp(name, { log: kafka({ brokers: [brokers], client }), guarantee }, async () => runtime);
const source = app.topic<string, Reading>(input, { value: json<Reading>(), retention: "infinity" });
const target = app.topic<string, unknown>(output, { value: json<unknown>(), retention: "infinity" });
let said = 0;
const sums = { n: count<Reading>(), total: sum<Reading>((reading) => reading.value) };
if (job === "J1") {
  app.stream(source).filter((reading) => reading.value % 2 === 0).map(({ id, value }) => {
    said++;
    return { id, double: value * 2 };
  }).to(target);
} else if (job === "J2") {
  app.stream(source).groupByKey().window(tumbling("52w", { offset: "7d" }), { emit: "update" }).aggregate(sums).map(({ value }) => {
    said++;
    return value;
  }).to(target);
} else {
  app.stream(source).groupByKey().window(tumbling("10s", { grace: "5s" })).aggregate(sums).filter(({ key }) => key !== CLOSING_KEY).map(
    ({ start, value: { n, total } }) => {
      said++;
      return { start, n, total };
    },
  ).to(target);
}

const engine = await internalsOf(app).open({
  directory,
  worker: unit === "ms" ? { commitIntervalMs: Number(amount) } : { commitRecords: Number(amount), commitIntervalMs: 60_000 },
});
// Tasks are gone once the worker has stopped.
let most = 0;
const taken = (): number => {
  let sum = 0;
  for (const task of engine.worker.tasks) for (const { topic, position } of task.inputs) if (topic.name === input) sum += position;
  return most = Math.max(most, sum);
};
const done = tellProgress(taken);
const driving = engine.drive();
const look = setInterval(() => {
  if (taken() < records || said < results) return;
  clearInterval(look);
  // Drains, commits, leaves the group.
  void engine.stop();
}, 5);
await driving;
await engine.stop();
await done();
process.exit(0);
