/** Compressed batches. Method: there and back with random batches, with another client as writer and as reader, and with bytes that were damaged or made to swell. */
import { compressionsAlgorithms, createRecordsBatch, Reader, readRecordsBatches } from "@platformatic/kafka";
import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { Compression } from "../../../adapters/kafka/client.ts";
import { checkCompression, compressBatches, decompressBatches, UNPACKED_BYTES_MAX } from "../../../adapters/kafka/pure/compression.ts";
import { concatBytes, writeInt32 } from "../../../src/base/bytes.ts";
import { Random } from "../../../src/base/random.ts";
import { ATTRIBUTES_AT, batchSize, compressionOf, CRC_AT, LENGTH_AT } from "../../../src/record/batch.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

const seed = 20261121;
const codecs = ["gzip", "snappy", "lz4", "zstd"] as const;

/** Batches of random records, sealed. */
function sealed(random: Random, records: number): Uint8Array {
  const encoder = new BatchEncoder({ batchBytesMax: 200 + random.below(100_000) });
  for (let i = 0; i < records; i++) {
    const value = random.chance(0.5) ? "word ".repeat(random.below(300)) : random.fill(new Uint8Array(random.below(400)));
    encoder.append(1_793_491_200_000 + random.below(1_000), `k${i}`, value, random.chance(0.2) ? [{ name: "h", value: "v" }] : null);
  }
  const producer = random.chance(0.5) ? { id: 4_711, epoch: 3, sequence: 17, transactional: true } : undefined;
  return encoder.seal(random.below(1_000_000), producer).slice();
}

function codecsIn(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) found.push(compressionOf(bytes, at));
  return found;
}

/** Of all records, as Latin-1. */
function values(bytes: Uint8Array): string[] {
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  cursor.open(bytes, 0, bytes.length, 0);
  const found: string[] = [];
  while (cursor.next()) found.push(Buffer.from(cursor.valueBytes()!).toString("latin1"));
  return found;
}

/** One batch with the given bytes for records and a checksum that is right. */
function packedBatch(codec: number, records: Uint8Array): Uint8Array {
  const encoder = new BatchEncoder();
  encoder.append(0, null, "x", null);
  const bytes = concatBytes([encoder.seal(0).slice(0, 61), records]);
  writeInt32(bytes, LENGTH_AT, bytes.length - 12);
  bytes[ATTRIBUTES_AT + 1] = codec;
  writeInt32(bytes, CRC_AT, crc32c(bytes, ATTRIBUTES_AT, bytes.length));
  return bytes;
}

function refused(code: string, bytes: Uint8Array): void {
  expect(() => decompressBatches(bytes)).toThrow(expect.objectContaining({ code }));
}

