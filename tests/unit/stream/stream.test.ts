/** Streams: what each step makes of records, keys, headers, timestamps and tombstones. */
import { describe, expect, test } from "bun:test";
import { collect, count, createApp, embedded, first, hopping, last, max, mean, min, skip, sum, text, tumbling } from "../../../mod.ts";
import type { App, LateRecord, Topic } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { jsonOf, open, recordsOf, valuesOf } from "../task/harness.ts";
import type { Stand } from "../task/harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
}

function setUp(): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", { errors: { retry: false } });
  return { app, input: app.topic<string, In>("in", { key: (value) => value.k }) };
}

/** Sends `[k, v, at]` and works until all is done. */
async function run(app: App, input: Topic<string, In, In>, ...records: readonly (readonly [k: string, v: number, at?: number])[]): Promise<Stand> {
  const stand = await open(app);
  for (const [index, [k, v, at]] of records.entries()) await input.send({ k, v }, { timestamp: at ?? index });
  await stand.drain();
  return stand;
}

describe("steps without state", () => {
  test("FA-25 map() makes another value, by a promise too, in the order of the records", async () => {
    const { app, input } = setUp();
    app.stream(input).map((value) => value.v % 2 === 0 ? Promise.resolve(value.v * 10) : value.v).to("out");

    const stand = await run(app, input, ["a", 1], ["b", 2], ["c", 3], ["d", 4]);

    expect(valuesOf(stand.log, "out")).toEqual([1, 20, 3, 40]);
    await stand.crash();
  });

  test("FA-24 filter() keeps those that pass, asynchronously too; what it drops counts as done", async () => {
    const { app, input } = setUp();
    app.stream(input).filter((value) => value.v > 1).filter(async (value) => value.v !== 3).map((value) => value.v).to("out");

    const stand = await run(app, input, ["a", 1], ["a", 2], ["a", 3], ["a", 4]);

    expect(valuesOf(stand.log, "out")).toEqual([2, 4]);
    expect(await stand.log.committed("t", [{ topic: "in", partition: 0 }])).toEqual([{ topic: "in", partition: 0, position: 4 }]);
    await stand.crash();
  });

  test("flatMap() makes any number, all of one record or none of them", async () => {
    const { app, input } = setUp();
    app.stream(input).flatMap((value) => Array.from({ length: value.v }, (_, index) => index)).map((value) => {
      if (value === 3) throw new Error("three");
      return value;
    }).to("out");

    const stand = await run(app, input, ["a", 0], ["a", 2], ["a", 4], ["a", 3]);

    expect([valuesOf(stand.log, "out"), recordsOf(stand.log, "in-dlq").length]).toEqual([[0, 1, 0, 1, 2], 1]);
    await stand.crash();
  });

  test("FA-22 steps chain, and each branch of a source sees every record", async () => {
    const { app, input } = setUp();
    const stream = app.stream(input);
    stream.map((value) => value.v).filter((v) => v > 1).map((v) => v * 2).to("doubled");
    stream.map((value) => value.k).to("names");

    const stand = await run(app, input, ["a", 1], ["b", 2]);

    expect([valuesOf(stand.log, "doubled"), valuesOf(stand.log, "names")]).toEqual([[4], ["a", "b"]]);
    await stand.crash();
  });

  test("skip() leaves a record out under its reason", async () => {
    const { app, input } = setUp();
    app.stream(input).map((value) => value.v === 1 ? skip("one") : value.v).to("out");

    const stand = await run(app, input, ["a", 1], ["a", 2], ["a", 1]);

    expect([valuesOf(stand.log, "out"), stand.engine.worker.stats.skipped.get("one")]).toEqual([[2], 2]);
    await stand.crash();
  });

  test("FA-23 forEach() sees value, key, timestamp, headers, partition and position", async () => {
    const { app, input } = setUp();
    const seen: unknown[] = [];
    app.stream(input).forEach((value, { key, timestamp, headers, topic, partition, position }) => void seen.push([value, key, timestamp, headers.get("Trace"), topic, partition, position]));
    const stand = await open(app);

    await input.send({ k: "a", v: 1 }, { timestamp: 7, headers: { trace: "x" } });
    await stand.drain();

    expect(seen).toEqual([[{ k: "a", v: 1 }, "a", 7, "x", "in", 0, 0]]);
    await stand.crash();
  });

  test("branch() sends each record to the first branch that takes it, the others to rest", async () => {
    const { app, input } = setUp();
    const { small, even, rest } = app.stream(input).branch({ small: (value) => value.v < 3, even: (value) => value.v % 2 === 0 });
    small.map((value) => value.v).to("small");
    even.map((value) => value.v).to("even");
    rest.map((value) => value.v).to("rest");

    const stand = await run(app, input, ...[1, 2, 3, 4, 5, 6].map((v) => ["a", v] as const));

    expect(["small", "even", "rest"].map((topic) => valuesOf(stand.log, topic))).toEqual([[1, 2], [4, 6], [3, 5]]);
    await stand.crash();
  });

  test("merge() takes the records of several sources, in the order of their timestamps", async () => {
    const { app, input } = setUp();
    const other = app.topic<string, In>("other", { key: (value) => value.k });
    app.stream(input).merge(other).map((value) => value.v).to("out");
    const stand = await open(app);

    for (const [topic, v, at] of [[input, 1, 10], [input, 3, 30], [input, 5, 50], [other, 2, 20], [other, 4, 40]] as const) await topic.send({ k: "a", v }, { timestamp: at });
    await stand.drain();

    expect(valuesOf(stand.log, "out")).toEqual([1, 2, 3, 4, 5]);
    await stand.crash();
  });

  test("merge() of a stream with itself gives each record twice", async () => {
    const { app, input } = setUp();
    const stream = app.stream(input);
    stream.map((value) => value.v).merge(stream.map((value) => -value.v)).to("out");

    const stand = await run(app, input, ["a", 1], ["a", 2]);

    expect(valuesOf(stand.log, "out")).toEqual([1, -1, 2, -2]);
    await stand.crash();
  });
});

