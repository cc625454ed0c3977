/**
 * Reads record batches (v2) where they lie: one cursor, reused, with integer fields. The hot path of every input: nothing is allocated until key, value or
 * headers are asked for.
 *
 * Nothing read is trusted: the checksum covers the records, every length is held against the record's and the batch's end, positions must grow within the
 * batch. What does not fit is DecodeError `RECORD_CORRUPT`; the cursor stays where it was, so that a further `next()` throws again.
 */
import { readInt32, readUint32 } from "../base/bytes.ts";
import { DecodeError, isStreamError, messageOf } from "../base/errors.ts";
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  basePosition,
  BATCH_HEADER_BYTES,
  batchCrc,
  batchSize,
  compressionOf,
  CONTROL_BIT,
  isWhole,
  lastDelta,
  LOG_TIME_BIT,
  MAGIC_AT,
  maxTimestamp,
  recordCount,
} from "./batch.ts";
import { crc32c } from "./crc32c.ts";
import type { HeaderField } from "./record.ts";
import { readUtf8 } from "./utf8.ts";

const TWO_32 = 4_294_967_296;
const COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
const EMPTY = new Uint8Array(0);

/** Options of {@linkcode RecordCursor}. */
export interface RecordCursorOptions {
  /** Undoes a compression (1 gzip, 2 snappy, 3 lz4, 4 zstd) of a batch's records. Without it a compressed batch is refused. */
  readonly decompress?: (codec: number, bytes: Uint8Array) => Uint8Array;
  /** What to do about a last batch that is not there as a whole: a fetch may end in one, a chunk of a log never does. @default "ignore" */
  readonly cutBatch?: "ignore" | "refuse";
}

/** The cursor's own fields, which others only read. */
type Writable = { -readonly [P in keyof RecordCursor]: RecordCursor[P] };

/** Walks the records of some batches, in order. Control batches are skipped. */
export class RecordCursor {
  /** Of the current record. */
  readonly position: number = -1;
  /** Event time of the current record, ms since the epoch. */
  readonly timestamp: number = -1;
  /** Where the key begins in {@linkcode RecordCursor.bytes}; -1 for null. */
  readonly keyStart: number = -1;
  /** Where the key ends; -1 for null. */
  readonly keyEnd: number = -1;
  /** Where the value begins; -1 for null. */
  readonly valueStart: number = -1;
  /** Where the value ends; -1 for null. */
  readonly valueEnd: number = -1;
  /** Number of the current record's headers. */
  readonly headerCount: number = 0;
  /** What the offsets point into: the bytes given to `open`, or a decompressed batch. */
  readonly bytes: Uint8Array = EMPTY;

  readonly #decompress: ((codec: number, bytes: Uint8Array) => Uint8Array) | null;
  readonly #refusesCut: boolean;
  #source: Uint8Array = EMPTY;
  #fromPosition = 0;
  /** The next batch, and where all ends. */
  #batchAt = 0;
  #end = 0;
  /** The current batch: its next record, where its records end, how many are left. */
  #recordAt = 0;
  #recordsEnd = 0;
  #left = 0;
  #basePosition = 0;
  #lastDelta = 0;
  #previousDelta = -1;
  #baseTimestampHigh = 0;
  #baseTimestampLow = 0;
  #baseTimestamp = 0;
  /** The batch's own time, where it stands for the records'. */
  #logTime: number | null = null;
  #headersAt = 0;
  #recordEnd = 0;
  /** Where the last varint ended. */
  #at = 0;

  constructor(options: RecordCursorOptions = {}) {
    this.#decompress = options.decompress ?? null;
    this.#refusesCut = options.cutBatch === "refuse";
  }

  /** Begins before the first record at or above `fromPosition` of the batches between `start` and `end`. */
  open(bytes: Uint8Array, start: number, end: number, fromPosition: number): void {
    (this as Writable).bytes = bytes;
    this.#source = bytes;
    this.#batchAt = start;
    this.#end = Math.min(end, bytes.length);
    this.#fromPosition = fromPosition;
    this.#left = 0;
    this.#recordAt = this.#recordsEnd = start;
  }

