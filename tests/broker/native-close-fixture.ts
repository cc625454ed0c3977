/** Uses a native client for all it can do, closes it, and must end by itself then. Argument: the broker's address, and a prefix for names. */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { openNativeClient } from "../../adapters/kafka/native/native-client.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";

const [bootstrap, prefix] = process.argv.slice(2);
const runtime = await hostRuntime();
const client = await openNativeClient({
  runtime,
  brokers: [bootstrap!],
  clientId: "closes",
  tls: null,
  sasl: null,
  transactionalId: `${prefix}closes`,
  instanceId: null,
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
// Under way when it closes.
const committing = client.transact({ member, positions: [{ ...at, position: 2 }], batches: [{ ...at, encoder }] }).then(
  () => "done",
  (error: { code: string }) => error.code,
);
await client.close();
runtime.print(`closed ${await committing}`);
