import { describe, expect, test } from "bun:test";
import type { Disk, DiskFile } from "../../../src/runtime/disk.ts";
import { crashRun } from "./crash-harness.ts";
import type { CrashRun } from "./crash-harness.ts";
import { testRuntime } from "./log-fixture.ts";

const FIRST_SEED = 20_261_120;
/** Seeds of one test: short ones, so that a slow machine does not fail them. */
const SEEDS = 4;

async function run(end: CrashRun["end"], firstSeed: number, wrap?: (disk: Disk) => Disk): Promise<string[]> {
  const { runtime } = await testRuntime();
  const violations: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + SEEDS; seed++) {
    violations.push(...await crashRun({ runtime, seed, lives: 3, end, ...(wrap === undefined ? {} : { wrap }) }));
  }
  return violations;
}

/** A disk on which a flush is over before it has begun. */
function lying(disk: Disk): Disk {
  const open = (path: string, options?: { readonly create?: boolean }): DiskFile => {
    const file = disk.open(path, options);
    return {
      ...{ read: (into, position) => file.read(into, position), write: (from, position) => file.write(from, position) },
      ...{ truncate: (size) => file.truncate(size), size: () => file.size(), sync: () => file.sync(), close: () => file.close() },
      flush: () => Promise.resolve(),
    };
  };
  return {
    ...{ name: "lying", open, exists: (path) => disk.exists(path), delete: (path) => disk.delete(path), list: () => disk.list() },
    rename: (from, to) => disk.rename(from, to),
    ...{ lock: (path, facts) => disk.lock(path, facts), lockHolder: (path) => disk.lockHolder(path) },
  };
}

const ends = [
  { end: "power", title: "L3 L4 L9 what was acknowledged is there after a loss of power, never half a commit", blocks: 4 },
  { end: "kill", title: "L3 L4 L9 what was acknowledged is there after the process was killed", blocks: 4 },
  { end: "fault", title: "L3 L4 L9 F18 F19 what was acknowledged is there after writes and flushes failed and power was lost", blocks: 4 },
] as const;

describe("embeddedLog() crashes", () => {
  for (const { end, title, blocks } of ends) {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + blocks * SEEDS; seed += SEEDS) {
      test(`${title} (seeds ${seed} to ${seed + SEEDS - 1})`, async () => {
        expect(await run(end, seed)).toEqual([]);
      });
    }
  }

  test("the crash test catches a log that acknowledges before the flush", async () => {
    const violations = await run("power", FIRST_SEED, lying);

    expect(violations.some((text) => text.includes("was acknowledged and is not in"))).toBe(true);
    expect(violations.some((text) => text.includes("was durable and is not in"))).toBe(true);
  });
});
