/**
 * Checks of records before an append takes them, so that one bad entry fails its own call and no other's, and the identity of
 * their content, by which a repeated id with other content is told apart.
 */
import { DecodeError, ExternalError } from "../base/errors.ts";
import type { BatchEncoder } from "../record/encoder.ts";
import { crc32c } from "../record/crc32c.ts";
import type { NewRecord, Payload } from "../record/record.ts";
import type { Append } from "./log.ts";
import { place } from "./failure.ts";

/** The largest record an append takes, in bytes. */
export const RECORD_BYTES_MAX: number = 16 * 1024 * 1024;

/** What a record costs at least besides its key, value and headers. */
const RECORD_OVERHEAD_BYTES = 16;

/** About how many bytes the records of an append take; throws where one cannot be taken. */
export function checkAppend(log: string, append: Append): number {
  let bytes = 0;
  for (const record of append.records) bytes += checkRecord(log, append, record);
  const keepMs = append.id?.keepMs ?? 1;
  if (!(keepMs > 0)) throw new ExternalError("LOG_APPEND_REJECTED", `[${log}] Cannot append to ${place(append)}: id.keepMs is ${keepMs}, not above 0`);
  return bytes;
}

function checkRecord(log: string, append: Append, record: NewRecord): number {
  if (!Number.isSafeInteger(record.timestamp)) {
    throw new DecodeError("TIMESTAMP_INVALID", `[${log}] Cannot append to ${place(append)}: timestamp ${record.timestamp} is not whole milliseconds`);
  }
  let bytes = RECORD_OVERHEAD_BYTES + payloadBytes(record.key) + payloadBytes(record.value);
  for (const header of record.headers ?? []) bytes += payloadBytes(header.name) + payloadBytes(header.value);
  if (bytes > RECORD_BYTES_MAX) {
    throw new DecodeError("RECORD_TOO_LARGE", `[${log}] Cannot append to ${place(append)}: a record has about ${bytes} bytes, more than ${RECORD_BYTES_MAX}`);
  }
  if (!Number.isFinite(bytes)) {
    throw new DecodeError("CODEC_FAILED", `[${log}] Cannot append to ${place(append)}: key, value and headers must be text, bytes or null`);
  }
  return bytes;
}

/** Text counts one byte a code unit: exact for ASCII, never above three times too small. NaN for what is neither text nor bytes. */
function payloadBytes(payload: Payload | null): number {
  if (payload === null) return 0;
  return typeof payload === "string" || payload instanceof Uint8Array ? payload.length : NaN;
}

/** Adds the records of an append to an encoder. */
export function encodeRecords(encoder: BatchEncoder, records: readonly NewRecord[]): void {
  for (const record of records) encoder.append(record.timestamp, record.key, record.value, record.headers ?? null);
}

/** A checksum over keys and values alone: a sender that repeats itself stamps new times and headers. Uses and resets `scratch`. */
export function contentChecksum(scratch: BatchEncoder, records: readonly NewRecord[]): number {
  scratch.reset();
  for (const record of records) scratch.append(0, record.key, record.value, null);
  const sealed = scratch.seal(0);
  const checksum = crc32c(sealed, 0, sealed.length);
  scratch.reset();
  return checksum;
}
