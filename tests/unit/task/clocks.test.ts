/** Event time: what moves a task's clock and what does not, over several partitions, repartitions, idleness, restarts and a wall clock that jumps. */
import { describe, expect, test } from "bun:test";
import { count, createApp, embedded, retryLater, sum, tumbling } from "../../../mod.ts";
import type { App, AppOptions, Topic, TopicOptions } from "../../../mod.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { gate, open, recordsOf, runtimeOf, START, valuesOf } from "./harness.ts";
import type { Stand } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

function setUp(topic: TopicOptions<string, In, In> = {}, options: AppOptions = {}): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", options);
  return { app, input: app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k, ...topic }) };
}

/** `key start n` of each window that was said. */
function said(stand: Stand, topic = "out"): string[] {
  return (valuesOf(stand.log, topic) as { key: string; start: number; value: { n: number } }[]).map(({ key, start, value }) => `${key} ${start} ${value.n}`);
}

async function send(input: Topic<string, In, In>, ...records: readonly (readonly [k: string, at: number, partition?: number])[]): Promise<void> {
  for (const [k, at, partition] of records) await input.send({ k, v: 1, at }, partition === undefined ? {} : { partition });
}

describe("the clock of a task", () => {
  test("PS-D6 is the minimum over its partitions' own clocks: a fast partition makes no slow one late", async () => {
    const { app, input } = setUp({ partitions: 2 });
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["fast", 1_000, 0], ["slow", 5, 1]);
    await stand.drain();
    await send(input, ["slow", 15, 1]);
    await stand.drain();

    expect(said(stand)).toEqual(["slow 0 1"]);
    expect(stand.engine.worker.stats.late).toBe(0);
    await stand.crash();
  });

  test("merged topics: waits for the slower one", async () => {
    const { app, input } = setUp();
    const other = app.topic<string, In>("other", { timestamp: (value) => value.at, key: (value) => value.k });
    app.stream(input).merge(other).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5], ["a", 1_000]);
    await stand.drain();
    const before = said(stand);
    await other.send({ k: "a", v: 1, at: 6 });
    await stand.drain();
    const between = said(stand);
    await other.send({ k: "a", v: 1, at: 1_000 });
    await stand.drain();

    expect([before, between, said(stand)]).toEqual([[], [], ["a 0 2"]]);
    await stand.crash();
  });

  test("lags by watermarkDelay; exactly at the end closes, exactly at the grace is too late", async () => {
    const { app, input } = setUp({ watermarkDelay: 5 });
    app.stream(input).groupByKey().window(tumbling(10, { grace: 3 })).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 9], ["a", 17], ["b", 9]);
    await stand.drain();
    const open17 = said(stand);
    await send(input, ["a", 18], ["b", 9]);
    await stand.drain();

    expect([open17, said(stand).sort(), stand.engine.worker.stats.late]).toEqual([[], ["a 0 1", "b 0 1"], 1]);
    await stand.crash();
  });

  test("is not moved by records without a key, refused timestamps or dead letters", async () => {
    const { app, input } = setUp({}, { errors: { retry: false } });
    app.stream(input).map((value) => {
      if (value.v < 0) throw new Error("bad");
      return value;
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5]);
    await stand.append("in", [{ value: JSON.stringify({ k: "x", v: 1, at: 900 }) }]);
    await input.send({ k: "x", v: -1, at: 900 });
    await input.send({ k: "x", v: 1, at: START + 86_400_001 }, { timestamp: 1 });
    await input.send({ k: "x", v: 1, at: NaN }, { timestamp: 1 });
    await send(input, ["a", 6]);
    await stand.drain();

    expect({ late: stand.engine.worker.stats.late, said: said(stand), dead: stand.engine.worker.stats.deadLetters }).toEqual({ late: 0, said: [], dead: 3 });
    await stand.crash();
  });

  test("F28 one far-ahead record is quarantined: what comes after it is not late", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", START], ["a", START + 365 * 86_400_000], ["a", START + 1], ["a", START + 20]);
    await stand.drain();

    expect(said(stand)).toEqual([`a ${START} 2`]);
    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => headers["mr-code"])).toEqual(["TIMESTAMP_INVALID"]);
    await stand.crash();
  });

  test("F27 jumps of the wall clock change nothing about results of event time", async () => {
    const run = async (jumps: readonly number[]): Promise<unknown> => {
      const { app, input } = setUp();
      app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
      const stand = await open(app, { runtime: runtimeOf() });
      for (let i = 0; i < 60; i++) {
        stand.runtime.jump(jumps[i % jumps.length]!);
        await send(input, [`k${i % 3}`, 1_000 + i * 3 - (i % 4) * 5]);
        if (i % 7 === 0) await stand.drain();
      }
      await stand.drain();
      const results = [said(stand), stand.engine.worker.stats.late];
      await stand.crash();
      return results;
    };

    expect(await run([3_600_000, -3_600_000, -7_200_000, 7_200_000])).toEqual(await run([0]));
  });

  test("F26 a restart keeps lateness: what was late stays late, what was said is not said again", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5], ["a", 100]);
    await stand.drain();
    await stand.restart();
    await send(input, ["a", 6], ["b", 99], ["b", 100], ["a", 200]);
    await stand.drain();

    expect(said(stand).sort()).toEqual(["a 0 1", "a 100 1", "b 100 1"]);
    expect(recordsOf(stand.log, "in-late").map(({ headers }) => headers["mr-missed"])).toEqual(['[{"start":0,"end":10}]', '[{"start":90,"end":100}]']);
    await stand.crash();
  });

  test("F26 a restart keeps the clock of each partition: one that has nothing more to say holds nobody back", async () => {
    const { app, input } = setUp({ partitions: 2 });
    app.stream(input).merge(app.topic<string, In>("quiet")).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const quiet = internalsOf(app).builder.findTopic("quiet")!;
    const stand = await open(app);

    await send(input, ["a", 5, 0], ["a", 500, 0]);
    await stand.append(quiet.name, [{ key: "q", value: JSON.stringify({ k: "q", v: 1, at: 0 }), timestamp: 1_000 }]);
    await stand.drain();
    await stand.restart();
    await send(input, ["a", 2_000, 0]);
    await stand.drain();

    expect(said(stand)).toEqual(["a 0 1", "a 500 1"]);
    await stand.crash();
  });

  test("a crash before the commit takes the clock back with everything else", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5]);
    await stand.drain();
    await send(input, ["a", 100], ["a", 6]);
    await stand.settle();
    await stand.restart();
    await stand.drain();

    expect([said(stand), recordsOf(stand.log, "in-late").length]).toEqual([["a 0 1"], 1]);
    await stand.crash();
  });
});

