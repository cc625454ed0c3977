/** A producer that is not ours, for transactions that are left open or aborted at will. */
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";

/** A transaction that was begun and has its records in the topic. */
export interface OpenTransaction {
  send(topic: string, values: readonly string[]): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Writes transactions, one at a time. */
export interface ForeignProducer {
  begin(): Promise<OpenTransaction>;
  close(): Promise<void>;
}

/** A transactional producer that takes over whatever its id left behind. */
export function foreignProducer(bootstrap: string, transactionalId: string): ForeignProducer {
  const producer = new Producer({
    clientId: "foreign",
    bootstrapBrokers: [bootstrap],
    serializers: stringSerializers,
    idempotent: true,
    transactionalId,
    producerId: -1n,
    producerEpoch: -1,
    retryDelay: 10,
    retries: 200,
  });
  return {
    async begin() {
      const transaction = await producer.beginTransaction();
      return {
        async send(topic, values) {
          await transaction.send({ messages: values.map((value) => ({ topic, partition: 0, key: value.slice(0, 20), value })) });
        },
        commit: () => transaction.commit(),
        abort: () => transaction.abort(),
      };
    },
    close: () => producer.close(),
  };
}

/** Uses an administrator for a moment. */
export async function administrate<T>(bootstrap: string, call: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Admin({ clientId: "foreign", bootstrapBrokers: [bootstrap], retryDelay: 20, retries: 50 });
  try {
    return await call(admin);
  } finally {
    await admin.close();
  }
}
