/** Records whose effects no commit takes: each becomes its own dead letter, and everything else goes on. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createApp, embedded, tumbling } from "../../../mod.ts";
import type { App, LogDriver } from "../../../mod.ts";
import { DecodeError } from "../../../src/base/errors.ts";
import type { CommitReceipt, CommittedPosition, CommitUnit } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { Worker } from "../../../src/task/worker.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { open, recordsOf, runtimeOf, SEED, type Stand, START, valuesOf } from "./harness.ts";

/** Refuses commits with a record of more than so many bytes, as a broker does. */
class NarrowLog extends WrappedLog {
  bytesMax = 2_000;
  /** Of rows of changelogs. */
  stateBytesMax = 2_000;

  override commit(unit: CommitUnit, apply: (changelog: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt> {
    for (const { topic, encoder } of [...unit.outputs, ...unit.changelog]) {
      const bytesMax = unit.changelog.some((batch) => batch.encoder === encoder) ? this.stateBytesMax : this.bytesMax;
      const bytes = encoder.seal(0).slice();
      const cursor = new RecordCursor();
      cursor.open(bytes, 0, bytes.length, 0);
      while (cursor.next()) {
        const size = (cursor.valueBytes()?.length ?? 0) + cursor.headers().reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
        if (size > bytesMax) {
          throw new DecodeError("RECORD_TOO_LARGE", `[narrow] Cannot commit: a record for "${topic}" has ${size} bytes, more than ${bytesMax}`);
        }
      }
    }
    return super.commit(unit, apply);
  }
}

interface Narrow {
  readonly driver: LogDriver;
  log: NarrowLog | null;
}

function narrow(): Narrow {
  const inner = embedded({ disk: memoryDisk() });
  const kept: Narrow = {
    log: null,
    driver: {
      "~log": "embedded",
      open: async (context) => {
        const { log, ...rest } = await inner.open(context);
        return { ...rest, log: kept.log = new NarrowLog(log) };
      },
    },
  };
  return kept;
}

/** Commits until all is done, whatever commits fail on the way. */
async function drain(stand: Stand): Promise<void> {
  for (let rounds = 0; rounds < 500; rounds++) {
    await stand.settle();
    const { worker } = stand.engine;
    const before = worker.stats.commits + worker.stats.failedCommits;
    await worker.commit().catch(() => {});
    await worker.whenBuilt();
    if (worker.stats.commits + worker.stats.failedCommits === before) return;
  }
  throw new Error("still not drained");
}

/** Copies numbers; those in `large` become outputs that are too large. */
function copying(large: ReadonlySet<number>, isAsync: boolean): App {
  const app = createApp("t", { errors: { retry: { attempts: 2, backOff: "1s" } } });
  const input = app.topic<string | null, number>("in");
  const copy = (value: number): unknown => large.has(value) ? { value, text: "x".repeat(2_100) } : { value };
  app.stream(app.topic<string | null, number>("other")).to("copies");
  app.stream(input).map(isAsync ? async (value) => (await Promise.resolve(), copy(value)) : copy).to("out");
  return app;
}

async function sendNumbers(stand: Stand, count: number): Promise<void> {
  await stand.append("in", Array.from({ length: count }, (_, value) => ({ key: `k${value % 7}`, value: String(value), timestamp: START + value })));
}

const copied = (stand: Stand): number[] => (valuesOf(stand.log, "out") as { value: number }[]).map(({ value }) => value);
const lettered = (stand: Stand): number[] => recordsOf(stand.log, "in-dlq").map(({ bytes }) => Number(new TextDecoder().decode(bytes!)));

describe("F08 poison inside of a batch: a record whose effects no commit takes", () => {
  for (const isAsync of [false, true]) {
    test(`${isAsync ? "behind an async handler " : ""}becomes a dead letter; the others of the batch are unaffected, each once, in order`, async () => {
      const { driver } = narrow();
      const count = isAsync ? 70 : 1_000;
      await using stand = await open(copying(new Set([3, 64]), isAsync), { driver });
      await sendNumbers(stand, count);
      await drain(stand);
      expect(copied(stand)).toEqual(Array.from({ length: count }, (_, value) => value).filter((value) => value !== 3 && value !== 64));
      expect(lettered(stand)).toEqual([3, 64]);
      expect(recordsOf(stand.log, "in-dlq").map(({ headers }) => [headers["mr-code"], headers["mr-attempts"]])).toEqual([["RECORD_TOO_LARGE", "1"], [
        "RECORD_TOO_LARGE",
        "1",
      ]]);
      expect(stand.engine.health().status).toBe("ok");
      // By halves: far fewer commits than records.
      if (!isAsync) expect(stand.engine.worker.stats.failedCommits + stand.engine.worker.stats.commits).toBeLessThan(100);
    });
  }

  test("is found among several tasks with handlers under way at once: one handler at a time, or two effects come into each commit for ever", async () => {
    const app = createApp("t");
    const input = app.topic<string | null, number>("in", { partitions: 2 });
    app.stream(input).map(async (value) => (await Promise.resolve(), { value, text: "x".repeat(value === 3 ? 2_100 : 1) })).to("out");
    await using stand = await open(app, { driver: narrow().driver });
    for (let value = 0; value < 8; value++) await stand.append("in", [{ key: "k", value: String(value) }], value % 2);
    // Not `drain`: what never ends is never settled.
    for (let turn = 0; turn < 200; turn++) {
      if (!stand.engine.worker.step().idle) continue;
      await stand.runtime.yield();
      if (turn % 4 === 0) await stand.engine.worker.commit().catch(() => {});
    }
    expect(lettered(stand)).toEqual([3]);
    expect(copied(stand).toSorted()).toEqual([0, 1, 2, 4, 5, 6, 7]);
    expect(stand.engine.worker.isIsolating).toBe(false);
  });

  for (const handlerMs of [50, 150, 250, 350]) {
    test(`is found behind handlers of ${handlerMs} ms that outlive commits: what is under way has shown nothing yet`, async () => {
      const app = createApp("t");
      const input = app.topic<string | null, number>("in");
      const runtime = runtimeOf();
      const wait = (): Promise<void> => new Promise((resolve) => void runtime.setTimer(resolve, handlerMs));
      app.stream(input).map(async (value) => (await wait(), { value, text: "x".repeat(value === 3 ? 2_100 : 1) })).to("out");
      await using stand = await open(app, { driver: narrow().driver, runtime, worker: { commitIntervalMs: 100 } });
      await stand.append("in", Array.from({ length: 8 }, (_, value) => ({ key: `k${value}`, value: String(value) })));
      for (let passed = 0; passed < 6_000; passed += 10) {
        stand.engine.worker.step();
        runtime.advance(10);
        await runtime.yield();
      }
      expect(lettered(stand)).toEqual([3]);
      expect(copied(stand)).toEqual([0, 1, 2, 4, 5, 6, 7]);
      expect(stand.engine.worker.isIsolating).toBe(false);
    });
  }

  for (
    const [what, fails, isAsync, letters] of [
      ["waits for another try", 1, false, [1]],
      ["waits for an earlier one of its key", 0, false, [0, 1]],
      ["has its handler under way", null, true, [1]],
    ] as const
  ) {
    test(`is found where it ${what}, and no commit takes that it does`, async () => {
      const app = createApp("t", { errors: { retry: { attempts: 2, backOff: "10s" } } });
      const input = app.topic<string, { readonly v: number; readonly text: string }>("in");
      const runtime = runtimeOf();
      const never = new Promise<number>(() => {});
      app.stream(input).map(({ v }) => {
        if (v === fails) throw new Error("not yet");
        return isAsync && v === 1 ? never : v;
      }).to("out");
      const log = new NarrowLog(memoryLog(runtime));
      log.bytesMax = 10_000;
      const database = await openDatabase(runtime, memoryDisk(), "state.db");
      const worker = await Worker.start({ log, runtime, database, topology: internalsOf(app).builder.build(), hasChangelogs: true });
      await worker.whenBuilt();
      // With the few bytes that the row of a record that waits has more it is too large.
      const records = [["a", 0, 1], ["a", 1, 1_970], ["b", 2, 1], ["a", 3, 1]].map(([key, v, length]) => ({
        key: String(key),
        value: JSON.stringify({ v, text: "x".repeat(Number(length)) }),
        timestamp: START,
        headers: [],
      }));
      await log.append([{ topic: "in", partition: 0, records }]);
      for (let passed = 0; passed < 60_000; passed += 50) {
        worker.step();
        runtime.advance(50);
        await runtime.yield();
      }
      expect(recordsOf(log, "in-dlq").map(({ position, headers }) => [position, headers["mr-position"]])).toEqual(
        letters.toReversed().map((v, at) => [at, String(v)]),
      );
      expect((valuesOf(log, "out") as number[]).toSorted()).toEqual([0, 1, 2, 3].filter((v) => !(letters as readonly number[]).includes(v)));
      await worker.stop(0);
      await log.close();
    });
  }

  test("whichever records they are, and whatever crashes in between, each has one fate", async () => {
    const scenario = fc.record({
      large: fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { maxLength: 4 }),
      isAsync: fc.boolean(),
      crashes: fc.uniqueArray(fc.integer({ min: 1, max: 25 }), { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ large, isAsync, crashes }) => {
        const { driver } = narrow();
        await using stand = await open(copying(new Set(large), isAsync), { driver });
        await sendNumbers(stand, 40);
        for (let round = 1; round <= 25; round++) {
          await stand.settle();
          if (crashes.includes(round)) await stand.restart();
          await stand.engine.worker.commit().catch(() => {});
          await stand.engine.worker.whenBuilt();
        }
        await drain(stand);
        expect(copied(stand).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, value) => value).filter((value) => !large.includes(value)));
        expect(lettered(stand).toSorted((a, b) => a - b)).toEqual(large.toSorted((a, b) => a - b));
      }),
      { seed: SEED, numRuns: 15 },
    );
  });

