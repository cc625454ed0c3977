import { describe, expect, test } from "bun:test";
import { closeTime, isOpen, isPastDeadline, judgeTimestamp, latenessMs } from "../../../src/time/lateness.ts";

describe("lateness", () => {
  test("SEM-2 isOpen() refuses what is late by exactly the grace", () => {
    expect([isOpen(10, 14, 5), isOpen(10, 15, 5), isOpen(10, 16, 5)]).toEqual([true, false, false]);
    expect([isOpen(10, 9, 0), isOpen(10, 10, 0), isOpen(10, -Infinity, 0)]).toEqual([true, false, true]);
  });

  test("SEM-2 closeTime() is the first watermark at which the window is not open", () => {
    for (const end of [-7, 0, 10]) {
      for (const grace of [0, 1, 5]) {
        expect(isOpen(end, closeTime(end, grace), grace)).toBe(false);
        expect(isOpen(end, closeTime(end, grace) - 1, grace)).toBe(true);
      }
    }
  });

  test("latenessMs() is how far the watermark is past, and 0 when it is not", () => {
    expect([latenessMs(10, 13), latenessMs(10, 10), latenessMs(10, 7), latenessMs(10, -Infinity)]).toEqual([3, 0, 0, 0]);
  });

  test("isPastDeadline() takes what is exactly as old as allowed", () => {
    expect([isPastDeadline(100, 150, 50), isPastDeadline(99, 150, 50), isPastDeadline(200, 150, 0)]).toEqual([false, true, false]);
    expect(isPastDeadline(-8.64e15, 8.64e15, Infinity)).toBe(false);
  });

  test("SEM-10 judgeTimestamp() refuses what cannot be a time, before it moves a clock", () => {
    const rules = { takesNegative: false, aheadMaxMs: 1_000 };

    expect([NaN, undefined, null, "5", 1.5, Infinity, 2 ** 53, 5n].map((value) => judgeTimestamp(value, 0, rules))).toEqual(Array(8).fill("unusable"));
    expect([-1, -0, 0, 1_000, 1_001].map((value) => judgeTimestamp(value, 0, rules))).toEqual(["negative", "usable", "usable", "usable", "ahead"]);
    expect(judgeTimestamp(-1, 0, { ...rules, takesNegative: true })).toBe("usable");
  });
});
