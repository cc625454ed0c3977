/** J1 and J3 as a bare loop over `@confluentinc/kafka-javascript`: `eachBatch`, JSON.parse, its `send`. Nothing is durable, nothing is exactly once. Node only. */
import { createRequire } from "node:module";
import type { Reading } from "../jobs/input.ts";
import { readContest, tellProgress } from "./progress.ts";
import { HandWindows } from "./sums.ts";

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
const consumer = kafka.consumer({ kafkaJS: { groupId: name, fromBeginning: true, autoCommit: true, autoCommitInterval: 100 } });
const producer = kafka.producer({ kafkaJS: { idempotent: true } });
await Promise.all([consumer.connect(), producer.connect()]);
await consumer.subscribe({ topics: [input] });

let taken = 0;
const done = tellProgress(() => taken);
const windows = new HandWindows();
await new Promise<void>((resolve, reject) => {
  consumer.run({
    partitionsConsumedConcurrently: 1,
    eachBatch: async ({ batch }) => {
      const messages: { key: string; value: string }[] = [];
      for (const { key, value } of batch.messages) {
        const reading = JSON.parse(String(value)) as Reading;
        if (job === "J1") {
          if (reading.value % 2 === 0) messages.push({ key: String(key), value: JSON.stringify({ id: reading.id, double: reading.value * 2 }) });
        } else windows.take(batch.partition, reading, (result) => messages.push({ ...result }));
      }
      if (messages.length > 0) await producer.send({ topic: output, messages });
      taken += batch.messages.length;
      if (taken >= records) resolve();
    },
  }).catch(reject);
});
await done();
await Promise.all([consumer.disconnect(), producer.disconnect()]);
