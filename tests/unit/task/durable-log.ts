/** A log that outlives the app on it and does not hold its state, and a disk beside it that can be lost: what tests of restarts need of Kafka, without one. */
import type {
  AssignmentListener,
  CommittedPosition,
  CommitUnit,
  Log,
  LogCapabilities,
  Membership,
  PartitionInfo,
  PartitionReader,
} from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import type { LogDriver } from "../../../src/log/driver.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import type { Chunk, TopicPartition } from "../../../src/record/record.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";

/** Of an app "t" that reads "in". */
export const CHANGELOG: string = "t-in-changelog";

/** A log that is elsewhere: it outlives the app and does not hold its state. */
export class DurableLog extends WrappedLog {
  /** A reader sees nothing from this position of the changelog on: a transaction's end is not there yet. */
  stableEnd: number = Infinity;
  /** Records of the changelog below this were deleted. */
  keptFrom = 0;
  /** What the next calls of `committed` fail with. */
  failures: unknown[] = [];
  /** Ends without telling `apply`. */
  losesApply = false;
  /** The group's positions were deleted. */
  hasNoPositions = false;
  readonly wakers: (() => void)[] = [];
  listener: AssignmentListener | null = null;

  override join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    this.listener = listener;
    return super.join(group, topics, listener);
  }

  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, durable: true };
  }

  override async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    return this.hasNoPositions ? [] : await super.committed(group, partitions);
  }

  override async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    return (await super.describe(topics)).map((at) => at.topic === CHANGELOG ? { ...at, start: this.keptFrom } : at);
  }

  override commit(unit: CommitUnit, apply: (positions: readonly CommittedPosition[]) => void): ReturnType<Log["commit"]> {
    return super.commit(unit, (positions) => {
      if (this.losesApply) throw new ExternalError("LOG_COMMIT_FAILED", "[memory] died here");
      apply(positions);
    });
  }

  override reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    const inner = super.reader(at, position, onArrival);
    if (at.topic !== CHANGELOG) return inner;
    this.wakers.push(onArrival);
    const log = this;
    return {
      ...at,
      get position() {
        return Math.min(inner.position, log.stableEnd);
      },
      get end() {
        return Math.min(inner.end ?? 0, log.stableEnd);
      },
      take(bytesMax: number): Chunk | null {
        if (inner.position < log.keptFrom) {
          throw new ExternalError(
            "LOG_POSITION_OUT_OF_RANGE",
            `[memory] Cannot read from position ${inner.position}: the log keeps nothing below ${log.keptFrom}`,
          );
        }
        return inner.position >= log.stableEnd ? null : inner.take(bytesMax);
      },
      seek: (to) => inner.seek(to),
      close: () => inner.close(),
    };
  }

  override async close(): Promise<void> {}
}

/** Where an app is opened again and again. */
export interface Rig extends LogDriver {
  readonly log: DurableLog;
  disk: Disk;
  closeDisk(): void;
}

/** A new one; on the log of another it is a further worker's. */
export function rigOn(runtime: VirtualRuntime, log: DurableLog = new DurableLog(memoryLog(runtime))): Rig {
  let database: Database | null = null;
  return {
    "~log": "memory",
    log,
    disk: memoryDisk(),
    closeDisk: () => database?.close(),
    async open() {
      this.closeDisk();
      return { log, database: database = await openDatabase(runtime, this.disk, "state.db"), place: "memory" };
    },
  };
}
