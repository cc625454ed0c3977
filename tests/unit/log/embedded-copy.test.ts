import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import type { LogCopy } from "../../../src/log/log.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { refusal } from "../../../src/testing/conformance/log-subject.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { CountingLog } from "./counting-log.ts";
import { HeldDisk, turns } from "./log-fixture.ts";

const COPY = "millrace.db-backup";

/** A clock that goes on with each look at it, so that a turn of a copy ends after a few pages. */
async function quickRuntime(): Promise<Runtime> {
  let now = 0;
  return { ...await hostRuntime(), monotonic: () => now++ };
}

const runtime = await quickRuntime();

function bytesOf(copy: LogCopy): Uint8Array {
  const bytes = new Uint8Array(copy.bytes);
  expect(copy.read(bytes, 0)).toBe(copy.bytes);
  return bytes;
}

/** A disk that holds a copy alone, in the place of the log. */
function diskOf(copy: Uint8Array): FaultyDisk {
  const disk = new FaultyDisk();
  disk.replace("millrace.db", copy);
  return disk;
}

describe("EmbeddedLog.copy()", () => {
  for (let seed = 1; seed <= 10; seed++) {
    test(`L4 a copy under load is the state of one commit, and outlives a loss of power (seed ${seed})`, async () => {
      const random = new Random(seed);
      const disk = new FaultyDisk({ random });
      const counting = await CountingLog.open(runtime, disk, { database: { checkpointBytes: 262_144, cacheBytes: 65_536 } });
      await counting.commits(random.between(0, 150));
      const before = counting.count;
      let isCopying = true;
      const working = (async () => {
        for (; isCopying; await turns(runtime)) await counting.commits(random.between(1, 3));
      })();
      const copy = await counting.log.copy!();
      const after = counting.count;
      isCopying = false;
      const bytes = bytesOf(copy);
      await working;
      expect(disk.afterCrash(random).contents(COPY)).toEqual(bytes);
      const count = await CountingLog.inspect(runtime, diskOf(bytes));

      expect(count).toBeGreaterThanOrEqual(before);
      expect(count).toBeLessThanOrEqual(after);
      copy.close();
      expect(disk.exists(COPY)).toBe(false);
      await counting.commit();
      await counting.log.close();
      expect(await CountingLog.inspect(runtime, disk)).toBe(counting.count);
    });
  }

  test("lets commits through while it is made, and takes what they wrote", async () => {
    const counting = await CountingLog.open(runtime, memoryDisk());
    await counting.commits(1_000);
    let isDone = false;
    const copying = counting.log.copy!().finally(() => (isDone = true));
    while (!isDone) {
      await counting.commit();
      await turns(runtime);
    }
    const copy = await copying;

    expect(counting.count).toBeGreaterThan(1_003);
    expect(await CountingLog.inspect(runtime, diskOf(bytesOf(copy)))).toBeGreaterThan(1_002);
    await counting.log.close();
  });

  test("one at a time: another is refused until it is closed", async () => {
    const counting = await CountingLog.open(runtime, memoryDisk());
    await counting.commits(100);
    const copying = counting.log.copy!();
    await refusal(counting.log, "LOG_BUSY", "while it is made", () => counting.log.copy!());
    const copy = await copying;
    await refusal(counting.log, "LOG_BUSY", "while it is read", () => counting.log.copy!());
    copy.close();
    copy.close();
    const next = await counting.log.copy!();

    expect(next.bytes).toBe(copy.bytes);
    await counting.log.close();
  });

  test("L12 closing the log ends a copy under way and removes one that is open", async () => {
    for (const isMade of [false, true]) {
      const disk = memoryDisk();
      const counting = await CountingLog.open(runtime, disk);
      await counting.commits(300);
      const copying = counting.log.copy!();
      const settled = isMade ? copying : refusal(counting.log, "LOG_CLOSED", "copy()", () => copying);
      if (isMade) await copying;
      await counting.log.close();
      await settled;

      expect(disk.list()).toEqual(["millrace.db"]);
      await refusal(counting.log, "LOG_CLOSED", "after close()", () => counting.log.copy!());
    }
  });

  test("whoever asked may give it up", async () => {
    const disk = memoryDisk();
    const counting = await CountingLog.open(runtime, disk);
    await counting.commits(300);
    const abort = new AbortController();
    const copying = counting.log.copy!(abort.signal);
    abort.abort();
    await refusal(counting.log, "LOG_UNAVAILABLE", "copy()", () => copying);

    expect(disk.exists(COPY)).toBe(false);
    (await counting.log.copy!()).close();
    await counting.log.close();
  });

  test("nothing leaves before it is durable: a copy waits for the commits that are in it", async () => {
    const disk = new HeldDisk();
    const counting = await CountingLog.open(runtime, disk);
    await counting.commits(3);
    disk.hold();
    const committing = counting.commit();
    let isDone = false;
    const copying = counting.log.copy!().finally(() => (isDone = true));
    for (let turn = 0; turn < 50; turn++) await turns(runtime);
    expect(isDone).toBe(false);
    disk.release();
    await committing;

    expect(await CountingLog.inspect(runtime, diskOf(bytesOf(await copying)))).toBe(4);
    await counting.log.close();
  });

  test("F18 a disk that is full ends the copy, not the log; what is left of a copy goes at the next start", async () => {
    const disk = new FaultyDisk();
    const counting = await CountingLog.open(runtime, disk);
    await counting.commits(200);
    disk.onOperation = ({ path, operation, position }) => (path === COPY && operation === "write" && position > 200_000 ? "full" : null);
    await refusal(counting.log, "STORE_FULL", "copy()", () => counting.log.copy!());
    expect(disk.exists(COPY)).toBe(false);
    await counting.commit();
    disk.onOperation = null;
    await counting.log.copy!();
    disk.kill();
    expect(disk.exists(COPY)).toBe(true);

    expect(await CountingLog.inspect(runtime, disk)).toBe(201);
    expect(disk.list()).toEqual(["millrace.db"]);
  });

  test("F19 a device that refuses to flush the copy ends it, not the log", async () => {
    const disk = new FaultyDisk();
    const counting = await CountingLog.open(runtime, disk);
    await counting.commits(50);
    disk.onOperation = ({ path, operation }) => (path === COPY && operation === "flush" ? "failed" : null);
    await refusal(counting.log, "DISK_FAILED", "copy()", () => counting.log.copy!());
    disk.onOperation = null;
    await counting.commit();

    expect(await CountingLog.inspect(runtime, diskOf(bytesOf(await counting.log.copy!())))).toBe(51);
    await counting.log.close();
  });
});
