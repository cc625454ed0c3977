/** An app as its host sees it: started on demand, driven by itself, stopped in order, and honest about its state. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { count, createApp, embedded, env, memory, standardWebhooks, tumbling } from "../../../mod.ts";
import type { App, Topic } from "../../../mod.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { StoreError } from "../../../src/base/errors.ts";
import type { ObservedEvent } from "../../../src/observe/events.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { gate, open, runtimeOf, valuesOf } from "../task/harness.ts";

const untyped = (value: unknown): never => value as never;

/** An app that tells when it has seen a number of records. */
function setUp(wanted: number): { readonly app: App; readonly input: Topic<string, number, number>; readonly seen: number[]; readonly all: Promise<void> } {
  const app = createApp("t", { log: memory() });
  const input = app.topic<string, number>("in");
  const seen: number[] = [];
  const done = gate();
  app.stream(input).forEach((value) => {
    if (seen.push(value) === wanted) done.open();
  });
  return { app, input, seen, all: done.promise };
}

describe("an app", () => {
  test("starts by the first thing that needs it, and works by itself until it is stopped", async () => {
    const { app, input, seen, all } = setUp(2);

    expect(await app.health()).toEqual({ status: "stopped", reason: "the app does not run" });
    await input.send(1);
    await input.send(2);
    await all;
    const running = await app.health();
    await app.stop();

    expect({ seen, running, after: (await app.health()).status }).toEqual({ seen: [1, 2], running: { status: "ok" }, after: "stopped" });
  });

  test("can be stopped twice, and before it has started", async () => {
    const { app, input } = setUp(1);

    await app.stop();
    await input.send(1);
    await Promise.all([app.stop(), app.stop()]);
    await app.stop();

    expect((await app.health()).status).toBe("stopped");
  });

  test("await using stops it", async () => {
    const { app, input, all } = setUp(1);
    {
      await using running = app;
      await running.start();
      await input.send(1);
      await all;
    }

    expect((await app.health()).status).toBe("stopped");
  });

  test("run() resolves when its signal is aborted, also before it began, and says what stands", async () => {
    const { app } = setUp(1);
    const events: string[] = [];
    const abort = new AbortController();
    let started: unknown = null;

    await app.run({ port: null, signal: abort.signal, observer: ({ type }) => void events.push(type), onStart: (facts) => {
      started = facts;
      abort.abort();
    } });

    const { name, version } = await hostRuntime();
    expect(started).toEqual({ app: "t", runtime: `${name} ${version}`, log: "memory", place: "memory", url: null, tasks: ["in/0"], webhooks: [], features: [] });
    expect(events).toEqual(["taskStarted", "appStarted", "appStopped"]);
  });

  test("run() rejects with the reason when the worker ends by itself, and everything is closed", async () => {
    class DamagedLog extends WrappedLog {
      override commit(): never {
        throw new StoreError("STORE_CORRUPT", "page 7 is damaged");
      }
    }
    const driver = memory();
    const app = createApp("t", {
      log: {
        "~log": "damaged",
        open: async (context) => {
          const opened = await driver.open(context);
          return { ...opened, log: new DamagedLog(opened.log) };
        },
      },
    });
    const input = app.topic<string, number>("in");
    app.stream(input).to("out");

    await expect(app.run({ port: null, observer: () => {}, onStart: () => void input.send(1) })).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect((await app.health()).status).toBe("stopped");
  });

  test("fetch() answers without being mounted anywhere, and starts the app", async () => {
    const app = createApp("t", { log: memory() });
    app.webhook("/hook", { verify: "none" });

    const answer = await app.fetch(new Request("http://localhost/hook", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }));

    expect([answer.status, (await app.health()).status]).toEqual([202, "ok"]);
    await app.stop();
  });

  test("a start that fails can be tried again", async () => {
    let attempts = 0;
    const driver = memory();
    const app = createApp("t", { log: { "~log": "flaky", open: (context) => attempts++ === 0 ? Promise.reject(new Error("not yet")) : driver.open(context) } });
    app.stream(app.topic<string, number>("in")).to("out");

    await expect(app.start()).rejects.toThrow("not yet");
    await app.start();

    expect((await app.health()).status).toBe("ok");
    await app.stop();
  });

  test("F32 a second engine on the same directory is refused by the name of who holds it", async () => {
    const disk = memoryDisk();
    const { app } = setUp(1);
    const stand = await open(app, { driver: embedded({ disk }) });

    await expect(open(setUp(1).app, { driver: embedded({ disk }) })).rejects.toMatchObject({ code: "DISK_LOCKED" });
    await stand.crash();
    await (await open(app, { driver: embedded({ disk }) })).crash();
  });
});