describe("compression", () => {
  for (const codec of codecs) {
    test(`${codec}: random batches come back byte for byte, and are smaller in between`, () => {
      const random = new Random(seed);
      for (let round = 0; round < 40; round++) {
        const bytes = sealed(random, 1 + random.below(200));
        const packed = compressBatches(bytes, codec);
        expect(packed.length).toBeLessThan(bytes.length);
        expect(codecsIn(packed)).toContain(codecs.indexOf(codec) + 1);
        expect(decompressBatches(packed)).toEqual(bytes);
      }
    });

    test(`${codec}: another client reads what is written`, () => {
      const bytes = sealed(new Random(seed), 300);
      const theirs = readRecordsBatches(Reader.from(Buffer.from(compressBatches(bytes, codec))));
      expect(theirs.flatMap(({ records }) => records.map(({ value }) => value!.toString("latin1")))).toEqual(values(bytes));
    });

    test(`${codec}: what another client writes is read, one batch after the other, also from within a larger answer`, () => {
      const written = (from: number): Uint8Array =>
        createRecordsBatch(
          Array.from({ length: 50 }, (_, i) => ({ topic: "t", key: Buffer.from(`k${i}`), value: Buffer.from(`value ${from + i} ${"x".repeat(i)}`) })),
          { compression: codec },
        ).buffer;
      const [one, two] = [written(0), written(50)];
      expect(codecsIn(one)).toEqual([codecs.indexOf(codec) + 1]);
      const answer = concatBytes([new Uint8Array(7), one, sealed(new Random(1), 1), two, new Uint8Array(3)]);

      const plain = decompressBatches(answer, 7, answer.length - 3);

      expect(new Set(codecsIn(plain))).toEqual(new Set([0]));
      const found = values(plain);
      expect(found.length).toBe(101);
      expect([found[0], found[49], found[51], found[100]]).toEqual([`value 0 `, `value 49 ${"x".repeat(49)}`, `value 50 `, `value 99 ${"x".repeat(49)}`]);
    });

    test(`${codec}: damage is told of`, () => {
      const bytes = compressBatches(sealed(new Random(seed), 50), codec);
      const flipped = bytes.slice();
      flipped[flipped.length - 3]! ^= 1;
      refused("RECORD_CORRUPT", flipped);
      refused("RECORD_CORRUPT", packedBatch(codecs.indexOf(codec) + 1, new Uint8Array([255, 255, 1, 2, 3, 4, 5, 6, 7, 8])));
    });
  }

  test("xerial's framing of snappy, as Java writes it", () => {
    const bytes = compressBatches(sealed(new Random(seed), 100), "none");
    const size = batchSize(bytes, 0);
    const records = Buffer.from(bytes.subarray(61, size));
    const framed: Uint8Array[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
    for (let at = 0; at < records.length; at += 1_000) {
      const block = compressionsAlgorithms.snappy.compressSync(records.subarray(at, at + 1_000));
      const length = new Uint8Array(4);
      writeInt32(length, 0, block.length);
      framed.push(length, block);
    }
    const packed = concatBytes([bytes.slice(0, 61), ...framed]);
    writeInt32(packed, LENGTH_AT, packed.length - 12);
    packed[ATTRIBUTES_AT + 1]! |= 2;
    writeInt32(packed, CRC_AT, crc32c(packed, ATTRIBUTES_AT, packed.length));

    expect(decompressBatches(packed)).toEqual(bytes.subarray(0, size));
  });

  test("batches that are not compressed pass without a copy; those that would grow stay as they are", () => {
    const random = new Random(seed);
    const bytes = sealed(random, 20);
    expect(decompressBatches(bytes)).toBe(bytes);
    const within = decompressBatches(bytes, 0, batchSize(bytes, 0) + 5);
    expect([within.buffer, within.length]).toEqual([bytes.buffer, batchSize(bytes, 0)]);
    expect(compressBatches(bytes, "none")).toBe(bytes);
    const encoder = new BatchEncoder();
    encoder.append(0, null, random.fill(new Uint8Array(100)), null);
    const noise = encoder.seal(0).slice();
    for (const codec of codecs) expect(compressBatches(noise, codec)).toBe(noise);
    const packed = compressBatches(bytes, "lz4");
    expect(compressBatches(packed, "gzip")).toEqual(packed);
  });

  test("bombs are refused before they are unpacked", () => {
    // gzip of a quarter GiB and a little of zeros, made without holding it: members of 16 MiB, one behind the other.
    const member = gzipSync(new Uint8Array(16_777_216));
    refused("RECORD_TOO_LARGE", packedBatch(1, concatBytes(Array.from({ length: 17 }, () => member))));
    const size = UNPACKED_BYTES_MAX + 1;
    const varint = Uint8Array.of((size & 127) | 128, ((size >> 7) & 127) | 128, ((size >> 14) & 127) | 128, ((size >> 21) & 127) | 128, size >> 28);
    refused("RECORD_TOO_LARGE", packedBatch(2, concatBytes([varint, new Uint8Array(20)])));
    // An lz4 frame of 4 MiB blocks that each claim to be of many bytes.
    const block = new Uint8Array(4 + 20_000);
    block.set([0x20, 0x4e, 0, 0]);
    const frame = concatBytes([Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73), ...Array.from({ length: 80 }, () => block), new Uint8Array(4)]);
    refused("RECORD_TOO_LARGE", packedBatch(3, frame));
  });

  test("a compression nobody knows is damage; the ones of this runtime are there", () => {
    refused("RECORD_CORRUPT", packedBatch(5, new Uint8Array(10)));
    for (const codec of ["none", ...codecs] as const satisfies readonly Compression[]) checkCompression(codec);
  });
});
