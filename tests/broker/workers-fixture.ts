/** Counts per key on Kafka, each count said, for `millrace run --workers`. `MILLRACE_FIXTURE_NAME` names app and topics, `MILLRACE_FIXTURE_BROKERS` the brokers. */
import process from "node:process";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, count, createApp, json, tumbling } from "../../mod.ts";

const { MILLRACE_FIXTURE_NAME: name = "", MILLRACE_FIXTURE_BROKERS: brokers = "" } = process.env;

export const app: App = createApp(name, { log: kafka({ brokers: [brokers], sessionTimeout: "1500ms", rebalanceTimeout: "5s", workerId: "fixture" }) });
const input = app.topic<string, number>(`${name}-in`, { value: json<number>(), retention: "infinity" });
const output = app.topic<string, number>(`${name}-out`, { value: json<number>(), retention: "infinity" });
app.stream(input).groupByKey().window(tumbling("1d"), { emit: "update" }).aggregate({ n: count() }).map(({ value }) => value.n).to(output);
