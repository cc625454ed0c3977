/**
 * The `Log` contract: topics of ordered partitions, read from a position, written by appends and by commits. It has Kafka's shape.
 *
 * Invariants, each proven by the conformance suite on every implementation:
 *
 * - **L1** Positions of a partition begin at 0, grow, and are never given twice; a record keeps its position. There may be gaps.
 * - **L2** A reader gives each record of its partition once, in position order, from where it was opened; never a record of an append or commit that failed, and never one before
 *   its append or commit has happened as a whole.
 * - **L3** `append` resolves once its records are durable (as far as the log is); the records of one call to one partition lie together, in order.
 * - **L4** `commit` is all or nothing: outputs, changelog and positions, and, where `holdsState`, what `apply` wrote. There, a throw from `apply` undoes it all;
 *   elsewhere the commit stands, the throw comes through, and local state must be restored. With `guarantee: "at-least-once"` outputs may be in although the commit failed.
 * - **L5** `commit` calls `apply` once: inside of its transaction where `holdsState`, else after it has happened, with the positions after the last changelog record.
 * - **L6** Committed positions are what the last commit of the group said, over restarts; a partition never committed has none.
 * - **L7** A commit with a membership that no longer owns one of its partitions is refused as a whole with `FencedError`.
 * - **L8** A listener's `revoked` is awaited before another member is told `assigned` for the same partition; each partition of the group's topics has at most one owner at any time.
 * - **L9** `append` with an `id` seen within its time adds nothing and resolves, when the first one is durable, with `duplicate: true`; check and append are one step.
 * - **L10** A topic's number of partitions is fixed by whoever made it first; `ensureTopics` with another number is refused with `LOG_TOPIC_MISMATCH`, and unknown topics with `LOG_TOPIC_UNKNOWN`.
 * - **L11** Reading below the first kept position is `LOG_POSITION_OUT_OF_RANGE`, never a silent jump.
 * - **L12** Foreign errors do not come through: each failure is a `StreamError` with the log's name in front, and after `close` every call is `LOG_CLOSED`.
 * - **L13** `onArrival` is called after records a reader could not give before have become readable; spurious calls are allowed, missing ones are not.
 * - **L14** `positionAt` gives the position of the first record, in position order, that a reader can give and whose timestamp is at or after the one asked for; where there is none, the
 *   position after the last one that can be read. Timestamps need not grow with positions: earlier ones may follow.
 *
 * @module
 */
import type { BatchEncoder } from "../record/encoder.ts";
import type { Chunk, NewRecord, TopicPartition } from "../record/record.ts";
import type { Database } from "../sqlite/database.ts";

/** What differs between logs. Code branches on these, never on `name`. */
export interface LogCapabilities {
  /** `apply` runs inside the log's own transaction on {@linkcode Log.database}, so no changelog is needed. */
  readonly holdsState: boolean;
  /** Records survive the process. */
  readonly durable: boolean;
  /** Partitions move between members while they run. */
  readonly rebalances: boolean;
  /** `append` honours `id`. */
  readonly deduplicates: boolean;
}

/** How long records are kept: `"forever"`, only the newest of each key, or bounds. */
export type Retention = "forever" | "compact" | { readonly ageMs?: number; readonly bytes?: number };

/** A topic that must exist. */
export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly retention: Retention;
  /** Made and owned by an app: repartition, changelog, replies. */
  readonly internal: boolean;
  /** A log that counts ages from its records' times may put the time of the append in their place. @default false */
  readonly takesAppendTime?: boolean;
}

/** Records to append to one partition, all or none. */
export interface Append extends TopicPartition {
  readonly records: readonly NewRecord[];
  /**
   * Whoever says the same id again within `keepMs` adds nothing (L9). Needs `deduplicates`. `checksum` (32 bits) says what the content is; without it keys, values and the partition do.
   */
  readonly id?: { readonly scope: string; readonly value: string; readonly keepMs: number; readonly checksum?: number } | null;
}

/** Where appended records lie. */
export interface AppendReceipt extends TopicPartition {
  /** Of the first record; of the first append's, where this one is a duplicate. */
  readonly position: number;
  readonly duplicate: boolean;
  /** A duplicate whose records differ from the first's. */
  readonly differs: boolean;
}

