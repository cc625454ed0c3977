/**
 * The memory log: the reference implementation of the `Log` contract. Nothing outlives the process; several members of a group
 * may live in it. Plain arrays, every step at once: where another log behaves otherwise, this one is right.
 */
import { assert } from "../base/assert.ts";
import { InvariantError, isStreamError } from "../base/errors.ts";
import { BatchEncoder } from "../record/encoder.ts";
import type { Chunk, TopicPartition } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { checkAppend, contentChecksum, encodeRecords } from "./append-check.ts";
import { Arrival } from "./arrival.ts";
import { closed, fenced, lossWarning, place, positionOutOfRange, quiet, topicUnknown } from "./failure.ts";
import type { Warn } from "./failure.ts";
import { checkTime, firstAt } from "./first-at.ts";
import type {
  Append,
  AppendReceipt,
  AssignmentListener,
  CommitReceipt,
  CommittedPosition,
  CommitUnit,
  Log,
  LogCapabilities,
  Membership,
  OutputBatch,
  PartitionInfo,
  PartitionReader,
  Retention,
  TopicSpec,
} from "./log.ts";
import { MemoryGroup, MemoryMember } from "./memory-group.ts";
import { expiredBatches } from "./retention.ts";
import type { BatchSize } from "./retention.ts";
import { batchesFrom, indexAt, joinBatches, splitBatches } from "./stored-batch.ts";
import type { StoredBatch } from "./stored-batch.ts";
import { checkTopicSpecs } from "./topic-check.ts";

/** Options of {@linkcode memoryLog}. */
export interface MemoryLogOptions {
  /** How the log speaks: records lost to retention before a group read them, listeners that failed. */
  readonly onWarning?: Warn;
}

/** A log in memory. `"compact"` keeps everything; bounds by age and bytes hold, per partition. */
export function memoryLog(runtime: Runtime, options: MemoryLogOptions = {}): Log {
  return new MemoryLog(runtime, options);
}

interface Topic {
  readonly name: string;
  retention: Retention;
  readonly partitions: readonly Partition[];
}

class Partition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  batches: StoredBatch[] = [];
  start = 0;
  end = 0;
  bytes = 0;
  readonly readers: Set<MemoryReader> = new Set();

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** The kept batches as retention sees them. */
  *sizes(): Iterable<BatchSize> {
    for (const { next, time, bytes } of this.batches) yield { next, time, bytes: bytes.length };
  }

  /** Forgets the oldest batches. */
  drop(count: number): void {
    for (const batch of this.batches.slice(0, count)) {
      this.start = batch.next;
      this.bytes -= batch.bytes.length;
    }
    this.batches = this.batches.slice(count);
  }

  /** Adds what an encoder holds and returns the position of its first record. */
  add(encoder: BatchEncoder, time: number): number {
    const position = this.end;
    for (const batch of splitBatches(encoder.seal(position), time)) {
      this.batches.push(batch);
      this.bytes += batch.bytes.length;
    }
    this.end = position + encoder.count;
    for (const reader of this.readers) reader.arrival.notify();
    return position;
  }
}

/** What an id was first used for. */
interface Remembered {
  readonly receipt: AppendReceipt;
  readonly checksum: number;
  readonly expires: number;
}

class MemoryLog implements Log {
  readonly name = "memory";
  readonly capabilities: LogCapabilities = { holdsState: false, durable: false, rebalances: true, deduplicates: true };
  readonly database = null;
  readonly trouble = null;
  readonly #runtime: Runtime;
  readonly #warn: Warn;
  readonly #topics = new Map<string, Topic>();
  readonly #groups = new Map<string, MemoryGroup>();
  readonly #committed = new Map<string, Map<Partition, number>>();
  readonly #ids = new Map<string, Remembered>();
  readonly #encoder = new BatchEncoder();
  #sweptAt: number;
  #closed = false;

  constructor(runtime: Runtime, options: MemoryLogOptions) {
    this.#runtime = runtime;
    this.#warn = quiet(options.onWarning);
    this.#sweptAt = runtime.now();
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkOpen("ensure topics");
    checkTopicSpecs(this.name, specs, (topic) => this.partitionsOf(topic));
    for (const { name, partitions, retention } of specs) {
      const topic = this.#topics.get(name);
      if (topic === undefined) {
        this.#topics.set(name, { name, retention, partitions: Array.from({ length: partitions }, (_, index) => new Partition(name, index)) });
      } else {
        topic.retention = retention;
      }
    }
  }

