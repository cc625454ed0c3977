/** A copy made between transactions is one of their states, whatever the disk does to it; and whatever it does to the copy, the database never knows. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import type { Database, DatabaseCopy } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { verifyFile } from "../../../src/sqlite/verify.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { codeOf, rejectionOf } from "../../unit/sqlite/error-code.ts";
import { closeQuietly, inspect, openBank, type Progress, transact } from "./workload.ts";

const runtime = await hostRuntime();
const COPY = "copy.db";

/** A disk that holds a copy alone, in the place of the database. */
function diskOf(copy: Uint8Array): FaultyDisk {
  const disk = new FaultyDisk();
  disk.replace("app.db", copy);
  return disk;
}

/** A transaction that is undone, half of it in the WAL already. */
function undo(database: Database, number: number): void {
  database.exec(`BEGIN; INSERT INTO done VALUES(${number}); UPDATE entries SET value = zeroblob(5000); SELECT max(value) FROM entries; ROLLBACK`);
}

interface Run {
  readonly database: Database;
  readonly progress: Progress;
  number: number;
}

async function startRun(disk: FaultyDisk, transactions: number): Promise<Run> {
  const database = await openBank(runtime, disk);
  const run: Run = { database, progress: { attempted: [], committed: [], flushed: [] }, number: 0 };
  while (run.number < transactions) transact(database, ++run.number, run.progress);
  return run;
}

/** Takes steps with transactions in between; the transactions that the copy must hold. */
function copyUnderLoad(copy: DatabaseCopy, run: Run, random: Random): readonly number[] {
  const { database, progress } = run;
  for (;;) {
    const what = random.below(10);
    if (what < 3) transact(database, ++run.number, progress);
    else if (what === 3 && random.chance(0.1)) undo(database, ++run.number);
    else if (what === 4) database.checkpoint();
    else if (what === 5 && random.chance(0.1)) database.exec(`CREATE TABLE more${run.number++} AS SELECT * FROM entries`);
    else if (copy.step(random.between(1, 4))) return [...progress.committed];
  }
}

