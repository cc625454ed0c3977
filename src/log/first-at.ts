/** The search for a moment (L14): what all logs share. Batches are judged by their headers; records are decoded where one may be late enough. */
import { DecodeError } from "../base/errors.ts";
import { batchSize, maxTimestamp } from "../record/batch.ts";
import { RecordCursor } from "../record/cursor.ts";
import type { TopicPartition } from "../record/record.ts";
import { place } from "./failure.ts";

/** The position of the first record between `start` and `end` that is not before `timestamp`, from `fromPosition` on; null where there is none. Batches must be whole and uncompressed. */
export function firstAt(bytes: Uint8Array, start: number, end: number, fromPosition: number, timestamp: number): number | null {
  let cursor: RecordCursor | null = null;
  for (let at = start, next; at < end; at = next) {
    next = at + batchSize(bytes, at);
    if (maxTimestamp(bytes, at) < timestamp) continue;
    cursor ??= new RecordCursor();
    cursor.open(bytes, at, next, fromPosition);
    while (cursor.next()) if (cursor.timestamp >= timestamp) return cursor.position;
  }
  return null;
}

/** Throws DecodeError `TIMESTAMP_INVALID` for what is no time. */
export function checkTime(log: string, at: TopicPartition, timestamp: number): void {
  if (Number.isSafeInteger(timestamp)) return;
  throw new DecodeError("TIMESTAMP_INVALID", `[${log}] Cannot look for a time in ${place(at)}: it is ${timestamp}, wanted whole milliseconds since 1970`);
}
