/** The queue of a reader: what it keeps, what it gives, and where it says it is. Answers of a broker come from here. */
import { describe, expect, test } from "bun:test";
import { compressBatches } from "../../../adapters/kafka/pure/compression.ts";
import type { PartitionAnswer } from "../../../adapters/kafka/pure/fetch-protocol.ts";
import { PureReader } from "../../../adapters/kafka/pure/partition-reader.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

const at = { topic: "t", partition: 0 };

interface Subject {
  readonly reader: PureReader;
  /** How often it asked for more. */
  wants(): number;
  told(): Promise<number>;
  /** An answer with these batches at its end, behind what other partitions have in it. */
  deliver(batches: readonly Uint8Array[], stableEnd: number, more?: { readonly aborted?: PartitionAnswer["aborted"]; readonly othersBytes?: number }): void;
}

function subject(prefetchBytes = 10_000): Subject {
  let wants = 0;
  let told = 0;
  const host = { isClosed: false, prefetchBytes, wants: () => void wants++, closed: () => undefined };
  const reader = new PureReader(at, 0, () => void told++, host);
  return {
    reader,
    wants: () => wants,
    told: async () => {
      await Promise.resolve();
      await Promise.resolve();
      return told;
    },
    deliver(batches, stableEnd, { aborted = [], othersBytes = 0 } = {}) {
      const bytes = concatBytes([new Uint8Array(othersBytes), ...batches]);
      reader.deliver({ topicId: "", partition: 0, errorCode: 0, stableEnd, aborted, start: othersBytes, end: bytes.length }, bytes);
    },
  };
}

function batch(position: number, records: number, producer: number | null = null, valueBytes = 100): Uint8Array {
  const encoder = new BatchEncoder();
  for (let i = 0; i < records; i++) encoder.append(0, null, "v".repeat(valueBytes), null);
  return encoder.seal(position, producer === null ? undefined : { id: producer, epoch: 0, sequence: 0, transactional: true }).slice();
}

function positions(reader: PureReader, bytesMax = 1_000_000): number[] {
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  const found: number[] = [];
  for (;;) {
    const { position } = reader;
    const chunk = reader.take(bytesMax);
    if (chunk === null) return found;
    expect(reader.position).toBe(chunk.nextPosition);
    cursor.open(chunk.bytes, chunk.start, chunk.end, position);
    while (cursor.next()) found.push(cursor.position);
  }
}

describe("partition reader", () => {
  test("chunks hold whole batches up to the size asked for, and one at least", () => {
    const { reader, deliver } = subject();
    const batches = [batch(0, 2), batch(2, 2), batch(4, 2)];
    deliver(batches, 6);
    const size = batches[0]!.length;
    const sizes = [1, 2 * size, size].map((bytesMax) => {
      const chunk = reader.take(bytesMax);
      return chunk === null ? null : (chunk.end - chunk.start) / size;
    });
    expect(sizes).toEqual([1, 2, null]);
    expect([reader.position, reader.end]).toEqual([6, 6]);
  });

  test("compressed batches and others are given in their order, none of them compressed", () => {
    const { reader, deliver } = subject();
    deliver([compressBatches(batch(0, 5), "lz4"), compressBatches(batch(5, 5), "gzip"), batch(10, 1), compressBatches(batch(11, 5), "snappy")], 16);
    expect(positions(reader)).toEqual(Array.from({ length: 16 }, (_, i) => i));
    deliver([compressBatches(batch(16, 5), "lz4"), compressBatches(batch(21, 5), "lz4"), compressBatches(batch(26, 5), "lz4")], 31);
    const first = reader.take(1_000)!;
    expect([first.nextPosition, reader.position]).toEqual([21, 21]);
    expect(positions(reader, 1_500)).toEqual(Array.from({ length: 10 }, (_, i) => 21 + i));
  });

  test("what is left out moves the position: at once where nobody waits, else behind what is at hand", async () => {
    const { reader, deliver, told } = subject();
    const aborted = [{ producerId: 7, firstPosition: 0 }];
    deliver([batch(0, 3, 7)], 3, { aborted });
    expect([reader.position, reader.end, reader.take(100), await told()]).toEqual([3, 3, null, 1]);
    deliver([batch(3, 2)], 8, { aborted });
    deliver([batch(5, 3, 7)], 8, { aborted });
    expect([reader.position, reader.fetchPosition]).toEqual([3, 8]);
    expect(positions(reader)).toEqual([3, 4]);
    expect(reader.position).toBe(8);
  });

  test("L13 it tells when something came, the end moved or a failure is there; not for nothing, and never from within", async () => {
    const { reader, deliver, told } = subject();
    deliver([], 0);
    expect(await told()).toBe(1);
    deliver([], 0);
    expect(await told()).toBe(1);
    deliver([], 4);
    expect(await told()).toBe(2);
    reader.fail(new Error("oh"));
    expect(await told()).toBe(3);
    reader.close();
    reader.fail(new Error("oh"));
    expect(await told()).toBe(3);
  });

  test("a failure comes behind what is at hand, stays, and ends with a seek", () => {
    const { reader, deliver } = subject();
    deliver([batch(0, 2)], 2);
    reader.fail(new Error("oh"));
    expect(reader.isWanting).toBe(false);
    expect(reader.take(100)?.nextPosition).toBe(2);
    for (let i = 0; i < 2; i++) expect(() => reader.take(100)).toThrow("oh");
    reader.seek(1);
    expect([reader.take(100), reader.position, reader.fetchPosition, reader.isWanting]).toEqual([null, 1, 1, true]);
  });

  test("a damaged batch is told of where it lies, again and again, and what is before it is given", () => {
    const { reader, deliver } = subject();
    const damaged = compressBatches(batch(2, 5), "gzip");
    damaged[damaged.length - 1]! ^= 1;
    deliver([compressBatches(batch(0, 2), "gzip"), damaged], 7);
    expect(reader.take(100_000)?.nextPosition).toBe(2);
    for (let i = 0; i < 2; i++) expect(() => reader.take(100)).toThrow(expect.objectContaining({ code: "RECORD_CORRUPT" }));
    expect(reader.position).toBe(2);
  });

  test("it wants more while there is room, and asks as soon as there is again", () => {
    const { reader, deliver, wants } = subject(3_000);
    expect(reader.isWanting).toBe(true);
    deliver([batch(0, 20)], 100);
    expect([reader.isWanting, wants()]).toEqual([true, 0]);
    deliver([batch(20, 20)], 100);
    expect(reader.isWanting).toBe(false);
    reader.take(1);
    expect([reader.isWanting, wants()]).toEqual([true, 1]);
    reader.isRequested = true;
    reader.take(1);
    expect(wants()).toBe(1);
  });

  test("a few bytes that nobody takes keep no large answers of other partitions in memory", () => {
    const { reader, deliver } = subject(10_000);
    for (let i = 0; i < 60; i++) deliver([batch(i, 1, null, 10)], 60, { othersBytes: 20_000 });
    const held = new Set<ArrayBufferLike>();
    for (let chunk = reader.take(1); chunk !== null; chunk = reader.take(1)) held.add(chunk.bytes.buffer);
    expect(held.size).toBe(60);
    expect([...held].reduce((bytes, buffer) => bytes + buffer.byteLength, 0)).toBeLessThan(80_000);
  });
});
