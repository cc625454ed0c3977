/**
 * The one door to `@confluentinc/kafka-javascript`, librdkafka for Node: loaded when it is asked for, described by as much of its shape as is used. Whoever does not use it need not have it.
 *
 * Its calls run in Node's pool of (by default four) threads, so nothing here waits inside of one for long; its callbacks come in the event loop. A consumer that was disconnected must not be
 * handed to `sendOffsetsToTransaction`: the process ends.
 */
import { ExternalError, messageOf } from "../../../src/base/errors.ts";

/** An error of librdkafka: its number is the protocol's, or negative and its own. */
export interface NativeError {
  readonly message: string;
  readonly code: number;
  /** The client cannot be used any more. */
  readonly isFatal?: boolean;
  readonly isRetriable?: boolean;
  /** `abortTransaction` has to come next. */
  readonly isTxnRequiresAbort?: boolean;
}

/** How calls answer. */
export type NativeCallback<T> = (error: NativeError | null | undefined, value: T) => void;

/** A partition, with a position where one is meant. */
export interface NativePartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

/** A header: one field, its name; on the way out bytes whose memory is none are a null value. */
export type NativeHeader = Readonly<Record<string, Uint8Array | string>>;

/** A record as it is read. */
export interface NativeMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly NativeHeader[];
}

/** What became of a record that was produced. */
export interface DeliveryReport {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly opaque?: unknown;
}

/** Configuration by librdkafka's names, and the package's callbacks. */
export type NativeConfig = Readonly<Record<string, unknown>>;

/** What producers and consumers share. */
export interface NativeHandle {
  /** librdkafka's name for it; there once connected. */
  readonly name?: string;
  connect(options: { readonly timeout: number; readonly allTopics: boolean }, done: NativeCallback<unknown>): void;
  getMetadata(options: { readonly timeout: number; readonly allTopics?: boolean; readonly topic?: string }, done: NativeCallback<NativeMetadata>): void;
  isConnected(): boolean;
  on(event: "event.error", listener: (error: NativeError) => void): void;
}

/** Topics of a cluster. */
export interface NativeMetadata {
  readonly topics: readonly { readonly name: string; readonly partitions: readonly unknown[] }[];
}

/** A consumer, of a group or of partitions that are assigned by hand. */
export interface NativeConsumer extends NativeHandle {
  on(event: "event.error", listener: (error: NativeError) => void): void;
  on(event: "data", listener: (message: NativeMessage) => void): void;
  on(event: "partition.eof", listener: (at: Required<NativePartition>) => void): void;
  setDefaultConsumeTimeout(timeoutMs: number): void;
  subscribe(topics: readonly string[]): void;
  unsubscribe(): void;
  assign(partitions: readonly NativePartition[]): void;
  unassign(): void;
  assignmentLost(): boolean;
  incrementalAssign(partitions: readonly NativePartition[]): void;
  incrementalUnassign(partitions: readonly NativePartition[]): void;
  pause(partitions: readonly NativePartition[]): void;
  resume(partitions: readonly NativePartition[]): void;
  consume(countMax: number, done: NativeCallback<readonly NativeMessage[] | undefined>): void;
  /** As of the last fetch; throws when there was none. */
  getWatermarkOffsets(topic: string, partition: number): { readonly lowOffset: number; readonly highOffset: number };
  /** A partition that fails is an error in its place. */
  committed(partitions: readonly NativePartition[], timeoutMs: number, done: NativeCallback<readonly (NativePartition | Error)[]>): void;
  /** Only sends: `offset_commit_cb` tells what became of it. */
  commit(partitions: readonly NativePartition[]): void;
  disconnect(done: NativeCallback<unknown>): void;
}

