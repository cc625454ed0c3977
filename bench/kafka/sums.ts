/** J3 as anyone would write it by hand: windows of 10 s in a `Map`, kept nowhere. */
import type { Reading } from "../jobs/input.ts";

/** A result: its key and its text. */
export interface Result {
  readonly key: string;
  readonly value: string;
}

interface PartitionWindows {
  clock: number;
  /** By start, in order of it for in-order input. */
  readonly open: Map<number, Map<string, { n: number; total: number }>>;
  nextClose: number;
}

/** Windows of one reader of several partitions. */
export class HandWindows {
  readonly #partitions = new Map<number, PartitionWindows>();

  /** Takes a record; gives results of windows that it closes to `say`. */
  take(partition: number, { key, value, ts }: Reading, say: (result: Result) => void): void {
    let windows = this.#partitions.get(partition);
    if (windows === undefined) this.#partitions.set(partition, windows = { clock: -Infinity, open: new Map(), nextClose: Infinity });
    if (ts > windows.clock) windows.clock = ts;
    const start = ts - ts % 10_000;
    if (start + 15_000 > windows.clock) {
      let window = windows.open.get(start);
      if (window === undefined) {
        windows.open.set(start, window = new Map());
        windows.nextClose = Math.min(windows.nextClose, start + 15_000);
      }
      const entry = window.get(key);
      if (entry === undefined) window.set(key, { n: 1, total: value });
      else {
        entry.n++;
        entry.total += value;
      }
    }
    if (windows.clock >= windows.nextClose) this.#close(windows, say);
  }

  #close(windows: PartitionWindows, say: (result: Result) => void): void {
    windows.nextClose = Infinity;
    for (const [start, window] of windows.open) {
      if (start + 15_000 > windows.clock) windows.nextClose = Math.min(windows.nextClose, start + 15_000);
      else {
        for (const [key, { n, total }] of window) if (key !== "end") say({ key, value: JSON.stringify({ start, n, total }) });
        windows.open.delete(start);
      }
    }
  }
}
