/** Windows against a brute-force model: the same results and letters whatever the batches, commits, restarts, cache, async steps and partitions. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { collect, count, createApp, embedded, first, hopping, last, mean, sum } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { open, recordsOf, runtimeOf, SEED } from "./harness.ts";
import type { Stand } from "./harness.ts";
import { unpackValue } from "../../../src/record/value-bytes.ts";
import { modelOf } from "./window-model.ts";
import type { ModelLetter, ModelRecord, ModelResult, ModelWindows } from "./window-model.ts";

const KEYS = ["a", "b", "", "__proto__", "Ω\u{1f600}", "\0n", "constructor"] as const;
const BASE = 1_000_000;

const windowsArbitrary: fc.Arbitrary<ModelWindows> = fc.record({
  sizeMs: fc.integer({ min: 1, max: 40 }),
  advanceRatio: fc.constantFrom(1, 1, 0.5, 0.34, 0.1),
  offsetMs: fc.integer({ min: 0, max: 50 }),
  graceMs: fc.constantFrom(0, 0, 1, 7, 50),
  watermarkDelayMs: fc.constantFrom(0, 0, 3),
  negativeTimestamps: fc.boolean(),
}).map(({ advanceRatio, ...rest }) => ({ ...rest, advanceMs: Math.max(1, Math.round(rest.sizeMs * advanceRatio)) }));

const recordArbitrary: fc.Arbitrary<ModelRecord> = fc.record({
  key: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: fc.constant(null) }),
  at: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: -30, max: 120 }) }, { weight: 1, arbitrary: fc.integer({ min: -30, max: 500 }) }),
  v: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: -9, max: 9 }) }, { weight: 1, arbitrary: fc.constant(undefined) }),
});

/** How the engine is run; nothing of it may show in the results. */
interface Course {
  readonly stepRecords: number;
  readonly commitRecords: number;
  readonly cacheBytes: number;
  /** The engine crashes after so many steps, each time. */
  readonly crashAfter: readonly number[];
  readonly isAsync: boolean;
  readonly batch: number;
}

const courseArbitrary: fc.Arbitrary<Course> = fc.record({
  stepRecords: fc.constantFrom(1, 2, 3, 64, 1_000),
  commitRecords: fc.constantFrom(1, 2, 7, 1_000),
  cacheBytes: fc.constantFrom(0, 700, 1e9),
  crashAfter: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
  isAsync: fc.boolean(),
  batch: fc.constantFrom(1, 5, 1_000),
});

function appOf(windows: ModelWindows, emit: "close" | "update", isAsync: boolean, partitions = 1): App {
  const app = createApp("t", { errors: { retry: false } });
  const input = app.topic<string | null, number>("in", { watermarkDelay: windows.watermarkDelayMs, negativeTimestamps: windows.negativeTimestamps, partitions });
  const stream = app.stream(input);
  const prepared = isAsync ? stream.map(async (value) => value) : stream;
  prepared.window(hopping(windows.sizeMs, { every: windows.advanceMs, offset: windows.offsetMs, grace: windows.graceMs }), { emit })
    .aggregate({ n: count(), total: sum((v) => v), mean: mean((v) => v), all: collect(), first: first((v) => v), last: last((v) => v) })
    .to("out");
  return app;
}

/** Runs the records and gives what was said and what was late. */
async function run(app: App, records: readonly ModelRecord[], course: Course): Promise<{ readonly results: ModelResult[]; readonly letters: ModelLetter[]; readonly stand: Stand }> {
  const { stepRecords, commitRecords, cacheBytes } = course;
  const stand = await open(app, { runtime: runtimeOf(), driver: embedded({ disk: memoryDisk() }), worker: { stepRecords, commitRecords, cacheBytes } });
  for (let at = 0; at < records.length; at += course.batch) {
    await stand.append("in", records.slice(at, at + course.batch).map(({ key, at, v }) => ({ key, value: v === undefined ? null : String(v), timestamp: at })));
  }
  for (const steps of course.crashAfter) {
    for (let step = 0; step < steps; step++) {
      stand.engine.worker.step();
      if (course.isAsync) await stand.runtime.yield();
    }
    await stand.restart();
  }
  await stand.drain();
  return { results: resultsOf(stand), letters: lettersOf(stand), stand };
}

function resultsOf(stand: Stand): ModelResult[] {
  return recordsOf(stand.log, "out").map(({ bytes, timestamp }) => {
    const { key, start, end, value } = unpackValue(bytes!) as Omit<ModelResult, "timestamp">;
    const { n, total, mean, all, first, last } = value;
    return { key, start, end, value: { n, total, mean, all, first: first ?? null, last: last ?? null }, timestamp };
  });
}

function lettersOf(stand: Stand): ModelLetter[] {
  return recordsOf(stand.log, "in-late").map(({ headers }) => ({
    index: Number(headers["mr-position"]),
    latenessMs: Number(headers["mr-lateness-ms"]),
    missed: JSON.parse(headers["mr-missed"]!) as ModelLetter["missed"],
  }));
}

