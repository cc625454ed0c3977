import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import { isStreamError, messageOf } from "../../../src/base/errors.ts";
import type { RestoredLog } from "../../../src/log/driver.ts";
import { restoreEmbedded } from "../../../src/log/embedded-restore.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { CountingLog, GROUP } from "./counting-log.ts";

const runtime = await hostRuntime();

/** A copy of a counter after so many commits. */
async function backup(count: number): Promise<Uint8Array> {
  const counting = await CountingLog.open(runtime, memoryDisk());
  await counting.commits(count);
  const copy = await counting.log.copy!();
  const bytes = new Uint8Array(copy.bytes);
  copy.read(bytes, 0);
  await counting.log.close();
  return bytes;
}

function diskOf(path: string, bytes: Uint8Array): FaultyDisk {
  const disk = new FaultyDisk();
  disk.replace(path, bytes);
  return disk;
}

interface Asked {
  readonly copy: Uint8Array;
  readonly force?: boolean;
  readonly group?: string;
}

function restore(disk: FaultyDisk, { copy, force = false, group = GROUP }: Asked): Promise<RestoredLog> {
  return restoreEmbedded({ runtime, disk, group }, { disk: diskOf("kept.db", copy), path: "kept.db", force });
}

async function refusalOf(restoring: Promise<RestoredLog>): Promise<string> {
  try {
    await restoring;
  } catch (error) {
    return isStreamError(error) ? `${error.code}: ${messageOf(error)}` : String(error);
  }
  throw new Error("It was restored");
}

/** A disk with a counter after so many commits, part of them in the WAL, as `kill -9` leaves it. */
async function killed(random: Random, count: number): Promise<FaultyDisk> {
  const disk = new FaultyDisk({ random });
  const counting = await CountingLog.open(runtime, disk);
  await counting.commits(count);
  disk.kill();
  return disk;
}

describe("restoreEmbedded()", () => {
  test("puts a copy into an empty directory, from which the log goes on", async () => {
    const copy = await backup(30);
    const disk = new FaultyDisk();
    const restored = await restore(disk, { copy });

    expect(restored).toEqual({ bytes: copy.length, replaced: null });
    expect([disk.list(), disk.contents("millrace.db")]).toEqual([["millrace.db"], copy]);
    const counting = await CountingLog.open(runtime, disk);
    expect(counting.count).toBe(30);
    await counting.commits(5);
    await counting.log.close();
    expect(await CountingLog.inspect(runtime, disk)).toBe(35);
  });

  test("what lies there is left alone, unless it is told to replace it; then it is kept, with its WAL", async () => {
    const disk = await killed(new Random(1), 12);
    const copy = await backup(5);

    expect(await refusalOf(restore(disk, { copy }))).toBe(
      'CONFIG_INVALID: Cannot restore into "millrace.db": millrace.db, millrace.db-wal lie there. Use an empty directory, or --force, which keeps what is there under another name',
    );
    expect(disk.list()).toEqual(["millrace.db", "millrace.db-wal"]);
    const { replaced } = await restore(disk, { copy, force: true });

    expect(disk.list()).toEqual(["millrace.db", replaced!, `${replaced}-wal`]);
    expect(await CountingLog.inspect(runtime, disk)).toBe(5);
    expect(await CountingLog.inspect(runtime, disk, { path: replaced! })).toBe(12);
  });

  test("F32 while a process has the log nothing is restored, by force neither", async () => {
    const disk = new FaultyDisk();
    const counting = await CountingLog.open(runtime, disk);
    await counting.commits(3);

    expect(await refusalOf(restore(disk, { copy: await backup(5), force: true }))).toBe(
      'DISK_LOCKED: Cannot restore into "millrace.db": Cannot lock "millrace.db.lock": process 1 (simulated process) holds it. Stop the app first',
    );
    await counting.commit();
    await counting.log.close();
    expect(await CountingLog.inspect(runtime, disk)).toBe(4);
  });

  test("F17 a flipped bit anywhere, a cut copy and other files are found, and nothing has changed", async () => {
    const copy = await backup(20);
    const random = new Random(5);
    const flipped = Array.from({ length: 30 }, () => {
      const bytes = copy.slice();
      bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      return bytes;
    });
    const other = memoryDisk();
    (await openDatabase(runtime, other, "other.db")).close();
    const file = other.open("other.db");
    const foreign = new Uint8Array(file.size());
    file.read(foreign, 0);
    const disk = await killed(new Random(2), 7);
    const files = disk.list();
    for (const bytes of [...flipped, copy.slice(0, -4_096), copy.slice(0, 10), new Uint8Array(0), new TextEncoder().encode("{}"), foreign]) {
      expect(await refusalOf(restore(disk, { copy: bytes, force: true }))).toMatch(/^STORE_CORRUPT: Cannot (trust|restore) "kept.db": /);
      expect(disk.list()).toEqual(files);
    }
    expect(await CountingLog.inspect(runtime, disk)).toBe(7);
  });

  test("the copy of another app, and of a later version, is refused", async () => {
    const copy = await backup(4);
    expect(await refusalOf(restore(new FaultyDisk(), { copy, group: "shop" }))).toBe(
      'CONFIG_INVALID: Cannot restore "kept.db": it is of "counter", wanted app "shop"',
    );

    const later = diskOf("millrace.db", copy);
    const database = await openDatabase(runtime, later, "millrace.db");
    database.exec("UPDATE log_meta SET value = 99 WHERE name = 'format'");
    database.close();
    expect(await refusalOf(restore(new FaultyDisk(), { copy: later.contents("millrace.db")! }))).toContain("STORE_NEWER: Cannot restore");
  });

  test("F18 a disk that is full leaves everything as it was", async () => {
    const disk = await killed(new Random(3), 6);
    disk.onOperation = ({ operation, path }) => (operation === "write" && path.endsWith("-restoring") ? "full" : null);

    expect(await refusalOf(restore(disk, { copy: await backup(9), force: true }))).toContain("STORE_FULL");
    disk.onOperation = null;
    expect(disk.list()).toEqual(["millrace.db", "millrace.db-wal"]);
    expect(await CountingLog.inspect(runtime, disk)).toBe(6);
  });

  for (const end of ["crash", "kill"] as const) {
    test(`a ${end} at any operation of a restore leaves the former log or the restored one; once it was reported, the restored one`, async () => {
      const copy = await backup(9);
      const found = new Set<number>();
      for (let at = 0, hasEnded = true; hasEnded; at++) {
        const random = new Random(at);
        const disk = await killed(random, 6);
        // Durable, so that only the restore is in question.
        const start = disk.copy();
        let operations = 0;
        hasEnded = false;
        start.onOperation = () => {
          if (operations++ === at) {
            hasEnded = true;
            start[end]();
          }
          return null;
        };
        let wasReported = true;
        await restore(start, { copy, force: true }).catch(() => (wasReported = false));
        start.onOperation = null;
        if (hasEnded) start.kill();
        const count = await CountingLog.inspect(runtime, start);
        if (wasReported) expect(count).toBe(9);
        else expect([6, 9]).toContain(count);
        found.add(count);
        // The former one is never lost.
        const replaced = start.list().find((name) => name.includes("-replaced-"));
        if (count === 9) expect(await CountingLog.inspect(runtime, start, { path: replaced! })).toBe(6);
        else expect(replaced).toBe(undefined);
      }
      expect([...found].sort()).toEqual([6, 9]);
    });
  }
});
