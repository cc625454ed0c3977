/** Which stores there are in a database: what each is kept as, which changelog says it, and how far that is in here. */
import { StoreError } from "../base/errors.ts";
import type { Database, Statement } from "../sqlite/database.ts";
import type { StoreSpec } from "./storage.ts";

const FORMAT = 1;

/** How far a changelog is in a database. */
export interface Checkpoint {
  readonly position: number;
  /** Wall clock, ms. */
  readonly savedAt: number;
}

/** One store of one task, as the database knows it. */
export interface StoredSpace {
  readonly id: number;
  readonly store: string;
  readonly partition: number;
  readonly fingerprint: string;
}

/** The spaces of one database. */
export class Spaces {
  readonly #database: Database;
  readonly #saveCheckpoint: Statement;

  constructor(database: Database) {
    createTables(database);
    this.#database = database;
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

  /**
   * The number of the space of a store and partition; makes it. Where `StoreMigration` has brought its rows into the form of `spec`, that of those. Throws `STORE_INCOMPATIBLE` when the store is
   * kept under another fingerprint.
   */
  space(spec: Pick<StoreSpec, "name" | "fingerprint">, partition: number): number {
    const kept = this.kept(spec.name, partition);
    if (kept === null) return this.#makeSpace(spec, partition);
    if (kept.fingerprint === spec.fingerprint) return kept.space;
    const aside = this.kept(spec.name, asideOf(partition));
    if (aside !== null && aside.fingerprint === spec.fingerprint) return aside.space;
    throw new StoreError(
      "STORE_INCOMPATIBLE",
      `Cannot open store "${spec.name}": it was kept as "${kept.fingerprint}" and is defined as "${spec.fingerprint}" now: give the step another name, or use another directory`,
    );
  }

  #makeSpace(spec: Pick<StoreSpec, "name" | "fingerprint">, part: number): number {
    const sql = "INSERT INTO spaces (store, part, fingerprint) VALUES (?1, ?2, ?3) RETURNING id";
    return this.query(sql, [spec.name, part, spec.fingerprint], (row) => row.number(0))[0]!;
  }

  /** The space of a store and partition, and what it was kept as; null: there is none. */
  kept(store: string, partition: number): { readonly space: number; readonly fingerprint: string } | null {
    const sql = "SELECT id, fingerprint FROM spaces WHERE store = ?1 AND part = ?2";
    return this.query(sql, [store, partition], (row) => ({ space: row.number(0), fingerprint: row.text(1) }))[0] ?? null;
  }

  /** The space if it exists; null otherwise. For readers. */
  findSpace(store: string, partition: number): number | null {
    return this.kept(store, partition)?.space ?? null;
  }

  // ── Rows on their way into another form ────────────────────────────────────────────────────────────────────────────

  /** An empty space beside that of a store and partition, for its rows in another form; what lay there is gone. Nobody reads it until `adopt`. */
  makeAside(spec: Pick<StoreSpec, "name" | "fingerprint">, partition: number): number {
    this.forgetAside(spec.name, partition);
    const space = this.#makeSpace(spec, asideOf(partition));
    const before = this.findSpace(spec.name, partition);
    const changelog = before === null ? null : this.changelogOf(before);
    if (changelog !== null) this.setChangelog(space, changelog);
    return space;
  }

  /** What a migration left that did not come to its end. */
  forgetAside(store: string, partition: number): void {
    const left = this.findSpace(store, asideOf(partition));
    if (left !== null) this.forgetSpace(left);
  }

  /** Whether a space lies beside that of its store. */
  isAside(space: number): boolean {
    return this.query("SELECT 1 FROM spaces WHERE id = ?1 AND part < 0", [space], () => true).length > 0;
  }

  /** The space that one beside it is to replace. */
  replacedBy(space: number): number | null {
    const sql = "SELECT kept.id FROM spaces AS kept JOIN spaces AS own ON kept.store = own.store AND kept.part = -1 - own.part WHERE own.id = ?1";
    return this.query(sql, [space], (row) => row.number(0))[0] ?? null;
  }

  /** The space beside that of a store takes its place, whose rows are gone with it; inside of a transaction. */
  adopt(space: number): void {
    const before = this.replacedBy(space);
    if (before !== null) this.forgetSpace(before);
    this.query("UPDATE spaces SET part = -1 - part WHERE id = ?1", [space]);
  }

  /** The names of all stores that were ever opened for a partition. */
  stores(partition: number): string[] {
    return this.query("SELECT store FROM spaces WHERE part = ?1 ORDER BY store", [partition], (row) => row.text(0));
  }

  /** All spaces of the database. */
  spaces(): StoredSpace[] {
    return this.query("SELECT id, store, part, fingerprint FROM spaces WHERE part >= 0 ORDER BY store, part", [], (row) => ({
      id: row.number(0),
      store: row.text(1),
      partition: row.number(2),
      fingerprint: row.text(3),
    }));
  }

  // ── What came from changelogs ──────────────────────────────────────────────────────────────────────────────────────

  /** Up to where a partition of a changelog is in here; null: nothing of it is. */
  checkpoint(topic: string, partition: number): Checkpoint | null {
    return this.query("SELECT position, saved_at FROM checkpoints WHERE topic = ?1 AND part = ?2", [topic, partition], (row) => ({
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
    return this.query("SELECT topic FROM logged_spaces WHERE space = ?1", [space], (row) => row.text(0))[0] ?? null;
  }

  /** The space is said in this changelog from here on. */
  setChangelog(space: number, topic: string): void {
    this.query("INSERT INTO logged_spaces (space, topic) VALUES (?1, ?2) ON CONFLICT (space) DO UPDATE SET topic = excluded.topic", [space, topic]);
  }

  /** A changelog says what a store is, and then all of its rows: that counts, whatever was known of it. */
  restoreSpace(store: string, partition: number, fingerprint: string, topic: string): void {
    this.query(
      "INSERT INTO spaces (store, part, fingerprint) VALUES (?1, ?2, ?3) ON CONFLICT (store, part) DO UPDATE SET fingerprint = excluded.fingerprint",
      [
        store,
        partition,
        fingerprint,
      ],
    );
    const space = this.findSpace(store, partition)!;
    this.query("DELETE FROM state WHERE space = ?1", [space]);
    this.setChangelog(space, topic);
  }

  /** The spaces that are said in a partition of a changelog. */
  spacesOf(topic: string, partition: number): number[] {
    const sql = "SELECT space FROM logged_spaces JOIN spaces ON id = space WHERE topic = ?1 AND part = ?2";
    return this.query(sql, [topic, partition], (row) => row.number(0));
  }

  /** Deletes all that came from a partition of a changelog. */
  forget(topic: string, partition: number): void {
    for (const space of this.spacesOf(topic, partition)) this.forgetSpace(space);
    this.query("DELETE FROM checkpoints WHERE topic = ?1 AND part = ?2", [topic, partition]);
  }

  /** Deletes a space and its rows. */
  forgetSpace(space: number): void {
    this.query("DELETE FROM state WHERE space = ?1", [space]);
    this.query("DELETE FROM logged_spaces WHERE space = ?1", [space]);
    this.query("DELETE FROM spaces WHERE id = ?1", [space]);
  }

  /** The rows of a statement that is run now and then. */
  protected query<T = void>(sql: string, values: readonly (string | number)[], read?: (row: Statement) => T): T[] {
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
}

/** Where rows of a partition lie on their way into another form, and back: no partition has such a number. */
function asideOf(partition: number): number {
  return -1 - partition;
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
