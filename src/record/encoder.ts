/**
 * Writes records as Kafka record batches (v2) into one growing buffer. The hot path of every output: no object, no BigInt and no copy a record.
 *
 * Lengths come before what they count, and are varints. They are written as if all text were ASCII; where that proves wrong, the bytes behind move by the
 * difference. An append that throws changes nothing.
 */
import { readInt32, writeInt16, writeInt32, writeInt64 } from "../base/bytes.ts";
import { DecodeError } from "../base/errors.ts";
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  COUNT_AT,
  CRC_AT,
  LAST_DELTA_AT,
  LEADER_EPOCH_AT,
  LENGTH_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  SEQUENCE_AT,
  setBasePosition,
  TRANSACTIONAL_BIT,
} from "./batch.ts";
import { crc32c } from "./crc32c.ts";
import type { HeaderField, Payload } from "./record.ts";
import { writeUtf8 } from "./utf8.ts";

/** Most bytes of a record besides its payloads and headers: six varints, attributes. */
const RECORD_OVERHEAD_BYTES = 40;
/** Lengths are zigzag int32: half of the range is for negative ones. */
const RECORD_BYTES_MAX = 0x3fff_ffff;
const TWO_32 = 4_294_967_296;

/** Options of {@linkcode BatchEncoder}. */
export interface BatchEncoderOptions {
  /** Size of the buffer to begin with. @default 4096 */
  readonly initialBytes?: number;
  /** Largest batch, header included; a record that would go beyond it begins a new one, and one that is larger by itself gets its own. @default 262144 */
  readonly batchBytesMax?: number;
}

/** Who produces, for an idempotent or transactional append to Kafka. */
export interface ProducerStamp {
  readonly id: number;
  readonly epoch: number;
  /** Of the first record; each later batch counts on. */
  readonly sequence: number;
  readonly transactional: boolean;
}

const NO_PRODUCER: ProducerStamp = { id: -1, epoch: -1, sequence: -1, transactional: false };

/** Record batches in the making. */
export class BatchEncoder {
  readonly #batchBytesMax: number;
  #bytes: Uint8Array;
  #end = 0;
  #count = 0;
  /** The open batch: it takes the next record. Without records in it none is open. */
  #batchStart = 0;
  #batchCount = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  /** What the checksums are right for: this producer, the first so many bytes, and all of it while the count is this. */
  #sealedFor: ProducerStamp = NO_PRODUCER;
  #sealedEnd = 0;
  #sealedCount = 0;

  constructor(options: BatchEncoderOptions = {}) {
    this.#batchBytesMax = options.batchBytesMax ?? 262_144;
    this.#bytes = new Uint8Array(Math.max(options.initialBytes ?? 4_096, BATCH_HEADER_BYTES));
  }

  /** Records since the last reset. */
  get count(): number {
    return this.#count;
  }

  /** Bytes so far, batch headers included. */
  get sizeBytes(): number {
    return this.#end;
  }

