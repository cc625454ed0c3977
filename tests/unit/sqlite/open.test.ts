import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { codeOf, rejectionOf } from "./error-code.ts";

const runtime = await hostRuntime();

function textOf(database: Database, sql: string): string {
  const statement = database.prepare(sql);
  statement.step();
  const text = statement.text(0);
  statement.finalize();
  return text;
}

describe("openDatabase()", () => {
  test("sets what its guarantees rest on", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db", { pageBytes: 8_192, cacheBytes: 1_048_576, checkpointBytes: 819_200 });
    const settings = ["journal_mode", "locking_mode", "synchronous", "checkpoint_fullfsync", "page_size", "cache_size", "wal_autocheckpoint", "temp_store"];

    expect(settings.map((name) => textOf(database, `PRAGMA ${name}`))).toEqual(["wal", "exclusive", "2", "1", "8192", "-1024", "100", "2"]);
  });

  test("keeps what was written when it is closed and opened again, and leaves one file", async () => {
    const disk = memoryDisk();
    const first = await openDatabase(runtime, disk, "state/app.db");
    first.exec("CREATE TABLE entries(name TEXT); INSERT INTO entries VALUES('kept')");
    first.close();
    const files = disk.list();
    const second = await openDatabase(runtime, disk, "state/app.db");

    expect(files).toEqual(["state/app.db"]);
    expect(textOf(second, "SELECT name FROM entries")).toBe("kept");
  });

  test("recovers from its WAL when the process died", async () => {
    const disk = new FaultyDisk();
    const first = await openDatabase(runtime, disk, "app.db");
    first.exec("CREATE TABLE entries(name TEXT); INSERT INTO entries VALUES('kept'); BEGIN; INSERT INTO entries VALUES('given up')");
    disk.kill();
    const second = await openDatabase(runtime, disk, "app.db");

    expect(textOf(second, "SELECT group_concat(name) FROM entries")).toBe("kept");
  });

  test("journal memory writes straight into the file", async () => {
    const disk = memoryDisk();
    const database = await openDatabase(runtime, disk, "app.db", { journal: "memory", pageBytes: 16_384 });
    database.exec("CREATE TABLE entries(name TEXT); BEGIN; INSERT INTO entries VALUES('kept'); COMMIT; BEGIN; INSERT INTO entries VALUES('given up'); ROLLBACK");
    await database.flush();

    expect(disk.list()).toEqual(["app.db"]);
    expect(textOf(database, "SELECT group_concat(name) FROM entries")).toBe("kept");
    database.close();
    expect(textOf(await openDatabase(runtime, disk, "app.db", { journal: "memory" }), "PRAGMA integrity_check")).toBe("ok");
  });

  test("D7 refuses a second opener, names the first, and takes over when that is closed", async () => {
    const disk = new FaultyDisk({ holder: { processId: 4_711, description: "worker.ts on node" } });
    const first = await openDatabase(runtime, disk, "app.db", { facts: { admin: "http://127.0.0.1:7070" } });

    const error = await rejectionOf(openDatabase(runtime, disk, "app.db"));
    const holder = disk.lockHolder("app.db.lock");
    first.close();
    const second = await openDatabase(runtime, disk, "app.db");

    expect(codeOf(error)).toBe("DISK_LOCKED");
    expect(String(error)).toContain("process 4711 (worker.ts on node)");
    expect(holder?.facts).toEqual({ admin: "http://127.0.0.1:7070" });
    second.close();
  });

  test("gives the lock and every file back when it fails", async () => {
    const disk = new FaultyDisk();
    disk.replace("app.db", new Uint8Array(8_192).fill(7));

    expect(codeOf(await rejectionOf(openDatabase(runtime, disk, "app.db")))).toBe("STORE_CORRUPT");
    expect(disk.lockHolder("app.db.lock")).toBe(null);
    expect(disk.contents("app.db")).toEqual(new Uint8Array(8_192).fill(7));
  });

  test("refuses options that cannot work", async () => {
    for (const options of [{ pageBytes: 1_024 }, { pageBytes: 5_000 }, { cacheBytes: 0 }, { checkpointBytes: -1 }, { memoryBytesMax: 1_000 }]) {
      expect(codeOf(await rejectionOf(openDatabase(runtime, memoryDisk(), "app.db", options)))).toBe("OPTION_INVALID");
    }
  });
});

