/**
 * Versions of an app that says each count of a key, for `millrace run`. `MILLRACE_FIXTURE_NAME` names app and topics, `MILLRACE_FIXTURE_BROKERS` the brokers, `MILLRACE_FIXTURE_VERSION` the version:
 * `first`; `more`, with steps added to it; `migrated`, with another aggregate; `together`, with another topic read together.
 */
import process from "node:process";
import * as v from "valibot";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, count, createApp, json, tumbling } from "../../mod.ts";

const { MILLRACE_FIXTURE_NAME: name = "", MILLRACE_FIXTURE_BROKERS: brokers = "", MILLRACE_FIXTURE_VERSION: version = "" } = process.env;

export const app: App = createApp(name, { log: kafka({ brokers: [brokers], sessionTimeout: "1500ms", rebalanceTimeout: "10s" }) });
const input = app.topic<string, number>(`${name}-in`, { value: json<number>(), retention: "infinity" });
const output = app.topic<string, number>(`${name}-out`, { value: json<number>(), retention: "infinity" });
const records = app.stream(input);
const daily = (version === "more" ? records.filter((value) => value >= 0).map((value) => value) : records)
  .groupByKey().window(tumbling("1d"), { emit: "update", name: "counts" });

if (version === "migrated") {
  daily.aggregate({ times: count(), n: count() }, { version: 2, migrate: ({ n }) => ({ times: 0, n: Number(n) }) }).map(({ value }) => value.n).to(output);
} else daily.aggregate({ n: count() }).map(({ value }) => value.n).to(output);

if (version === "more") {
  records.groupByKey().window(tumbling("1h"), { emit: "update" }).aggregate({ n: count() }).to(`${name}-hours`);
  const seen = app.features("seen", { value: v.number() });
  app.resolver("seen", { source: input, output: seen.pick("value") }, (value, { key }) => seen.of(key, { value }));
}
if (version === "together") records.merge(app.topic<string, number>(`${name}-other`, { value: json<number>(), retention: "infinity" })).forEach(() => {});
