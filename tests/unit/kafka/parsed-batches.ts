/** Reads back what an encoder holds, batch by batch. */
import { readInt32 } from "../../../src/base/bytes.ts";
import { BATCH_PREFIX_BYTES, LENGTH_AT } from "../../../src/record/batch.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import type { BatchEncoder } from "../../../src/record/encoder.ts";

/** The values of one batch. */
export type ParsedBatch = readonly string[];

/** The batches of an encoder. */
export function parsedBatches(encoder: BatchEncoder): readonly ParsedBatch[] {
  const bytes = encoder.seal(0).slice();
  const batches: string[][] = [];
  const cursor = new RecordCursor();
  for (let at = 0; at < bytes.length;) {
    const end = at + BATCH_PREFIX_BYTES + readInt32(bytes, at + LENGTH_AT);
    cursor.open(bytes, at, end, 0);
    const values: string[] = [];
    while (cursor.next()) values.push(cursor.valueText() ?? "");
    batches.push(values);
    at = end;
  }
  return batches;
}