describe("records under way", () => {
  test("a handler holds its window open, and its record is not late for what came after it", async () => {
    const { app, input } = setUp();
    const slow = gate();
    app.stream(input).map(async (value) => {
      if (value.v === 2) await slow.promise;
      return value;
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5]);
    await input.send({ k: "a", v: 2, at: 6 });
    await send(input, ["b", 500]);
    await stand.drain();
    await stand.restart();
    await stand.drain();
    const held = said(stand);
    slow.open();
    await stand.drain();

    expect([held, said(stand), stand.engine.worker.stats.late]).toEqual([[], ["a 0 2"], 0]);
    await stand.crash();
  });

  test("a record that waits for another try holds its window open, though others have moved the clock on", async () => {
    const { app, input } = setUp();
    let tries = 0;
    app.stream(input).map((value) => {
      if (value.v === 2 && tries++ === 0) throw retryLater("1m");
      return value;
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await input.send({ k: "a", v: 2, at: 6 });
    await send(input, ["b", 500]);
    await stand.drain();
    const held = said(stand);
    await stand.advance(60_000);
    await stand.drain();

    expect([held, said(stand), stand.engine.worker.stats.late]).toEqual([[], ["a 0 1"], 0]);
    await stand.crash();
  });

  test("idleness does not close the window of a record that waits, also where it is not the newest: it is said once, with the record", async () => {
    const { app, input } = setUp();
    let isDown = true;
    app.stream(input).map((value) => {
      if (value.v === 2 && isDown) throw retryLater("1h");
      return value;
    }).groupByKey().window(tumbling(100)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 1_000 } });

    await send(input, ["b", 50]);
    await input.send({ k: "a", v: 2, at: 20 });
    await stand.drain();
    await stand.advance(5_000);
    await stand.drain();
    const held = said(stand);
    isDown = false;
    await stand.advance(3_600_000);
    await stand.drain();
    await stand.advance(5_000);
    await stand.drain();

    expect([held, said(stand).sort()]).toEqual([[], ["a 0 1", "b 0 1"]]);
    await stand.crash();
  });

  test("a window's result that is handled asynchronously, or tried again, is not late for the next window", async () => {
    for (const how of ["async", "retry", "restart"] as const) {
      const { app, input } = setUp();
      let tries = 0;
      app.stream(input).groupByKey().window(tumbling(10, { grace: 100 })).aggregate({ n: count() }).map((window) => {
        if (how === "async") return Promise.resolve(window.value);
        if (tries++ < 1) throw retryLater("1m");
        return window.value;
      }).window(tumbling(60), { name: "second" }).aggregate({ n: sum((value) => value.n) }).to("out");
      const stand = await open(app);

      await send(input, ["a", 5], ["a", 15], ["a", 16], ["a", 70], ["b", 1_000]);
      await stand.drain();
      if (how === "restart") await stand.restart();
      await stand.advance(60_000);
      await stand.drain();

      expect([how, said(stand), stand.engine.worker.stats.late]).toEqual([how, ["a 0 3", "a 60 1"], 0]);
      await stand.crash();
    }
  });

  test("a record that waits behind one of its key is judged, and judges others, as if all had run in turn", async () => {
    const { app, input } = setUp();
    let tries = 0;
    app.stream(input).map((value) => {
      if (value.v === 2 && tries++ === 0) throw retryLater("1m");
      return value;
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await input.send({ k: "a", v: 2, at: 5 });
    await send(input, ["a", 30], ["b", 7], ["b", 500]);
    await stand.drain();
    await stand.advance(60_000);
    await stand.drain();

    expect(said(stand).sort()).toEqual(["a 0 1", "a 30 1"]);
    expect(recordsOf(stand.log, "in-late").map(({ headers }) => [headers["mr-position"], headers["mr-lateness-ms"]])).toEqual([["2", "23"]]);
    await stand.crash();
  });

  test("what one record that waits holds open stays open when an earlier one is done", async () => {
    const { app, input } = setUp();
    const tries = new Map<number, number>();
    app.stream(input).map((value) => {
      const attempt = (tries.get(value.v) ?? 0) + 1;
      tries.set(value.v, attempt);
      if (value.v > 1 && attempt === 1) throw retryLater(value.v === 2 ? "1m" : "2m");
      return value;
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["x", 15]);
    await input.send({ k: "y", v: 2, at: 25 });
    await send(input, ["u", 26]);
    await input.send({ k: "w", v: 3, at: 30 });
    await send(input, ["v", 35], ["z", 500]);
    await stand.drain();
    const all = said(stand);
    await stand.advance(60_000);
    await stand.drain();
    const between = said(stand);
    await stand.advance(60_000);
    await stand.drain();

    expect([all, between, said(stand).sort()]).toEqual([[], ["x 10 1"], ["u 20 1", "v 30 1", "w 30 1", "x 10 1", "y 20 1"]]);
    await stand.crash();
  });

  test("a record that was under way at a commit, and is given up after a crash, has not moved the clock", async () => {
    const { app, input } = setUp({}, { errors: { retry: false } });
    const never = gate();
    let runs = 0;
    app.stream(input).map(async (value) => {
      if (value.v !== 2) return value;
      if (++runs === 1) await never.promise;
      throw new Error("given up");
    }).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5]);
    await stand.drain();
    await input.send({ k: "b", v: 2, at: 900 });
    await stand.settle();
    await stand.engine.worker.commit();
    await stand.restart();
    await stand.drain();
    await send(input, ["a", 6], ["a", 20]);
    await stand.drain();

    expect([said(stand), stand.engine.worker.stats.late, recordsOf(stand.log, "in-dlq").length]).toEqual([["a 0 2"], 0, 1]);
    await stand.crash();
  });

  test("a result that waits holds back the clock that is said behind its step", async () => {
    const { app, input } = setUp();
    let tries = 0;
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).map((window) => {
      if (window.key === "a" && tries++ === 0) throw retryLater("1m");
      return window.value;
    }).groupBy(() => "all", { name: "all" }).window(tumbling(60)).aggregate({ n: sum((value) => value.n) }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5], ["c", 5], ["b", 1_000]);
    await stand.drain();
    await stand.advance(5_000);
    await stand.drain();
    const held = said(stand);
    await stand.advance(60_000);
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    expect([held, said(stand), stand.engine.worker.stats.late]).toEqual([[], ["all 0 2"], 0]);
    await stand.crash();
  });

  test("results are handled one at a time, in the order of their windows", async () => {
    const { app, input } = setUp();
    let running = 0, most = 0;
    const order: number[] = [];
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).forEach(async (window) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      order.push(window.start);
      running--;
    });
    const stand = await open(app);

    for (let i = 0; i < 30; i++) await send(input, [`k${i % 3}`, 10 * Math.floor(i / 3)]);
    await send(input, ["end", 10_000]);
    await stand.drain();

    expect({ most, count: order.length, order }).toEqual({ most: 1, count: 30, order: order.toSorted((a, b) => a - b) });
    await stand.crash();
  });

  test("while a handler runs and a retry is due, the worker waits for the handler without waking up for nothing", async () => {
    const { app, input } = setUp();
    const slow = gate();
    let tries = 0;
    app.stream(input).map(async (value) => {
      if (value.k === "a" && tries++ === 0) throw retryLater("1s");
      if (value.k === "b") await slow.promise;
      return value.k;
    }).to("out");
    const stand = await open(app);

    await send(input, ["a", 1]);
    await stand.settle();
    await send(input, ["b", 1]);
    await stand.settle();
    await stand.advance(10_000);
    const { idle, nextWakeAt } = stand.engine.worker.step();
    slow.open();
    await stand.drain();

    expect({ idle, isAhead: nextWakeAt > stand.runtime.monotonic(), out: valuesOf(stand.log, "out") }).toEqual({ idle: true, isAhead: true, out: ["b", "a"] });
    await stand.crash();
  });
});