  /**
   * Adds a record. Lone surrogates in text become U+FFFD. Throws DecodeError `TIMESTAMP_INVALID` when the timestamp is not a whole number,
   * `RECORD_TOO_LARGE` for a record beyond about 1 GiB, `CODEC_FAILED` for payloads that are neither text nor bytes; then nothing has changed.
   */
  append(timestamp: number, key: Payload | null, value: Payload | null, headers: readonly HeaderField[] | null): void {
    const room = BATCH_HEADER_BYTES + RECORD_OVERHEAD_BYTES + roomOf(key) + roomOf(value) + (headers === null ? 0 : roomOfHeaders(headers));
    if (!(this.#end + room <= this.#bytes.length)) this.#grow(room);
    let delta = timestamp - this.#baseTimestamp;
    if ((delta | 0) !== delta || this.#batchCount === 0) delta = this.#farDelta(timestamp);

    let end = 0;
    if (this.#batchCount > 0) {
      end = writeRecord(this.#bytes, this.#end, delta, this.#batchCount, key, value, headers);
      if (end - this.#batchStart > this.#batchBytesMax) this.#closeBatch();
    }
    if (this.#batchCount === 0) {
      end = writeRecord(this.#bytes, this.#end + BATCH_HEADER_BYTES, 0, 0, key, value, headers);
      this.#batchStart = this.#end;
      this.#baseTimestamp = timestamp;
      this.#maxTimestamp = timestamp;
    }
    this.#end = end;
    this.#count++;
    this.#batchCount++;
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
  }

  /**
   * Finishes all batches, the first record at `basePosition`, and gives the whole as a view, valid until the next append or reset. May be called again,
   * with another base or producer; records may be appended afterwards.
   */
  seal(basePosition: number, producer: ProducerStamp = NO_PRODUCER): Uint8Array {
    const bytes = this.#bytes;
    if (this.#batchCount > 0) this.#fillHeader();
    const end = this.#end;
    let sealedEnd = this.#sealedCount === this.#count ? end : this.#sealedEnd;
    if (producer !== this.#sealedFor && !isSameProducer(producer, this.#sealedFor)) sealedEnd = 0;
    let records = 0;
    for (let at = 0; at < end;) {
      const size = BATCH_PREFIX_BYTES + readInt32(bytes, at + LENGTH_AT);
      setBasePosition(bytes, at, basePosition + records);
      if (at >= sealedEnd) {
        stamp(bytes, at, producer, records);
        writeInt32(bytes, at + CRC_AT, crc32c(bytes, at + ATTRIBUTES_AT, at + size));
      }
      records += readInt32(bytes, at + COUNT_AT);
      at += size;
    }
    this.#sealedFor = producer;
    this.#sealedEnd = this.#batchCount > 0 ? this.#batchStart : end;
    this.#sealedCount = this.#count;
    return bytes.subarray(0, end);
  }

  /** Empty again; the buffer is kept. */
  reset(): void {
    this.#end = 0;
    this.#count = 0;
    this.#batchCount = 0;
    this.#sealedEnd = 0;
    this.#sealedCount = 0;
  }

  /** The delta of a timestamp that is the first of its batch or far from it; closes the batch when a delta would not be exact. */
  #farDelta(timestamp: number): number {
    if (!Number.isSafeInteger(timestamp)) {
      throw new DecodeError("TIMESTAMP_INVALID", `Cannot write a record: its timestamp is ${timestamp}, wanted whole milliseconds`);
    }
    if (this.#batchCount === 0) return 0;
    const delta = timestamp - this.#baseTimestamp;
    if (Number.isSafeInteger(delta)) return delta;
    this.#closeBatch();
    return 0;
  }

  #closeBatch(): void {
    this.#fillHeader();
    this.#batchCount = 0;
  }

  /** All of the open batch's header but base position, producer and checksum. */
  #fillHeader(): void {
    const bytes = this.#bytes;
    const start = this.#batchStart;
    writeInt32(bytes, start + LENGTH_AT, this.#end - start - BATCH_PREFIX_BYTES);
    writeInt32(bytes, start + LEADER_EPOCH_AT, -1);
    bytes[start + MAGIC_AT] = 2;
    writeInt32(bytes, start + LAST_DELTA_AT, this.#batchCount - 1);
    writeInt64(bytes, start + BASE_TIMESTAMP_AT, this.#baseTimestamp);
    writeInt64(bytes, start + MAX_TIMESTAMP_AT, this.#maxTimestamp);
    writeInt32(bytes, start + COUNT_AT, this.#batchCount);
  }

  #grow(room: number): void {
    if (Number.isNaN(room)) throw new DecodeError("CODEC_FAILED", "Cannot write a record: its key, its value or a header is neither text nor bytes");
    if (room > RECORD_BYTES_MAX) throw new DecodeError("RECORD_TOO_LARGE", `Cannot write a record of about ${room} bytes: ${RECORD_BYTES_MAX} is the most`);
    const grown = new Uint8Array(Math.max(this.#end + room, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }
}

function isSameProducer(left: ProducerStamp, right: ProducerStamp): boolean {
  return left.id === right.id && left.epoch === right.epoch && left.sequence === right.sequence && left.transactional === right.transactional;
}

/** Attributes and producer of one batch, before which there were `records` others. Sequence numbers go on at 0 after 2^31 - 1. */
function stamp(bytes: Uint8Array, start: number, producer: ProducerStamp, records: number): void {
  writeInt16(bytes, start + ATTRIBUTES_AT, producer.transactional ? TRANSACTIONAL_BIT : 0);
  writeInt64(bytes, start + PRODUCER_ID_AT, producer.id);
  writeInt16(bytes, start + PRODUCER_EPOCH_AT, producer.epoch);
  writeInt32(bytes, start + SEQUENCE_AT, producer.sequence < 0 ? -1 : (producer.sequence + records) % 0x8000_0000);
}

/** Most bytes a payload can take. */
function roomOf(payload: Payload | null): number {
  if (payload === null) return 0;
  return typeof payload === "string" ? 3 * payload.length : payload.length;
}

function roomOfHeaders(headers: readonly HeaderField[]): number {
  let room = 0;
  for (const header of headers) room += 10 + roomOf(header.name) + roomOf(header.value);
  return room;
}

/** Writes one record and returns where it ends. */
function writeRecord(
  bytes: Uint8Array,
  start: number,
  timestampDelta: number,
  positionDelta: number,
  key: Payload | null,
  value: Payload | null,
  headers: readonly HeaderField[] | null,
): number {
  const guess = 8 + (key === null ? 0 : key.length) + (value === null ? 0 : value.length);
  const body = start + lengthBytes(guess);
  bytes[body] = 0;
  let at = writeDelta(bytes, body + 1, timestampDelta);
  at = writeLength(bytes, at, positionDelta);
  at = writePayload(bytes, at, key);
  at = writePayload(bytes, at, value);
  if (headers === null) bytes[at++] = 0;
  else at = writeHeaders(bytes, at, headers);
  return at + settleLength(bytes, start, body, at);
}

function writeHeaders(bytes: Uint8Array, start: number, headers: readonly HeaderField[]): number {
  let at = writeLength(bytes, start, headers.length);
  for (const header of headers) at = writePayload(bytes, writePayload(bytes, at, header.name), header.value);
  return at;
}

/** Writes length and bytes. */
function writePayload(bytes: Uint8Array, start: number, payload: Payload | null): number {
  if (payload === null) {
    bytes[start] = 1;
    return start + 1;
  }
  const length = payload.length;
  if (typeof payload !== "string") {
    const body = writeLength(bytes, start, length);
    bytes.set(payload, body);
    return body + length;
  }
  const body = start + lengthBytes(length);
  const end = writeUtf8(bytes, body, payload);
  return end + settleLength(bytes, start, body, end);
}

/**
 * Writes the length of what lies between `body` and `end` at `start`; where it takes other than `body - start` bytes, moves what lies there and returns by
 * how much.
 */
function settleLength(bytes: Uint8Array, start: number, body: number, end: number): number {
  const length = end - body;
  const shift = start + lengthBytes(length) - body;
  if (shift !== 0) bytes.copyWithin(body + shift, body, end);
  writeLength(bytes, start, length);
  return shift;
}

/** Bytes that a length takes as a zigzag varint. */
function lengthBytes(length: number): number {
  if (length < 64) return 1;
  if (length < 8_192) return 2;
  if (length < 1_048_576) return 3;
  return length < 134_217_728 ? 4 : 5;
}

/** Writes a number from 0 to 2^30 as a zigzag varint and returns where it ends. */
function writeLength(bytes: Uint8Array, start: number, length: number): number {
  let rest = length << 1;
  let at = start;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Writes a timestamp's delta as a zigzag varint of up to 64 bits and returns where it ends. */
function writeDelta(bytes: Uint8Array, start: number, delta: number): number {
  let at = start;
  let low = (delta << 1) ^ (delta >> 31);
  if ((delta | 0) !== delta) {
    const sign = delta < 0 ? -1 : 0;
    const deltaHigh = Math.floor(delta / TWO_32);
    const deltaLow = (delta - deltaHigh * TWO_32) | 0;
    let high = ((deltaHigh << 1) | (deltaLow >>> 31)) ^ sign;
    low = (deltaLow << 1) ^ sign;
    while (high !== 0) {
      bytes[at++] = (low & 127) | 128;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
  }
  while (low >>> 0 > 127) {
    bytes[at++] = (low & 127) | 128;
    low >>>= 7;
  }
  bytes[at++] = low;
  return at;
}