describe("exec() and prepare()", () => {
  test("run several statements, comments and nothing", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db");
    database.exec("-- a comment\n; ; CREATE TABLE entries(name TEXT); /* more */ INSERT INTO entries VALUES('é;')  ;\n -- end");
    database.exec("");

    expect(textOf(database, "SELECT name FROM entries")).toBe("é;");
  });

  test("throw SQLITE_FAILED with SQLite's message and the SQL", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db");

    for (const fail of [() => database.exec("SELECT 1; SELEKT 2"), () => database.prepare("SELECT nope"), () => database.prepare("-- nothing")]) {
      expect(() => fail()).toThrow(/(near "SELEKT": syntax error|no such column: nope|holds no statement)/);
      try {
        fail();
      } catch (error) {
        expect(codeOf(error)).toBe("SQLITE_FAILED");
      }
    }
  });

  test("inTransaction follows BEGIN, COMMIT and ROLLBACK", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db");
    const seen = ["BEGIN", "COMMIT", "BEGIN IMMEDIATE", "ROLLBACK"].map((sql) => {
      database.exec(sql);
      return database.inTransaction;
    });

    expect(seen).toEqual([true, false, true, false]);
  });

  test("use the runtime's clock, in UTC", async () => {
    const database = await openDatabase({ ...runtime, now: () => 1_700_000_000_123 }, memoryDisk(), "app.db");

    expect(textOf(database, "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || ' ' || datetime('now', 'localtime')")).toBe("2023-11-14 22:13:20.123 2023-11-14 22:13:20");
  });
});

describe("memory", () => {
  test("a memory that cannot grow fails the statement with STORE_FULL, undoes its transaction, and the database goes on", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db", { memoryBytesMax: 12_582_912, cacheBytes: 1_048_576 });
    database.exec("CREATE TABLE entries(value BLOB); INSERT INTO entries VALUES('kept')");
    database.exec("BEGIN; INSERT INTO entries VALUES('undone')");

    let error: unknown = null;
    try {
      database.exec("INSERT INTO entries VALUES(zeroblob(30000000) || 'x')");
    } catch (thrown) {
      error = thrown;
    }
    if (database.inTransaction) database.exec("ROLLBACK");

    expect(codeOf(error)).toBe("STORE_FULL");
    expect(() => database.prepare("SELECT ?").bindBlob(0, new Uint8Array(30_000_000))).toThrow(/Cannot get more memory/);
    expect(textOf(database, "SELECT group_concat(value) FROM entries")).toBe("kept");
    expect(database.memoryBytes).toBeLessThanOrEqual(12_582_912);
    database.close();
  });

  test("growing memory keeps statements and their values", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db");
    const statement = database.prepare("SELECT ?, ?");
    statement.bindText(0, "small");
    const before = database.memoryBytes;
    statement.bindBlob(1, new Uint8Array(40_000_000).fill(5));
    statement.step();

    expect(database.memoryBytes).toBeGreaterThan(before);
    expect([statement.text(0), statement.blobView(1).length, statement.blobView(1)[39_999_999]]).toEqual(["small", 40_000_000, 5]);
  });
});

describe("close()", () => {
  test("twice does nothing, and every call afterwards is refused", async () => {
    const database = await openDatabase(runtime, memoryDisk(), "app.db");
    const statement = database.prepare("SELECT 1");
    database.close();
    database.close();

    for (const call of [() => database.exec("SELECT 1"), () => database.prepare("SELECT 1"), () => statement.step(), () => database.checkpoint(), () => database.exec("BEGIN")]) {
      expect(call).toThrow(/the database was closed/);
    }
    expect(String(await rejectionOf(database.flush()))).toContain("the database was closed");
    expect([database.inTransaction, database.changes()]).toEqual([false, 0]);
  });
});
