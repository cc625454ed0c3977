/** A handler whose promise never settles: health says which, on which record, and since when. */
import { expect, test } from "bun:test";
import { createApp, embedded } from "../../../mod.ts";
import type { LogDriver } from "../../../mod.ts";
import type { Log, PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { open, valuesOf } from "./harness.ts";

test("health() names the step and record of a handler that has not settled for 30 s, and is well again once it has", async () => {
  const app = createApp("stuck");
  const input = app.topic<string, number>("in");
  const release = Promise.withResolvers<number>();
  app.stream(input).map(() => release.promise).to("out");
  const stand = await open(app);
  await input.send(1, { key: "a" });
  await stand.settle();

  await stand.advance(29_000);
  expect(stand.engine.health().status).toBe("ok");
  await stand.advance(2_000);
  expect(stand.engine.health()).toMatchObject({
    status: "degraded",
    live: true,
    reason: 'step "in-map" has worked on record in-0@0 for 31 s: its promise has not settled',
  });

  release.resolve(1);
  await stand.drain();
  expect(stand.engine.health().status).toBe("ok");
  await stand.crash();
});

test("a handler that does not settle is named once, and after five minutes its try has failed: the next one begins", async () => {
  const app = createApp("stuck", { errors: { retry: { attempts: 2, backOff: "1s" } } });
  const input = app.topic<string, number>("in");
  let tries = 0;
  const never = new Promise<number>(() => {});
  app.stream(input).map((value) => value === 1 && tries++ === 0 ? never : value).to("out");
  const stand = await open(app);
  await input.send(1, { key: "a" });
  await input.send(2, { key: "a" });

  for (let i = 0; i < 310; i++) await stand.advance(1_000);
  await stand.drain();

  expect(stand.events.filter(({ type }) => type === "taskStuck")).toEqual([
    { type: "taskStuck", task: "in/0", step: "in-map", record: { topic: "in", partition: 0, position: 0 }, ageMs: expect.any(Number) },
  ]);
  expect(stand.events.find(({ type }) => type === "retryScheduled")).toMatchObject({
    attempt: 1,
    step: "in-map",
    error: { code: "HANDLER_FAILED", message: expect.stringContaining("waited for no more") },
  });
  expect(valuesOf(stand.log, "out")).toEqual([1, 2]);
  await stand.crash();
});

test("an input that knows of records and gives none is named, and opened again from what is committed", async () => {
  const app = createApp("stuck");
  const input = app.topic<string, number>("in");
  app.stream(input).to("out");
  let isSilent = false, opened = 0;
  const inner = embedded({ disk: memoryDisk() });
  const driver: LogDriver = {
    "~log": "embedded",
    open: async (context) => {
      const { log, ...rest } = await inner.open(context);
      return { ...rest, log: new SilentLog(log, ({ topic }) => topic === "in" && isSilent && opened++ === 0) };
    },
  };
  const stand = await open(app, { driver });
  isSilent = true;
  await stand.engine.worker.stop(0);
  await stand.crash();
  const next = await open(app, { driver });
  await next.append("in", [{ key: "a", value: "1" }]);

  for (let i = 0; i < 40; i++) await next.advance(1_000);
  expect(next.engine.health()).toMatchObject({ status: "degraded", live: true, reason: expect.stringMatching(/^task in\/0 has been given nothing of in-0 from position 0 on for \d+ s/) });
  for (let i = 0; i < 270; i++) await next.advance(1_000);
  await next.drain();
  expect(next.engine.health().status).toBe("ok");

  expect(next.events.filter(({ type }) => type === "taskStuck")).toEqual([
    { type: "taskStuck", task: "in/0", step: null, record: { topic: "in", partition: 0, position: 0 }, ageMs: expect.any(Number) },
  ]);
  expect(valuesOf(next.log, "out")).toEqual([1]);
  await next.crash();
});

/** A log some of whose readers never give anything. */
class SilentLog extends WrappedLog {
  readonly #isSilent: (at: TopicPartition) => boolean;

  constructor(inner: Log, isSilent: (at: TopicPartition) => boolean) {
    super(inner);
    this.#isSilent = isSilent;
  }

  override reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    const inner = super.reader(at, position, onArrival);
    if (!this.#isSilent(at)) return inner;
    return {
      ...at,
      position,
      get end() {
        return inner.end;
      },
      take: () => null,
      seek() {},
      close: () => inner.close(),
    };
  }
}
