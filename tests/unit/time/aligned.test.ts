import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type AlignedWindows, firstStart, forEachWindow, lastStart, windowCount } from "../../../src/time/aligned.ts";
import { firstOpenStart, isOpen } from "../../../src/time/lateness.ts";

const seed = 20261101;

const windows = fc.record({
  sizeMs: fc.integer({ min: 1, max: 50 }),
  advanceMs: fc.integer({ min: 1, max: 60 }),
  offsetMs: fc.integer({ min: -100, max: 100 }),
  graceMs: fc.integer({ min: 0, max: 40 }),
});
const time = fc.integer({ min: -500, max: 500 });

/** Every start near `ts`, tried one by one. */
function startsByBruteForce(w: AlignedWindows, ts: number): number[] {
  const starts: number[] = [];
  for (let start = ts - w.sizeMs + 1; start <= ts; start++) {
    const steps = (start - w.offsetMs) / w.advanceMs;
    if (Number.isInteger(steps)) starts.push(start);
  }
  return starts;
}

function startsOf(w: AlignedWindows, ts: number): number[] {
  const starts: number[] = [];
  forEachWindow(w, ts, (start) => starts.push(start));
  return starts;
}

describe(`aligned windows, seed ${seed}`, () => {
  test("SEM-2 forEachWindow() gives the windows that brute force finds", () => {
    fc.assert(fc.property(windows, time, (w, ts) => expect(startsOf(w, ts)).toEqual(startsByBruteForce(w, ts))), { seed, numRuns: 3_000 });
  });

  test("SEM-2 firstStart(), lastStart() and windowCount() agree with brute force when a window holds the time", () => {
    fc.assert(
      fc.property(windows, time, (w, ts) => {
        const starts = startsByBruteForce(w, ts);
        fc.pre(starts.length > 0);

        expect([firstStart(w, ts), lastStart(w, ts), windowCount(w, ts)]).toEqual([starts[0]!, starts.at(-1)!, starts.length]);
      }),
      { seed, numRuns: 3_000 },
    );
  });

  test("SEM-2 firstOpenStart() begins with the first window that takes the record", () => {
    fc.assert(
      fc.property(windows, time, time, (w, ts, watermark) => {
        const open = startsByBruteForce(w, ts).filter((start) => isOpen(start + w.sizeMs, watermark, w.graceMs));
        const found: number[] = [];
        for (let start = firstOpenStart(w, ts, watermark); start <= lastStart(w, ts); start += w.advanceMs) found.push(start);

        expect(found).toEqual(open);
      }),
      { seed, numRuns: 3_000 },
    );
  });

  const tumbling = { sizeMs: 10, advanceMs: 10, offsetMs: 0, graceMs: 0 };
  const cases: readonly (readonly [ts: number, starts: readonly number[], windows: AlignedWindows])[] = [
    [0, [0], tumbling],
    [9, [0], tumbling],
    [10, [10], tumbling],
    [-1, [-10], tumbling],
    [-10, [-10], tumbling],
    [-11, [-20], tumbling],
    [2, [-7], { ...tumbling, offsetMs: 3 }],
    [3, [3], { ...tumbling, offsetMs: -7 }],
    [12, [5, 10], { ...tumbling, advanceMs: 5 }],
    [12, [3, 6, 9, 12], { ...tumbling, advanceMs: 3 }],
    [7, [], { ...tumbling, sizeMs: 5 }],
    [8_640_000_000_000_000, [8_640_000_000_000_000], tumbling],
    [-8_640_000_000_000_000, [-8_640_000_000_000_000], tumbling],
  ];
  for (const [ts, starts, w] of cases) {
    test(`SEM-2 forEachWindow() gives [${starts.join(", ")}] when the time is ${ts}, size ${w.sizeMs}, advance ${w.advanceMs}, offset ${w.offsetMs}`, () => {
      expect(startsOf(w, ts)).toEqual([...starts]);
    });
  }

  test("lastStart() is never -0 when the time is", () => {
    expect(Object.is(lastStart(tumbling, -0), 0)).toBe(true);
    expect(Object.is(lastStart({ ...tumbling, offsetMs: 20 }, -0), 0)).toBe(true);
  });
});
