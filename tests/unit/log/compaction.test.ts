import { expect, test } from "bun:test";
import fc from "fast-check";
import { compactBatch, noteKeys } from "../../../src/log/compaction.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";

const SEED = 20_261_120;

interface Plain {
  readonly position: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: number;
}

function plain(batch: Uint8Array): Plain[] {
  const cursor = new RecordCursor();
  const records: Plain[] = [];
  cursor.open(batch, 0, batch.length, 0);
  while (cursor.next()) records.push({ position: cursor.position, timestamp: cursor.timestamp, key: cursor.keyText(), value: cursor.valueText(), headers: cursor.headerCount });
  return records;
}

const record = fc.record({
  key: fc.option(fc.constantFrom("a", "b", "ö", "", "long".repeat(50)), { freq: 8 }),
  value: fc.option(fc.string({ maxLength: 200 }), { freq: 4 }),
  timestamp: fc.integer({ min: -1e12, max: 1e12 }),
  headers: fc.nat({ max: 2 }),
});

test(`compactBatch() keeps what a model keeps, as it was (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), fc.nat({ max: 1_000 }), fc.boolean(), (records, base, dropsTombstones) => {
      const encoder = new BatchEncoder();
      for (const { key, value, timestamp, headers } of records) {
        encoder.append(timestamp, key, value, Array.from({ length: headers }, (_, index) => ({ name: `h${index}`, value: "x" })));
      }
      const batch = encoder.seal(base).slice();
      const before = plain(batch);
      const newest = new Map<string, number>();
      noteKeys(batch, newest);
      const lastOf = new Map(before.map(({ key, position }) => [key, position]));
      const kept = before.filter(({ key, position, value }) => (key === null || lastOf.get(key) === position) && !(dropsTombstones && value === null));

      const compact = compactBatch(batch, newest, dropsTombstones);

      expect(compact === null ? [] : plain(compact)).toEqual(kept);
      expect(compact === batch).toBe(kept.length === before.length);
      if (compact !== null) expect(compactBatch(compact, newest, dropsTombstones)).toBe(compact);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
