import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DecodeError } from "../../../src/base/errors.ts";
import { writeInt16, writeInt32, writeInt64 } from "../../../src/base/bytes.ts";
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  batchSize,
  COUNT_AT,
  CRC_AT,
  LAST_DELTA_AT,
  LENGTH_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  nextPosition,
  wholeEnd,
} from "../../../src/record/batch.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import { RecordCursor, type RecordCursorOptions } from "../../../src/record/cursor.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

const seed = 20261114;

/** A batch of so many records with keys k0, k1, … from a base position on. */
function batch(count: number, base: number): Uint8Array {
  const encoder = new BatchEncoder();
  for (let i = 0; i < count; i++) encoder.append(1_000 + i, `k${i}`, `v${i}`, null);
  return encoder.seal(base).slice();
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** A changed batch whose checksum is right again. */
function changed(bytes: Uint8Array, change: (bytes: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  writeInt32(copy, CRC_AT, crc32c(copy, ATTRIBUTES_AT));
  return copy;
}

function positions(bytes: Uint8Array, from = 0, options: RecordCursorOptions = {}): number[] {
  const cursor = new RecordCursor(options);
  cursor.open(bytes, 0, bytes.length, from);
  const found: number[] = [];
  while (cursor.next()) found.push(cursor.position);
  return found;
}

function failure(bytes: Uint8Array, options?: RecordCursorOptions): DecodeError {
  try {
    positions(bytes, 0, options);
  } catch (error) {
    return error as DecodeError;
  }
  throw new Error("it was read");
}

describe("RecordCursor", () => {
  test("next() skips records below the position asked for, and whole batches without a look at their checksum", () => {
    const damaged = batch(3, 0);
    damaged[CRC_AT]! ^= 1;
    const bytes = join(damaged, batch(3, 3), batch(3, 10));

    expect(positions(bytes, 3)).toEqual([3, 4, 5, 10, 11, 12]);
    expect(positions(bytes, 5)).toEqual([5, 10, 11, 12]);
    expect(positions(bytes, 7)).toEqual([10, 11, 12]);
    expect(positions(bytes, 13)).toEqual([]);
    expect(() => positions(bytes, 2)).toThrow("Record batch at byte 0: checksum is");
  });

  test("next() ignores a cut last batch, however little there is of it", () => {
    const whole = batch(2, 0);
    const next = batch(2, 2);
    for (let length = 0; length < next.length; length++) {
      const bytes = join(whole, next.subarray(0, length));

      expect(positions(bytes)).toEqual([0, 1]);
      expect([wholeEnd(bytes, 0, bytes.length), nextPosition(bytes, 0, bytes.length)]).toEqual([whole.length, 2]);
    }
    expect(nextPosition(whole, 0, 11)).toBe(-1);
  });

  test("next() refuses a cut last batch when told to", () => {
    const bytes = batch(2, 0);

    expect(positions(bytes, 0, { cutBatch: "refuse" })).toEqual([0, 1]);
    const cursor = new RecordCursor({ cutBatch: "refuse" });
    cursor.open(bytes, 0, 1e9, 1);
    expect([cursor.next(), cursor.next()]).toEqual([true, false]);
    expect(failure(bytes.subarray(0, 70), { cutBatch: "refuse" }).message).toBe("Record batch at byte 0 is cut: there are 70 bytes");
  });

  test("next() reads no byte outside of start and end", () => {
    const bytes = join(batch(1, 0), batch(2, 1), batch(1, 3));
    const cursor = new RecordCursor();
    const start = batchSize(bytes, 0);
    cursor.open(bytes, start, start + batchSize(bytes, start), 0);
    const found: unknown[] = [];
    while (cursor.next()) found.push([cursor.position, cursor.keyText()]);

    expect(found).toEqual([[1, "k0"], [2, "k1"]]);
    cursor.open(bytes, 0, 1e9, 3);
    expect([cursor.next(), cursor.position, cursor.next(), cursor.next()]).toEqual([true, 3, false, false]);
  });

  test("next() skips control batches and batches emptied by compaction", () => {
    const control = changed(batch(1, 1), (bytes) => writeInt16(bytes, ATTRIBUTES_AT, 0x30));
    const empty = changed(batch(1, 2).slice(0, 61), (bytes) => {
      writeInt32(bytes, LENGTH_AT, 49);
      writeInt32(bytes, COUNT_AT, 0);
      writeInt32(bytes, LAST_DELTA_AT, 6);
    });
    const bytes = join(batch(1, 0), control, empty, batch(1, 9));

    expect(positions(bytes)).toEqual([0, 9]);
    expect(nextPosition(bytes.subarray(0, bytes.length - batch(1, 9).length), 0, bytes.length)).toBe(9);
  });

  test("next() gives the log's own time when the batch carries it", () => {
    const bytes = changed(batch(2, 0), (copy) => {
      writeInt16(copy, ATTRIBUTES_AT, 8);
      writeInt64(copy, MAX_TIMESTAMP_AT, -5);
    });
    const cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);

    expect([cursor.next(), cursor.timestamp, cursor.next(), cursor.timestamp]).toEqual([true, -5, true, -5]);
  });

  test(`next() sums base and delta in 64 bits, seed ${seed}`, () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), (delta, timestamp) => {
        const encoder = new BatchEncoder();
        encoder.append(0, null, null, null);
        encoder.append(delta, null, null, null);
        // The base may lie beyond 2^53; only the sum must not.
        const bytes = changed(encoder.seal(0), (copy) => new DataView(copy.buffer).setBigInt64(BASE_TIMESTAMP_AT, BigInt(timestamp) - BigInt(delta)));
        const cursor = new RecordCursor();
        cursor.open(bytes, 0, bytes.length, 1);

        expect([cursor.next(), cursor.timestamp]).toEqual([true, timestamp]);
      }),
      { seed, numRuns: 1_000 },
    );
  });

  test("header() finds the last one of a name, headers() copies all in order", () => {
    const encoder = new BatchEncoder();
    const fields = [{ name: "h", value: "1" }, { name: "ü", value: new Uint8Array([255]) }, { name: "h", value: "2" }, { name: "", value: "" }, {
      name: "n",
      value: null,
    }, { name: "hh", value: "3" }];
    encoder.append(0, "k", "v", fields);
    encoder.append(0, "k", "v", null);
    const bytes = encoder.seal(0);
    const cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);
    cursor.next();
    const text = (value: Uint8Array | null): string | null => value === null ? null : new TextDecoder().decode(value);

    expect([cursor.headerCount, text(cursor.header("h")), text(cursor.header("")), text(cursor.header("hh"))]).toEqual([6, "2", "", "3"]);
    expect([cursor.header("ü"), cursor.header("n"), cursor.header("H"), cursor.header("hhh")]).toEqual([new Uint8Array([255]), null, null, null]);
    const copies = cursor.headers();
    expect(copies.map(({ name, value }) => [name, value])).toEqual(
      fields.map(({ name, value }) => [name, typeof value === "string" ? new TextEncoder().encode(value) : value]),
    );
    bytes.fill(0);
    expect(copies[1]!.value).toEqual(new Uint8Array([255]));
  });

  test("header() and headers() are empty when the record has none", () => {
    const bytes = batch(1, 0);
    const cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);
    cursor.next();

    expect([cursor.headerCount, cursor.header("h"), cursor.headers()]).toEqual([0, null, []]);
  });

  test("keyText() and valueText() refuse what is not UTF-8, keyBytes() and valueBytes() give views", () => {
    const encoder = new BatchEncoder();
    encoder.append(0, new Uint8Array([255]), null, null);
    const bytes = encoder.seal(0);
    const cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);
    cursor.next();

    expect(() => cursor.keyText()).toThrow("they are not UTF-8");
    expect([cursor.keyBytes(), cursor.keyBytes()!.buffer === bytes.buffer, cursor.valueBytes(), cursor.valueText(), cursor.valueStart, cursor.valueEnd])
      .toEqual([
        new Uint8Array([255]),
        true,
        null,
        null,
        -1,
        -1,
      ]);
  });

  test("next() gives a compressed batch to decompress, and reads what it returns", () => {
    const plain = batch(3, 5);
    const packed = changed(join(plain.subarray(0, 61), new Uint8Array([1, 2, 3])), (bytes) => {
      writeInt16(bytes, ATTRIBUTES_AT, 4);
      writeInt32(bytes, LENGTH_AT, 52);
    });
    const asked: unknown[] = [];
    const decompress = (codec: number, bytes: Uint8Array): Uint8Array => {
      asked.push([codec, ...bytes]);
      return plain.slice(61);
    };
    const cursor = new RecordCursor({ decompress });
    const bytes = join(packed, batch(1, 8));
    cursor.open(bytes, 0, bytes.length, 6);
    const found: unknown[] = [];
    while (cursor.next()) found.push([cursor.position, cursor.keyText(), cursor.valueText()]);

    expect([asked, found]).toEqual([[[4, 1, 2, 3]], [[6, "k1", "v1"], [7, "k2", "v2"], [8, "k0", "v0"]]]);
    expect(failure(packed).message).toBe("Record batch at byte 0: it is compressed (zstd), and this reader was given nothing to undo that");
    const broken = failure(packed, {
      decompress: () => {
        throw new Error("no zstd");
      },
    });
    expect([broken.code, broken.message, (broken.cause as Error).message]).toEqual([
      "RECORD_CORRUPT",
      "Record batch at byte 0: its compression (zstd) cannot be undone: no zstd",
      "no zstd",
    ]);
    expect(failure(packed, { decompress: () => plain.slice(61, -1) }).code).toBe("RECORD_CORRUPT");
  });

  const damages: readonly (readonly [what: string, change: (bytes: Uint8Array) => void, message: string])[] = [
    ["an older version", (bytes) => bytes[MAGIC_AT] = 1, "Record batch at byte 0: version is 1, wanted 2"],
    ["a negative base position", (bytes) => bytes[0] = 255, "Record batch at byte 0: positions are -"],
    ["a base position beyond 2^53", (bytes) => bytes[0] = 1, "Record batch at byte 0: positions are "],
    ["a negative last delta", (bytes) => writeInt32(bytes, LAST_DELTA_AT, -1), "Record batch at byte 0: positions are 0 and -1 more"],
    ["a negative count", (bytes) => writeInt32(bytes, COUNT_AT, -1), "Record batch at byte 0: -1 records in"],
    ["no count", (bytes) => writeInt32(bytes, COUNT_AT, 0), "Record batch at byte 0: 0 records in"],
    ["a count too large", (bytes) => writeInt32(bytes, COUNT_AT, 3), "Record batch at position 0: "],
    ["a count too small", (bytes) => writeInt32(bytes, COUNT_AT, 1), "Record batch at position 0: 11 bytes follow the last record"],
    ["a last delta too small", (bytes) => writeInt32(bytes, LAST_DELTA_AT, 0), "Record batch at position 0: a position's delta is 1, after 0 of 0"],
    ["a delta that does not grow", (bytes) => bytes[75] = 0, "Record batch at position 0: a position's delta is 0, after 0 of 1"],
    ["bytes after the headers of a record", (bytes) => bytes.set([2, 118, 0], 68), "Record batch at position 0: 0 headers do not fit their record"],
    ["a timestamp of eleven bytes", (bytes) => bytes.fill(128, 63, 73).fill(0, 73), "Record batch at position 0: a varint is too long"],
    ["a record too long", (bytes) => bytes[61] = 126, "Record batch at position 0: a record's length is 63, there are 21 bytes"],
    ["a record of negative length", (bytes) => bytes[61] = 1, "Record batch at position 0: a record's length is -1"],
    ["a varint without end", (bytes) => bytes.fill(255, 61), "Record batch at position 0: a varint is too long"],
    ["a timestamp without end", (bytes) => bytes.fill(255, 63), "Record batch at position 0: a varint is too long"],
    ["a key too long", (bytes) => bytes[65] = 126, "Record batch at position 0: a key's length is 63, beyond its record"],
    ["a key of length -2", (bytes) => bytes[65] = 3, "Record batch at position 0: a key's length is -2, beyond its record"],
    ["a value too long", (bytes) => bytes[68] = 126, "Record batch at position 0: a value's length is 63, beyond its record"],
    ["headers that do not fit", (bytes) => bytes[71] = 2, "Record batch at position 0: 1 headers do not fit their record"],
    ["a negative number of headers", (bytes) => bytes[71] = 1, "Record batch at position 0: -1 headers do not fit their record"],
  ];
  for (const [what, change, message] of damages) {
    test(`next() throws RECORD_CORRUPT, again and again, when a batch has ${what}`, () => {
      const bytes = changed(batch(2, 0), change);
      const error = failure(bytes);

      expect([error.code, error.name, error.message.slice(0, message.length)]).toEqual(["RECORD_CORRUPT", "DecodeError", message]);
      const cursor = new RecordCursor();
      cursor.open(bytes, 0, bytes.length, 0);
      for (let i = 0; i < 2; i++) {
        try {
          while (cursor.next());
        } catch {
          // Asked for again below.
        }
      }
      expect(() => cursor.next()).toThrow(message);
      cursor.open(batch(1, 0), 0, 1e9, 0);
      expect(cursor.next()).toBe(true);
    });
  }

  test("next(), wholeEnd() and nextPosition() throw RECORD_CORRUPT when a length cannot be", () => {
    for (const length of [-1, 0, 48, -2_147_483_648]) {
      const bytes = batch(1, 0);
      writeInt32(bytes, LENGTH_AT, length);

      expect(failure(bytes).message).toBe(`Record batch at byte 0: length is ${length}, wanted at least 49`);
      expect(() => wholeEnd(bytes, 0, bytes.length)).toThrow("length is");
      expect(() => nextPosition(bytes, 0, bytes.length)).toThrow("length is");
    }
  });

  test("header() and headers() throw RECORD_CORRUPT when headers do not fit their record", () => {
    const encoder = new BatchEncoder();
    encoder.append(0, null, null, [{ name: "abc", value: "def" }]);
    const good = encoder.seal(0);
    const headerAt = good.length - 8;
    expect(good[headerAt]).toBe(6);
    const changes: readonly (readonly [at: number, byte: number, message: string])[] = [
      [0, 126, "a header name's length is 63, beyond its record"],
      [0, 1, "a header name's length is -1, beyond its record"],
      [0, 4, "a header value's length is -50, beyond its record"],
      [0, 255, "a header name's length is -6272, beyond its record"],
      [4, 126, "a header value's length is 63, beyond its record"],
      [4, 3, "a header value's length is -2, beyond its record"],
      [4, 4, "1 bytes follow the last header"],
      [4, 1, "3 bytes follow the last header"],
    ];
    for (const [at, byte, message] of changes) {
      const bytes = changed(good, (copy) => copy[headerAt + at] = byte);
      const cursor = new RecordCursor();
      cursor.open(bytes, 0, bytes.length, 0);

      expect(cursor.next()).toBe(true);
      expect(() => cursor.headers()).toThrow(`Record batch at position 0: ${message}`);
      expect(() => cursor.header("abc")).toThrow(`Record batch at position 0: ${message}`);
    }
  });
});
