/** Commits that wait, fail or are taken away: everything since the last one is undone, done again, and comes out as if nothing had happened. */
import { describe, expect, test } from "bun:test";
import { count, createApp, embedded, memory, sum, tumbling } from "../../../mod.ts";
import type { App, LogDriver, Topic } from "../../../mod.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { ExternalError, FencedError } from "../../../src/base/errors.ts";
import { Random } from "../../../src/base/random.ts";
import type { CommitReceipt, CommittedPosition, CommitUnit, Log } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { Worker } from "../../../src/task/worker.ts";
import { gate, jsonOf, open, recordsOf, runtimeOf, SEED, valuesOf } from "./harness.ts";
import type { Gate } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
}

/** A log whose commits a test breaks. */
class BrokenLog extends WrappedLog {
  /** What the next commits fail with; null: nothing. */
  failure: (() => unknown) | null = null;
  /** Whether they fail after the log has done its part, inside of `apply`. */
  isInside = false;
  commits = 0;
  /** Held: who asks for committed positions waits. */
  asking: Gate | null = null;

  override commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt> {
    this.commits++;
    const failure = this.failure?.() ?? null;
    if (failure === null) return this.inner.commit(unit, apply);
    if (!this.isInside) throw failure;
    return this.inner.commit(unit, (positions) => {
      apply(positions);
      throw failure;
    });
  }

  override async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    await this.asking?.promise;
    return await this.inner.committed(group, partitions);
  }
}

/** The driver, with its log wrapped; the last one opened is in `log`. */
function broken(driver: LogDriver): LogDriver & { log: BrokenLog } {
  return {
    "~log": driver["~log"],
    log: undefined as unknown as BrokenLog,
    async open(context) {
      const opened = await driver.open(context);
      this.log = new BrokenLog(opened.log);
      return { ...opened, log: this.log };
    },
  };
}

function setUp(partitions = 1): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", { errors: { retry: false } });
  const input = app.topic<string, In>("in", { key: (value) => value.k, partitions });
  return { app, input };
}

async function send(input: Topic<string, In, In>, ...records: readonly (readonly [k: string, v: number, at: number])[]): Promise<void> {
  for (const [k, v, at] of records) await input.send({ k, v }, { timestamp: at });
}

