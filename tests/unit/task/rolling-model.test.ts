/** Versions of an app come and go in one group, in any order, with disks lost and workers killed: each record counts once, whoever counted the ones before it. */
import { describe, expect, test } from "bun:test";
import { count, createApp, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { Random } from "../../../src/base/random.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { type Rig, rigOn } from "./durable-log.ts";
import { open, recordsOf, runtimeOf, SEED, type Stand, START, valuesOf } from "./harness.ts";

const PARTITIONS = 4;
const ROUNDS = 6;
const MOVES = 25;

/** Says each count of a key. Versions from 2 on keep it under other names, and each brings it over from any before. */
function version(number: number, hasMore: boolean): App {
  const app = createApp("t");
  const input = app.topic<string, number>("in", { partitions: PARTITIONS });
  const daily = (hasMore ? app.stream(input).filter(() => true) : app.stream(input)).groupByKey().window(tumbling("1d"), { emit: "update", name: "counts" });
  const counted = number === 1 ? daily.aggregate({ n: count() }).map(({ value }) => value.n) : daily.aggregate({ again: count(), times: count() }, {
    version: number,
    migrate: (stored) => ({ times: Number(stored["times"] ?? stored["n"]), again: 0 }),
  }).map(({ value }) => value.times);
  counted.to("counts");
  if (hasMore) app.stream(input).groupBy((value) => value, { name: "by" }).window(tumbling("1h")).aggregate({ n: count() });
  return app;
}

describe("F31 F12 versions of an app in one group", () => {
  test(`come and go in any order, some migrating, on disks that last or don't: each record counts once, seed ${SEED}`, async () => {
    const seen = { refused: 0, migrated: 0, beside: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(SEED + round);
      const below = (bound: number): number => random.below(bound);
      const runtime = runtimeOf(SEED + round);
      const first = rigOn(runtime);
      const rigs: readonly Rig[] = [first, ...Array.from({ length: 2 }, () => rigOn(runtime, first.log))];
      const stands: (Stand | null)[] = rigs.map(() => null);
      const running = (): Stand[] => stands.filter((stand) => stand !== null);
      const settle = async (): Promise<void> => {
        for (const { engine } of running()) await engine.worker.whenBuilt();
        for (const stand of running()) await stand.drain();
      };
      const sent = new Map<string, number>();
      let newest = 1;
      const start = async (slot: number, number: number): Promise<void> => {
        stands[slot] = await open(version(number, below(2) === 1), { runtime, driver: rigs[slot]! });
        await settle();
      };
      for (let move = 0; move < MOVES; move++) {
        const slot = below(rigs.length), stand = stands[slot]!;
        if (stand === null) {
          if (below(3) === 0) rigs[slot]!.disk = memoryDisk();
          if (below(4) === 0) newest++;
          // Now and then one of the versions before, which may find nothing that it can read.
          await start(slot, below(3) === 0 ? 1 + below(newest) : newest);
        } else if (below(3) === 0) {
          await stand.engine.worker.stop(0);
          stands[slot] = null;
          await settle();
        } else {
          for (let n = below(6); n > 0; n--) {
            const key = `key-${below(8)}`, partition = Number(key.slice(-1)) % PARTITIONS;
            sent.set(key, (sent.get(key) ?? 0) + 1);
            await stand.append("in", [{ key, value: String(n), timestamp: START }], partition);
          }
          await settle();
        }
        if (running().length > 1) seen.beside++;
        for (const { engine } of running()) seen.refused += engine.worker.refused.size;
        seen.migrated += running().flatMap(({ events }) => events.splice(0)).filter(({ type }) => type === "storeMigrated").length;
      }
      for (const stand of running()) await stand.engine.worker.stop(0);
      stands.fill(null);
      await start(0, newest);
      const records = recordsOf(stands[0]!.log, "counts"), values = valuesOf(stands[0]!.log, "counts");
      const said = new Map([...sent.keys()].map((key) => [key, values.filter((_, index) => records[index]!.key === key)]));
      await stands[0]!.engine.worker.stop(0);

      const wanted = new Map([...sent].map(([key, times]) => [key, Array.from({ length: times }, (_, index) => index + 1)]));
      expect([round, said]).toEqual([round, wanted]);
    }
    // It was about what it is meant to be about.
    expect(Object.entries(seen).filter(([, times]) => times < 10)).toEqual([]);
  }, 120_000);
});
