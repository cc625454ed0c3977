/** Bugs that the simulator found in the engine, each as small as it goes. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { count, createApp, embedded, retryLater, tumbling } from "../../mod.ts";
import type { LogDriver } from "../../mod.ts";
import { internalsOf } from "../../src/app/app.ts";
import { embeddedLog } from "../../src/log/embedded.ts";
import { Random } from "../../src/base/random.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import { FaultyDisk, testApp, virtualRuntime } from "../../src/testing/testing.ts";

const MINUTE = 60_000;

describe("found by the simulator", () => {
  test("a record that was tried again is not late behind a repartition by the clock it held back", async () => {
    const app = createApp("shop");
    const events = app.topic("events", { timestamp: ({ at }: { readonly at: number }) => at, watermarkDelay: 0 });
    let tries = 0;
    const counts = app.stream(events)
      .map((event) => {
        if (event.at === 1_000 && ++tries === 1) throw retryLater("10s");
        return event;
      })
      .groupBy(() => "all").window(tumbling(MINUTE, { grace: MINUTE })).aggregate({ n: count() }).to("counts");
    await using t = testApp(app);

    await t.send(events, { at: 1_000 }, { key: "slow" });
    // Within the grace of the first window for the record that waits, beyond it for one that comes now.
    await t.send(events, { at: 3 * MINUTE }, { key: "fast" });
    await t.advance("1m");
    await t.send(events, { at: 6 * MINUTE }, { key: "fast" });

    expect(await t.late(events)).toEqual([]);
    expect((await t.read(counts)).map(({ value: { start, value } }) => [start, value.n])).toEqual([[0, 1], [3 * MINUTE, 1]]);
  });

  test("a record whose timestamp cannot be told at first is judged late by the clock as it was when its turn came", async () => {
    let tries = 0;
    const app = createApp("shop");
    const events = app.topic("events", {
      timestamp: ({ at }: { readonly at: number }) => {
        if (at === 1_000 && ++tries <= 2) throw retryLater("10s");
        return at;
      },
    });
    const counts = app.stream(events).groupByKey().window(tumbling(MINUTE)).aggregate({ n: count() }).to("counts");
    await using t = testApp(app);

    await t.sendBytes(events, new TextEncoder().encode('{"at":1000}'), { key: "slow", timestamp: 1_000 });
    await t.send(events, { at: 5 * MINUTE }, { key: "fast" });
    await t.advance("1m");
    await t.send(events, { at: 9 * MINUTE }, { key: "fast" });

    expect(tries).toBeGreaterThan(2);
    expect(await t.late(events)).toEqual([]);
    expect((await t.read(counts)).map(({ key, value }) => [key, value.start])).toEqual([["slow", 0], ["fast", 5 * MINUTE]]);
  });

  test("a flushed commit survives power that is lost again before the next one is flushed", async () => {
    const runtime = virtualRuntime({ host: await hostRuntime() });
    // Sectors that were not flushed are garbage, with all that was in them.
    const disk = new FaultyDisk({ random: new Random(1), fates: { kept: 0, lost: 0, garbage: 1 } });
    const first = await openDatabase(runtime, disk, "state.db");
    first.exec("CREATE TABLE rows (n INTEGER); INSERT INTO rows VALUES (1)");
    await first.flush();
    const counts: number[] = [];
    for (let life = 0; life < 4; life++) {
      const database = life === 0 ? first : await openDatabase(runtime, disk, "state.db");
      const statement = database.prepare("SELECT count(*) FROM rows");
      counts.push(statement.step() ? statement.number(0) : -1);
      statement.finalize();
      database.exec("INSERT INTO rows VALUES (2)");
      disk.crash();
    }

    expect(counts).toEqual([1, 1, 1, 1]);
  });

  test("step() that cannot read ahead fails its worker instead of throwing", async () => {
    const app = createApp("shop");
    app.stream(app.topic("events")).to("copies");
    const disk = new FaultyDisk();
    const runtime = virtualRuntime({ host: await hostRuntime() });
    const engine = await internalsOf(app).open({ runtime, driver: embedded({ disk }), worker: { stepRecords: 1, cacheBytes: 0 } });
    for (let i = 0; i < 3; i++) {
      await engine.log.append([{ topic: "events", partition: 0, records: [{ key: null, value: `"${"x".repeat(300_000)}"`, timestamp: 0 }] }]);
    }
    await engine.stop();
    const next = await internalsOf(app).open({ runtime, driver: embedded({ disk }), worker: { stepRecords: 1 } });
    await next.log.append([{ topic: "events", partition: 0, records: [{ key: null, value: "1", timestamp: 0 }] }]);

    disk.onOperation = ({ operation }) => operation === "read" && next.worker.stats.processed > 0 ? "failed" : null;
    const step = next.worker.step();

    expect([step.idle, next.worker.state]).toEqual([true, "failed"]);
  });

  test("an append that breaks the files stops the worker, although it has nothing to do", async () => {
    const app = createApp("shop");
    app.stream(app.topic("events")).to("copies");
    const disk = new FaultyDisk();
    const driver: LogDriver = {
      "~log": "embedded",
      open: async ({ runtime }) => ({ log: await embeddedLog(runtime, disk, { database: { checkpointBytes: 1 } }), database: null, place: "" }),
    };
    const engine = await internalsOf(app).open({ runtime: virtualRuntime({ host: await hostRuntime() }), driver });
    engine.worker.step();
    let isWoken = false;
    engine.worker.onWake(() => {
      isWoken = true;
    });

    disk.onOperation = ({ operation }) => operation === "sync" ? "failed" : null;
    const appended = engine.log.append([{ topic: "events", partition: 0, records: [{ key: null, value: "1", timestamp: 0 }] }]);
    await expect(appended).rejects.toThrow("a sync of it failed");
    await Promise.resolve();
    engine.worker.step();

    expect([isWoken, engine.worker.state, engine.health().status]).toEqual([true, "failed", "error"]);
  });

  test("step() that leaves something to commit is not due again before the commit is", async () => {
    const app = createApp("shop");
    app.stream(app.topic<string, number>("events")).filter((value) => value > 1).groupBy((value) => value).to("copies");
    const runtime = virtualRuntime({ host: await hostRuntime() });
    const engine = await internalsOf(app).open({ runtime, driver: embedded({ disk: new FaultyDisk() }), worker: { commitIntervalMs: 100 } });
    await engine.worker.commit();
    await engine.log.append([{ topic: "events", partition: 0, records: [{ key: null, value: "1", timestamp: 1 }] }]);

    const { idle, nextWakeAt } = engine.worker.step();
    await engine.stop();

    expect([idle, nextWakeAt]).toEqual([true, 100]);
  });
});
