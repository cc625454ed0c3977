/** Bar 1: fixed seeds, each with faults of its own, and none that breaks a promise. `scripts/simulate.ts` runs others, and one again that failed here. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { simulate, type SimulationResult } from "./simulation.ts";

const SEEDS = 500;
const GROUP = 10;

describe("simulated apps keep their promises", () => {
  const results: SimulationResult[] = [];

  for (let from = 0; from < SEEDS; from += GROUP) {
    test(`under seeds ${from} to ${from + GROUP - 1}`, async () => {
      const host = await hostRuntime();
      const failed: unknown[] = [];
      for (let seed = from; seed < from + GROUP; seed++) {
        const result = await simulate(seed, { host });
        results.push(result);
        if (!result.ok) failed.push({ again: `scripts/simulate.ts --seeds ${seed}`, violation: result.violation, genes: result.genes });
      }

      expect(failed).toEqual([]);
    });
  }

  test("and the faults did happen", () => {
    const faults: Record<string, number> = {};
    for (const result of results) for (const [kind, count] of Object.entries(result.faults)) faults[kind] = (faults[kind] ?? 0) + count;
    const rare = ["power", "kill", "restart", "wall jump", "failed once", "failed on", "torn", "flush", "full"].filter((kind) => (faults[kind] ?? 0) < 20);

    expect(rare).toEqual([]);
    expect(results.reduce((sum, { lives }) => sum + lives, 0)).toBeGreaterThan(2 * SEEDS);
  });

  test("and records failed, and operators had their say", () => {
    const happened: Record<string, number> = {};
    for (const result of results) for (const [kind, count] of Object.entries(result.happened)) happened[kind] = (happened[kind] ?? 0) + count;
    const kinds = [
      "retryScheduled",
      "recordDeadLettered",
      "recordSkipped",
      "recordLate",
      "taskStopped",
      "replay",
      "replay late",
      "edit",
      "pause",
      "resume",
      "seek",
      "restart",
    ];

    expect(kinds.filter((kind) => (happened[kind] ?? 0) < 20)).toEqual([]);
  });

  test("and a seed gives the same run again", async () => {
    const host = await hostRuntime();
    const seeds = results.map(({ seed }) => seed).filter((seed) => seed < 10 || seed % 100 === 0);
    const again: string[] = [];
    for (const seed of seeds) again.push((await simulate(seed, { host })).hash);

    expect(again).toEqual(seeds.map((seed) => results[seed]!.hash));
  });
});
