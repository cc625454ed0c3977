/** Bar 2: a crash before or after any operation of the disk changes nothing of what comes out. A sample of the points; `scripts/simulate.ts --crash-points` takes all. */
import { beforeAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { Random } from "../../src/base/random.ts";
import { REFERENCE_SEED, referenceGenes } from "./crash-points.ts";
import { type CrashPoint, simulate, type SimulationResult } from "./simulation.ts";

const POINTS = 200;
/** Points of one test. */
const GROUP = 25;

describe("a crash at an operation of the disk", () => {
  let reference: SimulationResult;
  beforeAll(async () => {
    reference = await simulate(REFERENCE_SEED, { host: await hostRuntime(), genes: referenceGenes });
  });

  test("the reference run works on 200 records and passes", () => {
    const { violation, lives, operations, outputs } = reference;

    expect([violation, lives]).toEqual([null, 1]);
    expect(operations).toBeGreaterThan(300);
    expect((JSON.parse(outputs) as [string, readonly string[]][][])[0]!.flatMap(([, ids]) => ids).length).toBeGreaterThan(190);
  });

  for (let from = 0; from < POINTS; from += GROUP) {
    const how = from % (2 * GROUP) === 0 ? "power" : "kill", when = from < POINTS / 2 ? "before" : "after";
    test(`leaves the outputs as they are undisturbed: ${how === "power" ? "power lost" : "process killed"} ${when} it, ${GROUP} points from the ${from}th`, async () => {
      const host = await hostRuntime();
      const random = new Random(REFERENCE_SEED + from);
      for (let i = 0; i < GROUP; i++) {
        const crashAt: CrashPoint = { operation: random.below(reference.operations), when, how };
        const { violation, outputs } = await simulate(REFERENCE_SEED, { host, genes: referenceGenes, crashAt });

        expect([crashAt.operation, violation, outputs === reference.outputs]).toEqual([crashAt.operation, null, true]);
      }
    });
  }
});