describe("clocks carried over a repartition", () => {
  test("nothing is late by chance: each writer's clock counts, whatever order their records come in", async () => {
    const { app, input } = setUp({ partitions: 3 });
    app.stream(input).groupBy((value) => `g${value.v}`, { partitions: 2 }).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { stepRecords: 1 } });

    for (let i = 0; i < 100; i++) await send(input, ["x", i, 0]);
    await stand.drain();
    for (let i = 0; i < 100; i++) await send(input, ["x", i, 1]);
    await stand.drain();
    for (let i = 0; i < 100; i++) await send(input, ["x", i, 2]);
    await send(input, ["x", 1_000, 0], ["x", 1_000, 1], ["x", 1_000, 2]);
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    expect(said(stand).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `g1 ${i * 10} 30`).sort());
    expect(stand.engine.worker.stats.late).toBe(0);
    await stand.crash();
  });

  test("a writer without output for a reader says its clock, at most once an interval", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => value.k, { partitions: 4 }).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    for (let at = 0; at < 50; at++) await send(input, ["only", at]);
    await stand.drain();
    for (let at = 50; at < 100; at++) {
      await send(input, ["only", at]);
      await stand.drain();
    }
    await stand.advance(1_000);
    await stand.drain();

    const clockOnly = recordsOf(stand.log, "t-in-by-repartition").filter(({ bytes, headers }) => bytes === null && "mr-only" in headers);
    const perPartition = [0, 1, 2, 3].map((partition) => clockOnly.filter((record) => record.partition === partition).length);
    expect({ said: said(stand).length, most: Math.max(...perPartition) }).toEqual({ said: 9, most: 2 });
    await stand.crash();
  });

  test("a record carries its writer's clock only where that has moved", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => value.k).to("out");
    const stand = await open(app);

    await send(input, ...[1, 1, 1, 5, 3, 5].map((at) => ["a", at] as const));
    await stand.drain();

    expect(recordsOf(stand.log, "t-in-by-repartition").map(({ headers }) => "mr-clock" in headers)).toEqual([true, false, false, true, false, false]);
    await stand.crash();
  });

  test("a clock outlives the record that brought it, when that record is given up", async () => {
    const { app, input } = setUp({}, { errors: { retry: false } });
    app.stream(input).groupBy((value) => value.k).map((value) => {
      if (value.v === 2) throw new Error("poison");
      return value;
    }).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5]);
    await input.send({ k: "a", v: 2, at: 1_000 });
    await stand.drain();
    await stand.advance(5_000);
    await stand.drain();

    expect(said(stand)).toEqual(["a 0 1"]);
    await stand.crash();
  });

  test("a clock-only record reaches a reader in its turn: nothing before it is late by it", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => value.k, { partitions: 2 }).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    for (let at = 0; at < 40; at += 5) {
      await send(input, [at % 10 === 0 ? "a" : "k1", at]);
      await stand.drain();
      await stand.advance(1_000);
    }
    await send(input, ["a", 100], ["k1", 100]);
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    expect([said(stand).sort(), stand.engine.worker.stats.late]).toEqual([[0, 10, 20, 30].flatMap((start) => [`a ${start} 1`, `k1 ${start} 1`]).sort(), 0]);
    await stand.crash();
  });

  test("F29 a writer that was idle from the start is heard once it has something", async () => {
    const { app, input } = setUp();
    const other = app.topic<string, In>("other");
    app.stream(other).to("copy");
    app.stream(input).groupBy((value) => value.k).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 1_000 } });

    await stand.settle();
    await stand.advance(5_000);
    await other.send({ k: "x", v: 1, at: 1 });
    await stand.drain();
    await stand.advance(5_000);
    await send(input, ["a", 5], ["a", 1_000]);
    await stand.drain();

    expect(said(stand)).toEqual(["a 0 1"]);
    await stand.crash();
  });

  test("F29 a partition that never had a record holds nobody back once it is idle", async () => {
    const { app, input } = setUp({ partitions: 2 });
    app.stream(input).groupBy((value) => value.k).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 10_000 } });

    await send(input, ["a", 5, 0], ["a", 1_000, 0]);
    await stand.drain();
    const before = said(stand);
    for (let i = 0; i < 4; i++) {
      await stand.advance(3_000);
      await send(input, ["a", 1_000 + i, 0]);
      await stand.drain();
    }

    expect([before, said(stand)]).toEqual([[], ["a 0 1"]]);
    await stand.crash();
  });

  test("the clock of a repartition survives a restart", async () => {
    const { app, input } = setUp({ partitions: 2 });
    app.stream(input).groupBy((value) => value.k, { partitions: 2 }).window(tumbling(10)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 5, 0], ["a", 500, 0], ["a", 500, 1]);
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();
    const before = said(stand);
    await stand.restart();
    await send(input, ["a", 6, 1], ["a", 1_000, 0], ["a", 1_000, 1]);
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    expect([before, said(stand), recordsOf(stand.log, "in-late").length]).toEqual([["a 0 1"], ["a 0 1", "a 500 2"], 1]);
    await stand.crash();
  });
});

