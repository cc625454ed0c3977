/**
 * A small program of transactions on one database, and the check of what is left of it. Each transaction stores its number, so the file itself says which of them are in; the rows
 * must then be exactly what those make.
 */
import { equalBytes } from "../../../src/base/bytes.ts";
import { Random } from "../../../src/base/random.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";

const PATH = "app.db";
/** Ten pages of cache and a checkpoint each 16 frames: spilled transactions, checkpoints and new WALs come within a few transactions. */
const SETTINGS = { cacheBytes: 40_960, checkpointBytes: 65_536 } as const;
const KEYS = 40;

/** What one transaction writes; null deletes. */
export type Change = ReadonlyMap<string, Uint8Array | null>;

/** What a run has got answers to. */
export interface Progress {
  /** Transactions whose COMMIT was called. */
  attempted: number[];
  /** Transactions whose COMMIT returned. */
  committed: number[];
  /** Transactions that were flushed. */
  flushed: number[];
}

/** The changes of transaction `number`. */
export function changeOf(number: number): Change {
  const random = new Random(1_000 + number);
  const change = new Map<string, Uint8Array | null>();
  for (let i = random.between(1, 12); i > 0; i--) {
    const key = `key-${random.below(KEYS)}`;
    // Up to two pages and a half: some rows overflow.
    change.set(key, random.chance(0.2) ? null : random.fill(new Uint8Array(random.chance(0.2) ? random.below(10_000) : random.below(300))));
  }
  return change;
}

/** Opens the file and makes its tables. */
export async function openBank(runtime: Runtime, disk: Disk): Promise<Database> {
  const database = await openDatabase(runtime, disk, PATH, SETTINGS);
  try {
    database.exec("CREATE TABLE IF NOT EXISTS done(number INTEGER PRIMARY KEY); CREATE TABLE IF NOT EXISTS entries(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID");
  } catch (error) {
    closeQuietly(database);
    throw error;
  }
  return database;
}

/** Closes; that an ill disk makes it throw is no news. */
export function closeQuietly(database: Database): void {
  try {
    database.close();
  } catch {
    // The check of the file afterwards tells whether anything was lost.
  }
}

/** Runs one transaction; a throw leaves none of it. */
export function transact(database: Database, number: number, progress: Progress): void {
  try {
    database.exec("BEGIN");
    const put = database.prepare("INSERT INTO entries VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value");
    const remove = database.prepare("DELETE FROM entries WHERE key = ?");
    try {
      for (const [key, value] of changeOf(number)) {
        if (number % 3 === 0) readAll(database);
        const statement = value === null ? remove : put;
        statement.bindText(0, key);
        if (value !== null) statement.bindBlob(1, value);
        statement.run();
      }
    } finally {
      put.finalize();
      remove.finalize();
    }
    database.exec(`INSERT INTO done VALUES(${number})`);
    progress.attempted.push(number);
    database.exec("COMMIT");
    progress.committed.push(number);
  } catch (error) {
    if (database.inTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** More pages than the cache holds, so that half a transaction is in the WAL already. Unless its failure has ended the transaction, that goes on. */
function readAll(database: Database): void {
  try {
    database.exec("SELECT max(value) FROM entries");
  } catch (error) {
    if (!database.inTransaction) throw error;
  }
}

/** Opens what is left and returns the transactions in it, in order. Throws when the file is not sound, or holds other rows than these transactions make. */
export async function inspect(runtime: Runtime, disk: Disk): Promise<readonly number[]> {
  const database = await openBank(runtime, disk);
  try {
    const check = database.prepare("PRAGMA integrity_check");
    check.step();
    if (check.text(0) !== "ok") throw new Error(`integrity_check: ${check.text(0)}`);
    check.finalize();
    const numbers: number[] = [];
    const done = database.prepare("SELECT number FROM done ORDER BY number");
    while (done.step()) numbers.push(done.number(0));
    const expected = new Map<string, Uint8Array>();
    for (const number of numbers) for (const [key, value] of changeOf(number)) value === null ? expected.delete(key) : expected.set(key, value);
    const rows = database.prepare("SELECT key, value FROM entries");
    let count = 0;
    for (; rows.step(); count++) {
      const wanted = expected.get(rows.text(0));
      const value = rows.blob(1);
      if (wanted === undefined || !equalBytes(wanted, value)) throw new Error(`Row ${rows.text(0)} is not what transactions ${numbers.join()} make`);
    }
    if (count !== expected.size) throw new Error(`${count} rows, wanted ${expected.size} of transactions ${numbers.join()}`);
    return numbers;
  } finally {
    database.close();
  }
}