/** Windows of one end are said in any order. */
function sorted(results: readonly ModelResult[]): ModelResult[] {
  return results.toSorted((a, b) => a.end - b.end || (a.key < b.key ? -1 : 1));
}

const input = fc.tuple(windowsArbitrary, fc.array(recordArbitrary, { minLength: 1, maxLength: 60 }), courseArbitrary);

describe(`windows against a model, seed ${SEED}`, () => {
  test("window() with emit close says each window once, in the order of their ends, and writes one letter a late record", async () => {
    await fc.assert(
      fc.asyncProperty(input, async ([windows, records, course]) => {
        const wanted = modelOf(windows, records);

        const { results, letters, stand } = await run(appOf(windows, "close", course.isAsync), records, course);

        expect(sorted(results)).toEqual(sorted(wanted.closed));
        expect(results.map(({ end }) => end)).toEqual(wanted.closed.map(({ end }) => end));
        expect(letters.toSorted((a, b) => a.index - b.index)).toEqual([...wanted.letters]);
        if (course.crashAfter.length === 0) {
          expect(stand.engine.worker.stats.skipped.get("negative timestamp") ?? 0).toBe(wanted.negative);
          expect(stand.engine.worker.stats.skipped.get("no key") ?? 0).toBe(wanted.keyless);
        }
        await stand.crash();
      }),
      { seed: SEED, numRuns: 50, endOnFailure: true },
    );
  });

  test("window() with emit update says every change, in order, over any commits and crashes", async () => {
    await fc.assert(
      fc.asyncProperty(input, async ([windows, records, course]) => {
        const wanted = modelOf(windows, records);

        const { results, letters, stand } = await run(appOf(windows, "update", course.isAsync), records, course);

        const byKey = (key: string) => (result: ModelResult): boolean => result.key === key;
        for (const key of KEYS) expect(results.filter(byKey(key))).toEqual(wanted.updates.filter(byKey(key)));
        expect(results).toHaveLength(wanted.updates.length);
        expect(letters.toSorted((a, b) => a.index - b.index)).toEqual([...wanted.letters]);
        await stand.crash();
      }),
      { seed: SEED + 1, numRuns: 40, endOnFailure: true },
    );
  });

  test("the results on close do not depend on the number of partitions, nor on a repartition in between, given grace enough", async () => {
    const wide = fc.tuple(windowsArbitrary.map((windows) => ({ ...windows, graceMs: 1_000 })), fc.array(recordArbitrary, { minLength: 1, maxLength: 60 }), courseArbitrary);
    await fc.assert(
      fc.asyncProperty(wide, fc.constantFrom(1, 3, 8), fc.boolean(), async ([windows, records, course], partitions, isRepartitioned) => {
        const ended = [...records.flatMap(({ key, at, v }) => key === null ? [] : [{ key, at, v }]), ...KEYS.map((key) => ({ key, at: BASE, v: 0 }))];
        const wanted = modelOf(windows, ended);
        const app = createApp("t", { errors: { retry: false } });
        const topic = app.topic<string, readonly [string, number | null]>("in", { watermarkDelay: windows.watermarkDelayMs, negativeTimestamps: windows.negativeTimestamps, partitions });
        const stream = app.stream(topic);
        (isRepartitioned ? stream.groupBy(([key]) => key, { partitions: 3 }) : stream.groupByKey())
          .window(hopping(windows.sizeMs, { every: windows.advanceMs, offset: windows.offsetMs, grace: windows.graceMs }))
          .aggregate({ n: count(), total: sum(([, v]) => v ?? 0) }).to("out");
        const stand = await open(app, { worker: { stepRecords: course.stepRecords, commitRecords: course.commitRecords, cacheBytes: course.cacheBytes } });

        for (const { key, at, v } of ended) await topic.send([key, v ?? null], { key, timestamp: at });
        for (let partition = 0; partition < partitions; partition++) await topic.send(["end", 0], { key: "end", timestamp: BASE, partition });
        for (const steps of course.crashAfter) {
          for (let step = 0; step < steps; step++) stand.engine.worker.step();
          await stand.restart();
        }
        for (let i = 0; i < 3; i++) {
          await stand.drain();
          await stand.advance(1_000);
        }
        await stand.drain();

        const found = recordsOf(stand.log, "out").map(({ bytes }) => unpackValue(bytes!) as ModelResult).filter(({ key }) => key !== "end");
        const plain = (results: readonly ModelResult[]): unknown => sorted(results).map(({ key, start, value: { n, total } }) => [key, start, n, total]);
        expect(plain(found)).toEqual(plain(wanted.closed));
        expect(recordsOf(stand.log, "in-late")).toEqual([]);
        await stand.crash();
      }),
      { seed: SEED + 2, numRuns: 40, endOnFailure: true },
    );
  });
});
