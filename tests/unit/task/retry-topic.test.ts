/** Retries that block a partition or nothing, the budget of a record, skips that are thrown, and letters that are worked on again. */
import { describe, expect, test } from "bun:test";
import { count, createApp, embedded, hopping, msgpack, sink, skip, sum, tumbling } from "../../../mod.ts";
import type { App, ErrorPolicy, LogDriver, Topic } from "../../../mod.ts";
import type { PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { packValue } from "../../../src/record/value-bytes.ts";
import { readAudit } from "../../../src/task/audit.ts";
import { retryAppend, type RetryNote, retryRecord } from "../../../src/task/retry-topic.ts";
import { gate, jsonOf, open, recordsOf, type Stand, START, valuesOf } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

type Retry = Exclude<NonNullable<ErrorPolicy["retry"]>, false>;

function setUp(retry: Retry): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", { errors: { retry: { attempts: 3, backOff: "10s", backOffMax: "10s", ...retry } } });
  return { app, input: app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k }) };
}

/** Throws for the value 1 so many times. */
function failing(times: number): (value: In) => In {
  let left = times;
  return (value) => {
    if (value.v === 1 && left-- > 0) throw new Error("not yet");
    return value;
  };
}

async function sendAll(input: Topic<string, In, In>, values: readonly (readonly [key: string, value: number])[]): Promise<void> {
  for (const [index, [k, v]] of values.entries()) await input.send({ k, v, at: START + index });
}

async function run(stand: Stand, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await stand.advance(1_000);
    await stand.drain();
  }
}

const numbers = (stand: Stand): number[] => (valuesOf(stand.log, "out") as In[]).map(({ v }) => v);

describe("retry.blocks", () => {
  test('"key": later records of the key wait, others go on', async () => {
    const { app, input } = setUp({});
    app.stream(input).map(failing(1)).to("out");
    await using stand = await open(app);
    await sendAll(input, [["a", 1], ["a", 2], ["b", 3]]);
    await stand.drain();
    expect(numbers(stand)).toEqual([3]);
    await run(stand, 20_000);
    expect(numbers(stand)).toEqual([3, 1, 2]);
  });

  test('"partition": everything later waits, over a crash too', async () => {
    const { app, input } = setUp({ blocks: "partition" });
    app.stream(input).map(failing(2)).to("out");
    await using stand = await open(app);
    await sendAll(input, [["a", 1], ["a", 2], ["b", 3]]);
    await stand.drain();
    expect(numbers(stand)).toEqual([]);
    await stand.restart();
    await stand.drain();
    expect(numbers(stand)).toEqual([]);
    await run(stand, 30_000);
    expect(numbers(stand)).toEqual([1, 2, 3]);
  });

  test('"nothing": everything goes on, the record is tried out of turn, and its tries are counted over crashes', async () => {
    const { app, input } = setUp({ blocks: "nothing" });
    app.stream(input).map(failing(2)).to("out");
    await using stand = await open(app);
    await sendAll(input, [["a", 1], ["a", 2], ["b", 3]]);
    await stand.drain();
    expect(numbers(stand)).toEqual([2, 3]);
    expect(recordsOf(stand.log, "t-retry")).toHaveLength(1);
    for (let i = 0; i < 30; i++) {
      await stand.restart();
      await run(stand, 1_000);
    }
    expect(numbers(stand)).toEqual([2, 3, 1]);
    expect(recordsOf(stand.log, "t-retry")).toHaveLength(2);
    expect(recordsOf(stand.log, "in-dlq")).toEqual([]);
  });

  test('"nothing": a crash before the commit leaves the record where it was, one after it leaves it in the topic of retries', async () => {
    const { app, input } = setUp({ blocks: "nothing" });
    app.stream(input).map(failing(2)).to("out");
    await using stand = await open(app);
    await sendAll(input, [["a", 1]]);
    await stand.settle();
    expect(recordsOf(stand.log, "t-retry")).toEqual([]);
    await stand.restart();
    await stand.drain();
    expect(recordsOf(stand.log, "t-retry")).toHaveLength(1);
    await run(stand, 20_000);
    expect(numbers(stand)).toEqual([1]);
  });

  test('"nothing": after its last try the record is one dead letter, from where it first lay', async () => {
    const { app, input } = setUp({ blocks: "nothing" });
    app.stream(input).map(failing(9)).to("out");
    await using stand = await open(app);
    await sendAll(input, [["b", 0], ["a", 1]]);
    await run(stand, 60_000);
    const letters = recordsOf(stand.log, "in-dlq");
    expect(letters.map(({ key, headers }) => [key, headers["mr-topic"], headers["mr-position"], headers["mr-attempts"]])).toEqual([["a", "in", "1", "3"]]);
    expect(jsonOf(stand.log, "in-dlq")).toEqual([{ k: "a", v: 1, at: START + 1 }]);
  });

  test('"nothing": a record whose window closed meanwhile is late, not said twice', async () => {
    const { app, input } = setUp({ blocks: "nothing" });
    app.stream(input).map(failing(1)).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
    await using stand = await open(app);
    await input.send({ k: "a", v: 1, at: START });
    await input.send({ k: "a", v: 2, at: START + 1 });
    await input.send({ k: "a", v: 3, at: START + 60_000 });
    await run(stand, 20_000);
    expect((valuesOf(stand.log, "out") as { value: unknown }[]).map(({ value }) => value)).toEqual([{ n: 1 }]);
    expect(recordsOf(stand.log, "in-late")).toHaveLength(1);
  });

  test('"nothing": records behind a window are tried out of turn, too', async () => {
    const { app, input } = setUp({ blocks: "nothing" });
    let left = 1;
    app.stream(input).groupByKey().window(tumbling("1m")).aggregate({ n: sum((value: In) => value.v) }).map((window) => {
      if (left-- > 0) throw new Error("not yet");
      return window;
    }).to("out");
    await using stand = await open(app);
    await input.send({ k: "a", v: 7, at: START });
    await input.send({ k: "b", v: 8, at: START });
    await input.send({ k: "a", v: 0, at: START + 60_000 });
    await stand.drain();
    expect(recordsOf(stand.log, "out").map(({ key }) => key)).toEqual(["b"]);
    await run(stand, 20_000);
    expect(valuesOf(stand.log, "out")).toEqual([
      { key: "b", start: START, end: START + 60_000, value: { n: 8 } },
      { key: "a", start: START, end: START + 60_000, value: { n: 7 } },
    ]);
  });

  test("an unknown word is a fault of the definition", () => {
    const { app } = setUp({ blocks: "everything" as "key" });
    expect(() => app.topology()).toThrow('errors.retry.blocks of app "t" is "everything", wanted "key", "partition" or "nothing"');
  });
});

