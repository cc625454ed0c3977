import { describe, expect, test } from "bun:test";
import { expiredBatches } from "../../../src/log/retention.ts";
import type { Retention } from "../../../src/log/log.ts";

/** Ten batches of 10 bytes and 5 records, written a second apart; it is second 10. */
const batches = Array.from({ length: 10 }, (_, index) => ({ next: 5 * (index + 1), time: 1_000 * index, bytes: 10 }));

const cases: readonly { readonly what: string; readonly retention: Retention; readonly holdFrom?: number; readonly expired: number }[] = [
  { what: "nothing of a topic kept for ever", retention: "forever", expired: 0 },
  { what: "nothing of a compacted topic", retention: "compact", expired: 0 },
  { what: "nothing without bounds", retention: {}, expired: 0 },
  { what: "what is older than the age", retention: { ageMs: 7_000 }, expired: 3 },
  { what: "nothing exactly as old as the age", retention: { ageMs: 10_000 }, expired: 0 },
  { what: "all when all is older", retention: { ageMs: 500 }, expired: 10 },
  { what: "by age nothing that a group has not read", retention: { ageMs: 500 }, holdFrom: 12, expired: 2 },
  { what: "what is above the bytes, keeping at least as many", retention: { bytes: 35 }, expired: 6 },
  { what: "nothing when there are exactly as many bytes", retention: { bytes: 100 }, expired: 0 },
  { what: "by bytes what a group has not read, for a disk has an end", retention: { bytes: 35 }, holdFrom: 0, expired: 6 },
  { what: "what either bound takes", retention: { ageMs: 8_500, bytes: 50 }, expired: 5 },
];

describe("expiredBatches() takes", () => {
  for (const { what, retention, holdFrom = Infinity, expired } of cases) {
    test(what, () => {
      expect(expiredBatches(batches, 100, retention, 10_000, holdFrom)).toBe(expired);
    });
  }
});
