/** A log that passes every call on to another: what tests override to watch one, or to break it on purpose. */
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
  PartitionInfo,
  PartitionReader,
  TopicSpec,
} from "../log/log.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Database } from "../sqlite/database.ts";

/** Passes all on. */
export class WrappedLog implements Log {
  readonly inner: Log;
  /** Where the other one has it. */
  readonly copy?: NonNullable<Log["copy"]>;

  constructor(inner: Log) {
    this.inner = inner;
    if (inner.copy !== undefined) this.copy = (signal) => inner.copy!(signal);
  }

  get name(): string {
    return this.inner.name;
  }

  get capabilities(): LogCapabilities {
    return this.inner.capabilities;
  }

  get database(): Database | null {
    return this.inner.database;
  }

  get trouble(): string | null {
    return this.inner.trouble;
  }

  ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.inner.ensureTopics(specs);
  }

  partitionsOf(topic: string): number | null {
    return this.inner.partitionsOf(topic);
  }

  describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    return this.inner.describe(topics);
  }

  positionAt(partition: TopicPartition, timestamp: number): Promise<number> {
    return this.inner.positionAt(partition, timestamp);
  }

  append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    return this.inner.append(appends);
  }

  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    return this.inner.join(group, topics, listener);
  }

  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    return this.inner.committed(group, partitions);
  }

  reader(partition: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    return this.inner.reader(partition, position, onArrival);
  }

  commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt> {
    return this.inner.commit(unit, apply);
  }

  flush(): Promise<void> {
    return this.inner.flush();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
