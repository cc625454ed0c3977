/**
 * A worker that gets killed and paused: J2 says each change of a running count and sum per key, J3 says a count and a sum per key and 10 seconds once the window is over. Arguments: name, job, brokers,
 * client, guarantee, session time-out, directory.
 */
import process from "node:process";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, count, createApp, type Duration, json, sum, tumbling } from "../../mod.ts";

interface Reading {
  readonly key: string;
  readonly value: number;
}

const [name, job, brokers, client, guarantee, sessionTimeout, directory] = process.argv.slice(2) as [
  string,
  string,
  string,
  "platformatic" | "confluent",
  "exactly-once" | "at-least-once",
  Duration,
  string,
];
const app: App = createApp(name, { log: kafka({ brokers: [brokers], client, sessionTimeout }), guarantee });
const input = app.topic<string, Reading>(`${name}-in`, { value: json<Reading>(), retention: "infinity" });
const output = app.topic<string, unknown>(`${name}-out`, { value: json<unknown>(), retention: "infinity" });
const sums = { n: count<Reading>(), total: sum<Reading>((reading) => reading.value) };

if (job === "J2") {
  app.stream(input).groupByKey().window(tumbling("52w", { offset: "7d" }), { emit: "update" }).aggregate(sums).map(({ value }) => value).to(output);
} else {
  app.stream(input).groupByKey().window(tumbling("10s", { grace: "5s" })).aggregate(sums).map(({ start, value: { n, total } }) => ({ start, n, total })).to(
    output,
  );
}

await app.run({ port: null, directory });