test("retry.budget: no try begins later than that after the first", async () => {
  const { app, input } = setUp({ attempts: 1_000, backOff: "1s", backOffMax: "1s", budget: "5s" });
  const tries: number[] = [];
  app.stream(input).map(() => {
    tries.push(stand.runtime.now());
    throw new Error("never");
  });
  await using stand = await open(app);
  await sendAll(input, [["a", 1]]);
  for (let i = 0; i < 200; i++) await stand.advance(100);
  await stand.drain();
  expect(tries.length).toBeGreaterThan(3);
  expect(tries.at(-1)! - tries[0]!).toBeLessThanOrEqual(5_100);
  expect(recordsOf(stand.log, "in-dlq")).toHaveLength(1);
});

test("skip() thrown leaves nothing of a record behind, whatever other steps have made of it, and is counted under its reason", async () => {
  const { app, input } = setUp({});
  const stream = app.stream(input);
  stream.to("out");
  stream.forEach(async ({ v }) => {
    await Promise.resolve();
    if (v === 1) throw skip("not mine");
  });
  stream.filter(({ v }) => {
    if (v === 2) throw skip("nor this");
    return true;
  });
  await using stand = await open(app);
  await sendAll(input, [["a", 1], ["a", 2], ["a", 3]]);
  await stand.drain();
  expect(numbers(stand)).toEqual([3]);
  expect([...stand.engine.worker.stats.skipped].sort()).toEqual([["nor this", 1], ["not mine", 1]]);
  expect(recordsOf(stand.log, "in-dlq")).toEqual([]);
});

