import { expect, test } from "bun:test";
import { backoffMs } from "../../../src/base/backoff.ts";

const almostOne = 1 - Number.EPSILON / 2;

function longest(attempt: number): number {
  return backoffMs({ attempt, firstMs: 100, maxMs: 1_000, random: () => almostOne });
}

test("backoffMs() doubles its longest pause up to the cap", () => {
  expect([0, 1, 2, 3, 4, 5, 6, 2_000].map(longest)).toEqual([100, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

test("backoffMs() is spread evenly from 0 on, in whole milliseconds", () => {
  const pauses = [0, 0.25, 0.5, 0.75].map((random) => backoffMs({ attempt: 3, firstMs: 100, maxMs: 1_000, random: () => random }));

  expect(pauses).toEqual([0, 100, 200, 300]);
});