describe("send()", () => {
  test("gives key and timestamp by the topic's own functions, of what comes out of the schema", async () => {
    const app = createApp("t");
    const input = app.topic<string, { readonly id: string; readonly at: number }, { readonly id: number; readonly at: string }>("in", {
      value: v.object({ id: v.pipe(v.number(), v.transform(String)), at: v.pipe(v.string(), v.transform(Number)) }),
      key: (value) => `key ${value.id}`,
      timestamp: (value) => value.at,
    });
    const seen: unknown[] = [];
    app.stream(input).forEach((value, { key, timestamp }) => void seen.push([value, key, timestamp]));
    const stand = await open(app);

    await input.send({ id: 7, at: "1000" });
    await stand.drain();

    expect(seen).toEqual([[{ id: "7", at: 1_000 }, "key 7", 1_000]]);
    await stand.crash();
  });

  test("refuses what does not fit the topic, and a partition that is not there", async () => {
    const app = createApp("t");
    const input = app.topic("in", { value: v.object({ n: v.number() }), partitions: 2 });
    app.stream(input).to("out");
    const stand = await open(app);

    await expect(input.send(untyped({ n: "one" }))).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
    for (const partition of [2, -1, 0.5]) await expect(input.send({ n: 1 }, { partition })).rejects.toMatchObject({ code: "OPTION_INVALID" });
    await stand.drain();

    expect(valuesOf(stand.log, "out")).toEqual([]);
    await stand.crash();
  });

  test("tells where the record lies; equal keys lie together", async () => {
    const app = createApp("t");
    const input = app.topic<string, number>("in", { partitions: 5 });
    const stand = await open(app);

    const receipts = [];
    for (let i = 0; i < 20; i++) receipts.push(await input.send(i, { key: `k${i % 2}` }));

    expect(new Set(receipts.map(({ topic }) => topic))).toEqual(new Set(["in"]));
    for (const parity of [0, 1]) {
      const own = receipts.filter((_, i) => i % 2 === parity);
      expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
      expect(own.map(({ position }) => position)).toEqual(own.map((_, i) => own[0]!.position! + i));
    }
    await stand.crash();
  });
});

test("a secret that is missing is all that is told of a start that fails", async () => {
  const runtime = runtimeOf();
  const app = createApp("t", { runtime });
  const input = app.topic("in", { value: v.number() });
  app.stream(input).forEach(() => {});
  app.webhook("/hook", { topic: input, verify: standardWebhooks({ secret: env("ABSENT") }) });
  const events: ObservedEvent[] = [];

  const opened = internalsOf(app).open({ driver: embedded({ disk: memoryDisk() }), observer: (event) => void events.push(event) });

  await expect(opened).rejects.toThrow("ABSENT, which is missing or empty");
  for (let turn = 0; turn < 4; turn++) await runtime.yield();
  expect(events.filter(({ type }) => type === "warning")).toEqual([]);
});

test("query() refuses a moment that is none", async () => {
  const app = createApp("t", { log: memory() });
  const set = app.features("account", { n: v.number() });

  for (const at of [NaN, new Date("nonsense")]) await expect(app.query(set, "a", { at })).rejects.toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining('"account"') });

  expect((await app.health()).status).toBe("stopped");
});

test("topics that nobody works on exist all the same, and what is sent to them stays", async () => {
  const app = createApp("t");
  const lonely = app.topic<string, number>("lonely");
  const stand = await open(app);

  await lonely.send(1);
  await stand.drain();

  expect(await stand.log.describe(["lonely"])).toEqual([{ topic: "lonely", partition: 0, start: 0, end: 1 }]);
  await stand.crash();
});

test("stop() commits what is done, leaves the rest, and the next start goes on from there", async () => {
  const app = createApp("t");
  const input = app.topic<string, number>("in");
  app.stream(input).groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("out");
  const stand = await open(app, { runtime: runtimeOf() });
  for (const at of [1, 2, 50]) await input.send(1, { key: "a", timestamp: at });
  await stand.settle();

  await stand.engine.stop();
  await stand.start();
  for (const at of [3, 51, 90]) await input.send(1, { key: "a", timestamp: at });
  await stand.drain();

  expect((valuesOf(stand.log, "out") as { start: number; value: { n: number } }[]).map(({ start, value }) => [start, value.n])).toEqual([[0, 2], [50, 2]]);
  await stand.crash();
});

test("an observer hears of retries, letters, late records and failed commits, with their place", async () => {
  const app = createApp("t", { errors: { retry: { attempts: 2, backOff: "1s" } } });
  const input = app.topic<string, number>("in");
  app.stream(input).map((value) => {
    if (value === 2) throw new Error("two");
    return value;
  }).groupByKey().window(tumbling(10)).aggregate({ n: count() });
  const stand = await open(app);

  for (const [value, timestamp] of [[1, 100], [1, 1], [2, 101]] as const) await input.send(value, { key: "a", timestamp });
  await stand.drain();
  await stand.advance(2_000);
  await stand.drain();

  const of = (type: ObservedEvent["type"]): unknown => stand.events.find((event) => event.type === type);
  expect(of("recordLate")).toEqual({ type: "recordLate", task: "in/0", step: "in-tumbling-10", record: { topic: "in", partition: 0, position: 1 }, latenessMs: 99 });
  expect(of("retryScheduled")).toMatchObject({ task: "in/0", step: "in-map", record: { topic: "in", partition: 0, position: 2 }, attempt: 1, error: { message: "two" } });
  expect(of("recordDeadLettered")).toMatchObject({ task: "in/0", step: "in-map", record: { topic: "in", partition: 0, position: 2 }, attempts: 2, topic: "in-dlq" });
  await stand.crash();
});
