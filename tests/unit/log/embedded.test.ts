import { describe, expect, test } from "bun:test";
import { isStreamError } from "../../../src/base/errors.ts";
import { embeddedLog } from "../../../src/log/embedded.ts";
import type { AppendReceipt, Log } from "../../../src/log/log.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { commitDurably, listener, member, output, readAll, refusal, texts, topicSpec, unit, valuesOf } from "../../../src/testing/conformance/log-subject.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { HeldDisk, testRuntime, turns, warnings } from "./log-fixture.ts";

async function open(disk = new HeldDisk(), options: Parameters<typeof embeddedLog>[2] = {}): Promise<{ log: Log; disk: HeldDisk; turn: () => Promise<void> }> {
  const { runtime } = await testRuntime();
  const log = await embeddedLog(runtime, disk, options);
  await log.ensureTopics([topicSpec("a"), topicSpec("b")]);
  return { log, disk, turn: () => turns(runtime) };
}

const append = (log: Log, value: string, topic = "a"): Promise<readonly AppendReceipt[]> => log.append([{ topic, partition: 0, records: texts(value) }]);

describe("embeddedLog() group commit", () => {
  test("64 parallel appenders share flushes", async () => {
    const { log, disk } = await open();
    const before = disk.flushes;

    await Promise.all(Array.from({ length: 64 }, async (_, i) => {
      for (let n = 0; n < 10; n++) await append(log, `${i}.${n}`);
    }));

    expect((await valuesOf(log, "a")).length).toBe(640);
    // One a round where nobody is late; twice that is still shared.
    expect(disk.flushes - before).toBeLessThanOrEqual(20);
    expect(disk.flushes - before).toBeGreaterThanOrEqual(10);
    await log.close();
  });

  test("L3 append() waits for the flush that covers it, and those that come meanwhile share the next", async () => {
    const { log, disk, turn } = await open();
    const settled: string[] = [];
    const watch = (name: string, promise: Promise<unknown>): Promise<unknown> => promise.then(() => settled.push(name));
    disk.hold();
    const before = disk.flushes;
    const first = watch("first", append(log, "1"));
    await turn();
    const later = Promise.all([watch("second", append(log, "2")), watch("third", append(log, "3"))]);
    await turn();
    expect([settled, disk.flushes - before, await valuesOf(log, "a")]).toEqual([[], 1, ["1"]]);

    disk.release();
    await first;
    await later;

    expect([settled, disk.flushes - before, await valuesOf(log, "a")]).toEqual([["first", "second", "third"], 2, ["1", "2", "3"]]);
    await log.close();
  });

  test("commit() is visible at once, durable with the next flush, and shares it", async () => {
    const { log, disk, turn } = await open();
    const membership = await member(log, "g", "a");
    await log.flush();
    const before = disk.flushes;
    const durable: number[] = [];
    const commit = (n: number): void => {
      const receipt = log.commit(unit(membership, { outputs: [output("b", 0, `${n}`)] }), () => {});
      if (receipt instanceof Promise) throw new Error("commit is synchronous");
      void receipt.durable?.then(() => durable.push(n));
    };
    disk.hold();

    commit(1);
    await turn();
    commit(2);
    commit(3);
    await turn();
    const visible = await valuesOf(log, "b");
    const durableBefore = [...durable];
    disk.release();
    await log.flush();

    expect([visible, durableBefore, durable, disk.flushes - before]).toEqual([["1", "2", "3"], [], [1, 2, 3], 2]);
    await log.close();
  });

  test("append() is refused with LOG_BUSY while appendBytesMax wait, and goes on afterwards", async () => {
    const { log, disk, turn } = await open(new HeldDisk(), { appendBytesMax: 1_000 });
    disk.hold();
    const first = append(log, "x".repeat(200));
    await turn();
    const second = append(log, "y".repeat(200));

    const busy = await refusal(log, "LOG_BUSY", "a third append", () => append(log, "z".repeat(200)));
    await refusal(log, "RECORD_TOO_LARGE", "one that can never be", () => append(log, "z".repeat(600)));
    disk.release();
    await Promise.all([first, second]);
    await turn();
    await append(log, "z");

    expect(busy.retryAfterMs).toBeGreaterThan(0);
    expect((await valuesOf(log, "a")).map((value) => value![0])).toEqual(["x", "y", "z"]);
    await log.close();
  });

  test("D5 a failed flush rejects whoever waits, and breaks the log until it is opened anew", async () => {
    const disk = new HeldDisk();
    const { log, turn } = await open(disk);
    const membership = await member(log, "g", "a");
    await append(log, "kept");
    const reader = log.reader({ topic: "a", partition: 0 }, 0, () => {});
    disk.hold();
    disk.failure = new Error("EIO");

    const first = append(log, "1");
    await turn();
    const second = append(log, "2");
    const receipt = await log.commit(unit(membership), () => {});
    disk.release();
    const codes = (await Promise.allSettled([first, second, receipt.durable])).map((one) => one.status === "rejected" && isStreamError(one.reason) && one.reason.code);

    expect(codes).toEqual(["DISK_FAILED", "DISK_FAILED", "DISK_FAILED"]);
    for (const call of [() => append(log, "3"), () => log.flush(), () => log.commit(unit(membership), () => {}), () => reader.take(100), () => log.describe(["a"])]) {
      await refusal(log, "DISK_FAILED", "a call after it", call);
    }
    disk.failure = null;
    await log.close().catch(() => {});
    const again = await open(disk);
    expect((await valuesOf(again.log, "a"))[0]).toBe("kept");
    await append(again.log, "4");
    expect((await valuesOf(again.log, "a")).at(-1)).toBe("4");
    await again.log.close();
  });
});