describe("idleness", () => {
  test("when all are idle the clock goes on by the time beyond the time-out, and that is kept over a restart", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(100)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 1_000 } });

    await send(input, ["a", 50]);
    await stand.drain();
    await stand.advance(1_049);
    await stand.drain();
    const before = said(stand);
    await stand.advance(1);
    await stand.drain();
    const closed = said(stand);
    await stand.restart();
    await send(input, ["a", 60]);
    await stand.drain();

    expect([before, closed, said(stand), stand.engine.worker.stats.late]).toEqual([[], ["a 0 1"], ["a 0 1"], 1]);
    await stand.crash();
  });

  test("the worker wakes up in time for it by itself", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(100)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 1_000 } });
    await send(input, ["a", 50]);
    await stand.drain();

    let wakes = 0;
    for (let next = stand.engine.worker.step().nextWakeAt; said(stand).length === 0 && wakes < 20; next = stand.engine.worker.step().nextWakeAt) {
      wakes++;
      stand.runtime.advance(Math.max(0, next - stand.runtime.monotonic()));
      await stand.drain();
    }

    expect({ said: said(stand), at: stand.runtime.monotonic(), isFew: wakes < 5 }).toEqual({ said: ["a 0 1"], at: 1_050, isFew: true });
    await stand.crash();
  });

  test("a partition with records at hand is never idle, and a record ends idleness without taking time back", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(100)).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { idleTimeoutMs: 1_000 } });

    await send(input, ["a", 50]);
    await stand.drain();
    await stand.advance(1_500);
    await send(input, ["a", 140], ["a", 540]);
    await stand.drain();
    await send(input, ["b", 545], ["b", 600]);
    await stand.drain();

    expect([said(stand).sort(), stand.engine.worker.stats.late]).toEqual([["a 0 1", "a 500 1", "b 500 1"], 1]);
    await stand.crash();
  });

  test("off, nothing closes without records, however long it takes", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(100)).aggregate({ n: count() }).to("out");
    const stand = await open(app);

    await send(input, ["a", 50]);
    await stand.drain();
    await stand.advance(1_000 * 86_400_000);
    await stand.drain();

    expect(said(stand)).toEqual([]);
    await stand.crash();
  });
});

