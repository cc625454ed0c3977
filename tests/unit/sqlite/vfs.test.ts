import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import type { DiskOperation, FaultyDiskOptions } from "../../../src/testing/faulty-disk.ts";
import { codeOf, rejectionOf } from "./error-code.ts";

const runtime = await hostRuntime();

/** A database with a table, and a record of what its disk is asked for from now on. */
async function opened(options: FaultyDiskOptions = {}): Promise<{ disk: FaultyDisk; database: Database; operations: DiskOperation[] }> {
  const disk = new FaultyDisk(options);
  const database = await openDatabase(runtime, disk, "app.db");
  database.exec("CREATE TABLE entries(value BLOB)");
  await database.flush();
  const operations: DiskOperation[] = [];
  disk.onOperation = (operation) => {
    operations.push(operation);
    return null;
  };
  return { disk, database, operations };
}

function names(operations: readonly DiskOperation[]): readonly string[] {
  return operations.map(({ operation, path }) => `${operation} ${path}`);
}

describe("a commit", () => {
  test("of many pages is one write to the WAL, without a sync, and ends beyond a sector of its own", async () => {
    const { disk, database, operations } = await opened();

    database.exec("INSERT INTO entries VALUES(zeroblob(20000))");

    const size = disk.contents("app.db-wal")!.length;
    expect(names(operations)).toEqual(["write app.db-wal"]);
    expect(operations[0]!.position + operations[0]!.bytes).toBe(size);
    // The last frame repeats the one before: whatever tears the sector that later writes share with it, the commit stands.
    expect(Math.floor((size - 4_120) / 4_096)).toBeLessThan(Math.floor(size / 4_096));
  });

  test("larger than the buffer for joined writes is a write each 256 KiB", async () => {
    const { database, operations } = await opened();

    database.exec("INSERT INTO entries VALUES(zeroblob(1000000))");

    expect(names(operations)).toEqual(Array(4).fill("write app.db-wal"));
  });

  test("that the full disk refuses is STORE_FULL with the disk's error as cause, and the next one works", async () => {
    const { disk, database } = await opened();
    disk.onOperation = () => "full";

    let error: unknown = null;
    try {
      database.exec("INSERT INTO entries VALUES('refused')");
    } catch (thrown) {
      error = thrown;
    }
    disk.onOperation = null;
    database.exec("INSERT INTO entries VALUES('taken')");

    expect(codeOf(error)).toBe("STORE_FULL");
    expect(String((error as Error).cause)).toContain('Cannot write "app.db-wal": no space left');
    const rows = database.prepare("SELECT value FROM entries");
    expect([rows.step(), rows.text(0), rows.step()]).toEqual([true, "taken", false]);
    await database.flush();
  });
});

describe("flush()", () => {
  test("flushes the WAL once for calls under way together, and once more for those that came meanwhile", async () => {
    let gate = Promise.resolve();
    const { database, operations } = await opened({ flushDelay: () => gate });
    let open = (): void => undefined;
    gate = new Promise((resolve) => (open = resolve));

    database.exec("INSERT INTO entries VALUES(1)");
    const first = database.flush();
    database.exec("INSERT INTO entries VALUES(2)");
    const later = [database.flush(), database.flush(), database.flush()];
    open();
    await Promise.all([first, ...later]);

    expect(names(operations).filter((name) => name.startsWith("flush"))).toEqual(["flush app.db-wal", "flush app.db-wal"]);
  });

  test("asks nothing of the disk when nothing was written since the last", async () => {
    const { database, operations } = await opened();
    await database.flush();
    await database.flush();

    expect(operations).toEqual([]);
  });

  test("that failed is not believed later: everything fails until the file is opened again", async () => {
    const { disk, database } = await opened();
    database.exec("INSERT INTO entries VALUES('lost?')");
    disk.onOperation = ({ operation }) => (operation === "flush" ? "failed" : null);

    const first = await rejectionOf(database.flush());
    disk.onOperation = null;
    const second = await rejectionOf(database.flush());

    expect([codeOf(first), codeOf(second)]).toEqual(["DISK_FAILED", "DISK_FAILED"]);
    expect(String(first)).toContain("close and reopen");
    expect(() => database.exec("INSERT INTO entries VALUES('more')")).toThrow(/close and reopen/);
    expect(() => database.checkpoint()).toThrow(/close and reopen/);
    database.close();
    const again = await openDatabase(runtime, disk, "app.db");
    await again.flush();
  });
});

describe("checkpoint()", () => {
  test("syncs the WAL, writes the pages, syncs the file; flushed WALs and clean files are not synced again", async () => {
    const { database, operations } = await opened();
    database.exec("INSERT INTO entries VALUES(zeroblob(9000))");
    await database.flush();
    operations.length = 0;

    database.checkpoint();
    const first = names(operations.filter(({ operation }) => operation !== "read" && operation !== "size"));
    operations.length = 0;
    database.checkpoint();

    expect(first).toEqual(["write app.db", "truncate app.db", "sync app.db"]);
    expect(names(operations.filter(({ operation }) => operation !== "size"))).toEqual([]);
  });

  test("that the disk refuses throws, and loses nothing", async () => {
    const { disk, database } = await opened();
    database.exec("INSERT INTO entries VALUES('kept')");
    disk.onOperation = ({ operation, path }) => (operation === "write" && path === "app.db" ? "full" : null);

    expect(() => database.checkpoint()).toThrow(/no space left/);

    disk.onOperation = null;
    database.checkpoint();
    const rows = database.prepare("SELECT value FROM entries");
    expect([rows.step(), rows.text(0)]).toEqual([true, "kept"]);
  });
});
