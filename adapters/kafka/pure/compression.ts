/**
 * Compression of whole batches: what a reader hands out is never compressed, what a producer writes may be. Everything of the header but length, attributes and checksum stays.
 *
 * gzip and zstd are the host's, snappy and lz4 the client package's. Whatever unpacks is told beforehand how much it may become.
 */
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { concatBytes, writeInt16, writeInt32 } from "../../../src/base/bytes.ts";
import { DecodeError, DefinitionError, isStreamError, messageOf } from "../../../src/base/errors.ts";
import {
  ATTRIBUTES_AT,
  basePosition,
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  batchCrc,
  batchSize,
  COMPRESSION_BITS,
  compressionOf,
  CRC_AT,
  isControl,
  isWhole,
  LENGTH_AT,
} from "../../../src/record/batch.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import type { Compression } from "../client.ts";
import { compressionsAlgorithms } from "./platformatic.ts";

/** The most a batch may become; more is taken for a bomb. */
export const UNPACKED_BYTES_MAX = 268_435_456;

/** By their number in the protocol. */
const names: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const XERIAL = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00] as const;
const XERIAL_HEADER_BYTES = 16;
const LZ4_MAGIC = 0x184d2204;

/** Throws DefinitionError `RUNTIME_UNSUPPORTED` where this runtime lacks a compression: zstd came to Node with 22.15. */
export function checkCompression(compression: Compression): void {
  if (compression !== "zstd" || (typeof zlib.zstdDecompressSync === "function" && compressionsAlgorithms.zstd.available)) return;
  throw new DefinitionError('[kafka] Cannot use compression "zstd": this runtime has none; use Node 22.15 or later, Bun or Deno, or another compression', {
    code: "RUNTIME_UNSUPPORTED",
  });
}

/**
 * The whole batches between `start` and `end`, none of them compressed: the same bytes where none was, else a copy. Throws DecodeError `RECORD_CORRUPT` for a damaged batch, `RECORD_TOO_LARGE` for
 * one that would become larger than {@linkcode UNPACKED_BYTES_MAX}, DefinitionError `RUNTIME_UNSUPPORTED`.
 */
export function decompressBatches(bytes: Uint8Array, start: number = 0, end: number = bytes.length): Uint8Array {
  return eachBatch(bytes, start, end, (at, size) => compressionOf(bytes, at) === 0 ? null : decompressBatch(bytes, at, size));
}

/** The batches, compressed where that makes them smaller; for sealed ones. Throws DefinitionError `RUNTIME_UNSUPPORTED`. */
export function compressBatches(bytes: Uint8Array, compression: Compression): Uint8Array {
  if (compression === "none") return bytes;
  checkCompression(compression);
  return eachBatch(bytes, 0, bytes.length, (at, size) => {
    if (size === BATCH_HEADER_BYTES || isControl(bytes, at) || compressionOf(bytes, at) !== 0) return null;
    const packed = compressionsAlgorithms[compression].compressSync(asBuffer(bytes.subarray(at + BATCH_HEADER_BYTES, at + size)));
    return packed.length < size - BATCH_HEADER_BYTES ? rewritten(bytes, at, packed, names.indexOf(compression)) : null;
  });
}

