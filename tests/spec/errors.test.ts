/** Errors as the systems before us treat them, and what is ours instead where they lose records: item by item. */
import { describe, expect, test } from "bun:test";
import { createApp, retryLater, skip, sum, terminal, tumbling } from "../../mod.ts";
import type { App, ErrorPolicy, ObservedEvent, Topic } from "../../mod.ts";
import { testApp } from "../../src/testing/testing.ts";
import { open, START, valuesOf } from "../unit/task/harness.ts";

interface In {
  readonly k: string;
  readonly n: number;
}

function setUp(errors?: ErrorPolicy): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("spec");
  return { app, input: app.topic<string, In>("in", { key: (value) => value.k, ...(errors === undefined ? {} : { errors }) }) };
}

const values = (records: readonly { readonly value: unknown }[]): unknown[] => records.map(({ value }) => value);

async function metric(test: { fetch(request: Request): Promise<Response> }, name: string): Promise<number> {
  const text = await (await test.fetch(new Request("http://localhost/metrics"))).text();
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, "m").exec(text)?.[1]);
}

describe("PS-45 a batch processor's loop", () => {
  test("PS-45 a record that fails is tried three times unless told otherwise, and those of its key one by one behind it", async () => {
    const { app, input } = setUp();
    const calls: string[] = [];
    app.stream(input).forEach(({ k, n }) => {
      calls.push(`${k}${n}`);
      if (n === 1 && k === "a") throw new Error("no");
    });
    await using test = testApp(app);

    for (const [k, n] of [["a", 1], ["a", 2], ["b", 1]] as const) await test.send(input, { k, n });
    await test.advance("1m");

    expect(calls).toEqual(["a1", "b1", "a1", "a1", "a2"]);
    expect((await test.deadLetters(input)).map(({ attempts }) => attempts)).toEqual([3]);
  });

  test("PS-45 what a crash left unresolved is taken up again at the start, before newer records of its key", async () => {
    const { app, input } = setUp({ retry: { attempts: 5, backOff: "1h", backOffMax: "1h" } });
    const done: number[] = [];
    let isDown = true;
    app.stream(input).forEach(({ n }) => {
      if (isDown && n === 1) throw new Error("down");
      done.push(n);
    });
    await using test = testApp(app, { log: "embedded" });
    await test.send(input, { k: "a", n: 1 });

    await test.restart({ drain: false });
    isDown = false;
    await test.send(input, { k: "a", n: 2 });
    await test.advance("2h");

    expect(done).toEqual([1, 2]);
  });

  test("PS-45 a stop in order loses nothing and repeats nothing", async () => {
    const { app, input } = setUp();
    const done: number[] = [];
    app.stream(input).forEach(({ n }) => void done.push(n));
    await using test = testApp(app, { log: "embedded" });

    for (let n = 0; n < 6; n++) {
      await test.send(input, { k: "a", n });
      if (n % 2 === 1) await test.restart();
    }

    expect(done).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

test("PS-46 a record's outputs, its state and the position behind it become true in one commit: a kill before it leaves none of them, one after it all", async () => {
  const app = createApp("spec");
  const input = app.topic<string, In>("in", { key: (value) => value.k, timestamp: () => START });
  const seen: number[] = [];
  app.stream(input).map((value) => {
    seen.push(value.n);
    return value;
  }).window(tumbling("1h"), { emit: "update" }).aggregate({ total: sum((value) => value.n) }).map(({ value }) => value.total).to("totals");
  const stand = await open(app);
  const totals: unknown[][] = [];

  for (const n of [1, 2, 3]) {
    await input.send({ k: "a", n });
    await stand.settle();
    await stand.restart();
    await stand.drain();
    await stand.restart();
    totals.push(valuesOf(stand.log, "totals"));
  }

  expect(seen).toEqual([1, 1, 2, 2, 3, 3]);
  expect(totals).toEqual([[1], [1, 3], [1, 3, 6]]);
  await stand.crash();
});

describe("PS-47 failures are counted, and tried again after a growing pause", () => {
  test("PS-47 after the last try it is a dead letter and counted as one, and the pauses before have really passed", async () => {
    const { app, input } = setUp({ retry: { attempts: 4, backOff: "1s", backOffMax: "1m" } });
    const times: number[] = [];
    app.stream(input).forEach(() => {
      times.push(test.now);
      throw new Error("no");
    });
    const delays: number[] = [];
    await using test = testApp(app, { observer: (event) => event.type === "retryScheduled" && delays.push(event.delayMs) });

    await test.send(input, { k: "a", n: 1 });
    await test.advance("1m");

    expect(times).toHaveLength(4);
    expect(delays.map((delay, index) => delay <= 1_000 * 2 ** index)).toEqual([true, true, true]);
    for (const [index, delay] of delays.entries()) expect(times[index + 1]! - times[index]!).toBeGreaterThanOrEqual(Math.floor(delay));
    expect([await metric(test, "millrace_records_dead_lettered_total"), await metric(test, "millrace_record_retries_total")]).toEqual([1, 3]);
  });

  test("PS-47 tries are counted over kills: none gives a record more of them", async () => {
    const { app, input } = setUp({ retry: { attempts: 3, backOff: "1s" } });
    let tries = 0;
    app.stream(input).forEach(() => {
      tries++;
      throw new Error("no");
    });
    await using test = testApp(app, { log: "embedded" });

    await test.send(input, { k: "a", n: 1 });
    for (let i = 0; i < 5; i++) {
      await test.restart({ drain: false });
      await test.advance("3s");
    }

    expect([tries, (await test.deadLetters(input)).map(({ attempts }) => attempts)]).toEqual([3, [3]]);
  });
});

test("PS-48 a dead letter lies in <source>-dlq with the original bytes and, in headers, why, where from and when; replayed, its tries count anew", async () => {
  const { app, input } = setUp({ retry: { attempts: 2, backOff: "1s" } });
  let isDown = true;
  const out = app.stream(input).map(({ n }) => {
    if (isDown) throw new RangeError("too much");
    return n;
  }).to("out");
  await using test = testApp(app);
  const sentAt = test.now;
  const bytes = new TextEncoder().encode('{ "k" : "a", "n" : 7 }');

  await test.sendBytes(input, bytes, { key: "a", timestamp: sentAt });
  await test.advance("1m");

  const [letter, ...others] = await test.deadLetters(input);
  expect(others).toEqual([]);
  expect(letter).toMatchObject({
    topic: "in-dlq",
    key: "a",
    step: "in-map",
    attempts: 2,
    error: { name: "RangeError", message: "too much", code: null },
    from: { topic: "in", partition: 0, position: 0 },
  });
  expect(letter!.bytes).toEqual(bytes);
  expect(Number(letter!.headers.get("mr-at"))).toBeGreaterThanOrEqual(sentAt);

  expect(await test.replay(input)).toBe(1);
  await test.advance("1m");
  expect((await test.deadLetters(input)).map(({ attempts }) => attempts)).toEqual([2]);
  isDown = false;
  expect(await test.replay(input)).toBe(1);
  expect(values(await test.read(out))).toEqual([7]);
});

describe("PS-D2 a record that fails for a while is not lost behind those that came after it", () => {
  test.each(["key", "partition", "nothing"] as const)(
    "PS-D2 blocks %s: the second of four fails, the others move on, a crash comes, and it is worked on once",
    async (blocks) => {
      const { app, input } = setUp({ retry: { attempts: 5, backOff: "1m", blocks } });
      let isDown = true;
      const out = app.stream(input).map(({ n }) => {
        if (n === 2 && isDown) throw new Error("down");
        return n;
      }).to("out");
      await using test = testApp(app, { log: "embedded" });

      for (let n = 1; n <= 4; n++) await test.send(input, { k: `k${n}`, n });
      const before = values(await test.read(out));
      await test.restart({ drain: false });
      isDown = false;
      await test.advance("5m");

      expect([before, values(await test.read(out))]).toEqual(blocks === "partition" ? [[1], [2, 3, 4]] : [[1, 3, 4], [2]]);
      expect(await test.deadLetters(input)).toEqual([]);
    },
  );
});

describe("PS-D3 a failed record is tried again within the process, after its pause", () => {
  test("PS-D3 without a restart: later records of its key wait for it, others do not", async () => {
    const { app, input } = setUp({ retry: { attempts: 3, backOff: "10s" } });
    const done: string[] = [];
    let failures = 0;
    app.stream(input).forEach(({ k, n }) => {
      if (k === "a" && n === 1 && failures++ < 2) throw new Error("not yet");
      done.push(`${k}${n}`);
    });
    await using test = testApp(app);

    for (const [k, n] of [["a", 1], ["a", 2], ["b", 1]] as const) await test.send(input, { k, n });
    const atOnce = [...done];
    await test.advance("1m");

    expect([atOnce, done, failures]).toEqual([["b1"], ["b1", "a1", "a2"], 3]);
  });

  test("PS-D3 blocks nothing: it goes to the app's own queue of retries, which no other reader of its topic sees", async () => {
    const { app, input } = setUp({ retry: { attempts: 3, backOff: "10s", blocks: "nothing" } });
    const done: string[] = [];
    let failures = 0;
    app.stream(input).forEach(({ k, n }) => {
      if (n === 1 && failures++ < 1) throw new Error("not yet");
      done.push(`${k}${n}`);
    });
    await using test = testApp(app);

    for (const n of [1, 2, 3]) await test.send(input, { k: "a", n });
    const atOnce = [...done];
    await test.advance("1m");

    expect([atOnce, done]).toEqual([["a2", "a3"], ["a2", "a3", "a1"]]);
    expect(await test.read(input)).toHaveLength(3);
  });
});

describe("FA-21 an exception in a handler", () => {
  test("FA-21 does not count as done: the record is tried again, then a dead letter, and the handler goes on with the next", async () => {
    const { app, input } = setUp();
    const done: number[] = [];
    app.stream(input).forEach(async ({ n }) => {
      await Promise.resolve();
      if (n === 1) throw new Error("crashed");
      done.push(n);
    });
    await using test = testApp(app);

    for (const n of [0, 1, 2]) await test.send(input, { k: "a", n });
    await test.advance("1m");

    expect([done, (await test.deadLetters(input)).map(({ value }) => value)]).toEqual([[0, 2], [{ k: "a", n: 1 }]]);
    expect(await test.health()).toMatchObject({ status: "ok" });
  });

  test("FA-21 skip is offered: by policy after the last try, by the handler at once; both are counted and told", async () => {
    const { app, input } = setUp({ retry: false, then: "skip" });
    const out = app.stream(input).map(({ n }) => {
      if (n === 1) throw new Error("crashed");
      if (n === 2) throw skip("not ours");
      return n === 3 ? skip("a test") : n;
    }).to("out");
    const reasons: string[] = [];
    await using test = testApp(app, { observer: (event) => event.type === "recordSkipped" && reasons.push(event.reason) });

    for (const n of [0, 1, 2, 3, 4]) await test.send(input, { k: "a", n });

    expect([values(await test.read(out)), await test.deadLetters(input)]).toEqual([[0, 4], []]);
    expect(reasons.slice(0, 2)).toEqual(["failed: crashed", "not ours"]);
  });
});

test("FA-41 rejecting a record has it delivered again by the policy, and the position goes past it only with what is left to do kept", async () => {
  const { app, input } = setUp({ retry: { attempts: 3 } });
  const seen: number[] = [];
  app.stream(input).forEach(async ({ n }) => {
    seen.push(n);
    if (n === 1) throw retryLater("30s");
    if (n === 2) throw terminal("never again");
  });
  await using test = testApp(app, { log: "embedded" });

  for (const n of [1, 2, 3]) await test.send(input, { k: `k${n}`, n });
  await test.restart({ drain: false });
  await test.advance("29s");
  const before = [...seen];
  await test.advance("1s");
  await test.restart({ drain: false });
  await test.advance("1m");

  expect([before, seen]).toEqual([[1, 2, 3], [1, 2, 3, 1, 1]]);
  expect((await test.deadLetters(input)).map(({ value, attempts }) => [(value as In).n, attempts])).toEqual([[2, 1], [1, 3]]);
});

describe("CH-44 where failed records go", () => {
  test("CH-44 without any configuration nothing is dropped: each source has its dead letters, named after it, and its policy is its own", async () => {
    const app = createApp("spec");
    const first = app.topic<string, In>("first", { key: (value) => value.k });
    const second = app.topic<string, In>("second", { key: (value) => value.k, errors: { retry: false } });
    for (const topic of [first, second]) {
      app.stream(topic).forEach(() => {
        throw new Error("no");
      });
    }
    await using test = testApp(app);

    await test.send(first, { k: "a", n: 1 });
    await test.send(second, { k: "a", n: 2 });
    await test.sendBytes(second, new TextEncoder().encode("{"), { key: "a" });
    await test.advance("1m");

    expect((await test.deadLetters(first)).map(({ topic, attempts }) => [topic, attempts])).toEqual([["first-dlq", 3]]);
    expect((await test.deadLetters(second)).map(({ topic, attempts, error }) => [topic, attempts, error.code])).toEqual([["second-dlq", 1, null], [
      "second-dlq",
      1,
      "CODEC_FAILED",
    ]]);
  });

  test("CH-44 who has failed records dropped asked for it in so many words, is warned of it at the start, and hears of each", async () => {
    const { app, input } = setUp({ retry: false, then: "skip" });
    app.stream(input).forEach(() => {
      throw new Error("no");
    });
    const events: ObservedEvent[] = [];
    await using test = testApp(app, { observer: (event) => void events.push(event) });

    await test.send(input, { k: "a", n: 1 });
    await test.sendBytes(input, new TextEncoder().encode("{"), { key: "a" });

    expect(events.filter(({ type }) => type === "warning")).toMatchObject([{ message: expect.stringContaining('Records of "in" that fail are left out') }]);
    expect(events.filter(({ type }) => type === "recordSkipped")).toMatchObject([
      { step: "in-forEach", record: { topic: "in", partition: 0, position: 0 }, reason: "failed: no" },
      { step: "in", record: { topic: "in", partition: 0, position: 1 } },
    ]);
    expect(await metric(test, "millrace_records_skipped_total")).toBe(2);
    expect(await test.deadLetters(input)).toEqual([]);
  });
});