test("a dead letter says what the stores of its task have for its key", async () => {
  const { app, input } = setUp({ attempts: 1 });
  const stream = app.stream(input);
  stream.groupByKey().window(tumbling("1m"), { name: "totals" }).aggregate({ n: sum((value: In) => value.v), count: count() }).to("out");
  stream.map(({ v }) => {
    if (v === 1) throw new Error("no");
  });
  await using stand = await open(app);
  await sendAll(input, [["a", 5], ["b", 9], ["a", 1]]);
  await stand.drain();
  const [letter] = recordsOf(stand.log, "in-dlq");
  expect(JSON.parse(letter!.headers["mr-state"]!)).toEqual({ totals: { "2026-01-01T00:01:00.000Z": { n: 5, count: 1 } } });
});

describe("a letter that is put back", () => {
  const note: RetryNote = {
    entrance: "in",
    partition: 0,
    position: 0,
    timestamp: START,
    key: null,
    attempts: 0,
    dueAt: 0,
    arrivedAt: START,
    budgetFrom: null,
    replay: { letter: { topic: "in-dlq", position: 0 }, run: 1 },
    missed: null,
  };
  const put = (stand: Stand, run = 1, value: In = { k: "a", v: 2, at: START }): Promise<unknown> => {
    const record = retryRecord({ ...note, replay: { ...note.replay!, run } }, "a", JSON.stringify(value), [{ name: "mine", value: "x" }], stand.runtime.now());
    return stand.log.append([retryAppend("t", stand.log.partitionsOf("t-retry")!, note, record)]);
  };

  test("is worked on once a run, however often and whenever it is put there, and that is said in the audit", async () => {
    const { app, input } = setUp({});
    app.stream(input).to("out");
    await using stand = await open(app);
    await put(stand);
    await put(stand);
    await stand.drain();
    await stand.restart();
    await put(stand);
    await stand.drain();
    expect(numbers(stand)).toEqual([2]);
    expect(recordsOf(stand.log, "out")[0]!.headers["mine"]).toBe("x");
    await put(stand, 2);
    await stand.drain();
    expect(numbers(stand)).toEqual([2, 2]);
    expect(recordsOf(stand.log, "t-audit").map(({ bytes }) => readAudit(bytes!).change)).toEqual([
      { action: "replayed", letter: { topic: "in-dlq", position: 0 }, run: 1 },
      { action: "replayed", letter: { topic: "in-dlq", position: 0 }, run: 2 },
    ]);
  });

  test("is worked on again after a crash before the commit that has it", async () => {
    const { app, input } = setUp({});
    app.stream(input).to("out");
    await using stand = await open(app);
    await put(stand);
    await stand.settle();
    await stand.restart();
    await stand.drain();
    expect(numbers(stand)).toEqual([2]);
  });

  for (const blocks of ["key", "nothing"] as const) {
    test(`has a budget of its own, from when it comes back, over a crash too; blocks ${blocks}`, async () => {
      const { app, input } = setUp({ attempts: 100, backOff: "1s", backOffMax: "1s", budget: "20s", blocks });
      app.stream(input).map(failing(20)).to("out");
      await using stand = await open(app);
      stand.runtime.advance(3_600_000);
      await put(stand, 1, { k: "a", v: 1, at: START });
      await run(stand, 8_000);
      await stand.restart();
      await run(stand, 8_000);
      expect(stand.engine.worker.stats.retries).toBeGreaterThan(3);
      await run(stand, 30_000);
      expect([numbers(stand).length, recordsOf(stand.log, "in-dlq").length].toSorted()).toEqual([0, 1]);
    });
  }

  test("and blocks the partition waits for nothing of its key that came behind it, over a crash too: neither would ever go on", async () => {
    const { app, input } = setUp({});
    const fail = failing(1), failThen = failing(1);
    const written: number[] = [];
    const write = (value: In): void => void written.push(failThen(value).v);
    app.stream(input).map(fail).to(sink("outside", write, { errors: { retry: { attempts: 3, backOff: "10s", backOffMax: "10s", blocks: "partition" } } }));
    await using stand = await open(app);
    await put(stand, 1, { k: "a", v: 1, at: START });
    await stand.drain();
    await sendAll(input, [["a", 2]]);
    await run(stand, 11_000);
    await sendAll(input, [["b", 3]]);
    await stand.drain();
    expect(written).toEqual([]);
    await stand.restart();
    await run(stand, 30_000);
    expect(written).toEqual([1, 2, 3]);
  });

  for (const blocks of ["key", "nothing"] as const) {
    test(`counts as replayed once its tries are over, with the letter that it became; ${blocks} waits for it`, async () => {
      const { app, input } = setUp({ attempts: 3, blocks });
      app.stream(input).map(failing(9));
      await using stand = await open(app);
      const runs = (): number[] => recordsOf(stand.log, "t-audit").map(({ bytes }) => (readAudit(bytes!).change as { run: number }).run);
      const letters = (): unknown[] => recordsOf(stand.log, "in-dlq").map(({ headers }) => [headers["mr-replay-of"], headers["mr-attempts"]]);
      await put(stand, 1, { k: "a", v: 1, at: START });
      await stand.drain();
      expect(runs()).toEqual([]);
      await stand.restart();
      await put(stand, 1, { k: "a", v: 1, at: START });
      await run(stand, 30_000);
      expect([runs(), letters()]).toEqual([[1], [["in-dlq@0", "3"]]]);
    });
  }

  test("and waits for another try while its window closes is late then: what was said is not said again", async () => {
    const { app, input } = setUp({});
    const fail = failing(1);
    const stream = app.stream(input);
    stream.groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
    stream.forEach((value) => void fail(value));
    await using stand = await open(app);
    await input.send({ k: "a", v: 0, at: START });
    await put(stand, 1, { k: "a", v: 1, at: START });
    await stand.drain();
    await input.send({ k: "b", v: 2, at: START + 60_000 });
    await run(stand, 20_000);
    await input.send({ k: "b", v: 3, at: START + 120_000 });
    await stand.drain();
    expect(recordsOf(stand.log, "out").map(({ key }) => key)).toEqual(["a", "b"]);
    expect(recordsOf(stand.log, "in-late")).toHaveLength(1);
  });

  for (const isAsync of [false, true]) {
    for (const retry of [{ attempts: 1 }, { blocks: "key" }, { blocks: "nothing" }] as const) {
      test(`and fails does not move event time${isAsync ? " behind an async handler" : ""}, ${JSON.stringify(retry)}: no window closes for it, over a crash too`, async () => {
        const { app, input } = setUp(retry);
        const stream = app.stream(input);
        stream.groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
        const fail = ({ v }: In): void => {
          if (v === 1) throw new Error("never");
        };
        const handling = gate();
        stream.forEach(isAsync ? async (value) => (value.v === 1 && await handling.promise, fail(value)) : fail);
        await using stand = await open(app);
        await input.send({ k: "a", v: 0, at: START });
        await put(stand, 1, { k: "z", v: 1, at: START + 600_000 });
        await stand.drain();
        await stand.restart();
        handling.open();
        await run(stand, 60_000);
        expect(recordsOf(stand.log, "in-dlq")).toHaveLength(1);
        await input.send({ k: "a", v: 2, at: START + 1 });
        await input.send({ k: "b", v: 3, at: START + 60_000 });
        await stand.drain();
        expect((valuesOf(stand.log, "out") as { key: string; value: unknown }[]).map(({ key, value }) => [key, value])).toEqual([["a", { n: 2 }]]);
      });
    }
  }

  test("that fails again is another letter, and names the first", async () => {
    const { app, input } = setUp({ attempts: 2 });
    app.stream(input).map(failing(9));
    await using stand = await open(app);
    await put(stand, 1, { k: "a", v: 1, at: START });
    await run(stand, 30_000);
    expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => [headers["mr-replay-of"], headers["mr-attempts"], headers["mr-position"]])).toEqual([[
      "in-dlq@0",
      "2",
      "0",
    ]]);
  });

  test("finds its step again where the app's parts have been put together otherwise: nothing is done twice", async () => {
    const parts = (isMerged: boolean): App => {
      const app = createApp("t");
      const one = app.topic<string, In>("in"), two = app.topic<string, In>("other");
      const out = app.topic<string | null, unknown>("out", { value: msgpack() });
      if (isMerged) app.stream(one).merge(app.stream(two)).to(out);
      else {
        app.stream(one).to(out);
        app.stream(two).to(out);
      }
      return app;
    };
    await using stand = await open(parts(false));
    await put(stand);
    await stand.drain();
    expect(numbers(stand)).toEqual([2]);
    (stand as { app: App }).app = parts(true);
    await stand.restart();
    await put(stand);
    await stand.drain();
    expect(numbers(stand)).toEqual([2]);
    await put(stand, 2);
    await stand.drain();
    expect(numbers(stand)).toEqual([2, 2]);
  });
});

