/** A task on a log that does not hold its state: what it begins with after its disk was lost, fell behind, is ahead, or the log said its words late. */
import { describe, expect, test } from "bun:test";
import { count, createApp, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { CHANGELOG, type Rig, rigOn } from "./durable-log.ts";
import { open, runtimeOf, Stand, START, valuesOf } from "./harness.ts";

const runtime = runtimeOf();

function counting(): App {
  const app = createApp("t");
  app.stream(app.topic<string, number>("in")).groupByKey().window(tumbling("1h"), { emit: "update", name: "hourly" }).aggregate({ n: count() }).map((
    { value },
  ) => value.n).to("counts");
  return app;
}

/** Starts an app, and does not wait for its tasks. Nobody runs beside it: a change is accepted. */
async function started(driver: Rig, app: App = counting()): Promise<Stand> {
  return await open(app, { runtime, driver, worker: { acceptsChange: true } });
}

async function built(driver: Rig, app?: App): Promise<Stand> {
  const stand = await started(driver, app);
  await stand.engine.worker.whenBuilt();
  return stand;
}

/** Ends as a killed process does. */
async function kill(stand: Stand): Promise<void> {
  await stand.engine.worker.stop(0).catch(() => {});
}

async function count5(stand: Stand): Promise<void> {
  await stand.append("in", Array.from({ length: 5 }, () => ({ key: "k", value: "1" })));
  await stand.drain();
}

describe("a task begins with what was committed", () => {
  test("F14 its disk is lost: state comes back from the changelog alone, and is told of", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    await kill(first);
    driver.disk = memoryDisk();

    const second = await built(driver);
    await count5(second);

    expect(valuesOf(driver.log, "counts")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const begun = second.events.find(({ type }) => type === "taskStarted");
    expect(begun).toMatchObject({ task: "in/0", restoredRecords: (await driver.log.describe([CHANGELOG]))[0]!.end - 2 });
    await kill(second);
  });

  test("F16 its disk is behind: the tail of the changelog is read, and no more", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    driver.log.losesApply = true;
    await first.append("in", [{ key: "k", value: "1" }]);
    await first.settle();
    await first.engine.worker.commit().catch(() => {});
    driver.log.losesApply = false;
    await kill(first);

    const second = await built(driver);
    await count5(second);

    expect(valuesOf(driver.log, "counts")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const restored = second.events.flatMap((event) => event.type === "taskStarted" ? [event.restoredRecords] : []);
    expect(restored).toEqual([1]);
    await kill(second);
  });

  test("F15 its disk is ahead of the changelog: it is built again from there, and says so", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    await kill(first);
    driver.closeDisk();
    const other = rigOn(runtime);
    other.disk = driver.disk;

    const second = await built(other);
    await count5(second);

    expect(valuesOf(other.log, "counts")).toEqual([1, 2, 3, 4, 5]);
    expect(second.events).toContainEqual({
      type: "warning",
      message: expect.stringContaining("The state of in/0 on this disk is built again from its changelog: it is at position"),
      error: null,
    });
    await kill(second);
  });

  test("F22 the changelog was cut below its checkpoint: it is built again from what is there", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    await kill(first);
    driver.log.keptFrom = (await driver.log.describe([CHANGELOG]))[0]!.end + 1;

    const second = await started(driver);
    await second.engine.worker.whenBuilt();

    expect(second.events).toContainEqual({ type: "warning", message: expect.stringContaining("which begins at"), error: null });
    await kill(second);
  });

  test("F37 F21 the end of the last commit reaches the changelog late: nothing is processed before", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    await kill(first);
    driver.disk = memoryDisk();
    driver.log.stableEnd = 2;

    const second = await started(driver);
    await second.append("in", [{ key: "k", value: "1" }]);
    for (let i = 0; i < 20; i++) await second.advance(1_000);
    expect([second.engine.health().status, second.engine.health().reason, second.engine.worker.tasks.length]).toEqual([
      "degraded",
      "tasks are being restored",
      0,
    ]);
    driver.log.stableEnd = Infinity;
    for (const wake of driver.log.wakers) wake();
    await second.engine.worker.whenBuilt();
    await second.drain();

    expect(valuesOf(driver.log, "counts")).toEqual([1, 2, 3, 4, 5, 6]);
    expect(second.engine.health().status).toBe("ok");
    await kill(second);
  });

  for (const losesDisk of [false, true]) {
    test(`F23 its state is there and the group's positions are gone${losesDisk ? ", and so is its disk" : ""}: it counts nothing twice, and says so`, async () => {
      const driver = rigOn(runtime);
      const before = await built(driver);
      await count5(before);
      await kill(before);
      if (losesDisk) driver.disk = memoryDisk();

      driver.log.hasNoPositions = true;
      const after = await started(driver);
      const failure = await after.engine.worker.whenBuilt().then(() => null, (error: unknown) => error);
      expect(failure).toMatchObject({ code: "LOG_POSITION_OUT_OF_RANGE", message: expect.stringContaining(`"${CHANGELOG}"`) });
      await after.settle();
      expect(valuesOf(driver.log, "counts")).toEqual([1, 2, 3, 4, 5]);
      await kill(after);
    });
  }

  test("F24 the log cannot be asked: the worker says so and asks again", async () => {
    const driver = rigOn(runtime);
    driver.log.failures = Array.from({ length: 3 }, () => new ExternalError("LOG_UNAVAILABLE", "[memory] no broker answers"));

    const stand = await started(driver);
    await stand.advance(0);
    expect(stand.engine.health()).toMatchObject({ status: "degraded" });
    for (let i = 0; i < 8; i++) await stand.advance(500);
    await stand.engine.worker.whenBuilt();
    await count5(stand);

    expect(valuesOf(driver.log, "counts")).toEqual([1, 2, 3, 4, 5]);
    expect(stand.events.filter(({ type }) => type === "logUnavailable").map((event) => event.type === "logUnavailable" ? event.retryAfterMs : null)).toEqual([
      250,
      500,
      1_000,
    ]);
    await kill(stand);
  });

  test("F31 a store that changed is refused after its disk was lost, too", async () => {
    const driver = rigOn(runtime);
    const first = await built(driver);
    await count5(first);
    await kill(first);
    driver.disk = memoryDisk();
    const changed = createApp("t");
    changed.stream(changed.topic<string, number>("in")).groupByKey().window(tumbling("2h"), { emit: "update", name: "hourly" }).aggregate({ n: count() }).to(
      "counts",
    );

    const second = await started(driver, changed);

    await expect(second.engine.worker.whenBuilt()).rejects.toMatchObject({ code: "STORE_INCOMPATIBLE" });
    expect(second.engine.health().status).toBe("error");
    await kill(second);
  });

  test("F25 an input has gained partitions: the worker stops and says to start again", async () => {
    const driver = rigOn(runtime);
    const stand = await built(driver);

    await driver.log.listener!.assigned([{ topic: "in", partition: 1 }]);

    expect(stand.engine.worker.failure).toMatchObject({
      code: "LOG_TOPIC_MISMATCH",
      message: expect.stringContaining('topic "in" has a partition 1 now, and had 1 partitions when this worker started'),
    });
    await kill(stand);
  });
});

