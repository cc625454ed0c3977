/**
 * One record batch as a log keeps it, and the two ways between batches and runs of them: what an encoder sealed is split into
 * batches, what a reader takes is joined from them. A batch is the unit of storage, retention and compaction.
 */
import { basePosition, batchSize, lastDelta } from "../record/batch.ts";
import type { Chunk } from "../record/record.ts";

/** A sealed record batch. */
export interface StoredBatch {
  /** Position of its first record. */
  readonly base: number;
  /** Position after its last record. */
  readonly next: number;
  /** When it was written, milliseconds since the epoch: what retention by age goes by, for event times may lie anywhere. */
  readonly time: number;
  /** The whole batch; nobody writes to it. */
  readonly bytes: Uint8Array;
}

/** Calls `each` for every batch of what an encoder sealed, with its place in `sealed`. */
export function forEachBatch(sealed: Uint8Array, each: (base: number, next: number, start: number, end: number) => void): void {
  for (let start = 0; start < sealed.length;) {
    const end = start + batchSize(sealed, start);
    const base = basePosition(sealed, start);
    each(base, base + lastDelta(sealed, start) + 1, start, end);
    start = end;
  }
}

/** Batches of their own from what an encoder sealed; copies, for the encoder's buffer is used again. */
export function splitBatches(sealed: Uint8Array, time: number): StoredBatch[] {
  const batches: StoredBatch[] = [];
  forEachBatch(sealed, (base, next, start, end) => batches.push({ base, next, time, bytes: sealed.slice(start, end) }));
  return batches;
}

/** One chunk of neighbouring batches; no copy where there is one. At least one batch is needed. */
export function joinBatches(batches: readonly StoredBatch[]): Chunk {
  const first = batches[0]!;
  const last = batches[batches.length - 1]!;
  if (first === last) return { bytes: first.bytes, start: 0, end: first.bytes.length, nextPosition: first.next };

  let length = 0;
  for (const batch of batches) length += batch.bytes.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const batch of batches) {
    bytes.set(batch.bytes, at);
    at += batch.bytes.length;
  }
  return { bytes, start: 0, end: length, nextPosition: last.next };
}

/** The index of the first batch with a record at or after `position`, or `batches.length`. Batches are in order of position. */
export function indexAt(batches: readonly StoredBatch[], position: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches[middle]!.next > position) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Neighbouring batches from `index` on, about `bytesMax` at most, but one at least. */
export function batchesFrom(batches: readonly StoredBatch[], index: number, bytesMax: number): readonly StoredBatch[] {
  let end = index + 1;
  let bytes = batches[index]!.bytes.length;
  while (end < batches.length && bytes + batches[end]!.bytes.length <= bytesMax) bytes += batches[end++]!.bytes.length;
  return batches.slice(index, end);
}
