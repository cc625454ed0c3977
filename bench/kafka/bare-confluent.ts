/** J1 and J3 as a bare loop over `@confluentinc/kafka-javascript`: `eachBatch`, JSON.parse, its `send`. Nothing is durable, nothing is exactly once. Node only. */
import { createRequire } from "node:module";
import type { Reading } from "../jobs/input.ts";
import { readContest, tellProgress } from "./progress.ts";
import { HandWindows } from "./sums.ts";

/** Records a call of `send`. */
const SEND_RECORDS = 1_000;

/** What we use of it: the package is no dependency, and may not be there. */
interface Client {
  consumer(options: object): {
    connect(): Promise<void>;
    subscribe(options: object): Promise<void>;
    run(options: { readonly partitionsConsumedConcurrently: number; eachBatch(payload: { readonly batch: Batch }): Promise<void> }): Promise<void>;
    disconnect(): Promise<void>;
  };
  producer(options: object): { connect(): Promise<void>; send(record: object): Promise<unknown>; disconnect(): Promise<void> };
}

interface Batch {
  readonly partition: number;
  readonly messages: readonly { readonly key: Uint8Array | null; readonly value: Uint8Array | null }[];
}

const packageName = ["@confluentinc", "kafka-javascript"].join("/");
const { KafkaJS } = createRequire(import.meta.url)(packageName) as {
  readonly KafkaJS: { readonly Kafka: new (options: object) => Client; readonly logLevel: { readonly ERROR: number } };
};

const { job, brokers, name, input, output, records } = readContest();
const kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: [brokers], clientId: name, logLevel: KafkaJS.logLevel.ERROR } });
// Its batches of 32 at most and its pause before sending make it several times dearer.
const consumer = kafka.consumer({
  kafkaJS: { groupId: name, fromBeginning: true, autoCommit: true, autoCommitInterval: 100 },
  "js.consumer.max.batch.size": 1_024,
});
const producer = kafka.producer({ kafkaJS: { idempotent: true }, "linger.ms": 5 });
await Promise.all([consumer.connect(), producer.connect()]);
await consumer.subscribe({ topics: [input] });

let taken = 0;
const done = tellProgress(() => taken);
const windows = new HandWindows();
let messages: { key: string; value: string }[] = [];
let sending: Promise<unknown> = Promise.resolve();
/** One call is under way while the next one is filled. */
const send = async (): Promise<void> => {
  const batch = messages;
  messages = [];
  await sending;
  sending = producer.send({ topic: output, messages: batch });
};
await new Promise<void>((resolve, reject) => {
  consumer.run({
    partitionsConsumedConcurrently: 1,
    eachBatch: async ({ batch }) => {
      for (const { key, value } of batch.messages) {
        const reading = JSON.parse(String(value)) as Reading;
        if (job === "J1") {
          if (reading.value % 2 === 0) messages.push({ key: String(key), value: JSON.stringify({ id: reading.id, double: reading.value * 2 }) });
        } else windows.take(batch.partition, reading, (result) => messages.push({ ...result }));
      }
      if (messages.length >= SEND_RECORDS) await send();
      taken += batch.messages.length;
      if (taken >= records) resolve();
    },
  }).catch(reject);
});
if (messages.length > 0) await send();
await sending;
await done();
await Promise.all([consumer.disconnect(), producer.disconnect()]);
