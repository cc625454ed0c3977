/** An app that has changed goes on where it was: what waits is not lost, what was late stays late, though the parts of the app have other names. */
import { describe, expect, test } from "bun:test";
import { count, createApp, embedded, retryLater, tumbling } from "../../../mod.ts";
import type { App, LogDriver, Topic } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { open, recordsOf, runtimeOf, valuesOf } from "./harness.ts";
import type { Stand } from "./harness.ts";

interface Version {
  readonly app: App;
  readonly input: Topic<string, number, number>;
  readonly other: Topic<string, number, number>;
}

/** Counts by window; value 2 waits for another try while `isDown`. With `isMerged` both topics are one sub-topology. */
function versionOf(isMerged: boolean, isDown: boolean): Version {
  const app = createApp("t");
  const input = app.topic<string, number>("in"), other = app.topic<string, number>("other");
  for (const topic of [input, other]) {
    app.stream(topic).map((value) => {
      if (value === 2 && isDown) throw retryLater("1m");
      return value;
    }).window(tumbling(10)).aggregate({ n: count() }).to(topic === input ? "out" : "other-out");
  }
  if (isMerged) app.stream(input).merge(other).forEach(() => {});
  return { app, input, other };
}

function said(stand: Stand, topic: string): string[] {
  return (valuesOf(stand.log, topic) as { key: string; start: number; value: { n: number } }[]).map(({ key, start, value }) => `${key} ${start} ${value.n}`).toSorted();
}

describe("F31 streams that are merged, or parted", () => {
  for (const [name, before, after] of [["merged", false, true], ["parted", true, false]] as const) {
    test(`${name}: pending records are worked on, and closed windows stay closed`, async () => {
      const driver: LogDriver = embedded({ disk: memoryDisk() });
      const runtime = runtimeOf();
      const former = versionOf(before, true);
      const first = await open(former.app, { driver, runtime });
      for (const topic of [former.input, former.other]) for (const [key, value, timestamp] of [["a", 1, 5], ["b", 1, 100], ["c", 2, 101]] as const) await topic.send(value, { key, timestamp });
      await first.drain();
      await first.crash();

      const latter = versionOf(after, false);
      const second = await open(latter.app, { driver, runtime });
      for (const topic of [latter.input, latter.other]) for (const [key, timestamp] of [["a", 6], ["b", 300]] as const) await topic.send(1, { key, timestamp });
      await second.drain();
      await second.advance(120_000);
      await second.drain();

      for (const topic of ["out", "other-out"]) expect(said(second, topic)).toEqual(["a 0 1", "b 100 1", "c 100 1"]);
      expect(["in-late", "other-late"].map((topic) => recordsOf(second.log, topic).length)).toEqual([1, 1]);
      await second.crash();
    });
  }

  test("and back again: the newest clock counts, nothing is worked on twice", async () => {
    const driver: LogDriver = embedded({ disk: memoryDisk() });
    const runtime = runtimeOf();
    const versions = [versionOf(false, true), versionOf(true, true), versionOf(false, false)];
    let stand!: Stand;
    for (const [index, { app, input, other }] of versions.entries()) {
      stand = await open(app, { driver, runtime });
      for (const topic of [input, other]) {
        await topic.send(2, { key: `c${index}`, timestamp: 101 + 100 * index });
        await topic.send(1, { key: "b", timestamp: 110 + 100 * index });
        await topic.send(1, { key: "late", timestamp: 99 + 100 * index });
      }
      await stand.drain();
      if (index < 2) await stand.crash();
    }
    await stand.advance(200_000);
    for (const topic of [versions[2]!.input, versions[2]!.other]) await topic.send(1, { key: "end", timestamp: 1_000 });
    await stand.drain();

    for (const topic of ["out", "other-out"]) expect(said(stand, topic)).toEqual(["b 110 1", "b 210 1", "b 310 1", "c0 100 1", "c1 200 1", "c2 300 1"]);
    expect(recordsOf(stand.log, "in-late").length).toBe(3);
    await stand.crash();
  });
});
