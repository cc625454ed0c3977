import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PartitionClock, TaskClock, WriterClocks } from "../../../src/time/watermark.ts";

const seed = 20261102;

describe(`watermark, seed ${seed}`, () => {
  test("SEM-1 PartitionClock is the largest timestamp processed minus the delay", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1 }), fc.integer({ min: 0, max: 100 }), (timestamps, delay) => {
        const clock = new PartitionClock(delay);

        for (const timestamp of timestamps) clock.observe(timestamp);

        expect(clock.watermark).toBe(Math.max(...timestamps) - delay);
      }),
      { seed, numRuns: 300 },
    );
  });

  const action = fc.oneof(
    fc.record({ kind: fc.constant("observe" as const), partition: fc.nat(2), timestamp: fc.integer({ min: -100, max: 1_000 }) }),
    fc.record({ kind: fc.constant("idle" as const), partition: fc.nat(2), timestamp: fc.constant(0) }),
  );
  test("SEM-1 TaskClock is the least over partitions that are not idle and never goes back", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const partitions = [new PartitionClock(5), new PartitionClock(0), new PartitionClock(20)];
        const task = new TaskClock(partitions);
        const seen: number[][] = [[], [], []];
        const idle = [false, false, false];
        let wanted = -Infinity;
        for (const { kind, partition, timestamp } of actions) {
          if (kind === "idle") partitions[partition]!.isIdle = idle[partition] = true;
          else {
            partitions[partition]!.observe(timestamp);
            seen[partition]!.push(timestamp);
            idle[partition] = false;
          }
          const clocks = seen.map((all, i) => Math.max(...all) - [5, 0, 20][i]!).filter((_clock, i) => !idle[i]);
          if (clocks.length > 0) wanted = Math.max(wanted, Math.min(...clocks));

          expect(task.update()).toBe(wanted);
          expect(task.isIdle).toBe(idle.every((one) => one));
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  test("SEM-1 TaskClock survives a restart: what was late stays late", () => {
    const before = new TaskClock([new PartitionClock(0, 900), new PartitionClock(0, 700)], 800);

    expect(before.update()).toBe(800);
  });

  test("advanceIdle() goes on from the farthest partition, and never back", () => {
    const partitions = [new PartitionClock(0, 100), new PartitionClock(0, 300)];
    const task = new TaskClock(partitions, 100);
    for (const partition of partitions) partition.isIdle = true;

    expect([task.advanceIdle(0), task.advanceIdle(40), task.advanceIdle(-5)]).toEqual([300, 340, 340]);
    partitions[0]!.observe(120);
    expect(task.update()).toBe(340);
  });

  test("SEM-1 WriterClocks is the least of all writers, held by one that has not spoken", () => {
    const clocks = new WriterClocks(["a", "b"]);

    expect([clocks.hear("a", 5), clocks.hear("b", 3), clocks.hear("b", 1), clocks.hear("stranger", 0), clocks.hear("b", 9)]).toEqual([-Infinity, 3, 3, 3, 5]);
  });
});
