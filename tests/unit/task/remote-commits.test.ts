/** Commits to a log that is elsewhere: what each must say, so that a worker which lost its partitions without knowing writes nothing, and what a worker says of itself that is out. */
import { expect, test } from "bun:test";
import { count, createApp, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import type { LogDriver } from "../../../src/log/driver.ts";
import { FencedError } from "../../../src/base/errors.ts";
import type { AssignmentListener, CommittedPosition, CommitUnit, Log, LogCapabilities, Membership } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { open, runtimeOf, START, valuesOf } from "./harness.ts";

/** Keeps what commits say. */
class HeardLog extends WrappedLog {
  readonly units: CommitUnit[] = [];
  /** What the next commit fails with. */
  failure: unknown = null;
  listener: AssignmentListener | null = null;
  membership: Membership | null = null;

  override async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    this.listener = listener;
    return this.membership = await super.join(group, topics, listener);
  }

  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, durable: true };
  }

  override commit(unit: CommitUnit, apply: (positions: readonly CommittedPosition[]) => void): ReturnType<Log["commit"]> {
    this.units.push({
      ...unit,
      outputs: unit.outputs.filter(({ encoder }) => encoder.count > 0),
      changelog: unit.changelog.filter(({ encoder }) => encoder.count > 0),
    });
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
    return super.commit(unit, apply);
  }
}

const runtime = runtimeOf();

function driverOf(log: Log): LogDriver {
  return { "~log": "memory", open: async () => ({ log, database: await openDatabase(runtime, memoryDisk(), "state.db"), place: "memory" }) };
}

function closing(): App {
  const app = createApp("t");
  app.stream(app.topic<string, number>("in", { partitions: 2 })).groupByKey().window(tumbling("10s")).aggregate({ n: count() }).to("closed");
  return app;
}

test("F06 a commit of what time alone brought says a position too: by it a worker that lost its partitions is refused", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log), worker: { idleTimeoutMs: 1_000 } });
  await stand.engine.worker.whenBuilt();
  await stand.append("in", [{ key: "k", value: "1", timestamp: START }]);
  await stand.drain();
  const before = log.units.length;

  await stand.advance(60_000);
  await stand.drain();

  expect(valuesOf(log, "closed").length).toBe(1);
  const written = log.units.slice(before).filter(({ outputs, changelog }) => outputs.length + changelog.length > 0);
  expect(written.length).toBeGreaterThan(0);
  expect(written.map(({ positions }) => positions)).toEqual(written.map(() => [{ topic: "in", partition: 0, position: 1 }]));
  await stand.engine.worker.stop(0);
});

test("a worker whose member is out for good says so: it would get nothing to do any more", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log) });
  await stand.engine.worker.whenBuilt();

  const { listener, membership } = log;
  listener!.lost(membership!.assigned);
  listener!.out!(new FencedError("[memory] another one joined under its instance id"));
  await stand.settle();

  expect(stand.engine.health()).toMatchObject({ status: "error", reason: "[memory] another one joined under its instance id", ready: false, live: false });
  await stand.engine.worker.stop(0);
});

test("a worker that failed gives its partitions to others", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log) });
  await stand.engine.worker.whenBuilt();
  const heard: string[] = [];
  const other = log.inner.join("t", ["in"], {
    assigned: (partitions) => void heard.push(partitions.map(({ partition }) => partition).join()),
    revoked() {},
    lost() {},
  });
  await other;

  log.listener!.out!(new Error("broken"));
  await stand.settle();

  expect(stand.engine.worker.state).toBe("failed");
  expect(heard).toEqual(["1", "0,1"]);
  await (await other).leave();
  await stand.engine.worker.stop(0);
});

test("a worker that was refused a commit, and has no partitions after that, is well", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log) });
  await stand.engine.worker.whenBuilt();
  await stand.append("in", [{ key: "k", value: "1", timestamp: START }]);
  await stand.settle();

  // Others have its partitions, which it hears of by the commit first.
  log.failure = new FencedError("[memory] the group has moved on");
  await stand.engine.worker.commit().catch(() => {});
  log.listener!.lost(log.membership!.assigned);
  await log.listener!.assigned([]);
  await stand.advance(60_000);

  expect(stand.engine.worker.tasks).toEqual([]);
  expect(stand.engine.health()).toMatchObject({ status: "ok", ready: true });
  await stand.engine.worker.stop(0);
});

test("F30 a worker that has lost its partitions stops in order: it has nothing left to commit", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log) });
  await stand.engine.worker.whenBuilt();
  await stand.append("in", [{ key: "k", value: "1", timestamp: START }]);
  await stand.settle();

  log.failure = new FencedError("[memory] the group has moved on");
  await stand.engine.worker.stop(0);

  expect([stand.engine.worker.state, log.failure]).toEqual(["stopped", null]);
});

test("F13 commits that were refused in one rebalance after the other don't keep a worker from what it is assigned then", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log), worker: { commitIntervalMs: 100 } });
  await stand.engine.worker.whenBuilt();
  const { listener, membership } = log;
  await stand.append("in", [{ key: "k", value: "1", timestamp: START }]);
  for (let rebalances = 0; rebalances < 10; rebalances++) {
    await stand.advance(0);
    log.failure = new FencedError("[memory] the group has moved on");
    await stand.advance(100);
    expect(log.failure).toBeNull();
    listener!.lost(membership!.assigned);
    await listener!.assigned(membership!.assigned);
    await stand.engine.worker.whenBuilt();
  }

  const { commits } = stand.engine.worker.stats;
  await stand.advance(0);
  await stand.advance(100);
  expect(stand.engine.worker.stats.commits).toBe(commits + 1);
  await stand.engine.worker.stop(0);
});

test("F24 a worker that lost its partitions and hears of no others says so until it does", async () => {
  const log = new HeardLog(memoryLog(runtime));
  const stand = await open(closing(), { runtime, driver: driverOf(log) });
  await stand.engine.worker.whenBuilt();
  const { listener, membership } = log;

  listener!.lost(membership!.assigned);
  await stand.settle();
  expect(stand.engine.health()).toMatchObject({ status: "degraded", reason: "its group is sharing out partitions: none are here", live: true });

  await listener!.assigned(membership!.assigned);
  await stand.engine.worker.whenBuilt();
  expect(stand.engine.health()).toMatchObject({ status: "ok", ready: true });
  await stand.engine.worker.stop(0);
});
