/**
 * State on SQLite: one ordered table for everything keyed, in the database whose transaction the commit is.
 *
 * A *space* is one store of one task: (store name, partition). A row is (space, time, key) → value, so that windows and timers lie in the order of their end and a plain
 * key-value store is the special case of time 0. Reads outside of the commit see committed rows only, for writes happen inside of it alone.
 */
import { StoreError } from "../base/errors.ts";
import type { Database, Statement } from "../sqlite/database.ts";

/** What is known of a store over restarts. */
export interface StoreSpec {
  /** Unique in the app and stable: it finds the state again. */
  readonly name: string;
  /** What must not change while state is kept, such as the kind and the size of a window. */
  readonly fingerprint: string;
  /** The bytes are copied at once: they may be good until the next call only. */
  readonly pack: (value: unknown) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => unknown;
}

/** A row as it lies in the database. */
export interface StoredRow {
  readonly time: number;
  readonly key: string;
  readonly value: Uint8Array;
}

const FORMAT = 1;
const SMALLEST_TIME = -Number.MAX_SAFE_INTEGER;

/** Rows of all spaces of one database. */
export class StateStorage {
  readonly #database: Database;
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #deleteTime: Statement;
  readonly #nextTime: Statement;
  readonly #scanTime: Statement;
  readonly #scanFirst: Statement;
  readonly #last: Statement;
  readonly #range: Statement;
  readonly #any: Statement;