  /** Goes to the next record; false at the end. Throws DecodeError `RECORD_CORRUPT` for damaged batches, and again on each further call. */
  next(): boolean {
    const self = this as Writable;
    while (true) {
      if (this.#left === 0) {
        if (!this.#nextBatch()) return false;
        continue;
      }
      const bytes = this.bytes;
      let at = this.#recordAt;
      const limit = this.#recordsEnd;

      let byte = bytes[at++]!;
      let raw = byte & 127;
      for (let shift = 7; byte > 127; shift += 7) {
        if (shift > 28) throw this.#corrupt("a varint is too long");
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      const length = (raw >>> 1) ^ -(raw & 1);
      const end = at + length;
      if (length < 0 || end > limit) throw this.#corrupt(`a record's length is ${length}, there are ${limit - at} bytes`);
      at++;

      let timestamp: number;
      const timestampAt = at;
      byte = bytes[at++]!;
      raw = byte & 127;
      let shift = 7;
      for (; byte > 127 && shift < 28; shift += 7) {
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      if (byte > 127) {
        timestamp = this.#farTimestamp(bytes, timestampAt);
        at = this.#at;
      } else timestamp = this.#baseTimestamp + ((raw >>> 1) ^ -(raw & 1));

      byte = bytes[at++]!;
      raw = byte & 127;
      for (shift = 7; byte > 127; shift += 7) {
        if (shift > 28) throw this.#corrupt("a varint is too long");
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      const delta = (raw >>> 1) ^ -(raw & 1);
      if (delta <= this.#previousDelta || delta > this.#lastDelta) {
        throw this.#corrupt(`a position's delta is ${delta}, after ${this.#previousDelta} of ${this.#lastDelta}`);
      }

      byte = bytes[at++]!;
      raw = byte & 127;
      for (shift = 7; byte > 127; shift += 7) {
        if (shift > 28) throw this.#corrupt("a varint is too long");
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      const keyLength = (raw >>> 1) ^ -(raw & 1);
      let keyStart = -1;
      let keyEnd = -1;
      if (keyLength >= 0) {
        keyStart = at;
        at = keyEnd = at + keyLength;
      }
      if (keyLength < -1 || at > end) throw this.#corrupt(`a key's length is ${keyLength}, beyond its record`);

      byte = bytes[at++]!;
      raw = byte & 127;
      for (shift = 7; byte > 127; shift += 7) {
        if (shift > 28) throw this.#corrupt("a varint is too long");
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      const valueLength = (raw >>> 1) ^ -(raw & 1);
      let valueStart = -1;
      let valueEnd = -1;
      if (valueLength >= 0) {
        valueStart = at;
        at = valueEnd = at + valueLength;
      }
      if (valueLength < -1 || at > end) throw this.#corrupt(`a value's length is ${valueLength}, beyond its record`);

      byte = bytes[at++]!;
      raw = byte & 127;
      for (shift = 7; byte > 127; shift += 7) {
        if (shift > 28) throw this.#corrupt("a varint is too long");
        byte = bytes[at++]!;
        raw |= (byte & 127) << shift;
      }
      const headerCount = (raw >>> 1) ^ -(raw & 1);
      // A header takes two bytes at least, so the count cannot make anyone loop for long.
      if (headerCount < 0 || at + 2 * headerCount > end || (headerCount === 0 && at !== end)) {
        throw this.#corrupt(`${headerCount} headers do not fit their record`);
      }

      if (this.#left === 1 && end !== limit) throw this.#corrupt(`${limit - end} bytes follow the last record`);
      this.#left--;
      this.#previousDelta = delta;
      this.#recordAt = end;
      const position = this.#basePosition + delta;
      if (position < this.#fromPosition) continue;
      this.#headersAt = at;
      this.#recordEnd = end;
      self.position = position;
      self.timestamp = this.#logTime ?? timestamp;
      self.keyStart = keyStart;
      self.keyEnd = keyEnd;
      self.valueStart = valueStart;
      self.valueEnd = valueEnd;
      self.headerCount = headerCount;
      return true;
    }
  }

  /** The key's bytes, a view; null for a null key. */
  keyBytes(): Uint8Array | null {
    return this.keyStart < 0 ? null : this.bytes.subarray(this.keyStart, this.keyEnd);
  }

  /** The value's bytes, a view; null for a tombstone. */
  valueBytes(): Uint8Array | null {
    return this.valueStart < 0 ? null : this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  /** The key as text; null for a null key. Throws DecodeError `CODEC_FAILED` when it is not UTF-8. */
  keyText(): string | null {
    return this.keyStart < 0 ? null : readUtf8(this.bytes, this.keyStart, this.keyEnd);
  }

  /** The value as text; null for a tombstone. Throws DecodeError `CODEC_FAILED` when it is not UTF-8. */
  valueText(): string | null {
    return this.valueStart < 0 ? null : readUtf8(this.bytes, this.valueStart, this.valueEnd);
  }

  /**
   * The last header of that name, a view; null when there is none, or its value is null. Throws DecodeError `RECORD_CORRUPT` when headers do not fit their
   * record.
   */
  header(name: string): Uint8Array | null {
    let start = -1;
    let end = -1;
    this.#at = this.#headersAt;
    for (let left = this.headerCount; left > 0; left--) {
      const nameEnd = this.#nameEnd();
      const isWanted = this.#isName(name, this.#at, nameEnd);
      const valueStart = this.#valueStart(nameEnd, left);
      if (!isWanted) continue;
      start = valueStart;
      end = this.#at;
    }
    return start < 0 ? null : this.bytes.subarray(start, end);
  }

  /** Copies of all headers, in order. Throws DecodeError `RECORD_CORRUPT` when they do not fit their record, `CODEC_FAILED` for a name that is not UTF-8. */
  headers(): HeaderField[] {
    const fields: HeaderField[] = [];
    this.#at = this.#headersAt;
    for (let left = this.headerCount; left > 0; left--) {
      const nameEnd = this.#nameEnd();
      const name = readUtf8(this.bytes, this.#at, nameEnd);
      const start = this.#valueStart(nameEnd, left);
      fields.push({ name, value: start < 0 ? null : new Uint8Array(this.bytes.subarray(start, this.#at)) });
    }
    return fields;
  }

  /** Where the header name ends whose length is at `#at`, which moves to the name. */
  #nameEnd(): number {
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#recordEnd) throw this.#corrupt(`a header name's length is ${length}, beyond its record`);
    return end;
  }

  /** Where the header value begins whose length is at `at`, -1 for null; `#at` moves behind it. The last one ends with its record. */
  #valueStart(at: number, left: number): number {
    this.#at = at;
    const length = this.#varint();
    const start = this.#at;
    if (length < -1 || start + length > this.#recordEnd) throw this.#corrupt(`a header value's length is ${length}, beyond its record`);
    if (length > 0) this.#at += length;
    if (left === 1 && this.#at !== this.#recordEnd) throw this.#corrupt(`${this.#recordEnd - this.#at} bytes follow the last header`);
    return length < 0 ? -1 : start;
  }

  #isName(name: string, start: number, end: number): boolean {
    const length = end - start;
    if (length < name.length) return false;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code > 127) return readUtf8(this.bytes, start, end) === name;
      if (code !== this.bytes[start + i]) return false;
    }
    return length === name.length;
  }

  /** The zigzag varint at `#at`, which moves behind it. */
  #varint(): number {
    let raw = 0;
    for (let shift = 0; shift <= 28 && this.#at < this.#recordEnd; shift += 7) {
      const byte = this.bytes[this.#at++]!;
      raw |= (byte & 127) << shift;
      if (byte <= 127) return (raw >>> 1) ^ -(raw & 1);
    }
    throw this.#corrupt("a varint is too long");
  }

  /** The timestamp whose delta takes more than 28 bits; summed in 64, for base and delta may lie beyond 2^53 while their sum does not. */
  #farTimestamp(bytes: Uint8Array, start: number): number {
    let low = 0;
    let high = 0;
    let at = start;
    for (let shift = 0;; shift += 7) {
      if (shift > 63) throw this.#corrupt("a varint is too long");
      const byte = bytes[at++]!;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (!(byte > 127)) break;
    }
    this.#at = at;
    const sign = -(low & 1);
    const deltaLow = (((low >>> 1) | (high << 31)) ^ sign) >>> 0;
    const deltaHigh = (high >>> 1) ^ sign;
    return ((deltaHigh + this.#baseTimestampHigh) | 0) * TWO_32 + (deltaLow + this.#baseTimestampLow);
  }

  /** Opens the next batch that holds records at or above the position asked for; false when there is none. */
  #nextBatch(): boolean {
    const bytes = this.#source;
    while (true) {
      const start = this.#batchAt;
      if (!isWhole(bytes, start, this.#end)) {
        if (this.#refusesCut && start < this.#end) {
          throw new DecodeError("RECORD_CORRUPT", `Record batch at byte ${start} is cut: there are ${this.#end - start} bytes`);
        }
        return false;
      }
      const end = start + batchSize(bytes, start);
      const magic = bytes[start + MAGIC_AT]!;
      if (magic !== 2) throw corruptBatch(start, `version is ${magic}, wanted 2`);
      const base = basePosition(bytes, start);
      const last = lastDelta(bytes, start);
      if (base < 0 || last < 0 || !Number.isSafeInteger(base + last)) throw corruptBatch(start, `positions are ${base} and ${last} more`);
      if (base + last >= this.#fromPosition && this.#openBatch(start, end)) {
        this.#basePosition = base;
        this.#lastDelta = last;
        this.#batchAt = end;
        return true;
      }
      this.#batchAt = end;
    }
  }

  /** Checks a batch and goes before its first record; false when it holds none for us. */
  #openBatch(start: number, end: number): boolean {
    const bytes = this.#source;
    const crc = crc32c(bytes, start + ATTRIBUTES_AT, end);
    if (crc !== batchCrc(bytes, start)) throw corruptBatch(start, `checksum is ${crc}, wanted ${batchCrc(bytes, start)}`);
    const attributes = bytes[start + ATTRIBUTES_AT + 1]!;
    if ((attributes & CONTROL_BIT) !== 0) return false;
    const count = recordCount(bytes, start);
    const compression = compressionOf(bytes, start);
    let records = bytes;
    let at = start + BATCH_HEADER_BYTES;
    let recordsEnd = end;
    if (count < 0 || (count === 0 && at !== end)) throw corruptBatch(start, `${count} records in ${end - at} bytes`);
    if (count === 0) return false;
    if (compression !== 0) {
      records = this.#decompressed(compression, bytes.subarray(at, end), start);
      at = 0;
      recordsEnd = records.length;
    }
    (this as Writable).bytes = records;
    this.#recordAt = at;
    this.#recordsEnd = recordsEnd;
    this.#left = count;
    this.#previousDelta = -1;
    this.#baseTimestampHigh = readInt32(bytes, start + BASE_TIMESTAMP_AT);
    this.#baseTimestampLow = readUint32(bytes, start + BASE_TIMESTAMP_AT + 4);
    this.#baseTimestamp = this.#baseTimestampHigh * TWO_32 + this.#baseTimestampLow;
    this.#logTime = (attributes & LOG_TIME_BIT) === 0 ? null : maxTimestamp(bytes, start);
    return true;
  }

  #decompressed(compression: number, packed: Uint8Array, start: number): Uint8Array {
    const name = COMPRESSIONS[compression] ?? `number ${compression}`;
    if (this.#decompress === null) throw corruptBatch(start, `it is compressed (${name}), and this reader was given nothing to undo that`);
    try {
      return this.#decompress(compression, packed);
    } catch (cause) {
      if (isStreamError(cause)) throw cause;
      throw corruptBatch(start, `its compression (${name}) cannot be undone: ${messageOf(cause)}`, cause);
    }
  }

  #corrupt(what: string): DecodeError {
    return new DecodeError("RECORD_CORRUPT", `Record batch at position ${this.#basePosition}: ${what}`);
  }
}

function corruptBatch(start: number, what: string, cause?: unknown): DecodeError {
  return new DecodeError("RECORD_CORRUPT", `Record batch at byte ${start}: ${what}`, { cause });
}