describe("a commit that fails", () => {
  for (const [name, driver] of [["embedded", () => embedded({ disk: memoryDisk() })], ["memory", memory]] as const) {
    test(`${name}: undoes all since the last one, pauses, and does it again: results once`, async () => {
      const { app, input } = setUp();
      const stream = app.stream(input);
      stream.groupByKey().window(tumbling(10), { emit: "update" }).aggregate({ n: count() }).map(({ value }) => value.n).to("counts");
      stream.map(async (value) => {
        if (value.v === 13) throw new Error("poison");
        return value.v;
      }).to("copy");
      const log = broken(driver());
      const stand = await open(app, { driver: log });
      await send(input, ["a", 1, 1], ["a", 2, 2]);
      await stand.drain();

      log.log.failure = () => new ExternalError("LOG_COMMIT_FAILED", "the disk is full");
      await send(input, ["a", 13, 3], ["a", 4, 4], ["b", 5, 5]);
      await stand.settle();
      await expect(stand.engine.worker.commit()).rejects.toMatchObject({ code: "LOG_COMMIT_FAILED" });
      await stand.settle();
      const during = { health: stand.engine.health(), counts: valuesOf(stand.log, "counts"), letters: recordsOf(stand.log, "in-dlq").length };
      log.log.failure = null;
      await stand.advance(300);
      await stand.drain();

      expect(during).toMatchObject({ health: { status: "degraded", reason: "commits fail: the disk is full", live: true }, counts: [1, 2], letters: 0 });
      expect({ counts: valuesOf(stand.log, "counts"), copy: valuesOf(stand.log, "copy"), letters: jsonOf(stand.log, "in-dlq"), status: stand.engine.health().status }).toEqual({
        counts: [1, 2, 3, 1],
        copy: [1, 2, 4, 5],
        letters: [{ k: "a", v: 13 }],
        status: "ok",
      });
      await stand.crash();
    });
  }

  test("F18 inside of its own transaction: the log has nothing of it, nor has the state", async () => {
    const { app, input } = setUp();
    app.stream(input).groupByKey().window(tumbling(10)).aggregate({ total: sum((value) => value.v) }).map(({ value }) => value.total).to("out");
    const log = broken(embedded({ disk: memoryDisk() }));
    const stand = await open(app, { driver: log });

    log.log.isInside = true;
    log.log.failure = () => new ExternalError("LOG_COMMIT_FAILED", "no space");
    await send(input, ["a", 1, 1], ["a", 2, 2], ["a", 4, 50]);
    await stand.settle();
    await expect(stand.engine.worker.commit()).rejects.toMatchObject({ code: "LOG_COMMIT_FAILED" });
    const during = recordsOf(stand.log, "out").length;
    log.log.failure = null;
    await stand.restart();
    await stand.drain();

    expect([during, valuesOf(stand.log, "out")]).toEqual([0, [3]]);
    await stand.crash();
  });

  test("pauses double from a quarter of a second to half a minute, and begin anew after a success", async () => {
    const { app, input } = setUp();
    app.stream(input).to("out");
    const log = broken(embedded({ disk: memoryDisk() }));
    const stand = await open(app, { driver: log, worker: { commitIntervalMs: 0 } });
    log.log.failure = () => new Error("down");
    await send(input, ["a", 1, 1]);

    const pauses: number[] = [];
    await stand.settle();
    for (let i = 0; i < 9; i++) {
      const from = stand.runtime.monotonic();
      const { nextWakeAt } = stand.engine.worker.step();
      pauses.push(nextWakeAt - from);
      await stand.advance(nextWakeAt - from);
    }
    log.log.failure = null;
    await stand.advance(30_000);
    log.log.failure = () => new Error("down again");
    await send(input, ["a", 2, 2]);
    await stand.settle();
    pauses.push(stand.engine.worker.step().nextWakeAt - stand.runtime.monotonic());

    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 250]);
    await stand.crash();
  });

  test("results equal those of an undisturbed run, whichever commits fail", async () => {
    const run = async (failures: readonly boolean[]): Promise<unknown> => {
      const { app, input } = setUp(2);
      const stream = app.stream(input);
      stream.groupBy((value) => `g${value.v % 3}`).window(tumbling(10)).aggregate({ n: count(), total: sum((value) => value.v) }).to("out");
      stream.map(async (value) => value).map((value) => {
        if (value.v % 10 === 7) throw new Error("seven");
        return value.v;
      }).to("copy");
      const log = broken(embedded({ disk: memoryDisk() }));
      const stand = await open(app, { driver: log, worker: { commitRecords: 3, stepRecords: 2 } });
      let at = 0;
      log.log.failure = () => failures[at++] === true ? new Error("now and then") : null;
      for (let i = 0; i < 60; i++) await input.send({ k: `k${i}`, v: i }, { timestamp: i, partition: i % 2 });
      for (const partition of [0, 1]) await input.send({ k: "end", v: 0 }, { timestamp: 1_000, partition });
      for (let i = 0; i < failures.length + 5; i++) await stand.advance(30_000);
      await stand.drain();
      const out = (valuesOf(stand.log, "out") as { key: string; start: number; value: unknown }[]).toSorted((a, b) => a.start - b.start || (a.key < b.key ? -1 : 1));
      const results = { out, copy: (valuesOf(stand.log, "copy") as number[]).toSorted((a, b) => a - b), letters: recordsOf(stand.log, "in-dlq").length, late: recordsOf(stand.log, "in-late").length };
      await stand.crash();
      return results;
    };
    const undisturbed = await run([]);
    const random = new Random(SEED);

    for (let round = 0; round < 8; round++) {
      expect(await run(Array.from({ length: 30 }, () => random.chance(0.4)))).toEqual(undisturbed);
    }
  });

  test("a broken store ends the worker with the reason; nothing is tried again", async () => {
    const { app, input } = setUp();
    app.stream(input).to("out");
    const { StoreError } = await import("../../../src/base/errors.ts");
    const log = broken(embedded({ disk: memoryDisk() }));
    const stand = await open(app, { driver: log, worker: { commitIntervalMs: 0 } });
    log.log.failure = () => new StoreError("STORE_CORRUPT", "page 7 is damaged");
    await send(input, ["a", 1, 1]);

    await stand.settle();
    await stand.advance(60_000);

    expect([log.log.commits, stand.engine.worker.state, stand.engine.health()]).toMatchObject([1, "failed", { status: "error", reason: "page 7 is damaged", live: false }]);
    await stand.crash();
  });

  test("fenced: its work is dropped and begun again from what is committed", async () => {
    const { app, input } = setUp();
    app.stream(input).map((value) => value.v).to("out");
    const log = broken(embedded({ disk: memoryDisk() }));
    const stand = await open(app, { driver: log });
    log.log.failure = () => new FencedError("another owns it");
    await send(input, ["a", 1, 1]);
    await stand.settle();

    await expect(stand.engine.worker.commit()).rejects.toMatchObject({ code: "FENCED" });
    log.log.failure = null;
    await stand.advance(300);
    await stand.drain();

    expect(valuesOf(stand.log, "out")).toEqual([1]);
    await stand.crash();
  });
});

