/** Everything at once: handlers that are slow, fail, or fail for a while, while the engine commits, crashes and cannot commit at random points. Every record must end in exactly one place. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { collect, count, createApp, embedded, skip, terminal, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import type { LogDriver } from "../../../src/log/driver.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { jsonOf, open, runtimeOf, SEED, valuesOf } from "./harness.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";

/** What becomes of a record, whatever else happens. */
type Fate = "fine" | "slow" | "flaky" | "slow flaky" | "poison" | "slow poison" | "skipped" | "late-failing";
const FATES: readonly Fate[] = ["fine", "fine", "fine", "slow", "slow", "flaky", "slow flaky", "poison", "slow poison", "skipped", "late-failing"];

interface In {
  readonly id: number;
  readonly fate: Fate;
}

const ATTEMPTS = 6;
const END = 1_000_000;

/** Handlers that end when the clock says so, and fail twice where they are flaky; counts survive crashes as the outside world does. */
function appOf(runtime: VirtualRuntime, partitions: number, isRepartitioned: boolean): App {
  const app = createApp("t", { errors: { retry: { attempts: ATTEMPTS, backOff: "1s", backOffMax: "4s" } } });
  const input = app.topic<string, In>("in", { partitions });
  const tries = new Map<number, number>();
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void runtime.setTimer(resolve, ms));
  const work = async (value: In): Promise<In> => {
    await wait(10 + value.id % 50);
    return settle(value);
  };
  const settle = (value: In): In => {
    const attempt = (tries.get(value.id) ?? 0) + 1;
    tries.set(value.id, attempt);
    if (value.fate.endsWith("poison")) throw terminal(`record ${value.id} is poison`);
    if (value.fate.endsWith("flaky") && attempt < 3) throw new Error("not yet");
    return value;
  };
  const stream = app.stream(input).map((value) => value.fate.startsWith("slow") ? work(value) : value.fate === "skipped" ? skip("asked for") : settle(value));
  const counted = isRepartitioned ? stream.groupBy((_value, { key }) => key, { partitions: 2 }) : stream.groupByKey();
  counted.window(tumbling(1_000, { grace: 500_000 })).aggregate({ n: count(), all: collect() })
    .map(async (window) => {
      await wait(5);
      return window;
    }).to("windows");
  stream.map(async (value) => {
    if (value.fate === "late-failing") throw terminal("after its window");
    return value.id;
  }).to("copy");
  return app;
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), key: fc.nat({ max: 5 }), fate: fc.constantFrom(...FATES) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("step" as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(1, 10, 30, 100, 2_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), commits: fc.integer({ min: 1, max: 3 }) }) },
);

class RefusingLog extends WrappedLog {
  refused = 0;

  override commit(...parameters: Parameters<WrappedLog["commit"]>): ReturnType<WrappedLog["commit"]> {
    if (this.refused > 0) {
      this.refused--;
      throw new ExternalError("LOG_COMMIT_FAILED", "refused");
    }
    return this.inner.commit(...parameters);
  }
}

test(`every record ends in exactly one place, in the order of its key, whatever happens, seed ${SEED}`, async () => {
  const course = fc.record({
    actions: fc.array(action, { minLength: 10, maxLength: 60 }),
    partitions: fc.constantFrom(1, 3),
    isRepartitioned: fc.boolean(),
    commitRecords: fc.constantFrom(1, 3, 1_000),
    cacheBytes: fc.constantFrom(0, 1e9),
  });
  await fc.assert(
    fc.asyncProperty(course, async ({ actions, partitions, isRepartitioned, commitRecords, cacheBytes }) => {
      const runtime = runtimeOf();
      const app = appOf(runtime, partitions, isRepartitioned);
      const inner = embedded({ disk: memoryDisk() });
      let log!: RefusingLog;
      const driver: LogDriver = {
        "~log": "embedded",
        open: async (context) => {
          const opened = await inner.open(context);
          return { ...opened, log: log = new RefusingLog(opened.log) };
        },
      };
      const stand = await open(app, { runtime, driver, worker: { commitIntervalMs: 20, commitWaitMs: 15, commitRecords, cacheBytes, stepRecords: 3, clockIntervalMs: 10 } });
      const sent: (In & { readonly key: string })[] = [];
      const send = async (key: string, value: In, timestamp: number): Promise<void> => void await stand.append("in", [{ key, value: JSON.stringify(value), timestamp }], Number(key.slice(1)) % partitions);

      for (const one of actions) {
        if (one.kind === "send") {
          const record = { id: sent.length, fate: one.fate, key: `k${one.key}` };
          sent.push(record);
          await send(record.key, { id: record.id, fate: record.fate }, record.id * 7 % 400);
        } else if (one.kind === "step") {
          for (let i = 0; i < one.count; i++) stand.engine.worker.step();
          await runtime.yield();
        } else if (one.kind === "advance") {
          runtime.advance(one.ms);
          await runtime.yield();
          stand.engine.worker.step();
        } else if (one.kind === "commit") await stand.engine.worker.commit().catch(() => {});
        else if (one.kind === "crash") await stand.restart();
        else log.refused = one.commits;
      }
      log.refused = 0;
      // So many tries of one key, one after the other, as the most that a key can have.
      for (let i = 0; i < 400 && (i < 20 || stand.engine.worker.tasks.some((task) => task.unresolved.size > 0)); i++) await stand.advance(500);
      for (let partition = 0; partition < partitions; partition++) await send(`k${partition}`, { id: -1, fate: "fine" }, END);
      for (let i = 0; i < 60; i++) await stand.advance(100);
      await stand.drain();

      const resolved = sent.filter(({ fate }) => !fate.endsWith("poison") && fate !== "skipped" && fate !== "late-failing");
      const copy = (valuesOf(log, "copy") as number[]).filter((id) => id >= 0);
      const keyOf = new Map(sent.map(({ id, key }) => [id, key]));
      const windows = (valuesOf(log, "windows") as { key: string; start: number; value: { n: number; all: In[] } }[]).filter(({ start }) => start < END);
      const byKey = (ids: readonly number[]): unknown => Object.groupBy(ids, (id) => keyOf.get(id)!);
      expect(byKey(copy)).toEqual(byKey(resolved.map(({ id }) => id)));
      expect((jsonOf(log, "in-dlq") as In[]).map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(sent.filter(({ fate }) => fate.endsWith("poison") || fate === "late-failing").map(({ id }) => id));
      expect(new Map(windows.map(({ key, value }) => [key, value.all.map(({ id }) => id)]))).toEqual(
        new Map(Object.entries(Object.groupBy(resolved, ({ key }) => key)).map(([key, records]) => [key, records!.map(({ id }) => id)])),
      );
      expect([windows.map(({ value }) => value.n).reduce((a, b) => a + b, 0), windows.length]).toEqual([resolved.length, new Set(resolved.map(({ key }) => key)).size]);
      expect(stand.engine.worker.tasks.map((task) => task.unresolved.size).every((size) => size === 0)).toBe(true);
      await stand.crash();
    }),
    { seed: SEED, numRuns: 40, endOnFailure: true },
  );
});