  partitionsOf(topic: string): number | null {
    this.#checkOpen("tell partitions");
    return this.#topics.get(topic)?.partitions.length ?? null;
  }

  async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    this.#checkOpen("describe topics");
    return topics.flatMap((topic) => this.#topic(topic, "describe").partitions.map(({ partition, start, end }) => ({ topic, partition, start, end })));
  }

  async positionAt(at: TopicPartition, timestamp: number): Promise<number> {
    this.#checkOpen("look for a time");
    const { batches, start, end } = this.#partition(at, "look for a time");
    checkTime(this.name, at, timestamp);
    for (const { bytes } of batches) {
      const position = firstAt(bytes, 0, bytes.length, start, timestamp);
      if (position !== null) return position;
    }
    return end;
  }

  async append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    this.#checkOpen("append");
    // All checks come first: a call with one bad entry adds nothing.
    for (const append of appends) {
      this.#partition(append, "append");
      checkAppend(this.name, append);
    }
    return appends.map((append) => this.#append(append));
  }

  #append(append: Append): AppendReceipt {
    const now = this.#runtime.now();
    const id = append.id ?? null;
    const name = id === null ? "" : JSON.stringify([id.scope, id.value]);
    const checksum = id === null ? 0 : (id.checksum ?? contentChecksum(this.#encoder, append.records));
    const first = id === null ? undefined : this.#ids.get(name);
    if (first !== undefined && first.expires > now) {
      const isElsewhere = id?.checksum === undefined && (first.receipt.topic !== append.topic || first.receipt.partition !== append.partition);
      return { ...first.receipt, duplicate: true, differs: isElsewhere || first.checksum !== checksum };
    }

    const partition = this.#partition(append, "append");
    this.#encoder.reset();
    encodeRecords(this.#encoder, append.records);
    const position = partition.add(this.#encoder, now);
    const receipt = { topic: append.topic, partition: append.partition, position, duplicate: false, differs: false };
    if (id !== null) this.#ids.set(name, { receipt, checksum, expires: now + id.keepMs });
    this.#retain(partition);
    return receipt;
  }

  async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    this.#checkOpen(`join group "${group}"`);
    for (const topic of topics) this.#topic(topic, `join group "${group}"`);
    let members = this.#groups.get(group);
    if (members === undefined) {
      members = new MemoryGroup(group, { partitionsOf: (topic) => this.#topic(topic, "rebalance").partitions.length, warn: this.#warn });
      this.#groups.set(group, members);
    }
    return await members.join([...new Set(topics)], listener);
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    this.#checkOpen("read committed positions");
    const positions = this.#committed.get(group);
    return partitions.flatMap(({ topic, partition }) => {
      const of = this.#partition({ topic, partition }, "read committed positions");
      const position = positions?.get(of);
      return position === undefined ? [] : [{ topic, partition, position }];
    });
  }

  reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    this.#checkOpen("read");
    const partition = this.#partition(at, "read");
    return new MemoryReader(partition, position, onArrival, () => this.#checkOpen(`read ${place(at)}`));
  }

  commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): CommitReceipt {
    this.#checkOpen("commit");
    const { membership, positions, outputs, changelog } = unit;
    this.#checkOwner(membership, positions);
    const committed = this.#committed.get(membership.group) ?? new Map<Partition, number>();
    const moved = positions.map((at) => [this.#partition(at, "commit"), at.position] as const);
    const written = [...outputs, ...changelog].map((output) => this.#partition(output, "commit"));

    // From here on nothing can fail but `apply`.
    const changelogPositions = this.#write(outputs, changelog);
    for (const [partition, position] of moved) committed.set(partition, position);
    this.#committed.set(membership.group, committed);
    for (const partition of written) this.#retain(partition);
    try {
      apply(changelogPositions);
    } catch (thrown) {
      if (isStreamError(thrown)) throw thrown;
      throw new InvariantError(`[memory] Commit of group "${membership.group}" has happened, but local state did not follow`, { cause: thrown });
    }
    return { durable: null };
  }

  async flush(): Promise<void> {
    this.#checkOpen("flush");
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const group of this.#groups.values()) group.dissolve();
    for (const topic of this.#topics.values()) {
      for (const partition of topic.partitions) {
        for (const reader of partition.readers) reader.close();
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(outputs: readonly OutputBatch[], changelog: readonly OutputBatch[]): CommittedPosition[] {
    const now = this.#runtime.now();
    for (const output of outputs) this.#partition(output, "commit").add(output.encoder, now);
    return changelog.map((output) => {
      const partition = this.#partition(output, "commit");
      partition.add(output.encoder, now);
      return { topic: output.topic, partition: output.partition, position: partition.end };
    });
  }

  #checkOwner(membership: Membership, positions: readonly CommittedPosition[]): void {
    const { group, memberId } = membership;
    if (!(membership instanceof MemoryMember) || !membership.isJoined) throw fenced(this.name, group, memberId, "is not in the group");
    for (const at of positions) {
      assert(Number.isSafeInteger(at.position) && at.position >= 0, `L6: position ${at.position} of ${place(at)} is a whole number`);
      if (!membership.owns(at.topic, at.partition)) throw fenced(this.name, group, memberId, `does not own ${place(at)}`);
    }
  }

  /** Drops batches from the front while they are beyond the topic's bounds. */
  #retain(partition: Partition): void {
    const now = this.#runtime.now();
    this.#forgetIds(now);
    const { retention } = this.#topic(partition.topic, "retain");
    if (typeof retention !== "object") return;
    const count = expiredBatches(partition.sizes(), partition.bytes, retention, now, this.#holdFrom(partition));
    if (count === 0) return;
    partition.drop(count);
    for (const [group, positions] of this.#committed) {
      const position = positions.get(partition) ?? partition.start;
      if (position < partition.start) this.#warn(...lossWarning(this.name, group, partition, position, partition.start));
    }
  }

  /** Where the slowest group stands that reads the partition. */
  #holdFrom(partition: Partition): number {
    let holdFrom = Infinity;
    for (const [name, group] of this.#groups) {
      if (group.reads(partition.topic)) holdFrom = Math.min(holdFrom, this.#committed.get(name)?.get(partition) ?? partition.start);
    }
    return holdFrom;
  }

  /** At most once a minute: ids beyond their time. */
  #forgetIds(now: number): void {
    if (now - this.#sweptAt < 60_000) return;
    this.#sweptAt = now;
    for (const [name, { expires }] of this.#ids) if (expires <= now) this.#ids.delete(name);
  }

  #topic(name: string, call: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw topicUnknown(this.name, call, { topic: name, partition: 0 }, null);
    return topic;
  }

  #partition(at: TopicPartition, call: string): Partition {
    const topic = this.#topic(at.topic, call);
    const partition = topic.partitions[at.partition];
    if (partition === undefined) throw topicUnknown(this.name, call, at, topic.partitions.length);
    return partition;
  }

  #checkOpen(call: string): void {
    if (this.#closed) throw closed(this.name, call);
  }
}

class MemoryReader implements PartitionReader {
  readonly topic: string;
  readonly partition: number;
  readonly arrival: Arrival;
  readonly #of: Partition;
  readonly #checkOpen: () => void;
  #position: number;
  #closed = false;

  constructor(of: Partition, position: number, onArrival: () => void, checkOpen: () => void) {
    this.topic = of.topic;
    this.partition = of.partition;
    this.arrival = new Arrival(onArrival);
    this.#of = of;
    this.#position = position;
    this.#checkOpen = checkOpen;
    of.readers.add(this);
  }

  get position(): number {
    return this.#position;
  }

  get end(): number {
    return this.#of.end;
  }

  take(bytesMax: number): Chunk | null {
    this.#checkOpen();
    if (this.#closed) return null;
    const { batches, start, end } = this.#of;
    if (this.#position < start || this.#position > end) throw positionOutOfRange("memory", this, this.#position, start, end);
    const index = indexAt(batches, this.#position);
    if (index === batches.length) return null;
    const chunk = joinBatches(batchesFrom(batches, index, bytesMax));
    this.#position = chunk.nextPosition;
    return chunk;
  }

  seek(position: number): void {
    this.#checkOpen();
    this.#position = position;
  }

  close(): void {
    this.#closed = true;
    this.arrival.close();
    this.#of.readers.delete(this);
  }
}
