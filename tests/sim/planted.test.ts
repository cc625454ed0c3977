/** The simulator finds bugs: each of these is found within a few of the seeds that the code without them passes. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { plantedBugs } from "./planted.ts";
import { simulate } from "./simulation.ts";

/** A part of the seeds of simulation.test.ts, where the code as it is passes all. */
const SEEDS = 60;

describe("a planted bug is found", () => {
  for (const { name, plant, patch, genes } of plantedBugs) {
    test(name, async () => {
      const host = await hostRuntime();
      const takeOut = patch?.();
      let violation: string | null = null;
      try {
        for (let seed = 0; seed < SEEDS && violation === null; seed++) {
          violation = (await simulate(seed, { host, plant, ...(genes === undefined ? {} : { genes }) })).violation;
        }
      } finally {
        takeOut?.();
      }

      expect(violation).not.toBeNull();
    });
  }
});
