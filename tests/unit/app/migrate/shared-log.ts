/** Logs for moves: one that fails at one of its calls, and one as Kafka is, in memory. */
import type { LogDriver } from "../../../../mod.ts";
import { ExternalError } from "../../../../src/base/errors.ts";
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
  TopicSpec,
} from "../../../../src/log/log.ts";
import { memoryLog } from "../../../../src/log/memory.ts";
import type { TopicPartition } from "../../../../src/record/record.ts";
import type { Runtime } from "../../../../src/runtime/runtime.ts";
import { memoryDisk } from "../../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../../src/sqlite/open.ts";
import { WrappedLog } from "../../../../src/testing/wrapped-log.ts";

/** Where a call fails: before it has done anything, or after, so that only the answer is lost. */
export type Failing = "before" | "after";

/** A log that fails at one of its calls. */
export class FailingLog extends WrappedLog {
  /** Calls so far. */
  calls = 0;
  /** The number of the call that fails, from 1; 0: none. */
  failAt = 0;
  how: Failing = "before";

  override ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#call(() => super.ensureTopics(specs));
  }

  override describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    return this.#call(() => super.describe(topics));
  }

  override append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    return this.#call(() => super.append(appends));
  }

  override committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    return this.#call(() => super.committed(group, partitions));
  }

  override join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    return this.#call(() => super.join(group, topics, listener));
  }

  override commit(unit: CommitUnit, apply: (positions: readonly CommittedPosition[]) => void): Promise<CommitReceipt> {
    return this.#call(async () => await super.commit(unit, apply));
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    const isFailing = ++this.calls === this.failAt;
    if (isFailing && this.how === "before") throw cut(this.calls);
    const answer = await call();
    if (isFailing) throw cut(this.calls);
    return answer;
  }
}

/** A log in memory that knows its members. */
class KeptMembers extends WrappedLog {
  readonly members: Set<Membership> = new Set();

  override async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    const membership = await super.join(group, topics, listener);
    this.members.add(membership);
    return membership;
  }
}

/** A log as Kafka is one, in memory: it outlives whoever opens it, holds no state, and knows no ids. */
export class SharedLog extends FailingLog {
  readonly #members: Set<Membership>;

  constructor(runtime: Runtime) {
    const kept = new KeptMembers(memoryLog(runtime));
    super(kept);
    this.#members = kept.members;
  }

  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, durable: true, deduplicates: false };
  }

  /** Whoever had it open has died. */
  override async close(): Promise<void> {
    for (const membership of this.#members) await membership.leave();
    this.#members.clear();
  }
}

function cut(call: number): ExternalError {
  return new ExternalError("LOG_UNAVAILABLE", `the connection broke at call ${call}`);
}

/** A driver of such a log. Its state is kept from one opening to the next, as on a disk. */
export function sharedDriver(log: Log): LogDriver {
  const disk = memoryDisk();
  return {
    "~log": "shared",
    open: async ({ runtime }) => ({ log, database: await openDatabase(runtime, disk, "state.db"), place: "memory" }),
  };
}
