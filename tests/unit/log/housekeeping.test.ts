import { describe, expect, test } from "bun:test";
import { embeddedLog } from "../../../src/log/embedded.ts";
import type { Log, TopicSpec } from "../../../src/log/log.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { commitDurably, member, readAll, texts, topicSpec, unit, valuesOf } from "../../../src/testing/conformance/log-subject.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { testRuntime, warnings } from "./log-fixture.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

async function open(spec: Partial<TopicSpec>, disk: Disk = memoryDisk(), clock?: Awaited<ReturnType<typeof testRuntime>>): Promise<{
  log: Log;
  disk: Disk;
  runtime: Runtime;
  clock: Awaited<ReturnType<typeof testRuntime>>;
  heard: string[];
}> {
  clock ??= await testRuntime();
  const { heard, onWarning } = warnings();
  const log = await embeddedLog(clock.runtime, disk, { onWarning });
  await log.ensureTopics([topicSpec("a", spec)]);
  return { log, disk, runtime: clock.runtime, clock, heard };
}

const put = (log: Log, ...values: string[]): Promise<unknown> => log.append([{ topic: "a", partition: 0, records: texts(...values) }]);
const set = (log: Log, key: string, value: string | null): Promise<unknown> => log.append([{ topic: "a", partition: 0, records: [{ key, value, timestamp: 1 }] }]);
const startOf = async (log: Log): Promise<number> => (await log.describe(["a"]))[0]!.start;

describe("retention of the embedded log", () => {
  test("by age goes by when a record was written, not by its own time, and at most once a minute", async () => {
    const { log, clock } = await open({ retention: { ageMs: 10 * MINUTE_MS } });
    await put(log, "0");
    clock.advance(9.5 * MINUTE_MS);
    await put(log, "1");
    const before = await startOf(log);

    clock.advance(0.5 * MINUTE_MS + 1);
    await put(log, "2");
    const within = await startOf(log);
    clock.advance(0.5 * MINUTE_MS);
    await put(log, "3");

    expect([before, within, await startOf(log)]).toEqual([0, 0, 1]);
    await log.close();
  });

  test("by bytes keeps at least the bytes asked for, over restarts", async () => {
    const opened = await open({ retention: { bytes: 20_000 } });
    let { log } = opened;
    const large = "x".repeat(1_000);
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 10; i++) await log.append([{ topic: "a", partition: 0, records: [{ key: null, value: large, timestamp: 1 }] }]);
      await log.close();
      ({ log } = await open({ retention: { bytes: 20_000 } }, opened.disk, opened.clock));
      opened.clock.advance(2 * MINUTE_MS);
      await put(log, "tick");
    }

    const [info] = await log.describe(["a"]);
    // A batch has 61 bytes of header and 1,008 of record: 19 of them are 20,311 bytes with the ticks between.
    expect(info!.end).toBe(66);
    expect(info!.end - info!.start).toBeGreaterThanOrEqual(19);
    expect(info!.end - info!.start).toBeLessThanOrEqual(21);
    expect((await readAll(log, { topic: "a", partition: 0 }, info!.start)).length).toBe(info!.end - info!.start);
    await log.close();
  });

  test("L1 positions go on where they were when retention has taken every record", async () => {
    const opened = await open({ retention: { ageMs: MINUTE_MS } });
    await opened.log.ensureTopics([topicSpec("b")]);
    await put(opened.log, "0", "1");
    opened.clock.advance(DAY_MS);
    await opened.log.append([{ topic: "b", partition: 0, records: texts("tick") }]);
    const [empty] = await opened.log.describe(["a"]);
    await opened.log.close();

    const { log } = await open({ retention: { ageMs: MINUTE_MS } }, opened.disk, opened.clock);
    const [reopened] = await log.describe(["a"]);
    await put(log, "2");

    expect([empty, reopened]).toEqual([{ topic: "a", partition: 0, start: 2, end: 2 }, { topic: "a", partition: 0, start: 2, end: 2 }]);
    expect(await readAll(log, { topic: "a", partition: 0 }, 2)).toEqual([{ position: 2, key: "2", value: "2" }]);
    await log.close();
  });

  test("by age waits for a group that reads, and says what a stopped group loses", async () => {
    const { log, clock, heard } = await open({ retention: { ageMs: MINUTE_MS } });
    const membership = await member(log, "g", "a");
    await put(log, "0");
    await put(log, "1");
    await commitDurably(log, unit(membership, { positions: [{ topic: "a", partition: 0, position: 1 }] }));
    clock.advance(DAY_MS);
    await put(log, "2");
    const held = await startOf(log);

    await membership.leave();
    clock.advance(DAY_MS);
    await put(log, "3");

    expect([held, await startOf(log)]).toEqual([1, 3]);
    expect(heard).toEqual(['[embedded] Retention dropped records of "a" partition 0 from position 1 up to 3 before group "g" read them']);
    await log.close();
  });

  test("works in bites: a backlog of retention goes over several transactions", async () => {
    const { log, clock } = await open({ retention: { ageMs: MINUTE_MS } });
    const large = "x".repeat(200_000);
    for (let i = 0; i < 60; i++) await log.append([{ topic: "a", partition: 0, records: [{ key: null, value: large, timestamp: 1 }] }]);
    clock.advance(DAY_MS);
    const starts: number[] = [];
    for (let i = 0; i < 5; i++) {
      await put(log, "tick");
      starts.push(await startOf(log));
    }

    expect(starts).toEqual([21, 42, 60, 60, 60]);
    await log.close();
  });

  test("a topic kept for ever keeps everything", async () => {
    const { log, clock } = await open({ retention: "forever" });
    await put(log, "0");
    clock.advance(1_000 * DAY_MS);
    await put(log, "1");
    clock.advance(DAY_MS);
    await put(log, "2");

    expect(await valuesOf(log, "a")).toEqual(["0", "1", "2"]);
    await log.close();
  });
});