describe("a commit", () => {
  test("waits for a running handler, but no longer than commitWaitMs; then the record is pending and none of its effects are in", async () => {
    const { app, input } = setUp();
    const slow = gate();
    let runs = 0;
    app.stream(input).groupByKey().window(tumbling(100), { emit: "update" }).aggregate({ n: count() }).map(async ({ value }) => {
      runs++;
      if (value.n === 2) await slow.promise;
      return value.n;
    }).to("out");
    const stand = await open(app, { worker: { commitIntervalMs: 10, commitWaitMs: 50 } });
    await send(input, ["a", 1, 1], ["a", 2, 2], ["a", 3, 3]);

    await stand.settle();
    await stand.advance(10);
    await stand.advance(49);
    const waiting = stand.engine.worker.stats.commits;
    await stand.advance(1);
    const committed = { commits: stand.engine.worker.stats.commits, position: await stand.log.committed("t", [{ topic: "in", partition: 0 }]), out: valuesOf(stand.log, "out") };
    await stand.restart();
    await stand.settle();
    slow.open();
    await stand.drain();

    expect([waiting, committed]).toEqual([0, { commits: 1, position: [{ topic: "in", partition: 0, position: 2 }], out: [1] }]);
    expect({ out: valuesOf(stand.log, "out"), runs }).toEqual({ out: [1, 2, 3], runs: 4 });
    await stand.crash();
  });

  test("a handler that is done within the wait is in", async () => {
    const { app, input } = setUp();
    const slow = gate();
    app.stream(input).map(async (value) => {
      await slow.promise;
      return value.v;
    }).to("out");
    const stand = await open(app, { worker: { commitIntervalMs: 10, commitWaitMs: 50 } });
    await send(input, ["a", 1, 1]);

    await stand.settle();
    await stand.advance(10);
    slow.open();
    await stand.settle();
    await stand.restart();

    expect(valuesOf(stand.log, "out")).toEqual([1]);
    await stand.crash();
  });

  test("a handler that fails leaves nothing of what its record did before it, and one under way nothing that a commit could take", async () => {
    const { app, input } = setUp();
    const slow = gate();
    app.stream(input).groupByKey().window(tumbling(100), { emit: "update" }).aggregate({ n: count() }).map(async ({ value }) => {
      if (value.n === 2) await slow.promise;
      return value.n;
    }).to("out");
    const stand = await open(app);
    await send(input, ["a", 1, 1], ["a", 2, 2]);
    await stand.settle();
    await stand.engine.worker.commit();

    slow.fail(new Error("after all"));
    await send(input, ["a", 3, 3]);
    await stand.settle();
    await stand.restart();
    await stand.drain();

    expect({ out: valuesOf(stand.log, "out"), letters: recordsOf(stand.log, "in-dlq").length }).toEqual({ out: [1], letters: 2 });
    await stand.crash();
  });

  test("a crash while a handler is under way, after its record was committed as pending: it runs again, with its effects once", async () => {
    const { app, input } = setUp();
    const first = gate();
    let runs = 0;
    app.stream(input).map(async (value) => {
      if (++runs === 1) await first.promise;
      return value.v;
    }).to("out");
    const stand = await open(app);
    await send(input, ["a", 1, 1]);
    await stand.settle();
    await stand.engine.worker.commit();

    await stand.crash();
    first.open();
    await stand.start();
    await stand.drain();
    await stand.restart();
    await stand.drain();

    expect([runs, valuesOf(stand.log, "out")]).toEqual([2, [1]]);
    await stand.crash();
  });

  test("stop() waits for handlers under way, takes nothing new, and commits what was done", async () => {
    const { app, input } = setUp();
    const slow = gate();
    app.stream(input).map(async (value) => {
      await slow.promise;
      return value.v;
    }).to("out");
    const driver = embedded({ disk: memoryDisk() });
    const stand = await open(app, { driver });
    await send(input, ["a", 1, 1], ["a", 2, 2], ["a", 3, 3]);
    await stand.settle();

    const stopped = stand.engine.stop(1_000);
    await stand.runtime.yield();
    slow.open();
    await stopped;
    await stand.start();

    expect([valuesOf(stand.log, "out"), await stand.log.committed("t", [{ topic: "in", partition: 0 }])]).toEqual([[1], [{ topic: "in", partition: 0, position: 1 }]]);
    await stand.crash();
  });

  test("stop() names the tasks whose handlers are not done at its deadline, and leaves their records to the next start", async () => {
    const { app, input } = setUp();
    app.stream(input).forEach(() => new Promise(() => {}));
    const stand = await open(app);
    await send(input, ["a", 1, 1]);
    await stand.settle();

    const stopped = stand.engine.stop(1_000);
    await stand.runtime.yield();
    stand.runtime.advance(1_000);
    await stopped;

    expect(stand.events.filter(({ type }) => type === "warning")).toEqual([{
      type: "warning",
      message: "Stopped after 1000 ms with handlers of in/0 still at work: their records are processed again at the next start",
      error: null,
    }]);
    await stand.crash();
  });
});