describe("topics on the way", () => {
  test("to() keeps key, timestamp and the user's headers", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => `g${value.v}`).to("out");
    const stand = await open(app);

    await input.send({ k: "a", v: 1 }, { timestamp: 7, headers: { mine: "x" } });
    await stand.drain();

    expect(recordsOf(stand.log, "out").map(({ key, timestamp, headers }) => ({ key, timestamp, headers }))).toEqual([{ key: "g1", timestamp: 7, headers: { mine: "x" } }]);
    await stand.crash();
  });

  test("FA-32 through() sends to a topic and goes on from there", async () => {
    const { app, input } = setUp();
    const between = app.topic<string, In>("between", { key: (value) => value.k });
    app.stream(input).map((value) => ({ ...value, v: value.v + 1 })).through(between).map((value) => value.v * 10).through("named").map((v) => v + 1).to("out");

    const stand = await run(app, input, ["a", 1], ["b", 2]);

    expect([jsonOf(stand.log, "between"), valuesOf(stand.log, "named"), valuesOf(stand.log, "out")]).toEqual([[{ k: "a", v: 2 }, { k: "b", v: 3 }], [20, 30], [21, 31]]);
    await stand.crash();
  });

  test("a topic's own key function gives the key of what is sent to it without one", async () => {
    const app = createApp("t");
    const input = app.topic<string | null, In>("in");
    const output = app.topic<string, In>("out", { key: (value) => value.k });
    app.stream(input).to(output);
    const stand = await open(app);

    await stand.append("in", [{ value: '{"k":"a","v":1}' }]);
    await stand.drain();

    expect(recordsOf(stand.log, "out").map(({ key }) => key)).toEqual(["a"]);
    await stand.crash();
  });

  test("FA-26 groupBy() puts records of one new key into one partition, in order, under a stable topic name", async () => {
    const app = createApp("t");
    const input = app.topic<string, In>("in", { key: (value) => value.k, partitions: 3 });
    const orders = new Map<string, number[]>();
    app.stream(input).groupBy((value) => `g${value.v % 3}`, { name: "thirds", partitions: 2 }).forEach((value, { key }) => {
      orders.set(key, [...orders.get(key) ?? [], value.v]);
    });
    const stand = await open(app);

    for (let v = 0; v < 30; v++) {
      await input.send({ k: `k${v}`, v }, { timestamp: v });
      await stand.drain();
    }

    const partitionsOf = new Map<string, Set<number>>();
    for (const { key, partition, bytes } of recordsOf(stand.log, "t-thirds-repartition")) if (bytes !== null) partitionsOf.set(key!, (partitionsOf.get(key!) ?? new Set()).add(partition));
    expect([...partitionsOf.values()].map(({ size }) => size)).toEqual([1, 1, 1]);
    expect([...orders].toSorted()).toEqual([0, 1, 2].map((rest) => [`g${rest}`, Array.from({ length: 10 }, (_, i) => i * 3 + rest)]));
    await stand.crash();
  });

  test("groupBy() by the topic's own key function needs no topic in between, and keys of any plain type keep their identity", async () => {
    const app = createApp("t");
    const keyOf = (value: In): string => value.k;
    const input = app.topic<string, In>("in", { key: keyOf });
    app.stream(input).groupBy(keyOf).window(tumbling(10)).aggregate({ n: count() }).to("own");
    app.stream(input).groupBy((value) => ({ b: value.v, a: [value.k, null] })).window(tumbling(10)).aggregate({ n: count() }).to("objects");

    const stand = await run(app, input, ["x", 1, 1], ["x", 1, 2], ["x", 2, 3], ["x", 1, 100]);
    await stand.advance(1_000);
    await stand.drain();

    expect(app.topology().topics.filter(({ internal }) => internal).map(({ name }) => name)).toEqual(["t-in-by-repartition"]);
    expect(valuesOf(stand.log, "own")).toMatchObject([{ key: "x", value: { n: 3 } }]);
    const objects = valuesOf(stand.log, "objects") as { key: unknown; value: { n: number } }[];
    expect(objects.toSorted((a, b) => b.value.n - a.value.n)).toMatchObject([{ key: { a: ["x", null], b: 1 }, value: { n: 2 } }, { key: { a: ["x", null], b: 2 }, value: { n: 1 } }]);
    await stand.crash();
  });

  test("groupBy() to no key is refused by the policy for missing keys: skipped and counted", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => value.v === 1 ? null : value.v === 2 ? undefined : value.k).to("out");

    const stand = await run(app, input, ["a", 1], ["a", 2], ["a", 3]);

    expect([recordsOf(stand.log, "out").length, stand.engine.worker.stats.skipped.get("no key")]).toEqual([1, 2]);
    await stand.crash();
  });

  test("tombstones pass steps without their functions being called, and stay tombstones", async () => {
    const { app, input } = setUp();
    const calls: unknown[] = [];
    app.stream(input).map((value) => {
      calls.push(value);
      return value;
    }).filter((value) => value.v > 0).flatMap((value) => [value]).to("out");
    const stand = await open(app);

    await input.send({ k: "a", v: 1 });
    await input.delete("a");
    await stand.drain();

    expect([calls.length, recordsOf(stand.log, "out").map(({ key, bytes }) => [key, bytes === null])]).toEqual([1, [["a", false], ["a", true]]]);
    await stand.crash();
  });
});