  test("is found where its state cannot be packed", async () => {
    const app = createApp("t");
    const input = app.topic<string, number>("in");
    const odd = (value: number): { readonly value: number; readonly odd?: unknown } => value === 19 ? { value, odd: () => value } : { value };
    app.stream(input).map(odd).groupByKey().window(tumbling("1m")).reduce((_left, right) => right).to("out");
    await using stand = await open(app);
    await sendNumbers(stand, 20);
    await drain(stand);
    expect(lettered(stand)).toEqual([19]);
    expect(recordsOf(stand.log, "in-dlq")[0]!.headers["mr-code"]).toBe("CODEC_FAILED");
    await stand.append("in", [{ key: "k5", value: "100", timestamp: START + 120_000 }]);
    await drain(stand);
    expect((valuesOf(stand.log, "out") as { key: string; value: { value: unknown } }[]).map(({ key, value }) => [key, value.value]).sort()).toEqual(
      Array.from({ length: 7 }, (_, k) => [`k${k}`, k + 14 < 19 ? k + 14 : k + 7]),
    );
  });

  test("stops its task where not even its dead letter goes in: nothing is left out without a word", async () => {
    const kept = narrow();
    await using stand = await open(copying(new Set([3]), false), { driver: kept.driver });
    kept.log!.bytesMax = 90;
    await sendNumbers(stand, 10);
    await drain(stand);
    expect(copied(stand)).toEqual([0, 1, 2]);
    expect(stand.engine.health()).toMatchObject({ status: "error", reason: expect.stringContaining("more than 90") });
    // A task of its own goes on in commits as large as ever.
    await stand.append("other", Array.from({ length: 100 }, (_, value) => ({ key: "k", value: String(value), timestamp: START })));
    await drain(stand);
    expect([valuesOf(stand.log, "copies").length, stand.engine.worker.isIsolating]).toEqual([100, false]);
    expect(await stand.log.committed("t", [{ topic: "in", partition: 0 }])).toEqual([{ topic: "in", partition: 0, position: 3 }]);
    kept.log!.bytesMax = 1_000_000;
    await stand.restart();
    kept.log!.bytesMax = 1_000_000;
    await drain(stand);
    expect(copied(stand)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
