/** What windows should do, by brute force: every record is compared with every window, and nothing is clever. */

/** How the windows are cut and judged. */
export interface ModelWindows {
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly offsetMs: number;
  readonly graceMs: number;
  readonly watermarkDelayMs: number;
  readonly negativeTimestamps: boolean;
}

/** A record as it is sent. `v` undefined is a tombstone. */
export interface ModelRecord {
  readonly key: string | null;
  readonly at: number;
  readonly v: number | undefined;
}

/** A window and its folds. */
export interface ModelResult {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly value: { readonly n: number; readonly total: number; readonly mean: number | null; readonly all: readonly number[] | null; readonly first: number | null; readonly last: number | null };
  /** Of the record of the result. */
  readonly timestamp: number;
}

/** A record that missed windows. */
export interface ModelLetter {
  readonly index: number;
  readonly latenessMs: number;
  readonly missed: readonly { readonly start: number; readonly end: number }[];
}

/** All that should come of the records. */
export interface ModelOutcome {
  /** In the order of window ends. */
  readonly closed: readonly ModelResult[];
  /** One a record and window, in order. */
  readonly updates: readonly ModelResult[];
  readonly letters: readonly ModelLetter[];
  readonly negative: number;
  readonly keyless: number;
}

/** One partition's worth of records through windows. */
export function modelOf(windows: ModelWindows, records: readonly ModelRecord[]): ModelOutcome {
  const { sizeMs, advanceMs, offsetMs, graceMs, watermarkDelayMs } = windows;
  const open = new Map<string, { readonly key: string; readonly start: number; readonly values: (number | undefined)[]; readonly times: number[] }>();
  const closed: ModelResult[] = [], updates: ModelResult[] = [], letters: ModelLetter[] = [];
  let clock = -Infinity, negative = 0, keyless = 0;
  records.forEach(({ key, at, v }, index) => {
    if (at < 0 && !windows.negativeTimestamps) {
      negative++;
      return;
    }
    if (key === null) {
      keyless++;
      return;
    }
    clock = Math.max(clock, at - watermarkDelayMs);
    const missed: { start: number; end: number }[] = [];
    for (const start of startsOf(windows, at)) {
      const end = start + sizeMs;
      if (!(end > clock - graceMs)) {
        missed.push({ start, end });
        continue;
      }
      const id = `${start}\n${key}`;
      const window = open.get(id) ?? { key, start, values: [], times: [] };
      open.set(id, window);
      window.values.push(v);
      window.times.push(at);
      updates.push(resultOf(window, sizeMs));
    }
    if (missed.length > 0) letters.push({ index, latenessMs: Math.max(0, clock - at), missed });
    for (const [id, window] of open) {
      if (window.start + sizeMs > clock - graceMs) continue;
      closed.push(resultOf(window, sizeMs));
      open.delete(id);
    }
  });
  closed.sort((a, b) => a.end - b.end);
  return { closed, updates, letters, negative, keyless };

  function startsOf({ sizeMs, advanceMs, offsetMs }: ModelWindows, at: number): number[] {
    const starts: number[] = [];
    for (let start = at - sizeMs + 1; start <= at; start++) if (Number.isInteger((start - offsetMs) / advanceMs)) starts.push(start);
    return starts;
  }
}

function resultOf({ key, start, values, times }: { readonly key: string; readonly start: number; readonly values: readonly (number | undefined)[]; readonly times: readonly number[] }, sizeMs: number): ModelResult {
  const kept = values.flatMap((v, index) => v === undefined ? [] : [{ v, at: times[index]! }]);
  const total = kept.reduce((sum, { v }) => sum + v, 0);
  const earliest = Math.min(...kept.map(({ at }) => at)), latest = Math.max(...kept.map(({ at }) => at));
  return {
    key,
    start,
    end: start + sizeMs,
    value: {
      n: values.length,
      total,
      mean: kept.length === 0 ? null : total / kept.length,
      all: kept.map(({ v }) => v),
      first: kept.find(({ at }) => at === earliest)?.v ?? null,
      last: kept.findLast(({ at }) => at === latest)?.v ?? null,
    },
    timestamp: Math.max(...times),
  };
}
