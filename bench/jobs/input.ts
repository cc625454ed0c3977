/** The input of the jobs: JSON records of about 76 bytes, Zipf-distributed keys, up to 5 s out of order, the same for the same seed. */
import { Random } from "../../src/base/random.ts";

/** A parsed record. */
export interface Reading {
  readonly id: number;
  readonly key: string;
  readonly ts: number;
  readonly value: number;
}

/** Where event time begins, ms. */
export const START_MS = 1_700_000_000_000;

/** `count` records as JSON text, 1 ms of event time apart, over `keys` keys. */
export function readings(count: number, keys: number): { readonly lines: string[]; readonly objects: Reading[] } {
  const random = new Random(42);
  const cumulative = new Float64Array(keys);
  for (let i = 0, sum = 0; i < keys; i++) cumulative[i] = sum += 1 / (i + 1);
  const total = cumulative[keys - 1]!;
  const lines: string[] = [], objects: Reading[] = [];
  for (let id = 0; id < count; id++) {
    const key = `key-${rank(cumulative, random.float() * total)}`;
    const reading = { id, key, ts: START_MS + id - Math.floor(random.float() * 5_000), value: Math.floor(random.float() * 1_000) };
    objects.push(reading);
    lines.push(JSON.stringify(reading));
  }
  return { lines, objects };
}

function rank(cumulative: Float64Array, at: number): number {
  let low = 0, high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
