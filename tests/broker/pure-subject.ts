/** What tests of the pure client's parts share: settings, a cluster over the shared broker, and another client as writer. */
import { Admin, Producer } from "@platformatic/kafka";
import type { Message, MessageToProduce } from "@platformatic/kafka";
import { hostRuntime } from "../../adapters/host/host.ts";
import type { ClientSettings } from "../../adapters/kafka/client.ts";
import { openCluster } from "../../adapters/kafka/pure/cluster.ts";
import type { Cluster } from "../../adapters/kafka/pure/cluster.ts";
import type { PartitionReader } from "../../src/log/log.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { testBroker } from "./broker.ts";

export type { Message };

/** A cluster for one test. */
export interface PureSubject {
  readonly cluster: Cluster;
  readonly prefix: string;
  /** What was warned of. */
  readonly warnings: string[];
  /** Another cluster, as another process would have it. */
  open(more?: Partial<ClientSettings>): Promise<Cluster>;
  /** Makes a topic; gives its name. */
  topic(name: string, partitions?: number): Promise<string>;
  readonly admin: Admin;
  /** A producer of the other client; transactional with an id. */
  producer(transactionalId?: string): Producer<string, string, string, string>;
}

/** Runs a test with a cluster of its own, over the shared broker unless `more` names another, and closes all it opened. */
export async function withCluster(body: (subject: PureSubject) => Promise<void>, more: Partial<ClientSettings> = {}): Promise<void> {
  const own = more.brokers?.[0];
  const { bootstrap, prefix } = own === undefined ? await testBroker() : { bootstrap: own, prefix: () => "own-" };
  const names = prefix();
  const warnings: string[] = [];
  const settings: ClientSettings = {
    runtime: await hostRuntime(),
    brokers: [bootstrap],
    clientId: "millrace-test",
    tls: null,
    sasl: null,
    transactionalId: `${names}tx`,
    instanceId: null,
    transactionTimeoutMs: 60_000,
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: 30_000,
    timeoutMs: 20_000,
    compression: "none",
    prefetchBytes: 262_144,
    warn: (message) => void warnings.push(message),
    ...more,
  };
  const closing: (() => unknown)[] = [];
  const open = async (change: Partial<ClientSettings> = {}): Promise<Cluster> => {
    const cluster = await openCluster({ ...settings, ...change });
    closing.push(() => cluster.close());
    return cluster;
  };
  const admin = new Admin({ clientId: "other", bootstrapBrokers: [bootstrap] });
  closing.push(() => admin.close());
  const subject: PureSubject = {
    cluster: await open(),
    prefix: names,
    warnings,
    open,
    admin,
    async topic(name, partitions = 1) {
      await admin.createTopics({ topics: [`${names}${name}`], partitions, replicas: 1 });
      return `${names}${name}`;
    },
    producer(transactionalId) {
      const producer = new Producer<string, string, string, string>({
        clientId: "other",
        bootstrapBrokers: [bootstrap],
        serializers: { key: toBuffer, value: toBuffer, headerKey: toBuffer, headerValue: toBuffer },
        idempotent: true,
        retries: 200,
        retryDelay: 10,
        ...(transactionalId === undefined ? {} : { transactionalId: `${names}${transactionalId}`, producerId: -1n, producerEpoch: -1 }),
      });
      closing.push(() => producer.close());
      return producer;
    },
  };
  try {
    await body(subject);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function toBuffer(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text);
}

/** Messages with these values for a partition. */
export function messages(topic: string, values: readonly string[], partition = 0): MessageToProduce<string, string, string, string>[] {
  return values.map((value) => ({ topic, partition, key: "k", value }));
}

/** A record as it was seen. */
export interface Seen {
  readonly position: number;
  readonly value: string | null;
}

/** A reader that is asked whenever it tells, and what came of it. */
export class Follower {
  readonly seen: Seen[] = [];
  /** When it was told, how often. */
  told = 0;
  readonly reader: PartitionReader;
  readonly #cursor = new RecordCursor({ cutBatch: "refuse" });
  #arrived = Promise.withResolvers<void>();

  constructor(open: (onArrival: () => void) => PartitionReader) {
    this.reader = open(() => {
      this.told++;
      this.#arrived.resolve();
    });
  }

  /** Reads until `isDone`, waiting for arrivals alone. */
  async until(isDone: () => boolean, bytesMax = 65_536): Promise<void> {
    for (;;) {
      this.#arrived = Promise.withResolvers<void>();
      const position = this.reader.position;
      const chunk = this.reader.take(bytesMax);
      if (chunk === null) {
        if (isDone()) return;
        await this.#arrived.promise;
        continue;
      }
      this.#cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (this.#cursor.next()) this.seen.push({ position: this.#cursor.position, value: this.#cursor.valueText() });
    }
  }

  /** Reads up to the end, wherever that is by then. */
  toEnd(atLeast = 0): Promise<void> {
    return this.until(() => this.reader.end !== null && this.reader.end >= atLeast && this.reader.position >= this.reader.end);
  }

  get values(): (string | null)[] {
    return this.seen.map(({ value }) => value);
  }
}