// ── Several workers in a group ───────────────────────────────────────────────────────────────────────────────────────

/** Workers of one app on one log in memory; their state is in one database, as it would be after it had moved with its task. */
class Group {
  readonly #app: App;
  readonly #runtime: Runtime;
  readonly log: BrokenLog;
  readonly #database: Awaited<ReturnType<typeof openDatabase>>;
  readonly workers: Worker[] = [];

  constructor(app: App, runtime: Runtime, database: Awaited<ReturnType<typeof openDatabase>>) {
    this.#app = app;
    this.#runtime = runtime;
    this.log = new BrokenLog(memoryLog(runtime));
    this.#database = database;
  }

  async join(): Promise<Worker> {
    const options = { log: this.log as Log, runtime: this.#runtime, database: this.#database, topology: internalsOf(this.#app).builder.build(), commitIntervalMs: 5, stepRecords: 3, clockIntervalMs: 1 };
    const worker = await Worker.start(options);
    this.workers.push(worker);
    return worker;
  }

  async leave(worker: Worker): Promise<void> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    // A last commit that fails is done again by whoever gets the partitions.
    await worker.stop(0).catch(() => {});
  }

  async steps(runtime: ReturnType<typeof runtimeOf>, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      for (const worker of this.workers) worker.step();
      runtime.advance(1);
      await runtime.yield();
    }
  }
}

