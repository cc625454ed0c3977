/**
 * Windows aligned to the epoch: tumbling and hopping. Starts are multiples of the advance plus the offset, by floor division, so negative times work alike;
 * a record belongs to `[start, start + size)`. Pure, and without allocation: this runs for every record.
 */

/** Aligned windows, all in whole milliseconds. Tumbling: the advance is the size. */
export interface AlignedWindows {
  /** Length of a window; above 0. */
  readonly sizeMs: number;
  /** From one start to the next; above 0. Above the size, some times lie in no window: then the first start is above the last. */
  readonly advanceMs: number;
  /** Moves all starts; taken modulo the advance. */
  readonly offsetMs: number;
  /** How long after its end a window takes records. */
  readonly graceMs: number;
}

/** The start of the latest window that holds `ts`. */
export function lastStart(windows: AlignedWindows, ts: number): number {
  const { advanceMs, offsetMs } = windows;
  const rest = (ts - offsetMs) % advanceMs;
  // The remainder of a negative number is negative: floor division wants it above. `+ 0` keeps -0 out of keys.
  return ts - (rest < 0 ? rest + advanceMs : rest) + 0;
}

/** The start of the earliest window that holds `ts`. All of them: `lastStart`, `lastStart - advanceMs`, … down to this. */
export function firstStart(windows: AlignedWindows, ts: number): number {
  const last = lastStart(windows, ts);
  const advances = Math.ceil((last + windows.sizeMs - ts) / windows.advanceMs) - 1;
  return last - advances * windows.advanceMs;
}

/** How many windows hold `ts`. */
export function windowCount(windows: AlignedWindows, ts: number): number {
  return (lastStart(windows, ts) - firstStart(windows, ts)) / windows.advanceMs + 1;
}

/** Calls `fn` with the start of each window that holds `ts`, the earliest first. */
export function forEachWindow(windows: AlignedWindows, ts: number, fn: (start: number) => void): void {
  const last = lastStart(windows, ts);
  for (let start = firstStart(windows, ts); start <= last; start += windows.advanceMs) fn(start);
}
