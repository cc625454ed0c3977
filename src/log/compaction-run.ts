/**
 * One compaction of one partition, in steps over several transactions: first the keys of what was written since the last one are
 * noted, then every batch below is rewritten without the records that those keys supersede. Each step leaves the tables whole.
 */
import { canCompact, compactBatch, noteKeys } from "./compaction.ts";
import type { EmbeddedPartition } from "./embedded-partition.ts";
import type { LogTransaction } from "./embedded-transaction.ts";

/** How much a transaction may do beside its own work. */
export interface Bite {
  bytes: number;
}

/** Tombstones stay as long as a reader that was stopped may need to hear of them: Kafka's and our changelogs' `delete.retention.ms`. */
const TOMBSTONE_MS = 7 * 24 * 3_600_000;
/** Below this it is not worth while. */
const DIRTY_BYTES_MIN = 1024 * 1024;
/** Notes of keys in memory; beyond, the rest waits for the next compaction. */
const NOTES_BYTES_MAX = 32 * 1024 * 1024;
/** Batches read at a time. */
const READ_BYTES = 512 * 1024;

export class CompactionRun {
  readonly #partition: EmbeddedPartition;
  readonly #newest = new Map<string, number>();
  #notesBytes = 0;
  /** Keys are noted up to here, and the records below it are compacted. */
  #notedTo: number;
  readonly #end: number;
  #isNoting = true;
  /** A batch that cannot be looked into may hold a value that only a tombstone hides. */
  #keepsTombstones = false;
  #rewrittenTo: number;

  /** Whether so much was written since the last compaction that another pays: half of all bytes. */
  static isDue(bytes: number, dirtyBytes: number): boolean {
    return dirtyBytes >= DIRTY_BYTES_MIN && dirtyBytes >= bytes / 2;
  }

  constructor(partition: EmbeddedPartition, transaction: LogTransaction) {
    this.#partition = partition;
    this.#notedTo = transaction.tables.cleanTo(partition.id);
    this.#rewrittenTo = partition.start;
    this.#end = transaction.of(partition).end;
  }

  /** Does a part; true when the partition is compacted. */
  step(transaction: LogTransaction, bite: Bite): boolean {
    if (this.#isNoting) this.#note(bite);
    else if (this.#rewrite(transaction, bite)) return this.#finish(transaction);
    return false;
  }

  #note(bite: Bite): void {
    const batches = this.#partition.batches.read(this.#notedTo, this.#end, READ_BYTES);
    for (const batch of batches) {
      if (canCompact(batch.bytes)) this.#notesBytes += noteKeys(batch.bytes, this.#newest);
      bite.bytes -= batch.bytes.length;
      this.#notedTo = batch.next;
    }
    if (batches.length === 0) this.#notedTo = this.#end;
    if (this.#notedTo >= this.#end || this.#notesBytes > NOTES_BYTES_MAX) this.#isNoting = false;
  }

  /** True when all is rewritten. */
  #rewrite(transaction: LogTransaction, bite: Bite): boolean {
    const { now } = transaction;
    const change = transaction.of(this.#partition);
    const batches = this.#partition.batches.read(this.#rewrittenTo, this.#notedTo, READ_BYTES);
    for (const batch of batches) {
      this.#rewrittenTo = batch.next;
      bite.bytes -= batch.bytes.length;
      if (!canCompact(batch.bytes)) {
        this.#keepsTombstones = true;
        continue;
      }
      // The last batch stays, so that the end of the partition is where it was; all its keys are the newest anyway.
      const isLast = batch.next === change.end;
      const compact = compactBatch(batch.bytes, this.#newest, !isLast && !this.#keepsTombstones && now - batch.time > TOMBSTONE_MS);
      if (compact === batch.bytes) continue;
      if (compact === null) this.#partition.batches.delete(batch.base);
      else this.#partition.batches.replace(batch.base, compact);
      const freed = batch.bytes.length - (compact?.length ?? 0);
      bite.bytes -= freed;
      change.bytes! -= freed;
    }
    return batches.length === 0;
  }

  #finish(transaction: LogTransaction): true {
    const { tables } = transaction;
    const { id } = this.#partition;
    const change = transaction.of(this.#partition);
    tables.setCleanTo(id, this.#notedTo);
    tables.countPartition(id, change.start, change.end, change.bytes!);
    change.dirtyBytes = this.#partition.batches.bytesFrom(this.#notedTo);
    return true;
  }
}