/** Counts two topics; with `isMerged` both are one sub-topology. */
function countingTwo(isMerged: boolean): App {
  const app = createApp("t");
  const input = app.topic<string, number>("in"), other = app.topic<string, number>("other");
  for (const [topic, name] of [[input, "n"], [other, "m"]] as const) {
    app.stream(topic).groupByKey().window(tumbling("1h"), { emit: "update", name }).aggregate({ n: count() }).map(({ value }) => value.n).to(`${name}-counts`);
  }
  if (isMerged) app.stream(input).merge(app.stream(other)).forEach(() => {});
  return app;
}

describe("F31 F14 parts that were merged, and parted again", () => {
  async function round(driver: Rig, isMerged: boolean, counts: readonly number[]): Promise<void> {
    const stand = await built(driver, countingTwo(isMerged));
    for (const topic of ["in", "other"]) await stand.append(topic, [{ key: "k", value: "1" }]);
    await stand.drain();
    for (const topic of ["n-counts", "m-counts"]) expect(valuesOf(driver.log, topic)).toEqual(counts as number[]);
    await kill(stand);
  }

  test("on the disk they had they go on, and from then on on any", async () => {
    const driver = rigOn(runtime);
    await round(driver, false, [1]);
    await round(driver, true, [1, 2]);
    await round(driver, false, [1, 2, 3]);
    driver.disk = memoryDisk();
    await round(driver, false, [1, 2, 3, 4]);
  });

  test("on an empty disk they don't begin with what they had before they were merged", async () => {
    const driver = rigOn(runtime);
    await round(driver, false, [1]);
    await round(driver, true, [1, 2]);
    driver.disk = memoryDisk();
    // Nor when it is tried again.
    for (let tries = 0; tries < 2; tries++) {
      const failure = await built(driver, countingTwo(false)).then(() => null, (error: unknown) => error);
      expect(failure).toMatchObject({ code: "STORE_INCOMPATIBLE", message: expect.stringContaining("another version of the app has taken store") });
    }
    await round(driver, true, [1, 2, 3]);
  });
});

