/** Which batches are beyond a topic's bounds. Pure: the logs ask, and delete in their own way. */
import type { Retention } from "./log.ts";

/** What retention needs to know of a batch. */
export interface BatchSize {
  /** Position after its last record. */
  readonly next: number;
  /** When it was written, milliseconds since the epoch. */
  readonly time: number;
  readonly bytes: number;
}

/**
 * How many of the oldest batches may go: those written more than `ageMs` ago, and those without which the partition still has `bytes`.
 * `oldest` are the first batches in order, asked for no further than needed, `totalBytes` what all batches take. By age nothing goes at or above `holdFrom`: a
 * group that reads may be behind because it was stopped for longer than records are kept.
 */
export function expiredBatches(oldest: Iterable<BatchSize>, totalBytes: number, retention: Retention, now: number, holdFrom: number): number {
  if (typeof retention !== "object") return 0;
  const { ageMs = Infinity, bytes: bytesMax = Infinity } = retention;
  let count = 0;
  let bytes = totalBytes;
  for (const batch of oldest) {
    const isOld = now - batch.time > ageMs && batch.next <= holdFrom;
    if (!isOld && bytes - batch.bytes < bytesMax) break;
    bytes -= batch.bytes;
    count++;
  }
  return count;
}
