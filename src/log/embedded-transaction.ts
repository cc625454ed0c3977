/**
 * One transaction of the embedded log: rows go to SQLite at once, what changes in memory is kept apart and put in force by
 * {@linkcode LogTransaction.publish} after COMMIT. A transaction that fails is dropped, and memory never knew of it.
 */
import type { BatchEncoder } from "../record/encoder.ts";
import type { EmbeddedPartition, PartitionChange, TailCache } from "./embedded-partition.ts";
import type { Tables } from "./embedded-tables.ts";
import type { Warn } from "./failure.ts";
import { forEachBatch } from "./stored-batch.ts";

export class LogTransaction {
  readonly tables: Tables;
  /** When it began, milliseconds since the epoch. */
  readonly now: number;
  readonly #changes = new Map<EmbeddedPartition, PartitionChange>();
  readonly #warnings: Parameters<Warn>[] = [];

  constructor(tables: Tables, now: number) {
    this.tables = tables;
    this.now = now;
  }

  /** The partition as this transaction leaves it; to be changed along with its rows. */
  of(partition: EmbeddedPartition): PartitionChange {
    let change = this.#changes.get(partition);
    if (change === undefined) {
      const { start, end, bytes, dirtyBytes } = partition;
      change = { start, end, bytes, dirtyBytes, hasArrived: false, batches: [] };
      this.#changes.set(partition, change);
    }
    return change;
  }

  /** Writes what the encoder holds to the end of a partition; the position of its first record. */
  write(partition: EmbeddedPartition, encoder: BatchEncoder): number {
    const change = this.of(partition);
    const position = change.end;
    if (encoder.count === 0) return position;
    const sealed = encoder.seal(position);
    forEachBatch(sealed, (base, next, start, end) => {
      partition.batches.add(base, next, this.now, sealed, start, end);
      if (partition.arrivals.size > 0) change.batches.push({ base, next, time: this.now, bytes: sealed.slice(start, end) });
      change.end = next;
    });
    change.hasArrived = true;
    change.dirtyBytes += sealed.length;
    if (change.bytes !== null) change.bytes += sealed.length;
    return position;
  }

  /** Is said once the transaction is committed. */
  warn(message: string, details: Readonly<Record<string, unknown>>): void {
    this.#warnings.push([message, details]);
  }

  /** Puts everything in force and tells readers. */
  publish(tails: TailCache, warn: Warn): void {
    for (const [partition, change] of this.#changes) {
      partition.start = change.start;
      partition.end = change.end;
      partition.bytes = change.bytes;
      partition.dirtyBytes = change.dirtyBytes;
      if (!change.hasArrived) continue;
      if (partition.arrivals.size > 0) tails.add(partition, change.batches);
      else tails.clear(partition);
      for (const arrival of partition.arrivals) arrival.notify();
    }
    for (const warning of this.#warnings) warn(...warning);
  }
}
