/** Records that fail: nothing of them stays but what their policy says, none stalls the rest, and what is told of a failure is true. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { codec, count, createApp, embedded, retryLater, skip, sum, terminal, tumbling } from "../../../mod.ts";
import type { App, AppOptions, LogDriver, Topic } from "../../../mod.ts";
import { StoreError } from "../../../src/base/errors.ts";
import type { PartitionReader } from "../../../src/log/log.ts";
import { severityOf } from "../../../src/observe/events.ts";
import { ATTRIBUTES_AT, BASE_TIMESTAMP_AT, CRC_AT } from "../../../src/record/batch.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { gate, jsonOf, open, recordsOf, runtimeOf, START, valuesOf } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

const once: AppOptions = { errors: { retry: false } };

function setUp(options: AppOptions = {}): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", options);
  return { app, input: app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k }) };
}

const text = (value: unknown): string => JSON.stringify(value);

describe("a record that fails", () => {
  test("F08 leaves nothing of its state and outputs, and becomes one dead letter in the commit that moves past it", async () => {
    const { app, input } = setUp(once);
    const stream = app.stream(input);
    stream.groupByKey().window(tumbling(100), { emit: "update" }).aggregate({ n: count(), total: sum((value) => value.v) }).to("counts");
    stream.to("copy");
    stream.map((value) => {
      if (value.v === 2) throw new Error("poison 42");
      return value;
    });
    const stand = await open(app);

    for (const [index, value] of [1, 2, 3].entries()) await input.send({ k: "a", v: value, at: index });
    await stand.drain();

    expect(valuesOf(stand.log, "counts")).toEqual(
      [1, 3].map((_, index) => ({ key: "a", start: 0, end: 100, value: { n: index + 1, total: index === 0 ? 1 : 4 } })),
    );
    expect(recordsOf(stand.log, "copy")).toHaveLength(2);
    const letters = recordsOf(stand.log, "in-dlq");
    expect(letters).toHaveLength(1);
    expect(new TextDecoder().decode(letters[0]!.bytes!)).toBe(text({ k: "a", v: 2, at: 1 }));
    expect(letters[0]!.headers).toMatchObject({
      "mr-step": "in-map",
      "mr-topic": "in",
      "mr-partition": "0",
      "mr-position": "1",
      "mr-timestamp": String(letters[0]!.timestamp),
      "mr-attempts": "1",
      "mr-error": "Error",
      "mr-message": "poison 42",
    });
    expect(letters[0]!.headers["mr-fingerprint"]).toMatch(/^[0-9a-f]{8}$/);
    expect(letters[0]!.headers["mr-stack"]).toContain("poison 42");
    await stand.crash();
  });

  test("F09 a crash before the commit, and after it, leaves one dead letter", async () => {
    const { app, input } = setUp(once);
    app.stream(input).map(() => {
      throw new Error("no");
    });
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    await stand.settle();
    await stand.restart();
    const beforeCommit = recordsOf(stand.log, "in-dlq").length;
    await stand.drain();
    await stand.restart();
    await stand.drain();

    expect([beforeCommit, recordsOf(stand.log, "in-dlq").length]).toEqual([0, 1]);
    await stand.crash();
  });

  test("retries wait at most the back-off, doubled each time up to its limit, and a success counts once", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 4, backOff: "1s", backOffMax: "3s" } } });
    let tries = 0;
    app.stream(input).map((value) => {
      if (++tries < 4) throw new Error("not yet");
      return value;
    }).to("out");
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });
    await stand.settle();

    const delays: number[] = [];
    for (let before = tries; tries < 4; before = tries) {
      const from = stand.runtime.monotonic();
      while (tries === before) await stand.advance(10);
      delays.push(stand.runtime.monotonic() - from);
    }
    await stand.drain();

    const longest = [1_010, 2_010, 3_010];
    expect(delays.map((delay, index) => delay <= longest[index]! || delay)).toEqual([true, true, true]);
    expect([recordsOf(stand.log, "out").length, recordsOf(stand.log, "in-dlq").length, stand.engine.worker.stats.retries]).toEqual([1, 0, 3]);
    await stand.crash();
  });

  test("a dead letter after the last try says how many there were", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 3, backOff: "1s" } } });
    app.stream(input).map(() => {
      throw new Error("never");
    });
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    for (let i = 0; i < 5; i++) await stand.advance(2_000);
    await stand.drain();

    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => headers["mr-attempts"])).toEqual(["3"]);
    await stand.crash();
  });

  test("terminal() goes straight to the dead letters, retryLater() waits as long as it says, skip() counts as done under its reason", async () => {
    const { app, input } = setUp();
    let later = 0;
    app.stream(input).map((value) => {
      if (value.k === "terminal") throw terminal("no use");
      if (value.k === "later" && later++ === 0) throw retryLater("7s");
      return value.k === "skip" ? skip("not ours") : value.k;
    }).to("out");
    const stand = await open(app);
    for (const k of ["terminal", "later", "skip", "fine"]) await input.send({ k, v: 1, at: 0 });

    await stand.drain();
    const atOnce = valuesOf(stand.log, "out");
    await stand.advance(6_999);
    const early = later;
    await stand.advance(1);
    await stand.drain();

    expect({ atOnce, early, out: valuesOf(stand.log, "out") }).toEqual({ atOnce: ["fine"], early: 1, out: ["fine", "later"] });
    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => [headers["mr-attempts"], headers["mr-code"]])).toEqual([["1", "HANDLER_TERMINAL"]]);
    expect(stand.engine.worker.stats.skipped.get("not ours")).toBe(1);
    await stand.crash();
  });

  test("PS-D2 later records of its key wait for it, other keys go on, and none is lost over a restart", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 9, backOff: "1m" } } });
    const seen: string[] = [];
    let isDown = true;
    app.stream(input).map((value) => {
      if (value.k === "a" && isDown) throw new Error("down");
      seen.push(`${value.k}${value.v}`);
      return value.v;
    }).to("out");
    const stand = await open(app);
    for (const [k, n] of [["a", 1], ["b", 1], ["a", 2], ["b", 2], ["a", 3]] as const) await input.send({ k, v: n, at: n });

    await stand.drain();
    const whileDown = [...seen];
    await stand.restart();
    await stand.drain();
    isDown = false;
    await stand.advance(120_000);
    await stand.drain();

    expect(whileDown).toEqual(["b1", "b2"]);
    expect(seen).toEqual(["b1", "b2", "a1", "a2", "a3"]);
    expect(valuesOf(stand.log, "out")).toEqual([1, 2, 1, 2, 3]);
    await stand.crash();
  });

  test("tries are counted over restarts", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 3, backOff: "1s" } } });
    let tries = 0;
    app.stream(input).map(() => {
      tries++;
      throw new Error("never");
    });
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    await stand.drain();
    await stand.restart();
    await stand.advance(1_000);
    await stand.drain();
    await stand.restart();
    await stand.advance(2_000);
    await stand.drain();
    await stand.restart();
    await stand.advance(60_000);
    await stand.drain();

    expect({ tries, letters: recordsOf(stand.log, "in-dlq").map(({ headers }) => headers["mr-attempts"]) }).toEqual({ tries: 3, letters: ["3"] });
    await stand.crash();
  });

  test("the remaining pause is kept over a restart", async () => {
    const { app, input } = setUp();
    let tries = 0;
    app.stream(input).map(() => {
      if (tries++ === 0) throw retryLater("10s");
      return 1;
    });
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    await stand.drain();
    await stand.advance(4_000);
    await stand.restart();
    await stand.advance(5_999);
    const early = tries;
    await stand.advance(1);

    expect([early, tries]).toEqual([1, 2]);
    await stand.crash();
  });

  test("then: stop ends its task with the reason in health, and goes on after a restart", async () => {
    const { app, input } = setUp({ errors: { retry: false, then: "stop" } });
    let isBroken = true;
    app.stream(input).map((value) => {
      if (value.v === 2 && isBroken) throw new Error("broken pipe");
      return value.v;
    }).to("out");
    const stand = await open(app);
    for (const n of [1, 2, 3]) await input.send({ k: "a", v: n, at: n });

    await stand.drain();
    const health = stand.engine.health();
    const stopped = valuesOf(stand.log, "out");
    isBroken = false;
    await stand.restart();
    await stand.drain();

    expect(health).toMatchObject({ status: "error", ready: false });
    expect(health.reason).toContain("broken pipe");
    expect(health.reason).toContain("in-map");
    expect({ stopped, out: valuesOf(stand.log, "out"), status: stand.engine.health().status }).toEqual({ stopped: [1], out: [1, 2, 3], status: "ok" });
    await stand.crash();
  });

  test("then: stop at a window's result keeps the result: it is said after a restart, once", async () => {
    const { app, input } = setUp({ errors: { retry: false, then: "stop" } });
    let isBroken = true;
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).map((window) => {
      if (isBroken) throw new Error("broken");
      return `${window.key}${window.value.n}`;
    }).to("out");
    const stand = await open(app);
    for (const k of ["a", "b", "c"]) await input.send({ k, v: 1, at: 5 });
    await input.send({ k: "a", v: 1, at: 100 });

    await stand.settle();
    await stand.engine.worker.commit();
    isBroken = false;
    await stand.restart();
    await stand.drain();

    expect(valuesOf(stand.log, "out").sort()).toEqual(["a1", "b1", "c1"]);
    await stand.crash();
  });

  test("a result that fails is tried again, and the records behind it don't stop", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 2, backOff: "1s" } } });
    let tries = 0;
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).map((window) => {
      if (window.start === 0 && tries++ === 0) throw new Error("once");
      return window.start;
    }).to("out");
    const stand = await open(app);
    for (const at of [5, 15, 100]) await input.send({ k: at === 5 ? "a" : "b", v: 1, at });

    await stand.drain();
    const before = valuesOf(stand.log, "out");
    await stand.restart();
    await stand.advance(1_000);
    await stand.drain();

    expect({ before, after: valuesOf(stand.log, "out") }).toEqual({ before: [10], after: [10, 0] });
    await stand.crash();
  });

  test("a result given up is a dead letter beside the source it stems from", async () => {
    const { app, input } = setUp(once);
    app.stream(input).groupBy((value) => value.k).window(tumbling(10)).aggregate({ n: count() }).map(() => {
      throw new Error("no");
    });
    const stand = await open(app);
    for (const at of [5, 100]) await input.send({ k: "a", v: 1, at });

    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    expect(recordsOf(stand.log, "in-dlq").map(({ key, headers }) => [key, headers["mr-topic"]])).toEqual([["a", "step:t-in-by-repartition-tumbling-10"]]);
    await stand.crash();
  });
});

describe("what a failure is told of", () => {
  test("an async step that fails is named, also when another step was at work meanwhile", async () => {
    const { app, input } = setUp(once);
    const slow = gate();
    app.stream(input).map(async () => {
      await slow.promise;
      throw new Error("first step");
    });
    app.stream(input).map(async (value) => value);
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    await stand.settle();
    slow.open();
    await stand.drain();

    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => headers["mr-step"])).toEqual(["in-map"]);
    await stand.crash();
  });

  test("the policy of the resolver that failed decides, not that of another one on the same source", async () => {
    const { app, input } = setUp(once);
    const set = app.features("account", { v: v.number() });
    const slow = gate();
    app.resolver("careful", { source: input, output: set, errors: { retry: false, then: "skip" } }, async () => {
      await slow.promise;
      throw new Error("careful failed");
    });
    app.resolver("strict", { source: input, output: set, errors: { retry: false, then: "stop" } }, async (value) => set.of(value.k, { v: value.v }));
    const stand = await open(app);
    await input.send({ k: "a", v: 1, at: 0 });

    await stand.settle();
    slow.open();
    await stand.drain();

    expect([stand.engine.health().status, stand.engine.worker.stats.skipped.get("failed")]).toEqual(["ok", 1]);
    await stand.crash();
  });

  test("a record without a key is refused by the step that wanted one", async () => {
    const { app } = setUp();
    const raw = app.topic<string | null, number>("raw", { errors: { retry: false, then: "dead-letter" } });
    app.stream(raw).map((value) => value);
    app.stream(raw).window(tumbling(10)).aggregate({ n: count() });
    const stand = await open(app);

    await stand.append("raw", [{ value: "1" }]);
    await stand.drain();

    expect(recordsOf(stand.log, "raw-dlq").map(({ headers }) => [headers["mr-step"], headers["mr-code"]])).toEqual([["raw-tumbling-10", "KEY_MISSING"]]);
    await stand.crash();
  });

  test("FA-22 a late letter and a dead letter keep the record's own headers", async () => {
    const { app, input } = setUp(once);
    app.stream(input).filter((value) => value.v === 1).groupByKey().window(tumbling(10)).aggregate({ n: count() });
    app.stream(input).forEach((value) => {
      if (value.v === 2) throw new Error("no");
    });
    const stand = await open(app);

    await input.send({ k: "a", v: 1, at: 500 });
    await input.send({ k: "a", v: 1, at: 5 }, { headers: { mine: "late" } });
    await input.send({ k: "a", v: 2, at: 500 }, { headers: { mine: "dead" } });
    await stand.drain();

    expect([recordsOf(stand.log, "in-late"), recordsOf(stand.log, "in-dlq")].map((letters) => letters.map(({ headers }) => headers["mine"]))).toEqual([
      ["late"],
      ["dead"],
    ]);
    await stand.crash();
  });
});

test("the policy of a source holds behind a repartition too: its records are the source's", async () => {
  const app = createApp("t");
  const input = app.topic<string, In>("in", { key: (value) => value.k, errors: { retry: false, then: "skip" } });
  app.stream(input).groupBy((value) => value.k).map(() => {
    throw new Error("no");
  });
  const stand = await open(app);

  await input.send({ k: "a", v: 1, at: 0 });
  await stand.drain();

  expect([stand.engine.worker.stats.skipped.get("failed"), recordsOf(stand.log, "in-dlq").length]).toEqual([1, 0]);
  await stand.crash();
});

test("a key that fails holds at most a thousand records behind it; then its task waits, and goes on when it is done", async () => {
  const { app, input } = setUp();
  let tries = 0;
  app.stream(input).map((value) => {
    if (value.v === 0 && tries++ === 0) throw retryLater("1m");
    return value.v;
  }).to("out");
  const stand = await open(app);
  await stand.append("in", Array.from({ length: 2_500 }, (_, v) => ({ key: "a", value: text({ k: "a", v, at: v }), timestamp: v })));

  await stand.drain();
  const held = stand.engine.worker.tasks[0]!.unresolved.size;
  await stand.advance(60_000);
  await stand.drain();

  expect([held, valuesOf(stand.log, "out")]).toEqual([1_000, Array.from({ length: 2_500 }, (_, v) => v)]);
  await stand.crash();
});

describe("F11 data that no one can use", () => {
  test("a record of 5 MB goes the way of all others, also to the dead letters and over a restart while it waits", async () => {
    const { app, input } = setUp({ errors: { retry: { attempts: 2, backOff: "1s" } } });
    app.stream(input).map((value) => {
      if (value.v === 2) throw new Error("no");
      return value;
    }).to("out");
    const stand = await open(app);
    const k = "x".repeat(5_000_000);

    await input.send({ k, v: 1, at: 0 }, { key: "a" });
    await input.send({ k, v: 2, at: 1 }, { key: "a" });
    await stand.drain();
    await stand.restart();
    await stand.advance(1_000);
    await stand.drain();

    expect([valuesOf(stand.log, "out"), jsonOf(stand.log, "in-dlq")].map((values) => (values as In[]).map((value) => [value.k.length, value.v]))).toEqual([[[
      5_000_000,
      1,
    ]], [[5_000_000, 2]]]);
    await stand.crash();
  });

  test("bytes that are no JSON, a schema that does not fit, and a timestamp that is none: a dead letter each, at the first try, and the rest goes on", async () => {
    const app = createApp("t");
    const input = app.topic<string | null, { readonly n: number; readonly at: number }>("in", {
      value: v.object({ n: v.number(), at: v.number() }),
      timestamp: (value) => value.at,
    });
    app.stream(input).map((value) => value.n).to("out");
    const stand = await open(app);

    const values = [
      "{",
      text({ n: "one", at: 1 }),
      text({ n: 1, at: 1.5 }),
      text({ n: 2, at: START + 86_400_001 }),
      text({ n: 3, at: -1 }),
      text({ n: 4, at: START + 86_400_000 }),
      "",
    ];
    await stand.append("in", values.map((value) => ({ value })));
    await stand.drain();

    expect(valuesOf(stand.log, "out")).toEqual([4]);
    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => [headers["mr-position"], headers["mr-code"], headers["mr-attempts"]])).toEqual([
      ["0", "CODEC_FAILED", "1"],
      ["1", "SCHEMA_MISMATCH", "1"],
      ["2", "TIMESTAMP_INVALID", "1"],
      ["3", "TIMESTAMP_INVALID", "1"],
      ["6", "CODEC_FAILED", "1"],
    ]);
    expect(stand.engine.worker.stats.skipped.get("negative timestamp")).toBe(1);
    await stand.crash();
  });

  test("a key that is not text goes to the dead letters; the worker lives", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().map((value) => value.v).to("out");
    const stand = await open(app);

    await stand.append("in", [{ key: new Uint8Array([255, 254]), value: text({ k: "x", v: 1, at: 1 }) }, { key: "a", value: text({ k: "a", v: 2, at: 1 }) }]);
    await stand.drain();

    expect({ out: valuesOf(stand.log, "out"), state: stand.engine.worker.state }).toEqual({ out: [2], state: "running" });
    expect(stand.engine.worker.stats.deadLetters).toBe(1);
    await stand.crash();
  });

  test("a key that its codec refuses stays refused when the record is tried again, whatever record follows", async () => {
    const app = createApp("t", { errors: { retry: { attempts: 3, backOff: "1s" } } });
    const keyFormat = codec<number>({
      name: "number",
      encode: (key) => String(key),
      decode: (bytes) => {
        const key = Number(new TextDecoder().decode(bytes));
        if (Number.isNaN(key)) throw new Error("no number");
        return key;
      },
    });
    const input = app.topic<number, { readonly n: number }>("in", { keyFormat });
    let tries = 0;
    app.stream(input).map(async (value) => {
      if (value.n === 1 && tries++ === 0) throw new Error("once");
      return value;
    }).groupByKey().map((value, { key }) => [key, value.n]).to("out");
    const stand = await open(app);

    await stand.append("in", [{ key: "bad", value: text({ n: 1 }) }, { key: "7", value: text({ n: 2 }) }]);
    await stand.drain();
    await stand.advance(60_000);
    await stand.drain();

    expect({ out: valuesOf(stand.log, "out"), letters: recordsOf(stand.log, "in-dlq").length, state: stand.engine.worker.state }).toEqual({
      out: [[7, 2]],
      letters: 1,
      state: "running",
    });
    await stand.crash();
  });

  test("keys and values of every shape go through windows and restarts", async () => {
    const { app, input } = setUp();
    app.stream(input).groupBy((value) => value.k).window(tumbling(10, { grace: 1_000 })).aggregate({ n: count() }).to("out");
    const stand = await open(app, { worker: { cacheBytes: 1 } });
    const keys = ["", " ", "__proto__", "constructor", "\0", "\0j1", "a\0b", "a", "Ω≈ç√", "\u{1f600}", "￿", "x".repeat(5_000)];

    for (const k of keys) await input.send({ k, v: 1, at: 5 });
    await stand.drain();
    await stand.restart();
    for (const k of keys) await input.send({ k, v: 1, at: 6 });
    await stand.drain();
    await input.send({ k: "end", v: 1, at: 5_000 });
    await stand.drain();
    await stand.advance(1_000);
    await stand.drain();

    const counts = new Map((valuesOf(stand.log, "out") as { key: string; value: { n: number } }[]).map(({ key, value }) => [key, value.n]));
    expect(counts).toEqual(new Map(keys.map((k) => [k, 2])));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    await stand.crash();
  });

  test("a row of features without a key goes to its own dead letters and is kept under no name", async () => {
    const app = createApp("t", { errors: { retry: false, then: "dead-letter" } });
    const input = app.topic<string | null, { readonly k?: string | null }>("in");
    const set = app.features("account", { n: v.number() });
    app.stream(input).map((value) => set.of(value.k as string, { n: 1 })).to(set);
    app.resolver("direct", { source: input, output: set }, (value) => set.of(value.k as string, { n: 2 }));
    const stand = await open(app);

    await stand.append("in", [{ value: text({ k: null }) }, { value: text({}) }, { value: text({ k: "a" }) }]);
    await stand.drain();

    expect(await Promise.all(["a", "null", "undefined"].map((key) => app.query(set, key)))).toEqual([{ n: 2 }, { n: null }, { n: null }]);
    expect({ state: stand.engine.worker.state, letters: recordsOf(stand.log, "in-dlq").length }).toEqual({ state: "running", letters: 2 });
    await stand.crash();
  });
});

test("poison among many records never stalls: each is in exactly one place", async () => {
  const { app, input } = setUp({ errors: { retry: { attempts: 2, backOff: "1s" } } });
  app.stream(input).map((value) => {
    if (value.v % 7 === 0) throw new Error("seven");
    if (value.v % 11 === 0) return skip("eleven");
    return value.v;
  }).to("out");
  const runtime = runtimeOf();
  const stand = await open(app, { runtime, worker: { commitRecords: 5, stepRecords: 3 } });

  for (let n = 0; n < 100; n++) await input.send({ k: `k${n % 5}`, v: n, at: n });
  for (let i = 0; i < 40; i++) await stand.advance(2_000);
  await stand.drain();

  const out = valuesOf(stand.log, "out") as number[];
  const dead = jsonOf(stand.log, "in-dlq") as In[];
  const wanted = Array.from({ length: 100 }, (_, n) => n);
  expect(out.toSorted((a, b) => a - b)).toEqual(wanted.filter((n) => n % 7 !== 0 && n % 11 !== 0));
  expect(dead.map((letter) => letter.v).toSorted((a, b) => a - b)).toEqual(wanted.filter((n) => n % 7 === 0));
  expect(stand.engine.worker.stats.skipped.get("eleven")).toBe(wanted.filter((n) => n % 7 !== 0 && n % 11 === 0).length);
  for (let key = 0; key < 5; key++) expect(out.filter((n) => n % 5 === key)).toEqual(out.filter((n) => n % 5 === key).toSorted((a, b) => a - b));
  await stand.crash();
});

test("F17 state that cannot be read is the worker's matter, not the record's: none is given up for it", async () => {
  const { app, input } = setUp({ errors: { retry: false, then: "skip" } });
  app.stream(input).map((value) => {
    if (value.v === 2) throw new StoreError("STORE_CORRUPT", "Cannot read page 7: its checksum does not fit");
    return value;
  }).to("out");
  const stand = await open(app);
  for (const value of [1, 2, 3]) await input.send({ k: "a", v: value, at: value });
  await stand.settle();
  expect([stand.engine.worker.state, stand.engine.worker.stats.skipped.size]).toEqual(["failed", 0]);
  expect(stand.engine.health()).toMatchObject({ status: "error", reason: expect.stringContaining("page 7"), live: false });
  await stand.crash();
});

test("CH-44 a source whose failed records are left out says so when it starts, and each of them is a warning", async () => {
  const app = createApp("t");
  const lossy = app.topic<string | null, number>("lossy", { errors: { retry: false, then: "skip" } });
  app.stream(app.topic("kept")).to("copies");
  app.stream(lossy).map((value) => {
    if (value === 1) throw new Error("no");
    return value === 2 ? skip("asked for") : value;
  });
  await using stand = await open(app);
  await stand.append("lossy", [{ value: "1" }, { value: "2" }]);
  await stand.drain();

  expect(stand.events.filter(({ type }) => type === "warning")).toEqual([
    { type: "warning", message: 'Records of "lossy" that fail are left out and only counted: its errors.then is "skip"', error: null },
  ]);
  const left = stand.events.filter(({ type }) => type === "recordSkipped");
  expect(left.map((event) => [severityOf(event), (event as { reason: string }).reason])).toEqual([["warn", "failed: no"]]);
});

/** Gives the batches of "in" the time of a writer that counts in nanoseconds. */
class NanosecondLog extends WrappedLog {
  override reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    const reader = super.reader(at, position, onArrival);
    if (at.topic !== "in") return reader;
    const take = reader.take.bind(reader);
    reader.take = (bytesMax) => {
      const chunk = take(bytesMax);
      if (chunk === null) return null;
      const bytes = chunk.bytes.slice(chunk.start, chunk.end);
      const view = new DataView(bytes.buffer);
      view.setBigInt64(BASE_TIMESTAMP_AT, BigInt(START) * 1_000_000n);
      view.setUint32(CRC_AT, crc32c(bytes, ATTRIBUTES_AT, bytes.length));
      return { ...chunk, bytes, start: 0, end: bytes.length };
    };
    return reader;
  }
}

test("a record in nanoseconds, which are no time that can be written, is its own dead letter, and nothing stops", async () => {
  const app = createApp("t");
  app.stream(app.topic<string, number>("in")).to("out");
  const inner = embedded({ disk: memoryDisk() });
  const driver: LogDriver = {
    "~log": "embedded",
    open: async (context) => {
      const opened = await inner.open(context);
      return { ...opened, log: new NanosecondLog(opened.log) };
    },
  };
  await using stand = await open(app, { driver });
  await stand.append("in", [{ key: "a", value: "1" }]);
  await stand.drain();
  expect(stand.engine.health().status).toBe("ok");
  const letters = recordsOf(stand.log, "in-dlq");
  expect(letters.map(({ headers }) => [headers["mr-code"], headers["mr-timestamp"]])).toEqual([["TIMESTAMP_INVALID", String(START * 1e6)]]);
});
