/** The input of the jobs on Kafka: 76 bytes of JSON a record, Zipf-distributed keys, up to 5 s out of order, the same each time; and what must come of it. */
import { type Reading, readings, START_MS } from "../jobs/input.ts";

/** A job: see bench/README.md. */
export type Job = "J1" | "J2" | "J3";

/** A record as it lies on the topic. */
export interface Line {
  readonly at: number;
  readonly key: string;
  readonly value: string;
  readonly partition: number | null;
}

/** The key of the records that only move the clock, so that all windows close. */
export const CLOSING_KEY = "end";

/** All of it; for J3 with one closing record a partition. */
export function inputOf(job: Job, records: number, keys: number, partitions: number): { readonly lines: readonly Line[]; readonly bytes: number } {
  const { objects } = readings(records, keys);
  const lines: Line[] = objects.map((reading) => ({ at: reading.ts, key: reading.key, value: JSON.stringify({ ...reading, site: "nw-04" }), partition: null }));
  const bytes = Math.round(lines.reduce((sum, { value }) => sum + value.length, 0) / records);
  if (job === "J3") {
    // Not far ahead: Kafka Streams loses windows that a jump leaves behind.
    const at = START_MS + records + 20_000;
    const value = JSON.stringify({ id: -1, key: CLOSING_KEY, ts: at, value: 1 });
    for (let partition = 0; partition < partitions; partition++) lines.push({ at, key: CLOSING_KEY, value, partition });
  }
  return { lines, bytes };
}

/** What a job must say: of each key its texts, J2's in order. */
export function expectedOf(job: Job, lines: readonly Line[]): ReadonlyMap<string, readonly string[]> {
  const expected = new Map<string, string[]>();
  const say = (key: string, value: unknown): void => {
    const list = expected.get(key);
    const text = JSON.stringify(value);
    if (list === undefined) expected.set(key, [text]);
    else list.push(text);
  };
  const sums = new Map<string, { key: string; start: number; n: number; total: number }>();
  for (const line of lines) {
    if (line.key === CLOSING_KEY) continue;
    const { id, key, ts, value } = JSON.parse(line.value) as Reading;
    if (job === "J1") {
      if (value % 2 === 0) say(key, { id, double: value * 2 });
      continue;
    }
    const start = job === "J2" ? 0 : ts - ts % 10_000;
    const name = `${key}|${start}`;
    let entry = sums.get(name);
    if (entry === undefined) sums.set(name, entry = { key, start, n: 0, total: 0 });
    entry.n++;
    entry.total += value;
    if (job === "J2") say(key, { n: entry.n, total: entry.total });
  }
  // Never late: a key's records are at most 5 s out of order, which is the grace.
  if (job === "J3") { for (const { key, start, n, total } of sums.values()) say(key, { start, n, total }); }
  return expected;
}

/** How many results a job says. */
export function resultsOf(expected: ReadonlyMap<string, readonly string[]>): number {
  let count = 0;
  for (const list of expected.values()) count += list.length;
  return count;
}

/** Compares an output with what it must be; one sentence, or null. J3's windows of a key may come in any order. */
export function differenceOf(job: Job, expected: ReadonlyMap<string, readonly string[]>, output: ReadonlyMap<string, readonly string[]>): string | null {
  for (const [key, wanted] of expected) {
    const got = output.get(key) ?? [];
    const left = job === "J3" ? [...wanted].sort() : wanted, right = job === "J3" ? [...got].sort() : got;
    if (left.length !== right.length) return `${key}: ${right.length} results, wanted ${left.length}`;
    const at = left.findIndex((text, index) => text !== right[index]);
    if (at >= 0) return `${key}: result ${at} is ${right[at]}, wanted ${left[at]}`;
  }
  for (const key of output.keys()) if (!expected.has(key) && key !== CLOSING_KEY) return `${key}: results of a key that is not in the input`;
  return null;
}
