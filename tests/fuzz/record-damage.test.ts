/**
 * Method: valid batches are damaged at random (bits, bytes, cuts, repeats, swapped parts), half of them with a checksum that was made right again, so that
 * the damage reaches the lengths. Whatever comes of it must end, throw nothing but `RECORD_CORRUPT` (or `CODEC_FAILED` for text), keep within the record
 * bytes, and not depend on what lies around them.
 */
import { describe, expect, test } from "bun:test";
import { writeInt32 } from "../../src/base/bytes.ts";
import { isStreamError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { ATTRIBUTES_AT, BATCH_HEADER_BYTES, batchSize, COMPRESSION_BITS, CRC_AT, isWhole, nextPosition, wholeEnd } from "../../src/record/batch.ts";
import { crc32c } from "../../src/record/crc32c.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import { randomRecord } from "./record-sample.ts";

const seed = 20261111;
const RUNS = 4_000;
/** Each has a seed of its own, so that a slow machine stays within the time of a test. */
const PARTS = 5;

/** Everything that reading gives, as text; errors by code. */
function readAll(bytes: Uint8Array, start: number, end: number): string {
  const cursor = new RecordCursor({ decompress: (_codec, packed) => packed.slice() });
  const seen: unknown[] = [];
  cursor.open(bytes, start, end, 0);
  let records = 0;
  try {
    while (cursor.next()) {
      if (++records > end - start) throw new Error(`${records} records in ${end - start} bytes`);
      const { keyStart, keyEnd, valueStart, valueEnd } = cursor;
      const isInside = [keyStart, keyEnd, valueStart, valueEnd].every((at) => at >= -1 && at <= (cursor.bytes === bytes ? end : cursor.bytes.length));
      if (!isInside || keyEnd < keyStart || valueEnd < valueStart) throw new Error(`outside: ${keyStart} ${keyEnd} ${valueStart} ${valueEnd} of ${end}`);
      seen.push(cursor.position, cursor.timestamp, keyEnd - keyStart, cursor.keyBytes(), valueEnd - valueStart, cursor.valueBytes()?.length ?? null);
      seen.push(attempt(() => cursor.keyText()), attempt(() => cursor.headers()), attempt(() => cursor.header("a")));
    }
  } catch (error) {
    seen.push(codeOf(error));
    seen.push(attempt(() => cursor.next()));
  }
  seen.push(attempt(() => wholeEnd(bytes, start, end) - start), attempt(() => nextPosition(bytes, start, end)));
  return JSON.stringify(seen);
}

function attempt(fn: () => unknown): unknown {
  try {
    return fn();
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  if (isStreamError(error) && (error.code === "RECORD_CORRUPT" || error.code === "CODEC_FAILED")) return error.code;
  throw error;
}

function damage(bytes: Uint8Array, random: Random): Uint8Array {
  let damaged = bytes.slice();
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(3) === 0 ? random.below(Math.min(damaged.length, BATCH_HEADER_BYTES + 20)) : random.below(damaged.length);
    const kind = random.below(6);
    if (kind === 0) damaged[at]! ^= 1 << random.below(8);
    else if (kind === 1) damaged[at] = [0, 1, 2, 127, 128, 255][random.below(6)]!;
    else if (kind === 2) damaged.fill(random.below(2) * 255, at, at + random.below(12));
    else if (kind === 3) damaged.copyWithin(at, random.below(damaged.length), random.below(damaged.length));
    else if (kind === 4 && at > 0) damaged = damaged.slice(0, at);
    else damaged = new Uint8Array([...damaged, ...damaged.subarray(at, at + random.below(100))]);
  }
  return damaged;
}

/** Makes the checksum of each whole batch right, and sometimes hides it behind a compression that does nothing. */
function mendChecksums(bytes: Uint8Array, random: Random): void {
  for (let at = 0;;) {
    try {
      if (!isWhole(bytes, at, bytes.length)) return;
    } catch {
      return;
    }
    const end = at + batchSize(bytes, at);
    if (random.below(8) === 0) bytes[at + ATTRIBUTES_AT + 1]! |= 1 + random.below(COMPRESSION_BITS);
    writeInt32(bytes, at + CRC_AT, crc32c(bytes, at + ATTRIBUTES_AT, end));
    at = end;
  }
}

function randomBatches(random: Random): Uint8Array {
  const encoder = new BatchEncoder({ batchBytesMax: 300 });
  for (let i = random.below(8); i >= 0; i--) {
    const { timestamp, key, value, headers = null } = randomRecord(random);
    const few = headers?.map((field) => ({ name: field.name, value: field.value?.slice(0, 30) ?? null })) ?? null;
    encoder.append(timestamp, key?.slice(0, 40) ?? null, value?.slice(0, 60) ?? null, few);
  }
  return encoder.seal(random.below(100)).slice();
}

describe(`damaged records, seeds from ${seed} on`, () => {
  for (let part = 0; part < PARTS; part++) {
    test(`RecordCursor ends, throws only RECORD_CORRUPT and reads nothing around the batches when they are damaged ${RUNS} times (part ${part})`, () => {
      const random = new Random(seed + part);
      const outcomes = { corrupt: 0, read: 0 };
      let batches = randomBatches(random);
      for (let run = 0; run < RUNS; run++) {
        if (run % 20 === 0) batches = randomBatches(random);
        const damaged = damage(batches, random);
        if (random.below(2) === 0) mendChecksums(damaged, random);

        const alone = readAll(damaged, 0, damaged.length);

        const start = random.below(40);
        const framed = new Uint8Array(start + damaged.length + 40);
        random.fill(framed.subarray(0, start));
        framed.set(damaged, start);
        random.fill(framed.subarray(start + damaged.length));
        const wanted = readAll(framed, start, start + damaged.length);
        if (wanted !== alone) throw new Error(`seed ${random.seed}, run ${run}: what lies around the batches was read:\n${alone}\n${wanted}`);
        outcomes[alone.includes("RECORD_CORRUPT") ? "corrupt" : "read"]++;
      }

      // Both ways are really taken.
      expect(outcomes.corrupt).toBeGreaterThan(RUNS / 4);
      expect(outcomes.read).toBeGreaterThan(RUNS / 20);
    });
  }

  test("RecordCursor finds every single flipped bit that the checksum covers", () => {
    const random = new Random(seed + PARTS);
    const encoder = new BatchEncoder();
    for (let i = 0; i < 3; i++) encoder.append(i, "key", "value", [{ name: "h", value: "v" }]);
    const bytes = encoder.seal(random.below(100)).slice();
    for (let bit = 8 * CRC_AT; bit < 8 * bytes.length; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(readAll(bytes, 0, bytes.length).startsWith('["RECORD_CORRUPT","RECORD_CORRUPT"')).toBe(true);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  });
});