describe("embeddedLog() commits", () => {
  test("L4 what was refused leaves no gap, and the log goes on", async () => {
    const { log } = await open();
    const membership = await member(log, "g", "a");
    for (let i = 0; i < 6; i++) {
      const commit = (): unknown =>
        log.commit(unit(membership, { outputs: [output("b", 0, `${i}`)] }), () => {
          if (i % 2 === 1) throw new Error("no");
        });
      if (i % 2 === 1) await refusal(log, "LOG_COMMIT_FAILED", `commit ${i}`, commit);
      else commit();
    }

    expect(await readAll(log, { topic: "b", partition: 0 })).toEqual(["0", "2", "4"].map((value, position) => ({ position, key: value, value })));
    await log.close();
  });

  test("L4 apply() must not end the log's transaction", async () => {
    const { log } = await open();
    const membership = await member(log, "g", "a");

    await refusal(log, "INVARIANT", "a commit inside", () =>
      log.commit(unit(membership, { outputs: [output("b", 0, "x")] }), () => void log.commit(unit(membership), () => {})));

    expect(await valuesOf(log, "b")).toEqual([]);
    await log.close();
  });

  test("an output larger than a batch is stored and read in batches", async () => {
    const { log } = await open();
    const membership = await member(log, "g", "a");
    const encoder = new BatchEncoder({ batchBytesMax: 10_000 });
    for (let i = 0; i < 1_000; i++) encoder.append(i, null, `${i}`.padStart(100, "."), null);
    await commitDurably(log, unit(membership, { outputs: [{ topic: "b", partition: 0, encoder }] }));

    const reader = log.reader({ topic: "b", partition: 0 }, 500, () => {});
    const sizes: number[] = [];
    for (let chunk = reader.take(25_000); chunk !== null; chunk = reader.take(25_000)) sizes.push(chunk.end - chunk.start);
    const seen = await readAll(log, { topic: "b", partition: 0 }, 500, 1);

    expect(Math.max(...sizes)).toBeLessThanOrEqual(25_000);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(15_000);
    expect(seen.map(({ position }) => position)).toEqual(Array.from({ length: 500 }, (_, i) => 500 + i));
    await log.close();
  });

  test("L2 a reader goes from SQLite to the tail in memory without a gap, however small the tail", async () => {
    for (const tailBytesMax of [0, 300, 1_000_000]) {
      const { log } = await open(new HeldDisk(), { tailBytesMax });
      for (let i = 0; i < 5; i++) await append(log, `${i}`);
      const reader = log.reader({ topic: "a", partition: 0 }, 0, () => {});
      for (let i = 5; i < 15; i++) await append(log, `${i}`);
      reader.close();
      for (let i = 15; i < 20; i++) await append(log, `${i}`);
      const late = log.reader({ topic: "a", partition: 0 }, 0, () => {});
      for (let i = 20; i < 25; i++) await append(log, `${i}`);

      for (const [from, bytesMax] of [[0, 100_000], [0, 1], [7, 1], [12, 1], [16, 1], [22, 1]] as const) {
        const seen = await readAll(log, { topic: "a", partition: 0 }, from, bytesMax);
        expect(seen.map(({ value }) => value)).toEqual(Array.from({ length: 25 - from }, (_, i) => `${from + i}`));
      }
      late.close();
      await log.close();
    }
  });
});