describe("F31 F14 an app whose parts were merged or parted, on an empty disk", () => {
  for (const [name, before, after] of [["merged", false, true], ["parted", true, false]] as const) {
    test(`${name}: it takes its state from the changelogs it had then, and from its own the next time`, async () => {
      const driver = rigOn(runtime);
      for (const [round, isMerged] of [before, after, after].entries()) {
        driver.disk = memoryDisk();
        const stand = await built(driver, countingTwo(isMerged));
        for (const topic of ["in", "other"]) await stand.append(topic, [{ key: "k", value: "1" }]);
        await stand.drain();
        for (const topic of ["n-counts", "m-counts"]) expect(valuesOf(driver.log, topic)).toEqual([1, 2, 3].slice(0, round + 1));
        await kill(stand);
      }
    });
  }
});

test("a task that cannot be built, for a later version kept what waits, leaves no reader open", async () => {
  const app = createApp("t");
  app.stream(app.topic<string, number>("in")).map(() => {
    throw new Error("not yet");
  }).to("out");
  const driver = rigOn(runtime);
  const first = await built(driver, app);
  await count5(first);
  const pending = first.engine.worker.tasks[0]!.state.stores.get("in#pending")!;
  const [[id, packed]] = [...pending.all()] as [[string, Uint8Array]];
  // What follows the head of the list is the version of the row.
  pending.set(0, id, packed.map((byte, index) => index === 1 ? 99 : byte));
  await first.engine.worker.commit();
  await kill(first);

  const isOpen = new Map<string, number>();
  const count = (topic: string, by: number): void => void isOpen.set(topic, (isOpen.get(topic) ?? 0) + by);
  const { log } = driver;
  const reader = log.reader.bind(log);
  log.reader = (at, position, onArrival) => {
    const opened = reader(at, position, onArrival);
    count(at.topic, 1);
    const close = opened.close.bind(opened);
    opened.close = () => {
      count(at.topic, -1);
      close();
    };
    return opened;
  };
  const second = await built(driver, app);
  expect([...second.engine.worker.refused.values()].map((error) => (error as { readonly code?: string }).code)).toEqual(["STORE_NEWER"]);
  expect([isOpen.get("in"), isOpen.get("t-retry") ?? 0]).toEqual([0, 0]);
  await kill(second);
});