describe("two workers in a group", () => {
  test("F12 members come and go in the middle of everything: each record counts once, each window is said once", async () => {
    const random = new Random(SEED);
    for (let round = 0; round < 4; round++) {
      const { app, input } = setUp(4);
      app.stream(input).groupBy((value) => `g${value.v % 7}`).window(tumbling(50, { grace: 10_000 })).aggregate({ n: count(), total: sum((value) => value.v) }).to("out");
      app.stream(input).map(async (value) => value.v).to("copy");
      const runtime = runtimeOf(SEED + round);
      const group = new Group(app, runtime, await openDatabase(runtime, memoryDisk(), "state.db"));
      await group.join();
      const sendAt = async (v: number, timestamp: number, partition: number): Promise<void> =>
        void await group.log.append([{ topic: "in", partition, records: [{ key: `k${v}`, value: JSON.stringify({ k: `k${v}`, v }), timestamp, headers: [] }] }]);

      for (let i = 0; i < 200; i++) {
        await sendAt(i, i, i % 4);
        if (random.chance(0.3)) await group.steps(runtime, random.below(4));
        if (random.chance(0.08)) await (group.workers.length < 3 ? group.join() : group.leave(random.pick(group.workers)));
        if (random.chance(0.05)) group.log.failure = () => random.chance(0.3) ? new Error("refused") : null;
      }
      group.log.failure = null;
      for (let partition = 0; partition < 4; partition++) await sendAt(0, 1_000_000, partition);
      for (let i = 0; i < 30; i++) {
        runtime.advance(30_000);
        await group.steps(runtime, 30);
      }

      const copy = (valuesOf(group.log, "copy") as number[]).toSorted((a, b) => a - b);
      const out = (valuesOf(group.log, "out") as { key: string; start: number; value: { n: number; total: number } }[]).map(({ key, start, value }) => `${start} ${key} ${value.n} ${value.total}`);
      const wanted = new Map<string, number[]>();
      for (let i = 0; i < 200; i++) {
        const id = `${Math.floor(i / 50) * 50} g${i % 7}`;
        wanted.set(id, [...wanted.get(id) ?? [], i]);
      }
      expect(copy).toEqual([0, 0, 0, 0, ...Array.from({ length: 200 }, (_, i) => i)]);
      expect(out.toSorted()).toEqual([...wanted].map(([id, values]) => `${id} ${values.length} ${values.reduce((a, b) => a + b, 0)}`).toSorted());
      for (const worker of [...group.workers]) await group.leave(worker);
    }
  });

  test("a revoke whose commit fails gives the partitions up all the same: no record is worked on twice at a time, or left out", async () => {
    const { app, input } = setUp(2);
    app.stream(input).map((value) => value.v).to("out");
    const runtime = runtimeOf();
    const group = new Group(app, runtime, await openDatabase(runtime, memoryDisk(), "state.db"));
    const first = await group.join();
    void input;
    for (let v = 0; v < 10; v++) await group.log.append([{ topic: "in", partition: v % 2, records: [{ key: "a", value: JSON.stringify({ k: "a", v }), timestamp: v, headers: [] }] }]);
    first.step();

    group.log.failure = () => new Error("refused");
    const second = await group.join();
    group.log.failure = null;
    const owned = [first, second].map((worker) => worker.tasks.map(({ id }) => id));
    runtime.advance(300);
    await group.steps(runtime, 30);

    expect(owned.map((tasks) => tasks.length)).toEqual([1, 1]);
    expect(first.tasks.length + second.tasks.length).toBe(2);
    expect((valuesOf(group.log, "out") as number[]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, v) => v));
    for (const worker of [...group.workers]) await group.leave(worker);
  });

  test("a rebalance in the middle of building after an abort builds each task once", async () => {
    const { app } = setUp(2);
    app.stream(app.topic<string, In>("other", { partitions: 2 })).map((value) => value.v).to("out");
    const runtime = runtimeOf();
    const group = new Group(app, runtime, await openDatabase(runtime, memoryDisk(), "state.db"));
    const first = await group.join();
    for (let v = 0; v < 10; v++) await group.log.append([{ topic: "other", partition: v % 2, records: [{ key: "a", value: JSON.stringify({ k: "a", v }), timestamp: v, headers: [] }] }]);
    first.step();
    group.log.failure = () => new Error("refused");
    group.log.asking = gate();
    first.commit().catch(() => {});
    group.log.failure = null;
    const joining = group.join();
    await runtime.yield();
    group.log.asking.open();
    group.log.asking = null;
    const second = await joining;
    runtime.advance(300);
    await group.steps(runtime, 30);

    expect([first, second].map((worker) => worker.tasks.length)).toEqual([1, 1]);
    expect((valuesOf(group.log, "out") as number[]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, v) => v));
    for (const worker of [...group.workers]) await group.leave(worker);
  });
});