describe("windows", () => {
  test("every aggregator says the same whether its state was in memory, evicted, or read back after a restart", async () => {
    const results: unknown[] = [];
    for (const how of ["memory", "evicted", "restarted"] as const) {
      const { app, input } = setUp();
      app.stream(input).groupByKey().window(tumbling(100)).aggregate({
        n: count(),
        big: count((value) => value.v > 2),
        total: sum((value) => value.v),
        average: mean((value) => value.v),
        least: min((value) => value.v),
        most: max((value) => new Date(value.v)),
        large: max((value) => BigInt(value.v)),
        first: first((value) => value.v),
        last: last((value) => `v${value.v}`),
        all: collect(),
        some: collect({ max: 2 }),
      }).to("out");
      const stand = await open(app, { driver: embedded({ disk: memoryDisk() }), worker: how === "evicted" ? { cacheBytes: 0 } : {} });
      for (const [v, at] of [[3, 20], [1, 10], [4, 30], [2, 30], [5, 10]] as const) {
        await input.send({ k: "a", v }, { timestamp: at });
        if (how !== "memory") await stand.drain();
        if (how === "restarted") await stand.restart();
      }
      await input.send({ k: "a", v: 0 }, { timestamp: 1_000 });
      await stand.drain();
      results.push(valuesOf(stand.log, "out"));
      await stand.crash();
    }

    const value = { n: 5, big: 3, total: 15, average: 3, least: 1, most: new Date(5), large: 5n, first: 1, last: "v2", all: [3, 1, 4, 2, 5].map((v) => ({ k: "a", v })), some: [{ k: "a", v: 3 }, { k: "a", v: 1 }] };
    expect(results.map((result) => JSON.stringify(result, (_name, one: unknown) => typeof one === "bigint" ? Number(one) : one))).toEqual(
      Array.from({ length: 3 }, () => JSON.stringify([{ key: "a", start: 0, end: 100, value: { ...value, large: 5 } }])),
    );
  });

  test("tombstones are counted by count() alone: other folds of a window of nothing else are those of nothing", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count(), total: sum((value) => value.v), average: mean((value) => value.v), big: count((value) => value.v > 1) }).to("out");
    app.stream(input).groupByKey().window(tumbling(10), { name: "sums" }).aggregate({ total: sum((value) => value.v) }).to("sums");
    const stand = await open(app);

    await stand.append("in", [{ key: "a", value: null, timestamp: 1 }]);
    await stand.drain();
    await stand.restart();
    await stand.append("in", [{ key: "a", value: null, timestamp: 2 }, { key: "b", value: '{"k":"b","v":1}', timestamp: 50 }]);
    await stand.drain();

    expect([valuesOf(stand.log, "out"), valuesOf(stand.log, "sums")]).toEqual([[{ key: "a", start: 0, end: 10, value: { n: 2, total: 0, average: null, big: 0 } }], []]);
    await stand.crash();
  });

  test("reduce() puts values together from the first on, in order", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).reduce((left, right) => ({ k: `${left.k}${right.k}`, v: left.v * 10 + right.v })).to("out");

    const stand = await run(app, input, ["a", 1, 1], ["a", 2, 2], ["a", 3, 3], ["a", 0, 50]);

    expect(valuesOf(stand.log, "out")).toEqual([{ key: "a", start: 0, end: 10, value: { k: "aaa", v: 123 } }]);
    await stand.crash();
  });

  test("results carry the largest timestamp among their inputs", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(hopping(20, { every: 10, grace: 100 }), { emit: "update" }).aggregate({ n: count() }).to("out");

    const stand = await run(app, input, ["a", 1, 15], ["a", 1, 12]);

    expect(recordsOf(stand.log, "out").map(({ timestamp }) => timestamp)).toEqual([15, 15, 15, 15]);
    await stand.crash();
  });

  test("late: drop counts only; a function gets the value and why, and may fail like any other step", async () => {
    const { app, input } = setUp();
    const heard: unknown[] = [];
    const stream = app.stream(input).groupByKey();
    stream.window(tumbling(10), { late: "drop" }).aggregate({ n: count() });
    stream.window(tumbling(10), {
      name: "told",
      late: (value: In, { key, timestamp, latenessMs, missed, position }: LateRecord<string>) => {
        if (value.v === 13) throw new Error("unheard");
        heard.push([value.v, key, timestamp, latenessMs, missed, position]);
      },
    }).aggregate({ n: count() });

    const stand = await run(app, input, ["a", 1, 100], ["a", 2, 5], ["a", 13, 6]);

    expect(heard).toEqual([[2, "a", 5, 95, [{ start: 0, end: 10 }], 1]]);
    expect({ late: recordsOf(stand.log, "in-late").length, letters: recordsOf(stand.log, "in-dlq").map(({ headers }) => headers["mr-step"]) }).toEqual({ late: 0, letters: ["told"] });
    await stand.crash();
  });

  test("PS-D7 a late record is one letter however many windows it missed, and the windows still open take it", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(hopping(60, { every: 10 })).aggregate({ n: count() }).to("out");

    const stand = await run(app, input, ["a", 1, 100], ["a", 1, 65], ["b", 1, 1_000]);

    expect(recordsOf(stand.log, "in-late").map(({ headers }) => [headers["mr-lateness-ms"], headers["mr-missed"]])).toEqual([
      ["35", JSON.stringify([10, 20, 30, 40].map((start) => ({ start, end: start + 60 })))],
    ]);
    expect((valuesOf(stand.log, "out") as { start: number; value: { n: number } }[]).map(({ start, value }) => [start, value.n])).toEqual([[50, 2], [60, 2], [70, 1], [80, 1], [90, 1], [100, 1]]);
    await stand.crash();
  });

  test("two windows of different sizes on one source keep apart, as do two apps' worth of keys", async () => {
    const app = createApp("t");
    const input = app.topic<string, string>("in", { value: text() });
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("tens");
    app.stream(input).groupByKey().window(tumbling(20)).aggregate({ n: count() }).to("twenties");
    const stand = await open(app);

    await stand.append("in", [1, 11, 12, 100].map((timestamp) => ({ key: "a", value: "x", timestamp })));
    await stand.drain();

    const counts = (topic: string): unknown => (valuesOf(stand.log, topic) as { start: number; value: { n: number } }[]).map(({ start, value }) => [start, value.n]);
    expect([counts("tens"), counts("twenties")]).toEqual([[[0, 1], [10, 2]], [[0, 3]]]);
    await stand.crash();
  });
});
