/**
 * An app that takes amounts by webhook, each with an id, and says each change of a running count and sum per key: for `millrace run` while its log is away. The environment says its name
 * (`MILLRACE_FIXTURE_NAME`), the brokers, the client and, for short outages, how long a call tries (`…_BROKERS`, `…_CLIENT`, `…_REQUEST_TIMEOUT`, `…_SESSION_TIMEOUT`).
 */
import process from "node:process";
import * as v from "valibot";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, count, createApp, type Duration, json, sum, tumbling } from "../../mod.ts";

const {
  MILLRACE_FIXTURE_NAME: name = "",
  MILLRACE_FIXTURE_BROKERS: brokers = "",
  MILLRACE_FIXTURE_CLIENT: client = "platformatic",
  MILLRACE_FIXTURE_REQUEST_TIMEOUT: requestTimeout = "30s",
  MILLRACE_FIXTURE_SESSION_TIMEOUT: sessionTimeout = "10s",
} = process.env;
const log = kafka({
  brokers: [brokers],
  client: client as "platformatic" | "confluent",
  requestTimeout: requestTimeout as Duration,
  sessionTimeout: sessionTimeout as Duration,
});

export const app: App = createApp(name, { log });
const amount = v.object({ id: v.string(), key: v.string(), n: v.number() });
const input = app.topic(`${name}-in`, { partitions: 2, value: amount, key: ({ key }) => key, retention: "infinity" });
const output = app.topic<string, unknown>(`${name}-out`, { partitions: 2, value: json<unknown>(), retention: "infinity" });
app.webhook("/amounts", { topic: input, verify: "none", body: amount, idempotencyKey: ({ body }) => body.id });
app.stream(input).groupByKey().window(tumbling("52w", { offset: "7d" }), { emit: "update" })
  .aggregate({ count: count(), total: sum((one: { readonly n: number }) => one.n) })
  .map(({ value }) => value).to(output);
