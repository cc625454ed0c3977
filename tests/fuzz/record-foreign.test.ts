/**
 * Method: random records go through our encoder and another client's reader, and through that client's writer and our cursor, compressed too. The two share
 * no code, so what they agree on is the format.
 */
import { compressionsAlgorithmsByBitmask, createRecordsBatch, type MessageRecord, Reader, readRecordsBatches } from "@platformatic/kafka";
import { describe, expect, test } from "bun:test";
import { Random } from "../../src/base/random.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { NewRecord, Payload } from "../../src/record/record.ts";
import { bytesOf, randomRecord } from "./record-sample.ts";

const seed = 20261110;

/** A record as plain data; bytes as hexadecimal text, which all readers can be brought to. */
interface Plain {
  readonly position: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string | null, string | null])[];
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString("hex");
}

function plain(record: NewRecord, position: number): Plain {
  const headers = (record.headers ?? []).map(({ name, value }) => [hex(bytesOf(name)), hex(bytesOf(value))] as const);
  return { position, timestamp: record.timestamp, key: hex(bytesOf(record.key)), value: hex(bytesOf(record.value)), headers };
}

function readOurs(bytes: Uint8Array): Plain[] {
  const cursor = new RecordCursor({
    cutBatch: "refuse",
    decompress: (codec, packed) => compressionsAlgorithmsByBitmask[codec as 1]!.decompressSync(Buffer.from(packed)) as Uint8Array,
  });
  cursor.open(bytes, 0, bytes.length, 0);
  const found: Plain[] = [];
  while (cursor.next()) {
    const headers = cursor.headers().map(({ name, value }) => [hex(bytesOf(name)), hex(bytesOf(value))] as const);
    found.push({ position: cursor.position, timestamp: cursor.timestamp, key: hex(cursor.keyBytes()), value: hex(cursor.valueBytes()), headers });
  }
  return found;
}

function readTheirs(bytes: Uint8Array): Plain[] {
  return readRecordsBatches(Reader.from(Buffer.from(bytes))).flatMap((batch) =>
    batch.records.map((record) => ({
      position: Number(batch.firstOffset) + record.offsetDelta,
      timestamp: Number(batch.firstTimestamp + record.timestampDelta),
      key: hex(record.key),
      value: hex(record.value),
      headers: record.headers.map(([name, value]) => [hex(name), hex(value)] as const),
    }))
  );
}

/** That client takes no null name and no null value. */
function message(record: NewRecord): MessageRecord {
  const buffer = (payload: Payload | null): Buffer => Buffer.from(bytesOf(payload) ?? []);
  const headers = new Map((record.headers ?? []).map(({ name, value }) => [buffer(name), buffer(value)]));
  const rest = { value: buffer(record.value), topic: "t", timestamp: BigInt(record.timestamp), headers };
  return record.key === null ? rest : { ...rest, key: buffer(record.key) };
}

describe(`records between us and another client, seed ${seed}`, () => {
  test("BatchEncoder writes what the other client, and our cursor, read", () => {
    const random = new Random(seed);
    const encoder = new BatchEncoder({ initialBytes: 64, batchBytesMax: 2_000 });
    for (let round = 0; round < 400; round++) {
      const records = Array.from({ length: 1 + random.below(30) }, () => randomRecord(random));
      const base = random.below(3) === 0 ? 2 ** 52 : random.below(1_000);
      encoder.reset();
      for (const { timestamp, key, value, headers = null } of records) encoder.append(timestamp, key, value, headers);
      const wanted = records.map((record, i) => plain(record, base + i));

      const bytes = encoder.seal(base);

      expect(readOurs(bytes)).toEqual(wanted);
      expect(readTheirs(bytes)).toEqual(wanted);
    }
  });

  for (const compression of ["none", "gzip"] as const) {
    test(`RecordCursor reads what the other client writes with compression ${compression}`, () => {
      const random = new Random(seed + 1);
      for (let round = 0; round < 150; round++) {
        // That client writes timestamps wrong that lie 2^31 ms or more from the batch's first.
        const first = randomRecord(random).timestamp;
        const near = (): number => first + random.below(2 ** 32) - 2 ** 31;
        const messages = Array.from({ length: 1 + random.below(20) }, (_item, i) => message({ ...randomRecord(random), timestamp: i === 0 ? first : near() }));
        const bytes = createRecordsBatch(messages, { compression }).buffer;
        const wanted: Plain[] = messages.map(({ timestamp, key, value, headers }, i) => ({
          position: i,
          timestamp: Number(timestamp),
          key: hex(key ?? null),
          value: hex(value),
          headers: [...headers ?? []].map(([name, one]) => [hex(name), hex(one)] as const),
        }));

        expect(readOurs(bytes)).toEqual(wanted);
      }
    });
  }
});
