/**
 * Kafka's record batch, version 2 ("magic 2"), seen from outside: where its fields lie and how to read them without reading records.
 *
 * A batch is 61 bytes of header and its records. The checksum covers everything from the attributes on, so a base position or leader epoch may be written
 * without counting it anew. All `start` arguments are the first byte of a whole batch; {@linkcode wholeEnd} tells how far batches are whole.
 *
 * @module
 */
import { readInt16, readInt32, readInt64, readUint32, writeInt64 } from "../base/bytes.ts";
import { DecodeError } from "../base/errors.ts";

/** Bytes of a batch before its first record. */
export const BATCH_HEADER_BYTES = 61;
/** Bytes that the length field does not count: base position and length. */
export const BATCH_PREFIX_BYTES = 12;
/** Where the base position lies: signed 64-bit. */
export const BASE_POSITION_AT = 0;
/** Where the length of what follows lies: signed 32-bit. */
export const LENGTH_AT = 8;
/** Where the leader epoch of the partition lies: signed 32-bit. */
export const LEADER_EPOCH_AT = 12;
/** Where the version byte lies; 2. */
export const MAGIC_AT = 16;
/** Where the CRC-32C lies: unsigned 32-bit, of everything from {@linkcode ATTRIBUTES_AT} on. */
export const CRC_AT = 17;
/** Where the attributes lie: 16 bits. */
export const ATTRIBUTES_AT = 21;
/** Where the delta of the last record's position lies: signed 32-bit. */
export const LAST_DELTA_AT = 23;
/** Where the timestamp lies that the records' deltas count from: signed 64-bit. */
export const BASE_TIMESTAMP_AT = 27;
/** Where the largest timestamp lies: signed 64-bit. */
export const MAX_TIMESTAMP_AT = 35;
/** Where the producer's id lies: signed 64-bit, -1 for none. */
export const PRODUCER_ID_AT = 43;
/** Where the producer's epoch lies: signed 16-bit, -1 for none. */
export const PRODUCER_EPOCH_AT = 51;
/** Where the sequence number of the first record lies: signed 32-bit, -1 for none. */
export const SEQUENCE_AT = 53;
/** Where the number of records lies: signed 32-bit. */
export const COUNT_AT = 57;

/** Attribute bits that name the compression; 0 for none. */
export const COMPRESSION_BITS = 7;
/** Attribute bit: all records carry the batch's largest timestamp, the log's own time. */
export const LOG_TIME_BIT = 8;
/** Attribute bit: part of a transaction. */
export const TRANSACTIONAL_BIT = 16;
/** Attribute bit: the end of a transaction, no user's records. */
export const CONTROL_BIT = 32;

/** Bytes of the batch, header included. Throws DecodeError `RECORD_CORRUPT` for a length no batch can have. */
export function batchSize(bytes: Uint8Array, start: number): number {
  const length = readInt32(bytes, start + LENGTH_AT);
  if (length < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES) {
    throw new DecodeError("RECORD_CORRUPT", `Record batch at byte ${start}: length is ${length}, wanted at least ${BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES}`);
  }
  return BATCH_PREFIX_BYTES + length;
}

/** Position of the batch's first record (as produced; compaction may have taken it). */
export function basePosition(bytes: Uint8Array, start: number): number {
  return readInt64(bytes, start + BASE_POSITION_AT);
}

/** Writes the base position; the checksum stays right. */
export function setBasePosition(bytes: Uint8Array, start: number, position: number): void {
  writeInt64(bytes, start + BASE_POSITION_AT, position);
}

/** Base position + this = position of the batch's last record. */
export function lastDelta(bytes: Uint8Array, start: number): number {
  return readInt32(bytes, start + LAST_DELTA_AT);
}

/** Number of records in the batch. */
export function recordCount(bytes: Uint8Array, start: number): number {
  return readInt32(bytes, start + COUNT_AT);
}

/** Largest timestamp in the batch. */
export function maxTimestamp(bytes: Uint8Array, start: number): number {
  return readInt64(bytes, start + MAX_TIMESTAMP_AT);
}

/** Id of the producer; -1 for none. */
export function producerId(bytes: Uint8Array, start: number): number {
  return readInt64(bytes, start + PRODUCER_ID_AT);
}

/** Epoch of the producer; -1 for none. */
export function producerEpoch(bytes: Uint8Array, start: number): number {
  return readInt16(bytes, start + PRODUCER_EPOCH_AT);
}

/** Checksum as written. */
export function batchCrc(bytes: Uint8Array, start: number): number {
  return readUint32(bytes, start + CRC_AT);
}

/** Whether the batch is the end of a transaction (a marker), not records. */
export function isControl(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + ATTRIBUTES_AT + 1]! & CONTROL_BIT) !== 0;
}

/** Whether the batch belongs to a transaction. */
export function isTransactional(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + ATTRIBUTES_AT + 1]! & TRANSACTIONAL_BIT) !== 0;
}

/** Number of the compression: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
export function compressionOf(bytes: Uint8Array, start: number): number {
  return bytes[start + ATTRIBUTES_AT + 1]! & COMPRESSION_BITS;
}

/** Whether a whole batch lies between `start` and `end`. Throws DecodeError `RECORD_CORRUPT` for a length no batch can have. */
export function isWhole(bytes: Uint8Array, start: number, end: number): boolean {
  const length = Math.min(end, bytes.length) - start;
  return length >= BATCH_PREFIX_BYTES && batchSize(bytes, start) <= length;
}

/**
 * Where the last whole batch between `start` and `end` ends; `start` when there is none. Throws DecodeError `RECORD_CORRUPT` for a length no batch can
 * have.
 */
export function wholeEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (isWhole(bytes, at, end)) at += batchSize(bytes, at);
  return at;
}

/**
 * The position after the last whole batch between `start` and `end`, by headers alone; -1 when there is no whole batch.
 * Throws DecodeError `RECORD_CORRUPT` for a length no batch can have.
 */
export function nextPosition(bytes: Uint8Array, start: number, end: number): number {
  let next = -1;
  for (let at = start; isWhole(bytes, at, end); at += batchSize(bytes, at)) next = basePosition(bytes, at) + lastDelta(bytes, at) + 1;
  return next;
}
