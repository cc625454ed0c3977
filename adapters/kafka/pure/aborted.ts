/**
 * What of a fetch answer a `read_committed` reader may see. The broker sends everything below the last stable position, records of aborted transactions and markers included, and says beside
 * it which transactions were aborted; leaving those out is the client's part.
 *
 * All of it from batch headers, with numbers: no record is looked at, nothing is copied.
 */
import { readInt16 } from "../../../src/base/bytes.ts";
import { DecodeError } from "../../../src/base/errors.ts";
import {
  basePosition,
  BATCH_HEADER_BYTES,
  batchSize,
  isControl,
  isTransactional,
  isWhole,
  lastDelta,
  MAGIC_AT,
  producerId,
  recordCount,
} from "../../../src/record/batch.ts";

/** A transaction that was aborted. */
export interface AbortedTransaction {
  readonly producerId: number;
  /** Of its first record in this partition. */
  readonly firstPosition: number;
}

/** Some batches that lie together and may all be read. */
export interface Run {
  readonly start: number;
  readonly end: number;
  /** Where reading goes on: behind the run and what was left out after it. */
  readonly nextPosition: number;
}

/** What is left of a fetch answer. */
export interface Visible {
  readonly runs: readonly Run[];
  /** Where the next fetch begins: behind the last whole batch, whether left out or not; the position asked for where there was none. */
  readonly nextPosition: number;
}

const MARKER_ABORT = 0;

/**
 * The batches between `start` and `end` to hand out; one that is cut off at the end is left for the next fetch. `aborted` are the aborted transactions of the answer, in any order; `position` is
 * what was asked for. Throws DecodeError `RECORD_CORRUPT` for what is no batch.
 */
export function visibleRuns(bytes: Uint8Array, start: number, end: number, aborted: readonly AbortedTransaction[], position: number): Visible {
  const transactions = aborted.length > 1 ? [...aborted].sort((left, right) => left.firstPosition - right.firstPosition) : aborted;
  const open = new Set<number>();
  const runs: { start: number; end: number; nextPosition: number }[] = [];
  let opened = 0;
  let next = position;
  let runEnd = -1;
  for (let at = start; isWhole(bytes, at, end);) {
    const size = batchSize(bytes, at);
    const magic = bytes[at + MAGIC_AT]!;
    if (magic !== 2) throw corrupt(at, `version is ${magic}, wanted 2`);
    const last = basePosition(bytes, at) + lastDelta(bytes, at);
    // By the end of this batch these had begun; which batches are theirs, the producer tells.
    for (; opened < transactions.length && transactions[opened]!.firstPosition <= last; opened++) open.add(transactions[opened]!.producerId);
    if (isVisible(bytes, at, size, last, position, open)) {
      if (runEnd === at) runs[runs.length - 1]!.end = at + size;
      else runs.push({ start: at, end: at + size, nextPosition: 0 });
      runEnd = at + size;
    }
    if (last >= next) next = last + 1;
    if (runs.length > 0) runs[runs.length - 1]!.nextPosition = next;
    at += size;
  }
  return { runs, nextPosition: next };
}

/** Whether a batch is handed out. An abort marker ends its producer's aborted transaction. */
function isVisible(bytes: Uint8Array, at: number, size: number, last: number, position: number, open: Set<number>): boolean {
  if (isControl(bytes, at)) {
    if (open.size > 0 && markerType(bytes, at, size) === MARKER_ABORT) open.delete(producerId(bytes, at));
    return false;
  }
  // Compaction leaves batches without records behind.
  if (last < position || recordCount(bytes, at) === 0) return false;
  return open.size === 0 || !isTransactional(bytes, at) || !open.has(producerId(bytes, at));
}

/** What the marker in a control batch says: the second 16-bit number of its only record's key; -1 for one that compaction has emptied. */
function markerType(bytes: Uint8Array, start: number, size: number): number {
  if (recordCount(bytes, start) === 0) return -1;
  const end = start + size;
  let at = start + BATCH_HEADER_BYTES;
  at = afterVarint(bytes, at, end) + 1; // The record's length, its attributes.
  for (let field = 0; field < 3; field++) at = afterVarint(bytes, at, end); // Time and position deltas, the key's length.
  if (at + 4 > end) throw corrupt(start, "the key of its marker is cut off");
  return readInt16(bytes, at + 2);
}

function afterVarint(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at]! > 127) at++;
  return at + 1;
}

function corrupt(start: number, what: string): DecodeError {
  return new DecodeError("RECORD_CORRUPT", `[kafka] Record batch at byte ${start}: ${what}`);
}