describe("Database.copy()", () => {
  for (let seed = 1; seed <= 40; seed++) {
    test(`L4 a copy under load is the last commit before its last step (seed ${seed})`, async () => {
      const random = new Random(seed);
      const disk = new FaultyDisk({ random });
      const run = await startRun(disk, random.between(0, 60));
      const copy = run.database.copy(COPY);
      const wanted = copyUnderLoad(copy, run, random);
      await copy.flush();
      copy.close();
      for (let i = 0; i < 5; i++) transact(run.database, ++run.number, run.progress);
      const survivor = disk.afterCrash();

      expect(await verifyFile(runtime, survivor, COPY)).toBe(survivor.contents(COPY)!.length);
      expect(await inspect(runtime, diskOf(survivor.contents(COPY)!))).toEqual(wanted);
      run.database.close();
      expect(await inspect(runtime, disk)).toEqual(run.progress.committed);
    });
  }

  test("F18 a disk that refuses the copy, at any operation, harms no transaction; and the next copy is whole", async () => {
    let refusedAt = 0;
    for (let isRefused = true; isRefused; refusedAt++) {
      const random = new Random(7);
      const disk = new FaultyDisk({ random });
      const run = await startRun(disk, 30);
      let operations = 0;
      isRefused = false;
      disk.onOperation = ({ path, operation }) => {
        if (!path.startsWith(COPY) || operations++ !== refusedAt) return null;
        isRefused = true;
        return operation === "flush" || operation === "size" ? "failed" : "full";
      };
      let copy: DatabaseCopy | null = null;
      const error = await rejectionOf((async () => {
        copy = run.database.copy(COPY);
        copyUnderLoad(copy, run, random);
        await copy.flush();
      })());
      (copy as DatabaseCopy | null)?.close();
      if (isRefused) expect(["STORE_FULL", "DISK_FAILED"]).toContain(codeOf(error));
      disk.onOperation = null;
      transact(run.database, ++run.number, run.progress);
      expect(run.database.isTrusted).toBe(true);
      const next = run.database.copy(COPY);
      const wanted = copyUnderLoad(next, run, random);
      await next.flush();
      next.close();
      expect(await inspect(runtime, diskOf(disk.contents(COPY)!))).toEqual(wanted);
      run.database.close();
      expect(await inspect(runtime, disk)).toEqual(run.progress.committed);
    }
    expect(refusedAt).toBeGreaterThan(10);
  });

  test("power lost at any moment of a copy leaves the database as it was", async () => {
    for (let lostAt = 0, wasLost = true; wasLost; lostAt += 3) {
      const random = new Random(lostAt);
      const disk = new FaultyDisk({ random });
      const run = await startRun(disk, 30);
      await run.database.flush();
      const durable = run.progress.committed.length;
      const start = disk.operations;
      wasLost = false;
      disk.onOperation = ({ index }) => {
        if (index === start + lostAt) {
          wasLost = true;
          disk.crash();
        }
        return null;
      };
      const error = await rejectionOf((async () => {
        const copy = run.database.copy(COPY);
        copyUnderLoad(copy, run, random);
        await copy.flush();
        copy.close();
      })());
      if (wasLost) expect(codeOf(error)).not.toBe("Error: The promise fulfilled");
      closeQuietly(run.database);
      disk.onOperation = null;
      if (wasLost) disk.kill();
      const found = await inspect(runtime, disk);
      expect(found.length).toBeGreaterThanOrEqual(durable);
      expect(found).toEqual(run.progress.attempted.slice(0, found.length));
    }
  });

  test("damage of a page ends the copy and not in it", async () => {
    const disk = new FaultyDisk();
    const first = await startRun(disk, 60);
    first.database.close();
    disk.flipBits("app.db", 4_096 * 9 + 77, 1);
    const database = await openDatabase(runtime, disk, "app.db");
    const copy = database.copy(COPY);

    expect(codeOf(await rejectionOf((async () => copy.step(1_000))()))).toBe("STORE_CORRUPT");
    copy.close();
    database.close();
  });

  test("a copy that was given up leaves the database free, and closing the database ends one under way", async () => {
    const disk = new FaultyDisk();
    const { database } = await startRun(disk, 30);
    const copy = database.copy(COPY);
    copy.step(2);
    copy.close();
    const other = database.copy(COPY);
    other.step(2);
    database.close();
    other.close();

    expect(codeOf(await rejectionOf((async () => other.step(1))()))).toBe("SQLITE_FAILED");
    expect((await inspect(runtime, disk)).length).toBe(30);
  });

  test("within a transaction nothing is taken, and nothing of it is in the copy that was whole before", async () => {
    const disk = new FaultyDisk();
    const { database } = await startRun(disk, 30);
    const copy = database.copy(COPY);
    copy.step(1);
    const left = copy.pagesLeft;
    database.exec("BEGIN; INSERT INTO done VALUES(31)");
    expect([copy.step(1_000), copy.pagesLeft]).toEqual([false, left]);
    database.exec("ROLLBACK");
    while (!copy.step(1_000));
    database.exec("INSERT INTO done VALUES(32)");
    await copy.flush();
    copy.close();
    database.close();

    expect((await inspect(runtime, diskOf(disk.contents(COPY)!))).length).toBe(30);
  });

  test("a database without a WAL is not copied", async () => {
    const database = await openDatabase(runtime, new FaultyDisk(), "app.db", { journal: "memory" });

    expect(codeOf(await rejectionOf((async () => database.copy(COPY))()))).toBe("RUNTIME_UNSUPPORTED");
    database.close();
  });
});

describe("verifyFile()", () => {
  test("F17 finds any flipped bit, a cut file and one that is not ours", async () => {
    const disk = new FaultyDisk();
    const { database } = await startRun(disk, 40);
    const copy = database.copy(COPY);
    while (!copy.step(100));
    await copy.flush();
    copy.close();
    database.close();
    const whole = disk.contents(COPY)!;
    const random = new Random(3);
    const codeFor = async (bytes: Uint8Array): Promise<string> => {
      disk.replace(COPY, bytes);
      return codeOf(await rejectionOf(verifyFile(runtime, disk, COPY)));
    };
    for (let i = 0; i < 100; i++) {
      const bytes = whole.slice();
      bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      expect(await codeFor(bytes)).toBe("STORE_CORRUPT");
    }
    for (const length of [0, 50, 4_096, whole.length - 1, whole.length - 4_096]) expect(await codeFor(whole.slice(0, length))).toBe("STORE_CORRUPT");
    expect(await codeFor(new TextEncoder().encode("a backup? ".repeat(1_000)))).toBe("STORE_CORRUPT");
    disk.replace(COPY, whole);
    expect(await verifyFile(runtime, disk, COPY)).toBe(whole.length);
  });
});
