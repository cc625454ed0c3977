/** Takes superseded records out of a sealed batch. Positions stay: a record's fields count from the batch's base, so the others are copied as they are. */
import { writeInt32 } from "../base/bytes.ts";
import { ATTRIBUTES_AT, BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, compressionOf, COUNT_AT, CRC_AT, LENGTH_AT } from "../record/batch.ts";
import { crc32c } from "../record/crc32c.ts";
import { RecordCursor } from "../record/cursor.ts";

const cursor = new RecordCursor();

/** A key as text, one code unit a byte: equal keys, equal texts. Null for no key. */
function keyOf(at: RecordCursor): string | null {
  if (at.keyStart < 0) return null;
  let key = "";
  for (let i = at.keyStart; i < at.keyEnd; i += 8_192) key += String.fromCharCode(...at.bytes.subarray(i, Math.min(i + 8_192, at.keyEnd)));
  return key;
}

/** Whether the records of a batch can be told apart without undoing a compression. */
export function canCompact(batch: Uint8Array): boolean {
  return compressionOf(batch, 0) === 0;
}

/** Notes for each key of a batch the position of its newest record; about how many bytes the notes grew. */
export function noteKeys(batch: Uint8Array, newest: Map<string, number>): number {
  let grown = 0;
  cursor.open(batch, 0, batch.length, 0);
  while (cursor.next()) {
    const key = keyOf(cursor);
    if (key === null) continue;
    if (!newest.has(key)) grown += key.length + NOTE_BYTES;
    newest.set(key, cursor.position);
  }
  return grown;
}

/** What a noted key takes besides its text. */
const NOTE_BYTES = 64;

/**
 * The batch without records whose key has a newer one in `newest`, and, where `dropsTombstones`, without tombstones. The same array
 * where all stay, null where none does. Records without a key stay.
 */
export function compactBatch(batch: Uint8Array, newest: ReadonlyMap<string, number>, dropsTombstones: boolean): Uint8Array | null {
  const kept: [start: number, end: number][] = [];
  let recordStart = BATCH_HEADER_BYTES;
  let keptBytes = 0;
  cursor.open(batch, 0, batch.length, 0);
  while (cursor.next()) {
    const recordEnd = endOfRecord(batch, recordStart);
    const key = keyOf(cursor);
    const isSuperseded = key !== null && (newest.get(key) ?? -1) > cursor.position;
    if (!isSuperseded && !(dropsTombstones && cursor.valueStart < 0)) {
      kept.push([recordStart, recordEnd]);
      keptBytes += recordEnd - recordStart;
    }
    recordStart = recordEnd;
  }
  if (kept.length === 0) return null;
  if (keptBytes === batch.length - BATCH_HEADER_BYTES) return batch;
  return rewritten(batch, kept, keptBytes);
}

function rewritten(batch: Uint8Array, kept: readonly (readonly [number, number])[], keptBytes: number): Uint8Array {
  const bytes = new Uint8Array(BATCH_HEADER_BYTES + keptBytes);
  bytes.set(batch.subarray(0, BATCH_HEADER_BYTES));
  let at = BATCH_HEADER_BYTES;
  for (const [start, end] of kept) {
    bytes.set(batch.subarray(start, end), at);
    at += end - start;
  }
  // The last delta stays what it was: positions after the batch go on where they did.
  writeInt32(bytes, LENGTH_AT, bytes.length - BATCH_PREFIX_BYTES);
  writeInt32(bytes, COUNT_AT, kept.length);
  writeInt32(bytes, CRC_AT, crc32c(bytes, ATTRIBUTES_AT, bytes.length));
  return bytes;
}

/** A record begins with its length, a zigzag varint. */
function endOfRecord(batch: Uint8Array, start: number): number {
  let at = start;
  let raw = 0;
  let byte: number;
  let shift = 0;
  do {
    byte = batch[at++]!;
    raw |= (byte & 127) << shift;
    shift += 7;
  } while (byte > 127);
  return at + (raw >>> 1);
}
