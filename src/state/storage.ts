/**
 * State on SQLite: one ordered table for everything keyed, in the database whose transaction the commit is.
 *
 * A *space* is one store of one task: (store name, partition). A row is (space, time, key) → value, so that windows and timers lie in the order of their end and a plain
 * key-value store is the special case of time 0. Reads outside of the commit see committed rows only, for writes happen inside of it alone.
 */
import type { Database, Statement } from "../sqlite/database.ts";
import type { RowSink } from "./changes.ts";
import type { RowMigration } from "./migration.ts";
import { Spaces } from "./spaces.ts";

export type { Checkpoint, StoredSpace } from "./spaces.ts";

/** What is known of a store over restarts. */
export interface StoreSpec {
  /** Unique in the app and stable: it finds the state again. */
  readonly name: string;
  /** What must not change while state is kept, such as the kind and the size of a window. */
  readonly fingerprint: string;
  /** How rows kept under another fingerprint become its own; throws `STORE_INCOMPATIBLE` or `STORE_NEWER` where they cannot. Missing: they never can. */
  readonly migration?: (kept: string) => RowMigration;
  /** The bytes are copied at once: they may be good until the next call only. */
  readonly pack: (value: unknown) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => unknown;
  /** A value as its user knows it; without it, as it is. */
  readonly show?: (value: unknown) => unknown;
}

/** A row as it lies in the database. */
export interface StoredRow {
  readonly time: number;
  readonly key: string;
  readonly value: Uint8Array;
}

const SMALLEST_TIME = -Number.MAX_SAFE_INTEGER;

/** Rows of all spaces of one database. */
export class StateStorage extends Spaces implements RowSink {
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
    super(database);
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

  /** Whether a space has a row at all. */
  hasRows(space: number): boolean {
    return this.query("SELECT 1 FROM state WHERE space = ?1 LIMIT 1", [space], () => true).length > 0;
  }

  /** How many rows a space has. */
  countRows(space: number): number {
    return this.query("SELECT count(*) FROM state WHERE space = ?1", [space], (row) => row.number(0))[0]!;
  }

  /** All rows of a space, by time and key, `pageSize` at a time: between two pages others may use the database. */
  *pages(space: number, pageSize: number): Generator<readonly StoredRow[], void> {
    const sql = "SELECT time, key, value FROM state WHERE space = ?1 AND (time, key) > (?2, ?3) ORDER BY time, key LIMIT ?4";
    // Less than any row's.
    for (let time = -Infinity, key = "";;) {
      const page = this.query(sql, [space, time, key, pageSize], (row) => ({ time: row.number(0), key: row.text(1), value: row.blob(2) }));
      if (page.length === 0) return;
      yield page;
      ({ time, key } = page.at(-1)!);
    }
  }

  /** Tells which rows are gone once a space takes the place of another. */
  writeGone(space: number, sink: RowSink): void {
    const sql =
      "SELECT time, key FROM state AS kept WHERE space = ?2 AND NOT EXISTS (SELECT 1 FROM state WHERE space = ?1 AND time = kept.time AND key = kept.key)";
    const before = this.replacedBy(space);
    if (before !== null) this.query(sql, [space, before], (row) => sink.delete(space, row.number(0), row.text(1), false));
  }

  /** Says all rows of a space to another. */
  writeTo(space: number, sink: RowSink): void {
    const read = (row: Statement): void => sink.put(space, row.number(0), row.text(1), row.blob(2));
    this.query("SELECT time, key, value FROM state WHERE space = ?1 ORDER BY time, key", [space], read);
  }
}

function rows(statement: Statement, time: number): StoredRow[] {
  const found: StoredRow[] = [];
  while (statement.step()) found.push({ time, key: statement.text(0), value: statement.blob(1) });
  statement.reset();
  return found;
}