/** One compressed batch, as it would be uncompressed. The checksum is looked at before, for afterwards it is a new one. Throws as {@linkcode decompressBatches}. */
export function decompressBatch(bytes: Uint8Array, start: number, size: number): Uint8Array {
  const crc = crc32c(bytes, start + ATTRIBUTES_AT, start + size);
  if (crc !== batchCrc(bytes, start)) throw corrupt(bytes, start, `checksum is ${crc}, wanted ${batchCrc(bytes, start)}`);
  const codec = compressionOf(bytes, start);
  try {
    return rewritten(bytes, start, unpack(codec, bytes.subarray(start + BATCH_HEADER_BYTES, start + size)), 0);
  } catch (thrown) {
    if (isStreamError(thrown)) throw thrown;
    if ((thrown as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(names[codec]!);
    throw corrupt(bytes, start, `its compression (${names[codec] ?? `number ${codec}`}) cannot be undone: ${messageOf(thrown)}`, thrown);
  }
}

/** Replaces batches; the same bytes where `replace` gives null for all. */
function eachBatch(bytes: Uint8Array, start: number, end: number, replace: (at: number, size: number) => Uint8Array | null): Uint8Array {
  const parts: Uint8Array[] = [];
  let kept = start;
  let at = start;
  while (isWhole(bytes, at, end)) {
    const size = batchSize(bytes, at);
    const replacement = replace(at, size);
    if (replacement !== null) {
      if (kept < at) parts.push(bytes.subarray(kept, at));
      parts.push(replacement);
      kept = at + size;
    }
    at += size;
  }
  if (parts.length === 0) return start === 0 && at === bytes.length ? bytes : bytes.subarray(start, at);
  if (kept < at) parts.push(bytes.subarray(kept, at));
  return parts.length === 1 ? parts[0]! : concatBytes(parts);
}

/** A batch with its records' bytes replaced. */
function rewritten(bytes: Uint8Array, start: number, records: Uint8Array, codec: number): Uint8Array {
  const batch = new Uint8Array(BATCH_HEADER_BYTES + records.length);
  batch.set(bytes.subarray(start, start + BATCH_HEADER_BYTES));
  batch.set(records, BATCH_HEADER_BYTES);
  writeInt32(batch, LENGTH_AT, batch.length - BATCH_PREFIX_BYTES);
  const attributes = (bytes[start + ATTRIBUTES_AT]! << 8) | bytes[start + ATTRIBUTES_AT + 1]!;
  writeInt16(batch, ATTRIBUTES_AT, (attributes & ~COMPRESSION_BITS) | codec);
  writeInt32(batch, CRC_AT, crc32c(batch, ATTRIBUTES_AT, batch.length));
  return batch;
}

function unpack(codec: number, packed: Uint8Array): Uint8Array {
  switch (names[codec]) {
    case "gzip":
      return zlib.gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    case "zstd":
      checkCompression("zstd");
      return zlib.zstdDecompressSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    case "snappy":
      checkSize("snappy", snappySize(packed));
      return compressionsAlgorithms.snappy.decompressSync(asBuffer(packed));
    case "lz4":
      checkSize("lz4", lz4Size(packed));
      return compressionsAlgorithms.lz4.decompressSync(asBuffer(packed));
    default:
      throw new Error("nobody knows it");
  }
}

/** What snappy blocks say they become, together; each begins with that as a varint. */
function snappySize(packed: Uint8Array): number {
  if (!XERIAL.every((byte, index) => packed[index] === byte)) return blockSize(packed, 0);
  let size = 0;
  for (let at = XERIAL_HEADER_BYTES; at + 4 <= packed.length;) {
    const length = ((packed[at]! << 24) | (packed[at + 1]! << 16) | (packed[at + 2]! << 8) | packed[at + 3]!) >>> 0;
    size += blockSize(packed, at + 4);
    at += 4 + length;
  }
  return size;
}

function blockSize(packed: Uint8Array, start: number): number {
  let size = 0;
  for (let i = 0; i < 5 && start + i < packed.length; i++) {
    size += (packed[start + i]! & 127) * 2 ** (7 * i);
    if (packed[start + i]! < 128) break;
  }
  return size;
}

/** The most that the blocks of an lz4 frame can become: each has its length and, for all, a largest size unpacked. */
function lz4Size(packed: Uint8Array): number {
  const word = (at: number): number => (packed[at]! | (packed[at + 1]! << 8) | (packed[at + 2]! << 16) | (packed[at + 3]! << 24)) >>> 0;
  if (packed.length < 7 || word(0) !== LZ4_MAGIC) throw new Error("it is no lz4 frame");
  const flags = packed[4]!;
  const blockBytesMax = 2 ** (8 + 2 * ((packed[5]! >> 4) & 7));
  const checksumBytes = (flags & 16) === 0 ? 0 : 4;
  let size = 0;
  for (let at = 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4); at + 4 <= packed.length;) {
    const length = word(at) & 0x7fff_ffff;
    if (length === 0) break;
    // No byte of lz4 stands for more than 255.
    size += Math.min(blockBytesMax, 255 * length);
    at += 4 + length + checksumBytes;
  }
  return size;
}

function checkSize(name: Compression, size: number): void {
  if (size > UNPACKED_BYTES_MAX) throw tooLarge(name);
}

function tooLarge(name: Compression): DecodeError {
  return new DecodeError("RECORD_TOO_LARGE", `[kafka] Cannot unpack a record batch (${name}): it becomes more than ${UNPACKED_BYTES_MAX} bytes`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function corrupt(bytes: Uint8Array, start: number, what: string, cause?: unknown): DecodeError {
  const where = `Record batch at position ${basePosition(bytes, start)}`;
  return new DecodeError("RECORD_CORRUPT", `[kafka] ${where}: ${what}`, cause === undefined ? {} : { cause });
}