/** A producer, idempotent or transactional by its configuration. */
export interface NativeProducer extends NativeHandle {
  on(event: "event.error", listener: (error: NativeError) => void): void;
  on(event: "delivery-report", listener: (error: NativeError | null, report: DeliveryReport) => void): void;
  setPollInBackground(isOn: boolean): void;
  /** Throws where the record is not taken. A timestamp of 0 is taken for "now". */
  produce(
    topic: string,
    partition: number,
    value: Uint8Array | null,
    key: Uint8Array | null,
    timestamp: number,
    opaque: unknown,
    headers: readonly NativeHeader[] | undefined,
  ): void;
  flush(timeoutMs: number, done: NativeCallback<unknown>): void;
  initTransactions(timeoutMs: number, done: NativeCallback<unknown>): void;
  beginTransaction(done: NativeCallback<unknown>): void;
  sendOffsetsToTransaction(positions: readonly NativePartition[], consumer: NativeConsumer, timeoutMs: number, done: NativeCallback<unknown>): void;
  commitTransaction(timeoutMs: number, done: NativeCallback<unknown>): void;
  abortTransaction(timeoutMs: number, done: NativeCallback<unknown>): void;
  /** Flushes within the time first. */
  disconnect(timeoutMs: number, done: NativeCallback<unknown>): void;
}

/** What may be wrong with one part of an answer. */
export interface NativePart {
  readonly error?: NativeError;
}

/** Calls about the cluster, over the connections of another handle. */
export interface NativeAdmin {
  createTopic(
    topic: { readonly topic: string; readonly num_partitions: number; readonly replication_factor: number; readonly config: Readonly<Record<string, string>> },
    timeoutMs: number,
    done: NativeCallback<unknown>,
  ): void;
  describeTopics(names: readonly string[], options: { readonly timeout: number }, done: NativeCallback<readonly NativeTopic[]>): void;
  listOffsets(
    partitions: readonly { readonly topic: string; readonly partition: number; readonly offset: unknown }[],
    options: { readonly timeout: number; readonly isolationLevel: number },
    done: NativeCallback<readonly (Required<NativePartition> & NativePart)[]>,
  ): void;
  deleteRecords(
    below: readonly NativePartition[],
    options: { readonly timeout: number; readonly operationTimeout: number },
    done: NativeCallback<readonly (NativePartition & NativePart)[]>,
  ): void;
}

/** A topic that was asked for. */
export interface NativeTopic extends NativePart {
  readonly name: string;
  readonly partitions: readonly { readonly partition: number; readonly leader?: { readonly id: number } }[];
}

/** The package. */
export interface Confluent {
  readonly Producer: new (config: NativeConfig) => NativeProducer;
  readonly KafkaConsumer: new (config: NativeConfig, topicConfig?: NativeConfig) => NativeConsumer;
  readonly AdminClient: { createFrom(handle: NativeHandle): NativeAdmin };
  readonly OffsetSpec: { readonly EARLIEST: unknown; readonly LATEST: unknown; new (timestamp: number): unknown };
}

// A variable, so that neither compilers nor bundlers look for a package that need not be there.
const PACKAGE: string = "@confluentinc/kafka-javascript";

/** Loads the package. Throws ExternalError `RUNTIME_UNSUPPORTED` where it is not there, was built for another Node, or the runtime is not Node. */
export async function loadConfluent(): Promise<Confluent> {
  const wayRound = 'client: "platformatic" runs everywhere and needs nothing built';
  // Other runtimes refuse the addon, or die of it.
  if ("Bun" in globalThis || "Deno" in globalThis) {
    throw new ExternalError("RUNTIME_UNSUPPORTED", `[kafka] Cannot load ${PACKAGE}: it runs on Node only; ${wayRound}`);
  }
  try {
    const loaded = await import(PACKAGE) as Confluent & { readonly default?: Confluent };
    return loaded.default ?? loaded;
  } catch (cause) {
    const [reason] = messageOf(cause).split("\n");
    throw new ExternalError("RUNTIME_UNSUPPORTED", `[kafka] Cannot load ${PACKAGE}: ${reason}; install it for this Node, or ${wayRound}`, { cause });
  }
}