test("what nobody can read in the topic of retries is told of and left: the others are tried", async () => {
  const { app, input } = setUp({});
  app.stream(input).to("out");
  await using stand = await open(app);
  const note: RetryNote = {
    entrance: "in",
    partition: 0,
    position: 0,
    timestamp: START,
    key: null,
    attempts: 0,
    dueAt: 0,
    arrivedAt: START,
    budgetFrom: null,
    replay: null,
    missed: null,
  };
  const odd = [{ position: NaN }, { partition: 0.5 }, { dueAt: Infinity }, { arrivedAt: "x" as unknown as number }, { timestamp: NaN }, {
    entrance: "step:gone",
  }, {
    timestamp: 1e300,
  }];
  for (const part of [...odd, {}]) {
    await stand.log.append([
      retryAppend("t", 1, { ...note, partition: 0 }, retryRecord({ ...note, ...part }, "a", JSON.stringify({ k: "a", v: 1, at: 2e300 }), [], START)),
    ]);
  }
  await stand.append("t-retry", [{ headers: [{ name: "mr-retry", value: new Uint8Array([1, 2]) }] }, { headers: [{ name: "mr-retry", value: null }] }, {}]);
  await stand.log.append([retryAppend("t", 1, note, retryRecord(note, "a", JSON.stringify({ k: "a", v: 2, at: START }), [], START))]);
  await run(stand, 10_000);
  expect(stand.engine.worker.failure).toBe(null);
  expect(numbers(stand)).toEqual([2]);
});