/** Hears which partitions a member owns. */
export interface AssignmentListener {
  /** Partitions gained; reading may begin once it is done. */
  assigned(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** Partitions about to be lost; still owned until it is done, so that it can commit. */
  revoked(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** Partitions lost already: nothing of them can be committed. */
  lost(partitions: readonly TopicPartition[]): void;
  /** The member is out for good, after `lost`: it is told nothing more. `error` says why: another has taken its place, say. */
  out?(error: unknown): void;
}

/** One member of a group. */
export interface Membership {
  readonly group: string;
  readonly memberId: string;
  readonly assigned: readonly TopicPartition[];
  /** Hands partitions back (awaits `revoked`) and leaves. */
  leave(): Promise<void>;
}

/** Reads one partition. Chunks hold whole batches, uncompressed, whose records are all to be read. */
export interface PartitionReader extends TopicPartition {
  /** The position of the next chunk. */
  readonly position: number;
  /** The end of the partition as of the last answered fetch: position after its last readable record; null before the first answer. */
  readonly end: number | null;
  /** What is at hand, at most about `bytesMax` but at least one batch; null when nothing is: `onArrival` tells when to ask again. Never waits. */
  take(bytesMax: number): Chunk | null;
  /** The next chunk begins at `position`. */
  seek(position: number): void;
  close(): void;
}

/** Records for one partition, in an encoder that the log seals; the caller resets it when the commit has happened. */
export interface OutputBatch extends TopicPartition {
  readonly encoder: BatchEncoder;
}

/** A position to commit: that of the next record to process. */
export interface CommittedPosition extends TopicPartition {
  readonly position: number;
}

/**
 * `exactly-once`: outputs and positions become true together; `at-least-once`: outputs are in before positions are, and may repeat. Records for internal topics are always exact, for what
 * reads them counts them.
 */
export type Guarantee = "exactly-once" | "at-least-once";

/** What becomes true together. */
export interface CommitUnit {
  readonly membership: Membership;
  readonly positions: readonly CommittedPosition[];
  readonly outputs: readonly OutputBatch[];
  /** Empty where the log holds state. */
  readonly changelog: readonly OutputBatch[];
  /** What is promised of `outputs`; positions, changelog and state are always exact. @default "exactly-once" */
  readonly guarantee?: Guarantee;
}

/** A commit that has happened. */
export interface CommitReceipt {
  /** Fulfils once it survives loss of power; null where that is so already. Rejects when the device refused: stop and reopen. */
  readonly durable: Promise<void> | null;
}

/** What a topic holds. */
export interface PartitionInfo extends TopicPartition {
  /** First kept position. */
  readonly start: number;
  /** Position after the last record, those of transactions under way included. */
  readonly end: number;
}

/** A copy of a log: whole, durable, as of one commit. It lies beside the log until it is closed. */
export interface LogCopy {
  /** Its size. */
  readonly bytes: number;
  /** Fills `into` from `position` (bytes); returns how many bytes there were. */
  read(into: Uint8Array, position: number): number;
  /** Gives it up; a second call does nothing. */
  close(): void;
}

/** An append-only, partitioned log. */
export interface Log extends AsyncDisposable {
  /** Short and stable, the prefix of its errors: `memory`, `embedded`. */
  readonly name: string;
  readonly capabilities: LogCapabilities;
  /** Where state lives in the log's own transaction; null unless `holdsState`. */
  readonly database: Database | null;
  /** Why nothing of it can be read or written for now, for people: its servers do not answer, say. null where nothing of that kind is known; what is wrong with one call, the call says. */
  readonly trouble: string | null;
  /** Makes what is missing, checks what exists (L10). */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /** Number of partitions; null for an unknown topic. Known after `ensureTopics`. */
  partitionsOf(topic: string): number | null;
  /** Start and end of each partition of the topics. */
  describe(topics: readonly string[]): Promise<readonly PartitionInfo[]>;
  /**
   * Where to read from for all that happened since a moment (L14). `timestamp`: whole milliseconds since the epoch, else `TIMESTAMP_INVALID`. A log without an index of times reads the
   * partition to find it.
   */
  positionAt(partition: TopicPartition, timestamp: number): Promise<number>;
  /** Appends outside of any commit (webhooks, `send`); each entry is all or nothing; resolves once all are durable. */
  append(appends: readonly Append[]): Promise<readonly AppendReceipt[]>;
  /** Becomes a member of a group; resolves once the first `assigned` was called. */
  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership>;
  /** The committed positions of a group; partitions without one are left out. Waits out transactions under way. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]>;
  /** Reads a partition from a position on. `onArrival` is never called synchronously from within a call of the reader. */
  reader(partition: TopicPartition, position: number, onArrival: () => void): PartitionReader;
  /** The one commit. Synchronous where the log can be. Failing, nothing of it is in: `LOG_COMMIT_FAILED`, or `FencedError`. */
  commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt>;
  /** Everything committed or appended before is durable when it fulfils. */
  flush(): Promise<void>;
  /**
   * Copies all there is, records, positions, ids and state, while it is worked with. One at a time: until the last one is closed another is refused with `LOG_BUSY`. Not there on logs that are no file
   * of this process: who keeps their records copies them, too. An aborted `signal` ends it.
   */
  copy?(signal?: AbortSignal): Promise<LogCopy>;
  close(): Promise<void>;
}
