/** Uses a client for all it can do, closes it with a call under way, and must end by itself then. Arguments: the broker's address, a prefix for names, the client, and the call. */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";

const [bootstrap, prefix, name, call] = process.argv.slice(2);
const runtime = await hostRuntime();
const open = name === "confluent"
  ? (await import("../../adapters/kafka/native/native-client.ts")).openNativeClient
  : (await import("../../adapters/kafka/pure/pure-client.ts")).openPureClient;
const client = await open({
  runtime,
  brokers: [bootstrap!],
  clientId: "closes",
  tls: null,
  sasl: null,
  transactionalId: `${prefix}closes`,
  instanceId: null,
  // None of these may have to pass first.
  transactionTimeoutMs: 600_000,
  sessionTimeoutMs: 600_000,
  rebalanceTimeoutMs: 600_000,
  timeoutMs: 600_000,
  compression: "none",
  prefetchBytes: 65_536,
  warn: (message) => runtime.print(message),
});
const topic = `${prefix}closes`;
const at = { topic, partition: 0 };
await client.createTopics([{ name: topic, partitions: 1, replicationFactor: 1, configs: { "retention.ms": "-1" } }]);
const encoder = new BatchEncoder();
encoder.append(1, "k", "v", null);
await client.produce([{ ...at, encoder }]);
const member = await client.join(`${prefix}g`, [topic], { assigned: () => undefined, revoked: () => undefined, lost: () => undefined });
await client.transact({ member, positions: [{ ...at, position: 1 }], batches: [{ ...at, encoder }] });
const arrived = Promise.withResolvers<void>();
const reader = client.reader(at, 0, () => arrived.resolve());
while (reader.take(1_000) === null) await arrived.promise;
const underWay = call === "transact"
  ? client.transact({ member, positions: [{ ...at, position: 2 }], batches: [{ ...at, encoder }] }).then(() => "done", (error: { code: string }) => error.code)
  : client.produce([{ topic: `${prefix}none`, partition: 0, encoder }]).then(([missing]) => missing instanceof Error);
await client.close();
runtime.print(`closed ${await underWay}`);
