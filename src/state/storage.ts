/**
 * State on SQLite: one ordered table for everything keyed, in the database whose transaction the commit is.
 *
 * A *space* is one store of one task: (store name, partition). A row is (space, time, key) → value, so that windows and timers lie in the order of their end and a plain
 * key-value store is the special case of time 0. Reads outside of the commit see committed rows only, for writes happen inside of it alone.
 */
import { StoreError } from "../base/errors.ts";
import type { Database, Statement } from "../sqlite/database.ts";
import type { RowSink } from "./changes.ts";

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

/** How far a changelog is in a database. */
export interface Checkpoint {
  readonly position: number;
  /** Wall clock, ms. */
  readonly savedAt: number;
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
export class StateStorage implements RowSink {
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
  readonly #saveCheckpoint: Statement;

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
    this.#saveCheckpoint = database.prepare(
      "INSERT INTO checkpoints (topic, part, position, saved_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (topic, part) DO UPDATE SET position = excluded.position, saved_at = excluded.saved_at",
    );
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

  // ── What came from changelogs ──────────────────────────────────────────────────────────────────────────────────────

  /** Up to where a partition of a changelog is in here; null: nothing of it is. */
  checkpoint(topic: string, partition: number): Checkpoint | null {
    return this.#query("SELECT position, saved_at FROM checkpoints WHERE topic = ?1 AND part = ?2", [topic, partition], (row) => ({
      position: row.number(0),
      savedAt: row.number(1),
    }))[0] ?? null;
  }

  /** Everything below `position` of a partition of a changelog is in here; in the transaction that brought it. */
  saveCheckpoint(topic: string, partition: number, { position, savedAt }: Checkpoint): void {
    this.#saveCheckpoint.bindText(0, topic);
    this.#saveCheckpoint.bindNumber(1, partition);
    this.#saveCheckpoint.bindNumber(2, position);
    this.#saveCheckpoint.bindNumber(3, savedAt);
    this.#saveCheckpoint.run();
  }

  /** The changelog that a space is said in; null: none yet. */
  changelogOf(space: number): string | null {
    return this.#query("SELECT topic FROM logged_spaces WHERE space = ?1", [space], (row) => row.text(0))[0] ?? null;
  }

  /** The space is said in this changelog from here on. */
  setChangelog(space: number, topic: string): void {
    this.#query("INSERT INTO logged_spaces (space, topic) VALUES (?1, ?2) ON CONFLICT (space) DO UPDATE SET topic = excluded.topic", [space, topic]);
  }

  /** A changelog says what a store is, and then all of its rows: that counts, whatever was known of it. */
  restoreSpace(store: string, partition: number, fingerprint: string, topic: string): void {
    this.#query(
      "INSERT INTO spaces (store, part, fingerprint) VALUES (?1, ?2, ?3) ON CONFLICT (store, part) DO UPDATE SET fingerprint = excluded.fingerprint",
      [
        store,
        partition,
        fingerprint,
      ],
    );
    const space = this.findSpace(store, partition)!;
    this.#query("DELETE FROM state WHERE space = ?1", [space]);
    this.setChangelog(space, topic);
  }

  /** Says all rows of a space to another. */
  writeTo(space: number, sink: RowSink): void {
    const statement = this.#database.prepare("SELECT time, key, value FROM state WHERE space = ?1 ORDER BY time, key");
    try {
      statement.bindNumber(0, space);
      while (statement.step()) sink.put(space, statement.number(0), statement.text(1), statement.blob(2));
    } finally {
      statement.finalize();
    }
  }

  /** The spaces that are said in a partition of a changelog. */
  spacesOf(topic: string, partition: number): number[] {
    const sql = "SELECT space FROM logged_spaces JOIN spaces ON id = space WHERE topic = ?1 AND part = ?2";
    return this.#query(sql, [topic, partition], (row) => row.number(0));
  }

  /** Deletes all that came from a partition of a changelog. */
  forget(topic: string, partition: number): void {
    for (const space of this.spacesOf(topic, partition)) this.forgetSpace(space);
    this.#query("DELETE FROM checkpoints WHERE topic = ?1 AND part = ?2", [topic, partition]);
  }

  /** Deletes a space and its rows. */
  forgetSpace(space: number): void {
    this.#query("DELETE FROM state WHERE space = ?1", [space]);
    this.#query("DELETE FROM logged_spaces WHERE space = ?1", [space]);
    this.#query("DELETE FROM spaces WHERE id = ?1", [space]);
  }

  #query<T = void>(sql: string, values: readonly (string | number)[], read?: (row: Statement) => T): T[] {
    const statement = this.#database.prepare(sql);
    try {
      values.forEach((value, index) => typeof value === "string" ? statement.bindText(index, value) : statement.bindNumber(index, value));
      const found: T[] = [];
      while (statement.step()) if (read !== undefined) found.push(read(statement));
      statement.reset();
      return found;
    } finally {
      statement.finalize();
    }
  }

  // ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

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

  delete(space: number, time: number, key: string, isCovered: boolean = false): void {
    if (isCovered) return;
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
    CREATE TABLE IF NOT EXISTS checkpoints (topic TEXT NOT NULL, part INTEGER NOT NULL, position INTEGER NOT NULL, saved_at INTEGER NOT NULL, PRIMARY KEY (topic, part)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS logged_spaces (space INTEGER PRIMARY KEY, topic TEXT NOT NULL);
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