test("a task that is built again does not read again all that others had put there", async () => {
  const { app, input } = setUp({ blocks: "nothing", attempts: 2 });
  app.stream(input).map(() => {
    throw new Error("never");
  });
  app.stream(app.topic<string, In>("other")).to("out");
  const starts: number[] = [];
  class WatchedLog extends WrappedLog {
    override reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
      if (at.topic === "t-retry") starts.push(position);
      return super.reader(at, position, onArrival);
    }
  }
  const inner = embedded({ disk: memoryDisk() });
  const driver: LogDriver = {
    "~log": "embedded",
    open: async (context) => {
      const opened = await inner.open(context);
      return { ...opened, log: new WatchedLog(opened.log) };
    },
  };
  await using stand = await open(app, { driver });
  await stand.append("in", Array.from({ length: 1_100 }, (_, v) => ({ key: `k${v}`, value: JSON.stringify({ k: `k${v}`, v, at: START }) })));
  await run(stand, 60_000);
  expect(recordsOf(stand.log, "in-dlq")).toHaveLength(1_100);
  starts.length = 0;
  await stand.restart();
  expect(starts).toEqual([1_100, 1_100]);
});

describe("a late letter that is put back", () => {
  const setLate = async (stand: Stand, input: Topic<string, In, In>): Promise<RetryNote> => {
    for (const [v, at] of [[1, 1_600], [2, 2_100], [4, 1_700]] as const) await input.send({ k: "a", v, at: START + at });
    await stand.drain();
    const [letter] = recordsOf(stand.log, "in-late");
    expect(JSON.parse(letter!.headers["mr-missed"]!)).toEqual([{ start: START + 1_000, end: START + 2_000 }]);
    const missed = JSON.parse(letter!.headers["mr-missed"]!) as RetryNote["missed"];
    const replay = { letter: { topic: "in-late", position: 0 }, run: 1 };
    return {
      entrance: "into:sums",
      partition: 0,
      position: 2,
      timestamp: START + 1_700,
      key: "a",
      attempts: 0,
      dueAt: 0,
      arrivedAt: START,
      budgetFrom: null,
      replay,
      missed,
    };
  };
  const put = async (stand: Stand, note: RetryNote): Promise<void> => {
    const record = retryRecord(note, "a", packValue({ k: "a", v: 4, at: START + 1_700 }).slice(), [], stand.runtime.now());
    await stand.log.append([retryAppend("t", 1, note, record)]);
    await stand.drain();
  };
  const sums = (stand: Stand): unknown[] =>
    (valuesOf(stand.log, "out") as { start: number; value: { n: number } }[]).map(({ start, value }) => [start - START, value.n]);
  const define = (): { readonly app: App; readonly input: Topic<string, In, In> } => {
    const { app, input } = setUp({});
    app.stream(input).groupByKey().window(hopping("1s", { every: "500ms" }), { name: "sums" }).aggregate({ n: sum((value: In) => value.v) }).to("out");
    return { app, input };
  };

  test("at its own time is late again for what it missed, and counts in nothing twice", async () => {
    const { app, input } = define();
    await using stand = await open(app);
    await put(stand, await setLate(stand, input));
    await input.send({ k: "z", v: 0, at: START + 9_000 });
    await stand.drain();
    expect(sums(stand).slice(0, 3)).toEqual([[1_000, 1], [1_500, 7], [2_000, 2]]);
    expect(recordsOf(stand.log, "in-late").map(({ headers }) => JSON.parse(headers["mr-missed"]!))).toEqual(
      Array(2).fill([{ start: START + 1_000, end: START + 2_000 }]),
    );
    expect(recordsOf(stand.log, "in-late").map(({ headers }) => headers["mr-replay-of"])).toEqual([undefined, "in-late@0"]);
  });

  test("at the earliest time that is not late counts in the windows of then", async () => {
    const { app, input } = define();
    await using stand = await open(app);
    await put(stand, { ...await setLate(stand, input), timestamp: null, missed: null });
    await input.send({ k: "z", v: 0, at: START + 9_000 });
    await stand.drain();
    expect(sums(stand).slice(0, 3)).toEqual([[1_000, 1], [1_500, 11], [2_000, 6]]);
    expect(recordsOf(stand.log, "in-late")).toHaveLength(1);
  });
});

