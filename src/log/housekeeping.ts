/**
 * What the embedded log does beside its callers' work, in bites within their transactions: retention, compaction, expired ids. A
 * round over all of it begins at most once a minute; while one is under way, every transaction does a bite of it.
 *
 * Nothing here is needed for a log to be right. A round that is cut short (crash, rollback) is begun anew; each step of it leaves
 * the tables whole.
 */
import { isStreamError } from "../base/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { CompactionRun } from "./compaction-run.ts";
import type { Bite } from "./compaction-run.ts";
import type { EmbeddedPartition, EmbeddedTopic } from "./embedded-partition.ts";
import type { LogTransaction } from "./embedded-transaction.ts";
import { lossWarning, place } from "./failure.ts";
import { expiredBatches } from "./retention.ts";

/** What housekeeping needs of its log. */
export interface HousekeepingHost {
  readonly name: string;
  topics(): Iterable<EmbeddedTopic>;
  /** Groups with a member that reads the topic. */
  groupsReading(topic: string): readonly string[];
}

const ROUND_MS = 60_000;
/** Deleting 4 MiB of pages takes a few milliseconds. */
const BITE_BYTES = 4 * 1024 * 1024;
/** Rows looked at, and ids deleted, at a time. */
const ROWS = 256;

/** One piece of a round: does a part within the bite, true when it is done. */
type Chore = (transaction: LogTransaction, bite: Bite) => boolean;

export class Housekeeping {
  readonly #host: HousekeepingHost;
  readonly #runtime: Runtime;
  /** What is left of the round under way. */
  #chores: Chore[] = [];
  #begunAt: number;

  constructor(host: HousekeepingHost, runtime: Runtime) {
    this.#host = host;
    this.#runtime = runtime;
    // Not at once: groups join first, and hold back what they have not read.
    this.#begunAt = runtime.now();
  }

  /** Called last in each transaction. */
  bite(transaction: LogTransaction): void {
    if (this.#chores.length === 0) {
      // Either way: a clock that was set back must not stop it for as long.
      if (Math.abs(this.#runtime.now() - this.#begunAt) < ROUND_MS) return;
      this.#begunAt = this.#runtime.now();
      this.#chores = this.#round();
    }
    const bite: Bite = { bytes: BITE_BYTES };
    while (bite.bytes > 0 && this.#chores.length > 0) {
      if (this.#chores[this.#chores.length - 1]!(transaction, bite)) this.#chores.pop();
    }
  }

  /** A transaction was rolled back, and with it what was done of the round. */
  rolledBack(): void {
    this.#chores = [];
  }

  #round(): Chore[] {
    const chores: Chore[] = [(transaction, bite) => this.#expireIds(transaction, bite)];
    for (const topic of this.#host.topics()) {
      if (topic.retention === "forever") continue;
      for (const partition of topic.partitions) {
        if (topic.retention === "compact") chores.push(this.#compaction(partition));
        else chores.push(this.#retention(topic, partition));
      }
    }
    return chores;
  }

  #expireIds(transaction: LogTransaction, bite: Bite): boolean {
    const deleted = transaction.tables.deleteExpiredIds(transaction.now, ROWS);
    bite.bytes -= deleted * 512;
    return deleted < ROWS;
  }

  #retention(topic: EmbeddedTopic, partition: EmbeddedPartition): Chore {
    const from = partition.start;
    return (transaction, bite) => {
      const isDone = this.#dropExpired(topic, partition, transaction, bite);
      const { start } = transaction.of(partition);
      if (isDone && start > from) this.#warnOfLoss(partition, start, transaction);
      return isDone;
    };
  }

  #dropExpired({ name, retention }: EmbeddedTopic, partition: EmbeddedPartition, transaction: LogTransaction, bite: Bite): boolean {
    const { tables, now } = transaction;
    const change = transaction.of(partition);
    change.bytes ??= partition.batches.bytesFrom(0);
    const rows = partition.batches.oldest(ROWS);
    const expired = expiredBatches(rows, change.bytes, retention, now, this.#holdFrom(name, partition, change.start, transaction));
    let count = 0;
    while (count < expired && bite.bytes > 0) bite.bytes -= rows[count++]!.bytes;
    if (count > 0) {
      const last = rows[count - 1]!;
      partition.batches.deleteTo(last.base);
      change.start = last.next;
      for (const row of rows.slice(0, count)) change.bytes -= row.bytes;
    }
    tables.countPartition(partition.id, change.start, change.end, change.bytes);
    return count === expired && expired < rows.length || rows.length === 0;
  }

  /** Where the slowest group stands that reads the topic. */
  #holdFrom(topic: string, partition: EmbeddedPartition, start: number, { tables }: LogTransaction): number {
    let holdFrom = Infinity;
    for (const group of this.#host.groupsReading(topic)) holdFrom = Math.min(holdFrom, tables.position(group, partition.id) ?? start);
    return holdFrom;
  }

  #warnOfLoss(partition: EmbeddedPartition, start: number, transaction: LogTransaction): void {
    for (const { group, position } of transaction.tables.groupsBelow(partition.id, start)) {
      transaction.warn(...lossWarning(this.#host.name, group, partition, position, start));
    }
  }

  #compaction(partition: EmbeddedPartition): Chore {
    let run: CompactionRun | null = null;
    return (transaction, bite) => {
      const change = transaction.of(partition);
      change.bytes ??= partition.batches.bytesFrom(0);
      if (run === null && !CompactionRun.isDue(change.bytes, change.dirtyBytes)) {
        transaction.tables.countPartition(partition.id, change.start, change.end, change.bytes);
        return true;
      }
      run ??= new CompactionRun(partition, transaction);
      try {
        return run.step(transaction, bite);
      } catch (thrown) {
        // A damaged batch is for its readers to report; it must not fail everybody's commits.
        if (!isStreamError(thrown) || thrown.code !== "RECORD_CORRUPT") throw thrown;
        transaction.warn(`[${this.#host.name}] Cannot compact ${place(partition)}: ${thrown.message}`, { ...thrown.details });
        return true;
      }
    };
  }
}
