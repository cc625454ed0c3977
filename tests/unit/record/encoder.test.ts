import { describe, expect, test } from "bun:test";
import type { DecodeError } from "../../../src/base/errors.ts";
import {
  basePosition,
  batchSize,
  isTransactional,
  lastDelta,
  maxTimestamp,
  nextPosition,
  producerEpoch,
  producerId,
  recordCount,
  SEQUENCE_AT,
  setBasePosition,
} from "../../../src/record/batch.ts";
import { readInt32 } from "../../../src/base/bytes.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

/** Position, timestamp, key and value of every record. */
function readAll(bytes: Uint8Array): unknown[][] {
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  cursor.open(bytes, 0, bytes.length, 0);
  const records: unknown[][] = [];
  while (cursor.next()) records.push([cursor.position, cursor.timestamp, cursor.keyText(), cursor.valueText()]);
  return records;
}

/** Where each batch begins. */
function starts(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) found.push(at);
  return found;
}

function codeOf(fn: () => void): string {
  try {
    fn();
  } catch (error) {
    return (error as DecodeError).code;
  }
  return "none";
}

describe("BatchEncoder", () => {
  test("seal() gives what was appended, from the base position on", () => {
    const encoder = new BatchEncoder();
    encoder.append(5, "a", "1", null);
    encoder.append(-7, null, "2", []);
    encoder.append(8.64e15, "", null, null);

    const bytes = encoder.seal(1_000);

    expect(readAll(bytes)).toEqual([[1_000, 5, "a", "1"], [1_001, -7, null, "2"], [1_002, 8.64e15, "", null]]);
    expect([encoder.count, encoder.sizeBytes, nextPosition(bytes, 0, bytes.length)]).toEqual([3, bytes.length, 1_003]);
    expect([basePosition(bytes, 0), lastDelta(bytes, 0), recordCount(bytes, 0), maxTimestamp(bytes, 0)]).toEqual([1_000, 2, 3, 8.64e15]);
    expect([producerId(bytes, 0), producerEpoch(bytes, 0), readInt32(bytes, SEQUENCE_AT), isTransactional(bytes, 0)]).toEqual([-1, -1, -1, false]);
  });

  test("seal() may be called again: with another base, another producer, after more records, after a reset", () => {
    const encoder = new BatchEncoder({ batchBytesMax: 90 });
    encoder.append(1, "a", "1", null);
    encoder.append(2, "b", "2", null);
    readAll(encoder.seal(0));

    expect(readAll(encoder.seal(40)).map((record) => record[0])).toEqual([40, 41]);
    encoder.append(3, "c", "3", null);
    encoder.append(4, "d", "4".repeat(40), null);
    expect(readAll(encoder.seal(7)).map((record) => record[0])).toEqual([7, 8, 9, 10]);

    const stamped = encoder.seal(0, { id: 2 ** 40 + 1, epoch: 3, sequence: 0x7fff_fffe, transactional: true });
    expect(readAll(stamped)).toHaveLength(4);
    expect(
      starts(stamped).map((at) => [producerId(stamped, at), producerEpoch(stamped, at), readInt32(stamped, at + SEQUENCE_AT), isTransactional(stamped, at)]),
    ).toEqual([
      [2 ** 40 + 1, 3, 0x7fff_fffe, true],
      [2 ** 40 + 1, 3, 1, true],
    ]);
    expect(readAll(encoder.seal(0))).toHaveLength(4);

    encoder.reset();
    expect([encoder.count, encoder.sizeBytes, encoder.seal(5).length]).toEqual([0, 0, 0]);
    encoder.append(9, "e", "5", null);
    expect(readAll(encoder.seal(5))).toEqual([[5, 9, "e", "5"]]);
  });

  test("append() begins a new batch before batchBytesMax is passed, and gives a larger record its own", () => {
    const encoder = new BatchEncoder({ batchBytesMax: 200 });
    for (let i = 0; i < 30; i++) encoder.append(i, "k", "é".repeat(i === 15 ? 300 : i), null);

    const bytes = encoder.seal(0);

    expect(readAll(bytes).map((record) => record[1])).toEqual(Array.from({ length: 30 }, (_item, i) => i));
    const large = starts(bytes).filter((at) => batchSize(bytes, at) > 200);
    expect(large.map((at) => [basePosition(bytes, at), recordCount(bytes, at)])).toEqual([[15, 1]]);
    expect(starts(bytes).length).toBeLessThan(15);
  });

  test("append() fills a batch to exactly batchBytesMax", () => {
    const one = new BatchEncoder();
    one.append(0, "k", "v", null);
    one.append(0, "k", "v", null);
    const encoder = new BatchEncoder({ batchBytesMax: one.sizeBytes });
    for (let i = 0; i < 4; i++) encoder.append(0, "k", "v", null);

    const bytes = encoder.seal(0);

    expect(starts(bytes).map((at) => batchSize(bytes, at))).toEqual([one.sizeBytes, one.sizeBytes]);
  });

  test("append() begins a new batch when timestamps are too far apart for an exact delta", () => {
    const far = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0, -1, Number.MAX_SAFE_INTEGER - 1];
    const encoder = new BatchEncoder();
    for (const timestamp of far) encoder.append(timestamp, null, null, null);

    const bytes = encoder.seal(0);

    expect(readAll(bytes).map((record) => record[1])).toEqual(far);
    expect(starts(bytes).length).toBe(3);
  });

  for (const timestamp of [NaN, Infinity, -Infinity, 1.5, 2 ** 53]) {
    test(`append() refuses timestamp ${timestamp} and changes nothing`, () => {
      const encoder = new BatchEncoder();
      expect(codeOf(() => encoder.append(timestamp, "k", "v", null))).toBe("TIMESTAMP_INVALID");
      encoder.append(1, "a", "b", null);
      const size = encoder.sizeBytes;

      expect(codeOf(() => encoder.append(timestamp, "k", "v", null))).toBe("TIMESTAMP_INVALID");

      expect([encoder.count, encoder.sizeBytes, readAll(encoder.seal(0))]).toEqual([1, size, [[0, 1, "a", "b"]]]);
    });
  }

  test("append() refuses what is neither text nor bytes and changes nothing", () => {
    const encoder = new BatchEncoder();
    encoder.append(1, "a", "b", null);
    for (const wrong of [5, {}, true, new ArrayBuffer(3), new DataView(new ArrayBuffer(3))]) {
      expect(codeOf(() => encoder.append(2, wrong as never, null, null))).toBe("CODEC_FAILED");
      expect(codeOf(() => encoder.append(2, null, wrong as never, null))).toBe("CODEC_FAILED");
      expect(codeOf(() => encoder.append(2, null, null, [{ name: "h", value: wrong as never }]))).toBe("CODEC_FAILED");
    }
    expect(() => encoder.append(2, null, undefined as never, null)).toThrow();

    expect(readAll(encoder.seal(0))).toEqual([[0, 1, "a", "b"]]);
  });

  test("append() refuses a record beyond 1 GiB before it takes memory for it", () => {
    const huge = { length: 2 ** 30 } as Uint8Array;

    expect(codeOf(() => new BatchEncoder().append(0, null, huge, null))).toBe("RECORD_TOO_LARGE");
  });

  test("append() grows the buffer and keeps what is in it", () => {
    const encoder = new BatchEncoder({ initialBytes: 1, batchBytesMax: 1 << 20 });
    for (let i = 0; i < 2_000; i++) encoder.append(i, `key ${i}`, new Uint8Array(i % 97), null);

    expect(readAll(encoder.seal(0))[1_999]).toEqual([1_999, 1_999, "key 1999", "\0".repeat(1_999 % 97)]);
  });

  // Each length takes one byte more from the next on; text beyond ASCII moves what is behind it.
  for (const length of [0, 1, 31, 32, 62, 63, 64, 65, 4_095, 4_096, 8_190, 8_191, 8_192, 8_193, 349_525, 349_526, 1_048_575, 1_048_576]) {
    test(`append() writes lengths right when text has ${length} letters`, () => {
      for (const letter of ["a", "é", "€"]) {
        const text = letter.repeat(length);
        const encoder = new BatchEncoder();
        encoder.append(1, "x", text, [{ name: "n", value: text }]);
        encoder.append(2, length < 100 ? text : "x", "y", null);
        const bytes = encoder.seal(0);
        const cursor = new RecordCursor();
        cursor.open(bytes, 0, bytes.length, 0);

        expect([cursor.next(), cursor.keyText(), cursor.valueText() === text]).toEqual([true, "x", true]);
        expect(cursor.header("n")!.length).toBe(new TextEncoder().encode(text).length);
        expect([cursor.next(), cursor.valueText(), cursor.next()]).toEqual([true, "y", false]);
      }
    });
  }

  test("setBasePosition() keeps the checksum right", () => {
    const encoder = new BatchEncoder();
    encoder.append(1, "a", "b", null);
    const bytes = encoder.seal(0);

    setBasePosition(bytes, 0, Number.MAX_SAFE_INTEGER);

    expect(readAll(bytes)).toEqual([[Number.MAX_SAFE_INTEGER, 1, "a", "b"]]);
  });
});
