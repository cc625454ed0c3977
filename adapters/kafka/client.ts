/**
 * What a Kafka client has to give, so that `KafkaLog` can make a `Log` of it. Two implement it: `pure/` speaks the protocol itself over the connections of a pure TypeScript client,
 * `native/` sits on librdkafka.
 *
 * Rules for both:
 *
 * - Every failure is a `StreamError` made by `failure.ts`, with the log's name in front; what a broker calls retriable is tried again inside, within `timeoutMs`.
 * - Nothing here touches clocks or timers but through the `Runtime` (libraries' own timers apart).
 * - After `close()` nothing is called back any more, and calls under way reject with `LOG_CLOSED`.
 *
 * @module
 */
import type { AssignmentListener, CommittedPosition, OutputBatch, PartitionInfo, PartitionReader } from "../../src/log/log.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

/** What a client is opened with: options with every choice made. */
export interface ClientSettings {
  readonly runtime: Runtime;
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  /** Told to brokers, for their logs. */
  readonly clientId: string;
  readonly tls: TlsSettings | null;
  readonly sasl: SaslSettings | null;
  /** Identifies this worker over restarts, for fencing: transactions of a predecessor are ended by whoever opens with the same id. */
  readonly transactionalId: string;
  /** Identifies this worker in its groups over restarts (static membership), so that a restart needs no rebalance; null: a member of the moment. */
  readonly instanceId: string | null;
  readonly transactionTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** How long a call tries before it gives up. */
  readonly timeoutMs: number;
  readonly compression: Compression;
  /** Fetched ahead for each partition, at most about. */
  readonly prefetchBytes: number;
  /** Something went wrong that no call can say: a lost connection, a rebalance that failed and is tried again. */
  readonly warn: (message: string, error: unknown) => void;
}

/** How connections are encrypted. */
export interface TlsSettings {
  /** PEM; null: the system's. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** How connections are authenticated. */
export interface SaslSettings {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

/** How batches are compressed that this client writes. It reads all of them. */
export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** A topic to make. */
export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  readonly configs: Readonly<Record<string, string>>;
}

/** A topic that exists. */
export interface TopicFacts {
  readonly name: string;
  readonly partitions: number;
}

/** A member of a consumer group, by the classic protocol and eager `range`. */
export interface GroupMember {
  readonly group: string;
  /** The member's id at the broker; may change when it has to join anew. */
  readonly memberId: string;
  /** Owned now; empty while a rebalance is under way, after `revoked` is done. */
  readonly assigned: readonly TopicPartition[];
  /** Why it has not come back into its group for now; null: it is in, or nothing of that kind is known. */
  readonly trouble: string | null;
  /** Awaits `revoked`, then leaves. */
  leave(): Promise<void>;
}

/**
 * One commit as one transaction.
 */
export interface Transaction {
  readonly member: GroupMember;
  readonly positions: readonly CommittedPosition[];
  /** Written in this order; encoders are sealed by the client and reset by the caller. */
  readonly batches: readonly OutputBatch[];
}

/** One connection of Millrace to one Kafka cluster. */
export interface KafkaClient extends AsyncDisposable {
  /** Resolves when a broker answers; rejects when none does, soon and without trying again. */
  probe(): Promise<void>;
  /** Partition counts of those of `names` that exist (fresh, not cached); null: of all topics but Kafka's own. */
  topics(names: readonly string[] | null): Promise<readonly TopicFacts[]>;
  /** Makes topics. One that exists already is no error. Resolves once all of them have leaders. */
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  /** Settings of topics, as far as they were asked for. */
  topicConfigs(names: readonly string[], keys: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /** First kept position, and the high watermark as a `read_uncommitted` reader sees it. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionInfo[]>;
  /**
   * Where to look for the first record at or after a time: nothing readable below `position` is one. What lies at it may be the end of a transaction, or aborted. `end` is that of a
   * `read_committed` reader, as of before the search; `position` where nothing is found.
   */
  search(at: TopicPartition, timestamp: number): Promise<{ readonly position: number; readonly end: number }>;
  /** Committed positions, `requireStable`: waits out transactions under way. Where this client's own last transaction is in doubt, it is ended first. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]>;
  /** Deletes records below the positions. */
  deleteRecords(below: readonly CommittedPosition[]): Promise<void>;
  /**
   * Appends outside of any transaction, idempotent, `acks=all`. Each batch succeeds or fails by itself: the answer has, in order, the position of its first record or the error. A batch whose
   * encoder holds several record batches is written in order.
   */
  produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]>;
  /**
   * Joins a group; resolves once the first `assigned` is done. Heartbeats go on by themselves. A rebalance awaits `revoked` (all partitions) before it rejoins, then awaits `assigned`; a
   * member that is told it is no longer one calls `lost` and joins anew.
   */
  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<GroupMember>;
  /** Reads a partition, `read_committed`: L2, L11 and L13 of the `Log` contract. Chunks hold whole, uncompressed batches without aborted records. */
  reader(partition: TopicPartition, position: number, onArrival: () => void): PartitionReader;
  /** Commits positions without a transaction, with the member's generation. `FencedError` when the group has moved on. */
  commitPositions(member: GroupMember, positions: readonly CommittedPosition[]): Promise<void>;
  /**
   * Writes batches and positions in one transaction. Resolves, once it is committed, with the position after the last record of each batch, in order (a lower bound where the client does
   * not know). Rejects with `FencedError` when the group has moved on or another has taken the transactional id, else with `LOG_COMMIT_FAILED`, or a code that says more (`LOG_TOPIC_UNKNOWN`,
   * `RECORD_TOO_LARGE`); in each case nothing of it is in, or, where its end is unknown, the next call of `committed` or `transact` ends it first and tells the truth.
   */
  transact(transaction: Transaction): Promise<readonly number[]>;
  /** Resolves once appends under way are answered. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