describe("embeddedLog() groups", () => {
  test("L8 a second member of a group is refused, and can join when the first has left", async () => {
    const { log } = await open();
    const first = await member(log, "g", "a");

    const error = await refusal(log, "OPTION_INVALID", "a second member", () => member(log, "g", "b"));
    await member(log, "other", "a");
    await first.leave();
    const second = await member(log, "g", "a");

    expect(error.message).toBe('[embedded] Cannot join group "g": member "g-1" of this process has it, and this log takes one member a group; more need Kafka');
    expect(second.memberId).toBe("g-2");
    await log.close();
  });

  test("L7 the generation of a member goes on over restarts", async () => {
    const { log, disk } = await open();
    await member(log, "g", "a");
    await log.close();

    const again = await open(disk);
    const second = await member(again.log, "g", "a");

    expect(second.memberId).toBe("g-2");
    await again.log.close();
  });

  test("L8 a member whose listener fails in assigned() is out, and join() says so", async () => {
    const { log } = await open();
    const failing = listener("bad", [], { assigned: () => Promise.reject(new RangeError("no")) });

    await refusal(log, "HANDLER_FAILED", "join", () => log.join("g", ["a"], failing));
    const next = await member(log, "g", "a");

    expect(next.assigned).toEqual([{ topic: "a", partition: 0 }]);
    await log.close();
  });
});

describe("embeddedLog() opening", () => {
  test("a file of a later version is refused with STORE_NEWER, and let go", async () => {
    const { runtime } = await testRuntime();
    const disk = memoryDisk();
    await (await embeddedLog(runtime, disk)).close();
    const database = await openDatabase(runtime, disk, "millrace.db");
    database.exec("UPDATE log_meta SET value = 2 WHERE name = 'format'");
    database.close();

    const error = await embeddedLog(runtime, disk).catch((thrown: unknown) => thrown);

    expect(isStreamError(error) && [error.code, error.message]).toEqual([
      "STORE_NEWER",
      '[embedded] Cannot open "millrace.db": its log has format 2, this version knows up to 1',
    ]);
    (await openDatabase(runtime, disk, "millrace.db")).close();
  });

  test("D4 what is found on opening is durable before anybody builds on it", async () => {
    const { runtime } = await testRuntime();
    const disk = new FaultyDisk({ fates: { kept: 0, lost: 1, garbage: 0 }, flushDelay: () => runtime.yield() });
    const log = await embeddedLog(runtime, disk);
    await log.ensureTopics([topicSpec("a")]);
    const membership = await member(log, "g", "a");
    log.commit(unit(membership, { outputs: [output("a", 0, "x")] }), () => {});
    disk.kill();

    const second = await embeddedLog(runtime, disk);
    const found = await valuesOf(second, "a");
    disk.crash();
    const third = await embeddedLog(runtime, disk);

    expect([found, await valuesOf(third, "a")]).toEqual([["x"], ["x"]]);
    await third.close();
  });

  test("F32 a second log on the same files is refused", async () => {
    const { runtime } = await testRuntime();
    const disk = memoryDisk();
    const log = await embeddedLog(runtime, disk);

    const error = await embeddedLog(runtime, disk).catch((thrown: unknown) => thrown);

    expect(isStreamError(error) && [error.code, error.message.startsWith("[embedded] ")]).toEqual(["DISK_LOCKED", true]);
    await log.close();
  });

  test("a hearer of warnings that throws disturbs nothing", async () => {
    const { heard, onWarning } = warnings();
    const { log } = await open(new HeldDisk(), {
      onWarning(message) {
        onWarning(message);
        throw new Error("no");
      },
    });
    const membership = await log.join("g", ["a"], listener("one", [], { revoked: () => Promise.reject(new RangeError("gone")) }));

    await membership.leave();

    expect(heard).toEqual(['[embedded] Listener of member "g-1" failed in revoked: gone']);
    await log.close();
  });
});