  constructor(database: Database) {
    this.#database = database;
    createTables(database);
    this.#get = database.prepare("SELECT value FROM state WHERE space = ?1 AND time = ?2 AND key = ?3");
    this.#put = database.prepare(
      "INSERT INTO state (space, time, key, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (space, time, key) DO UPDATE SET value = excluded.value",
    );
    this.#delete = database.prepare("DELETE FROM state WHERE space = ?1 AND time = ?2 AND key = ?3");
    this.#deleteTime = database.prepare("DELETE FROM state WHERE space = ?1 AND time = ?2");
    this.#nextTime = database.prepare("SELECT time FROM state WHERE space = ?1 AND time > ?2 ORDER BY time LIMIT 1");
    this.#scanTime = database.prepare("SELECT key, value FROM state WHERE space = ?1 AND time = ?2 AND key > ?3 ORDER BY key LIMIT ?4");
    this.#scanFirst = database.prepare("SELECT key, value FROM state WHERE space = ?1 AND time = ?2 AND key >= ?3 ORDER BY key LIMIT ?4");
    this.#last = database.prepare("SELECT key, value FROM state WHERE space = ?1 AND time = 0 AND key >= ?2 AND key <= ?3 ORDER BY key DESC LIMIT 1");
    this.#range = database.prepare("SELECT key, value FROM state WHERE space = ?1 AND time = 0 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4");
    this.#any = database.prepare("SELECT 1 FROM state WHERE space = ?1 AND time = ?2 LIMIT 1");
  }

  /** Runs `work` in a transaction of its own, for databases that are not the log's. */
  transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** The number of the space of a store and partition; makes it. Throws `STORE_INCOMPATIBLE` when the store was kept under another fingerprint. */
  space(spec: Pick<StoreSpec, "name" | "fingerprint">, partition: number): number {
    const find = this.#database.prepare("SELECT id, fingerprint FROM spaces WHERE store = ?1 AND part = ?2");
    try {
      find.bindText(0, spec.name);
      find.bindNumber(1, partition);
      if (find.step()) {
        const id = find.number(0), fingerprint = find.text(1);
        find.reset();
        if (fingerprint !== spec.fingerprint) {
          throw new StoreError(
            "STORE_INCOMPATIBLE",
            `Cannot open store "${spec.name}": it was kept as "${fingerprint}" and is defined as "${spec.fingerprint}" now: give the step another name, or use another directory`,
          );
        }
        return id;
      }
    } finally {
      find.finalize();
    }
    const insert = this.#database.prepare("INSERT INTO spaces (store, part, fingerprint) VALUES (?1, ?2, ?3) RETURNING id");
    try {
      insert.bindText(0, spec.name);
      insert.bindNumber(1, partition);
      insert.bindText(2, spec.fingerprint);
      insert.step();
      const id = insert.number(0);
      insert.reset();
      return id;
    } finally {
      insert.finalize();
    }
  }

  /** The space if it exists; null otherwise. For readers. */
  findSpace(store: string, partition: number): number | null {
    const find = this.#database.prepare("SELECT id FROM spaces WHERE store = ?1 AND part = ?2");
    try {
      find.bindText(0, store);
      find.bindNumber(1, partition);
      const id = find.step() ? find.number(0) : null;
      find.reset();
      return id;
    } finally {
      find.finalize();
    }
  }

  /** The names of all stores that were ever opened for a partition. */
  stores(partition: number): string[] {
    const find = this.#database.prepare("SELECT store FROM spaces WHERE part = ?1 ORDER BY store");
    try {
      find.bindNumber(0, partition);
      const names: string[] = [];
      while (find.step()) names.push(find.text(0));
      find.reset();
      return names;
    } finally {
      find.finalize();
    }
  }

  get(space: number, time: number, key: string): Uint8Array | null {
    const statement = this.#get;
    statement.bindNumber(0, space);
    statement.bindNumber(1, time);
    statement.bindText(2, key);
    const value = statement.step() ? statement.blob(0) : null;
    statement.reset();
    return value;
  }

  put(space: number, time: number, key: string, value: Uint8Array): void {
    const statement = this.#put;
    statement.bindNumber(0, space);
    statement.bindNumber(1, time);
    statement.bindText(2, key);
    statement.bindBlob(3, value);
    statement.run();
  }

  delete(space: number, time: number, key: string): void {
    const statement = this.#delete;
    statement.bindNumber(0, space);
    statement.bindNumber(1, time);
    statement.bindText(2, key);
    statement.run();
  }

  /** Deletes all rows of one time. */
  deleteTime(space: number, time: number): void {
    this.#deleteTime.bindNumber(0, space);
    this.#deleteTime.bindNumber(1, time);
    this.#deleteTime.run();
  }

  /** Whether any row has this time. */
  has(space: number, time: number): boolean {
    this.#any.bindNumber(0, space);
    this.#any.bindNumber(1, time);
    const found = this.#any.step();
    this.#any.reset();
    return found;
  }

  /** All times of a space, ascending; one index look-up each. */
  times(space: number): number[] {
    const times: number[] = [];
    for (let after = SMALLEST_TIME;;) {
      this.#nextTime.bindNumber(0, space);
      this.#nextTime.bindNumber(1, after);
      if (!this.#nextTime.step()) return times;
      after = this.#nextTime.number(0);
      this.#nextTime.reset();
      times.push(after);
    }
  }

  /** Up to `limit` rows of one time with a key after `after` (null: from the first), in the order of keys. */
  scan(space: number, time: number, after: string | null, limit: number): StoredRow[] {
    const statement = after === null ? this.#scanFirst : this.#scanTime;
    statement.bindNumber(0, space);
    statement.bindNumber(1, time);
    statement.bindText(2, after ?? "");
    statement.bindNumber(3, limit);
    return rows(statement, time);
  }

  /** Rows of time 0 with `from <= key < to`, in the order of keys. */
  range(space: number, from: string, to: string, limit: number): StoredRow[] {
    const statement = this.#range;
    statement.bindNumber(0, space);
    statement.bindText(1, from);
    statement.bindText(2, to);
    statement.bindNumber(3, limit);
    return rows(statement, 0);
  }

  /** The row of time 0 with the largest key in `from <= key <= to`. */
  last(space: number, from: string, to: string): StoredRow | null {
    const statement = this.#last;
    statement.bindNumber(0, space);
    statement.bindText(1, from);
    statement.bindText(2, to);
    const row = statement.step() ? { time: 0, key: statement.text(0), value: statement.blob(1) } : null;
    statement.reset();
    return row;
  }
}

function rows(statement: Statement, time: number): StoredRow[] {
  const found: StoredRow[] = [];
  while (statement.step()) found.push({ time, key: statement.text(0), value: statement.blob(1) });
  statement.reset();
  return found;
}

function createTables(database: Database): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS state_format (version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, store TEXT NOT NULL, part INTEGER NOT NULL, fingerprint TEXT NOT NULL, UNIQUE (store, part));
    CREATE TABLE IF NOT EXISTS state (space INTEGER NOT NULL, time INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, time, key)) WITHOUT ROWID;
    INSERT INTO state_format (version) SELECT ${FORMAT} WHERE NOT EXISTS (SELECT 1 FROM state_format);
  `);
  const statement = database.prepare("SELECT max(version) FROM state_format");
  statement.step();
  const version = statement.number(0);
  statement.reset();
  statement.finalize();
  if (version > FORMAT) {
    throw new StoreError("STORE_NEWER", `Cannot open state: it has format ${version}, this version reads up to ${FORMAT}`);
  }
}
