/** J1 and J3 as a bare loop over `@platformatic/kafka`: its stream, JSON.parse, its `send`. Nothing is durable, nothing is exactly once. */
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import type { Reading } from "../jobs/input.ts";
import { readContest, tellProgress } from "./progress.ts";
import { HandWindows } from "./sums.ts";

/** Records a call of `send`; larger and smaller ones are slower. */
const SEND_RECORDS = 1_000;

const { job, brokers, name, input, output, records } = readContest();
const client = { clientId: name, bootstrapBrokers: [brokers] };
const consumer = new Consumer({ ...client, groupId: name, deserializers: stringDeserializers });
const producer = new Producer({ ...client, serializers: stringSerializers, idempotent: true });
const stream = await consumer.consume({
  topics: [input],
  mode: MessagesStreamModes.COMMITTED,
  fallbackMode: MessagesStreamFallbackModes.EARLIEST,
  autocommit: 100,
  maxWaitTime: 100,
  maxBytes: 1 << 20,
});

let taken = 0;
const done = tellProgress(() => taken);
const windows = new HandWindows();
let out: { topic: string; key: string; value: string }[] = [];
const sending = new Set<Promise<unknown>>();
const send = async (): Promise<void> => {
  const messages = out;
  out = [];
  // One after the other: the library's idempotent producer keeps its order only so.
  await Promise.all(sending);
  const one = producer.send({ messages }).finally(() => sending.delete(one));
  sending.add(one);
};

for await (const message of stream) {
  const reading = JSON.parse(message.value) as Reading;
  if (job === "J1") {
    if (reading.value % 2 === 0) out.push({ topic: output, key: message.key, value: JSON.stringify({ id: reading.id, double: reading.value * 2 }) });
  } else windows.take(message.partition, reading, ({ key, value }) => out.push({ topic: output, key, value }));
  taken++;
  if (out.length >= SEND_RECORDS) await send();
  if (taken === records) break;
}
if (out.length > 0) await send();
await Promise.all(sending);
await done();
await stream.close().catch(() => undefined);
await Promise.all([consumer.close(true), producer.close()]).catch(() => undefined);
