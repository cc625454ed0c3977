/** Idleness behind a repartition, on a host that wakes a worker only when it was told to: windows close that hang on an internal topic, and then nothing wakes any more. */
import { expect, test } from "bun:test";
import { createApp } from "../../../mod.ts";
import { count } from "../../../src/stream/aggregator.ts";
import { tumbling } from "../../../src/stream/window.ts";
import { open, type Stand, START, valuesOf } from "./harness.ts";

/** Sleeps until the worker's own next time, again and again; gives how often it woke. */
async function sleepThrough(stand: Stand, untilMs: number): Promise<number> {
  for (let wakes = 0;; wakes++) {
    await stand.settle();
    const { nextWakeAt } = stand.engine.worker.step();
    const now = stand.runtime.monotonic();
    if (nextWakeAt > untilMs) {
      stand.runtime.advance(untilMs - now);
      return wakes;
    }
    stand.runtime.advance(Math.max(1, nextWakeAt - now));
  }
}

for (const partitions of [1, 2]) {
  test(`a window behind groupBy() closes when its source with ${partitions} partitions is idle, and the worker then sleeps`, async () => {
    const app = createApp("quiet");
    const input = app.topic<string, { kind: string }>("in", { partitions });
    app.stream(input).groupBy(({ kind }) => kind, { name: "kind" }).window(tumbling("10s", { grace: "5s" })).aggregate({ n: count() }).to("closed");
    const stand = await open(app, { worker: { commitIntervalMs: 100, idleTimeoutMs: 30_000, clockIntervalMs: 1_000 } });
    const from = stand.runtime.monotonic();
    await input.send({ kind: "a" }, { key: "k", timestamp: START + 1_000 });

    // Idle after 30 s; then the clock goes on from 1 s, and the window is due at 15 s.
    await sleepThrough(stand, from + 43_000);
    expect(valuesOf(stand.log, "closed")).toEqual([]);
    const wakes = await sleepThrough(stand, from + 60_000);
    expect(valuesOf(stand.log, "closed")).toEqual([{ key: "a", start: START, end: START + 10_000, value: { n: 1 } }]);
    expect(wakes).toBeLessThan(20);
    expect(await sleepThrough(stand, from + 3_600_000)).toBe(0);
    await stand.crash();
  });
}
