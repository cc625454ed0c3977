/** Workers and their broker are killed and paused while records come in: exactly-once says each result once, at-least-once misses none. `scripts/chaos-kafka.mjs` does more of it. */
import { describe, expect, test } from "bun:test";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, ownBroker } from "./broker.ts";
import { chaosRun, faultKinds, faultsOf } from "./chaos.ts";
import { type ChaosJob, verdictOn } from "./chaos-verdict.ts";
import { ownRecords } from "./own-records.ts";

describe("chaos", () => {
  brokerTest("F01 F02 F06 F24 two workers lose the broker, a pause and a kill, and each update of a sum is said once", async () => {
    const directory = tempDirectory();
    const broker = await ownBroker();
    const content = await ownRecords(broker.bootstrap);
    try {
      const result = await chaosRun({
        runtime: "self",
        client: "platformatic",
        job: "J2",
        guarantee: "exactly-once",
        records: 20_000,
        keys: 500,
        workers: 2,
        partitions: 4,
        faults: ["pauseWorker", "killBroker", "killWorker"],
        seed: 7,
        pauseMs: 2_000,
        inputMs: 6_000,
        sessionTimeout: "1500ms",
        drainMs: 60_000,
        broker,
        content,
        directory: directory.path,
      });

      expect(result).toMatchObject({ wrong: [], inputs: result.wanted, results: result.wanted, repeated: 0 });
      expect(result.wanted).toBeGreaterThanOrEqual(20_000);
    } finally {
      await content.close();
      await broker.remove();
      directory.remove();
    }
  });

  test("the faults of a seed are the same each time, and of each kind", () => {
    expect(faultsOf(10, 3)).toEqual(faultsOf(10, 3));
    expect(faultsOf(10, 3)).not.toEqual(faultsOf(10, 4));
    expect(new Set(faultsOf(5, 3))).toEqual(new Set(faultKinds));
  });

  const counts = ['{"n":1,"total":5}', '{"n":2,"total":12}', '{"n":3,"total":13}'];
  test.each(
    [
      ["all of it once", counts, [], []],
      ["a repeated one", [counts[0]!, counts[1]!, counts[1]!, counts[2]!], ["count 2 after 2"], []],
      ["a turn back", [counts[0]!, counts[1]!, counts[0]!, counts[1]!, counts[2]!], ["count 1 after 2"], []],
      ["a missing one", [counts[0]!, counts[2]!], ["count 3 after 1", "count 2 of 3 is missing"], ["count 2 of 3 is missing"]],
      ["a wrong sum", [counts[0]!, '{"n":2,"total":17}', counts[2]!], ["wanted sum 12", "count 3 after 1", "count 2 of 3 is missing"], [
        "wanted sum 12",
        "count 2 of 3 is missing",
      ]],
      ["one count too many", [...counts, '{"n":4,"total":13}'], ["wanted sum of no such count"], ["wanted sum of no such count"]],
    ] as const,
  )("J2's verdict on %s", (_, said, exactly, atLeast) => {
    expect(judge("J2", true, said)).toEqual(exactly.map((part) => expect.stringContaining(part)));
    expect(judge("J2", false, said)).toEqual(atLeast.map((part) => expect.stringContaining(part)));
  });

  const windows = ['{"start":0,"n":2,"total":12}', '{"start":10000,"n":1,"total":1}'];
  test.each(
    [
      ["all of it once", windows, [], []],
      ["a repeated one", [windows[0]!, windows[1]!, windows[1]!], ["is said for the 2. time"], []],
      ["a missing one", [windows[1]!], ["a|0 with 2 records is missing"], ["a|0 with 2 records is missing"]],
      ["one that counted twice", ['{"start":0,"n":3,"total":17}', windows[1]!], ["wanted 2 and 12", "a|0 with 2 records is missing"], [
        "wanted 2 and 12",
        "a|0 with 2 records is missing",
      ]],
      ["a window of nothing", [...windows, '{"start":20000,"n":1,"total":1}'], ["no such window"], ["no such window"]],
    ] as const,
  )("J3's verdict on %s", (_, said, exactly, atLeast) => {
    expect(judge("J3", true, said)).toEqual(exactly.map((part) => expect.stringContaining(part)));
    expect(judge("J3", false, said)).toEqual(atLeast.map((part) => expect.stringContaining(part)));
  });
});

/** The verdict on an output whose input has sums of 5, 12 and 13, the third in a window of its own, and a fourth that comes too late for any window. */
function judge(job: ChaosJob, isExactlyOnce: boolean, said: readonly string[]): readonly string[] {
  const verdict = verdictOn(job, isExactlyOnce);
  const readings = [[1_000, 5], [2_000, 7], [15_500, 1], ...(job === "J3" ? [[9_000, 100]] : [])] as const;
  readings.forEach(([ts, value], position) => verdict.input({ partition: 0, position, key: "a", value: JSON.stringify({ key: "a", ts, value }) }));
  said.forEach((value, position) => verdict.output({ partition: 0, position, key: "a", value }));
  return verdict.end().wrong;
}