describe("compaction of the embedded log", () => {
  const large = "x".repeat(10_000);

  /** Writes each key over and over, and lets the log compact. */
  async function churn(log: Log, clock: { advance(ms: number): void }, rounds: number): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      await log.append([{ topic: "a", partition: 0, records: Array.from({ length: 10 }, (_, k) => ({ key: `k${k}`, value: `${i}${large}`, timestamp: 1 })) }]);
    }
    clock.advance(2 * MINUTE_MS);
    for (let i = 0; i < 20; i++) await set(log, "tick", `${i}`);
  }

  test("keeps the newest record of each key at its position, over several rounds and a restart", async () => {
    const opened = await open({ retention: "compact" });
    let { log } = opened;
    const model = new Map<string, { position: number; value: string }>();
    let records = 0;
    for (let round = 0; round < 3; round++) {
      await churn(log, opened.clock, 20);
      await log.close();
      ({ log } = await open({ retention: "compact" }, opened.disk, opened.clock));
    }

    const seen = await readAll(log, { topic: "a", partition: 0 });
    for (const { position, key, value } of seen) {
      model.set(key!, { position, value: value! });
      records++;
    }
    // 660 records were written; 31 or so are left: the newest ones, and the ticks since the last compaction.
    expect(records).toBeLessThan(60);
    expect([...model].filter(([key]) => key !== "tick").map(([key, { position, value }]) => [key, position, value.slice(0, 2)]))
      .toEqual(Array.from({ length: 10 }, (_, k) => [`k${k}`, 2 * 220 + 190 + k, "19"]));
    expect((await log.describe(["a"]))[0]).toEqual({ topic: "a", partition: 0, start: 0, end: 660 });
    for (const from of [1, 100, 333, 629, 659]) {
      expect(await readAll(log, { topic: "a", partition: 0 }, from)).toEqual(seen.filter(({ position }) => position >= from));
    }
    await log.close();
  });

  test("keeps tombstones for seven days, then drops them", async () => {
    const { log, clock } = await open({ retention: "compact" });
    await set(log, "gone", "1");
    await set(log, "gone", null);
    await log.append([{ topic: "a", partition: 0, records: [{ key: null, value: "without a key", timestamp: 1 }] }]);
    await churn(log, clock, 20);
    const early = await readAll(log, { topic: "a", partition: 0 });

    clock.advance(8 * DAY_MS);
    await churn(log, clock, 20);
    const late = await readAll(log, { topic: "a", partition: 0 });

    expect(early.slice(0, 2)).toEqual([{ position: 1, key: "gone", value: null }, { position: 2, key: null, value: "without a key" }]);
    expect(late[0]).toEqual({ position: 2, key: null, value: "without a key" });
    expect(late.filter(({ key }) => key === "gone")).toEqual([]);
    await log.close();
  });
});

test("F18 compaction begins anew when a transaction of it failed", async () => {
  for (const failing of [0, 1, 2, 3]) {
    const disk = new FaultyDisk();
    const { log, clock } = await open({ retention: "compact" }, disk);
    for (let i = 0; i < 12; i++) {
      await log.append([{ topic: "a", partition: 0, records: Array.from({ length: 5 }, (_, k) => ({ key: `k${k}`, value: "x".repeat(100_000), timestamp: 1 })) }]);
    }
    clock.advance(2 * MINUTE_MS);
    for (let i = 0; i < 4; i++) {
      disk.onOperation = ({ operation }) => operation === "write" && i === failing ? "full" : null;
      const outcome = await set(log, "tick", `${i}`).then(() => "in", () => "refused");
      expect(outcome).toBe(i === failing ? "refused" : "in");
    }
    disk.onOperation = null;
    clock.advance(2 * MINUTE_MS);
    for (let i = 0; i < 6; i++) await set(log, "tick", "last");

    const keys = (await readAll(log, { topic: "a", partition: 0 })).map(({ key }) => key).filter((key) => key !== "tick");
    expect(keys).toEqual(["k0", "k1", "k2", "k3", "k4"]);
    await log.close();
  }
});

test("L2 a compacted partition that ends in an old tombstone is read to its end", async () => {
  const { log, clock } = await open({ retention: "compact" });
  await log.ensureTopics([topicSpec("b")]);
  for (let i = 0; i < 12; i++) await set(log, "k", "x".repeat(100_000));
  await set(log, "k", null);
  clock.advance(8 * DAY_MS);
  for (let i = 0; i < 3; i++) await log.append([{ topic: "b", partition: 0, records: texts("tick") }]);

  expect(await readAll(log, { topic: "a", partition: 0 })).toEqual([{ position: 12, key: "k", value: null }]);
  expect(await readAll(log, { topic: "a", partition: 0 }, 13)).toEqual([]);
  await log.close();
});

describe("ids of the embedded log", () => {
  test("are forgotten after their time", async () => {
    const { log, clock } = await open({});
    const count = (): number => {
      const select = log.database!.prepare("SELECT count(*) FROM log_ids");
      select.step();
      const rows = select.number(0);
      select.finalize();
      return rows;
    };
    for (let i = 0; i < 300; i++) {
      const keepMs = i < 290 ? MINUTE_MS : DAY_MS;
      await log.append([{ topic: "a", partition: 0, records: texts(`${i}`), id: { scope: "s", value: `${i}`, keepMs } }]);
    }

    clock.advance(2 * MINUTE_MS);
    await put(log, "tick");
    await put(log, "tick");

    expect(count()).toBe(10);
    await log.close();
  });
});
