import { murmur2 as kafkaMurmur2 } from "@platformatic/kafka";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anyText } from "../../shim/any-text.ts";
import { murmur2, partitionFor } from "../../../src/record/partitioner.ts";

const seed = 20261107;
const encoder = new TextEncoder();

describe(`partitionFor(), seed ${seed}`, () => {
  // From the tests of Kafka's own clients.
  const vectors: readonly (readonly [key: string, hash: number])[] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  for (const [key, hash] of vectors) {
    test(`murmur2() is ${hash} for ${key}`, () => {
      const bytes = encoder.encode(key);

      expect(murmur2(bytes, 0, bytes.length)).toBe(hash);
      expect(partitionFor(key, 7)).toBe((hash & 0x7fffffff) % 7);
    });
  }

  test("partitionFor() agrees with another client for bytes and for text", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 50 }),
        anyText(300),
        fc.integer({ min: 1, max: 1_000 }),
        (bytes, text, partitions) => {
          expect(partitionFor(bytes, partitions)).toBe((kafkaMurmur2(Buffer.from(bytes)) & 0x7fffffff) % partitions);
          expect(partitionFor(text, partitions)).toBe(partitionFor(encoder.encode(text), partitions));
        },
      ),
      { seed, numRuns: 500 },
    );
  });

  test("partitionFor() takes text longer than any before", () => {
    const text = "é".repeat(5_000);

    expect(partitionFor(text, 1_000_003)).toBe(partitionFor(encoder.encode(text), 1_000_003));
  });
});