test("100,000 windows closed by one record: bounded steps, each once, also over a restart in the middle", async () => {
  const windows = 100_000;
  const { app, input } = setUp();
  app.stream(input).groupByKey().window(tumbling(10, { grace: "30d" })).aggregate({ n: count() }).to("out");
  const stand = await open(app, { driver: embedded({ disk: memoryDisk() }) });
  const value = (at: number): string => JSON.stringify({ k: "a", v: 1, at });
  await stand.append("in", Array.from({ length: windows }, (_, i) => ({ key: "a", value: value(i * 10), timestamp: i * 10 })));
  await stand.drain();
  await stand.append("in", [{ key: "a", value: value(60 * 86_400_000), timestamp: START }]);

  let steps = 0;
  for (const until = windows / 3; stand.engine.worker.stats.fired < until; steps++) stand.engine.worker.step();
  const firedInOne = stand.engine.worker.stats.fired / steps;
  await stand.engine.worker.commit();
  for (let i = 0; i < 7; i++) stand.engine.worker.step();
  await stand.restart();
  await stand.drain();

  const starts = (valuesOf(stand.log, "out") as { start: number }[]).map(({ start }) => start);
  expect({ isBounded: firedInOne <= 1_000, count: starts.length, isAscending: starts.every((start, i) => start === i * 10) }).toEqual({ isBounded: true, count: windows, isAscending: true });
  await stand.crash();
});
