/** Sealed batches as parts of Produce requests. */
import { describe, expect, test } from "bun:test";
import { partsOf } from "../../../adapters/kafka/pure/partition-writes.ts";
import { basePosition, batchCrc, batchSize, producerEpoch, producerId, recordCount, SEQUENCE_AT } from "../../../src/record/batch.ts";
import { readInt32 } from "../../../src/base/bytes.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

function sealed(records: number, sequence: number): Uint8Array {
  const encoder = new BatchEncoder({ batchBytesMax: 1_000 });
  for (let i = 0; i < records; i++) encoder.append(1_000 + i, `k${i}`, "v".repeat(100), null);
  return encoder.seal(0, { id: 77, epoch: 3, sequence, transactional: true });
}

describe("partsOf()", () => {
  test("each batch is a part, begins at 0 as leaders want it, and keeps its checksum, producer and count", () => {
    const parts = partsOf({ topic: "t", partition: 4 }, sealed(30, 5), (batch) => batch);
    expect(parts.length).toBeGreaterThan(2);
    let records = 0;
    for (const { topic, partition, bytes, records: count } of parts) {
      expect([topic, partition, bytes.length, count]).toEqual(["t", 4, batchSize(bytes, 0), recordCount(bytes, 0)]);
      expect([basePosition(bytes, 0), producerId(bytes, 0), producerEpoch(bytes, 0), readInt32(bytes, SEQUENCE_AT)]).toEqual([0, 77, 3, 5 + records]);
      expect(crc32c(bytes, 21, bytes.length)).toBe(batchCrc(bytes, 0));
      records += count;
    }
    expect(records).toBe(30);
  });

  test("sequence numbers go on at 0 after 2^31 - 1", () => {
    const parts = partsOf({ topic: "t", partition: 0 }, sealed(30, 2 ** 31 - 1), (batch) => batch);
    expect(parts.slice(0, 2).map(({ bytes }) => readInt32(bytes, SEQUENCE_AT))).toEqual([2 ** 31 - 1, parts[0]!.records - 1]);
  });

  test("what goes out is what compression makes of a batch, batch by batch", () => {
    const sizes: number[] = [];
    const parts = partsOf({ topic: "t", partition: 0 }, sealed(30, 0), (batch) => {
      sizes.push(batch.length);
      return batch.subarray(0, 61);
    });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(sealed(30, 0).length);
    expect(parts.every(({ bytes }) => bytes.length === 61)).toBe(true);
    expect(partsOf({ topic: "t", partition: 0 }, new Uint8Array(0), (batch) => batch)).toEqual([]);
  });
});
