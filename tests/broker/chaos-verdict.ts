/** What the output must be, from the input as it lies on the broker: J2's running sums and J3's windows, by brute force. */
import type { DumpedRecord } from "./records.ts";

/** The jobs whose output can be judged. */
export type ChaosJob = "J2" | "J3";

/** The key of the records that only move the clock. */
export const CLOSING_KEY = "end";

/** Judges an output; wants all of the input first, each partition in order. */
export interface Verdict {
  input(record: DumpedRecord): void;
  output(record: DumpedRecord): void;
  /** What was counted, and one sentence for each thing that is wrong. */
  end(): { readonly inputs: number; readonly results: number; readonly wanted: number; readonly repeated: number; readonly wrong: readonly string[] };
}

const WINDOW_MS = 10_000;
const GRACE_MS = 5_000;
const SENTENCES_MAX = 20;

/** The verdict on a run of `job`. Exactly-once: each result once, J2's in order; else none missing, and none that was never true. */
export function verdictOn(job: ChaosJob, isExactlyOnce: boolean): Verdict {
  return job === "J2" ? updates(isExactlyOnce) : windows(isExactlyOnce);
}

function sentences(): { readonly wrong: string[]; say(sentence: string): void; total: number } {
  const book = { wrong: [] as string[], total: 0, say: (sentence: string): void => void (++book.total <= SENTENCES_MAX && book.wrong.push(sentence)) };
  return book;
}

function updates(isExactlyOnce: boolean): Verdict {
  /** Of each key: the sum after its 1st, 2nd, … record. */
  const truth = new Map<string, number[]>();
  const said = new Map<string, Uint32Array>();
  const last = new Map<string, number>();
  const book = sentences();
  let inputs = 0, results = 0, repeated = 0;
  return {
    input: ({ key, value }) => {
      if (key === CLOSING_KEY) return;
      inputs++;
      let totals = truth.get(key);
      if (totals === undefined) truth.set(key, totals = []);
      totals.push((totals.at(-1) ?? 0) + (JSON.parse(value) as { value: number }).value);
    },
    output: ({ key, value, partition, position }) => {
      if (key === CLOSING_KEY) return;
      results++;
      const { n, total } = JSON.parse(value) as { n: number; total: number };
      const totals = truth.get(key);
      const at = `${key} at ${partition}/${position}`;
      if (totals === undefined || totals[n - 1] !== total) {
        return book.say(`${at}: count ${n} with sum ${total}, wanted sum ${totals?.[n - 1] ?? "of no such count"}`);
      }
      let times = said.get(key);
      if (times === undefined) said.set(key, times = new Uint32Array(totals.length));
      if (++times[n - 1]! > 1) repeated++;
      const before = last.get(key) ?? 0;
      if (isExactlyOnce && n !== before + 1) book.say(`${at}: count ${n} after ${before}`);
      last.set(key, n);
    },
    end: () => {
      for (const [key, totals] of truth) {
        const times = said.get(key);
        totals.forEach((_, index) => (times?.[index] ?? 0) === 0 && book.say(`${key}: count ${index + 1} of ${totals.length} is missing`));
        if (isExactlyOnce && last.get(key) !== totals.length) book.say(`${key} ends at count ${last.get(key)}, wanted ${totals.length}`);
      }
      if (book.total > SENTENCES_MAX) book.wrong.push(`… and ${book.total - SENTENCES_MAX} more`);
      return { inputs, results, wanted: inputs, repeated, wrong: book.wrong };
    },
  };
}

function windows(isExactlyOnce: boolean): Verdict {
  const truth = new Map<string, { n: number; total: number; times: number }>();
  const clocks = new Map<number, number>();
  const book = sentences();
  let inputs = 0, results = 0, repeated = 0;
  return {
    input: ({ partition, key, value }) => {
      const reading = JSON.parse(value) as { value: number; ts: number };
      const clock = Math.max(clocks.get(partition) ?? -Infinity, reading.ts);
      clocks.set(partition, clock);
      if (key === CLOSING_KEY) return;
      inputs++;
      const start = reading.ts - reading.ts % WINDOW_MS;
      if (start + WINDOW_MS + GRACE_MS <= clock) return;
      const name = `${key}|${start}`;
      const window = truth.get(name);
      if (window === undefined) truth.set(name, { n: 1, total: reading.value, times: 0 });
      else {
        window.n++;
        window.total += reading.value;
      }
    },
    output: ({ key, value, partition, position }) => {
      if (key === CLOSING_KEY) return;
      results++;
      const { start, n, total } = JSON.parse(value) as { start: number; n: number; total: number };
      const window = truth.get(`${key}|${start}`);
      const at = `${key} from ${start} at ${partition}/${position}`;
      if (window === undefined || window.n !== n || window.total !== total) {
        book.say(`${at}: ${n} and ${total}, wanted ${window === undefined ? "no such window" : `${window.n} and ${window.total}`}`);
      } else if (++window.times > 1) {
        repeated++;
        if (isExactlyOnce) book.say(`${at} is said for the ${window.times}. time`);
      }
    },
    end: () => {
      for (const [name, { times, n }] of truth) if (times === 0) book.say(`${name} with ${n} records is missing`);
      if (book.total > SENTENCES_MAX) book.wrong.push(`… and ${book.total - SENTENCES_MAX} more`);
      return { inputs, results, wanted: truth.size, repeated, wrong: book.wrong };
    },
  };
}