test("the policy of a source holds for what windows behind it give, too", async () => {
  const app = createApp("t");
  const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k, errors: { retry: false, then: "skip" } });
  app.stream(input).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).map(() => {
    throw new Error("no");
  });
  await using stand = await open(app);
  await input.send({ k: "a", v: 1, at: START });
  await input.send({ k: "a", v: 2, at: START + 60_000 });
  await stand.drain();
  expect([...stand.engine.worker.stats.skipped]).toEqual([["failed", 1]]);
  expect(recordsOf(stand.log, "in-dlq")).toEqual([]);
});

test("a record that fails before its timestamp is known is judged by the clock of its turn", async () => {
  const app = createApp("t", { errors: { retry: { attempts: 3, backOff: "10s", backOffMax: "10s" } } });
  let left = 1;
  const timestamp = ({ k, at }: In): number => {
    if (k === "a" && left-- > 0) throw new Error("not yet");
    return at;
  };
  const input = app.topic<string, In>("in", { timestamp, key: (value) => value.k });
  app.stream(input).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
  await using stand = await open(app);
  await input.send({ k: "b", v: 1, at: START });
  left = 1;
  await stand.append("in", [{ key: "a", value: JSON.stringify({ k: "a", v: 1, at: START }) }]);
  await input.send({ k: "b", v: 1, at: START + 120_000 });
  await run(stand, 20_000);
  expect(recordsOf(stand.log, "in-late")).toEqual([]);
  expect(recordsOf(stand.log, "out").map(({ key }) => key).sort()).toEqual(["a", "b"]);
});

test("a record for a step that the app has no more is told of once, by one of the tasks", async () => {
  const { app, input } = setUp({});
  app.stream(input).to("out");
  app.stream(app.topic<string, In>("other")).to("copies");
  await using stand = await open(app);
  const note: RetryNote = {
    entrance: "into:gone",
    partition: 0,
    position: 0,
    timestamp: START,
    key: "a",
    attempts: 0,
    dueAt: 0,
    arrivedAt: START,
    budgetFrom: null,
    replay: null,
    missed: null,
  };
  await stand.log.append([retryAppend("t", 1, note, retryRecord(note, "a", null, [], START))]);
  await stand.drain();
  expect(stand.events.filter(({ type }) => type === "warning")).toMatchObject([
    {
      message: expect.stringContaining("leaves a record of its topic of retries at position 0"),
      error: { message: '"into:gone" is no longer part of the app' },
    },
  ]);
});
