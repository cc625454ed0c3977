/**
 * The tables of the embedded log and all SQL that touches them. They share the file with the state of the app, so their names begin with `log_`.
 * The batches of a partition are in a table of their own.
 */
import { StoreError } from "../base/errors.ts";
import type { Database, Statement } from "../sqlite/database.ts";
import { BatchTable } from "./batch-table.ts";
import type { Retention } from "./log.ts";

/** The file, unless it is given another name. */
export const LOG_PATH = "millrace.db";

/** The format of the tables; a file with a higher one is refused. */
export const LOG_FORMAT = 1;

const TABLES = `
CREATE TABLE IF NOT EXISTS log_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, retention TEXT NOT NULL, internal INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS log_partitions (
  id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, number INTEGER NOT NULL,
  start INTEGER NOT NULL, counted_to INTEGER NOT NULL, bytes INTEGER NOT NULL, clean_to INTEGER NOT NULL,
  UNIQUE (topic, number)
);
CREATE TABLE IF NOT EXISTS log_groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, generation INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS log_positions (
  team INTEGER NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (team, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_ids (
  scope TEXT NOT NULL, value TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, checksum INTEGER NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (scope, value)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS log_ids_expiry ON log_ids (expires);
`;

/** A topic as stored. */
export interface TopicRow {
  readonly id: number;
  readonly name: string;
  readonly retention: Retention;
  readonly internal: boolean;
}

/** A partition as stored. */
export interface PartitionRow {
  readonly id: number;
  readonly topic: number;
  readonly number: number;
  readonly start: number;
  /** Position up to which `bytes` counts; the partition may go on beyond. */
  readonly countedTo: number;
  readonly bytes: number;
  readonly cleanTo: number;
}

/** What an id was first used for. */
export interface IdRow {
  readonly partition: number;
  readonly position: number;
  readonly checksum: number;
  readonly expires: number;
}

/** Makes the tables where they are missing. Throws `STORE_NEWER` for a file of a later version. */
export function openTables(log: string, path: string, database: Database): Tables {
  database.exec("BEGIN");
  try {
    database.exec(TABLES);
    database.exec(`INSERT OR IGNORE INTO log_meta VALUES ('format', ${LOG_FORMAT})`);
    const select = database.prepare("SELECT value FROM log_meta WHERE name = 'format'");
    const format = select.step() ? select.number(0) : NaN;
    select.finalize();
    if (format > LOG_FORMAT) {
      const message = `[${log}] Cannot open "${path}": its log has format ${format}, this version knows up to ${LOG_FORMAT}`;
      throw new StoreError("STORE_NEWER", message, { details: { path, format, known: LOG_FORMAT } });
    }
    database.exec("COMMIT");
  } catch (thrown) {
    if (database.inTransaction) database.exec("ROLLBACK");
    throw thrown;
  }
  return new Tables(database);
}

/** Prepared statements, each behind a method. Used one at a time: none is left open between calls. */
export class Tables {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  begin(): void {
    this.#run("BEGIN");
  }

  commit(): void {
    this.#run("COMMIT");
  }

  rollback(): void {
    this.#run("ROLLBACK");
  }

  topics(): TopicRow[] {
    return this.#rows("SELECT id, name, retention, internal FROM log_topics ORDER BY id", [], (row) => ({
      id: row.number(0),
      name: row.text(1),
      retention: JSON.parse(row.text(2)) as Retention,
      internal: row.number(3) === 1,
    }));
  }

  partitions(): PartitionRow[] {
    return this.#rows("SELECT id, topic, number, start, counted_to, bytes, clean_to FROM log_partitions ORDER BY topic, number", [], (row) => ({
      ...{ id: row.number(0), topic: row.number(1), number: row.number(2) },
      ...{ start: row.number(3), countedTo: row.number(4), bytes: row.number(5), cleanTo: row.number(6) },
    }));
  }

  addTopic(name: string, retention: Retention, internal: boolean): number {
    const sql = "INSERT INTO log_topics (name, retention, internal) VALUES (?, ?, ?) RETURNING id";
    return this.#number(sql, [name, JSON.stringify(retention), internal ? 1 : 0])!;
  }

  changeTopic(id: number, retention: Retention, internal: boolean): void {
    this.#run("UPDATE log_topics SET retention = ?, internal = ? WHERE id = ?", [JSON.stringify(retention), internal ? 1 : 0, id]);
  }

  addPartition(topic: number, number: number): number {
    const sql = "INSERT INTO log_partitions (topic, number, start, counted_to, bytes, clean_to) VALUES (?, ?, 0, 0, 0, 0) RETURNING id";
    const id = this.#number(sql, [topic, number])!;
    this.batches(id).create();
    return id;
  }

  /** Where the batches of a partition lie. */
  batches(partition: number): BatchTable {
    return new BatchTable(this.#database, partition);
  }

  /** Keeps what is known of a partition's front and size. */
  countPartition(id: number, start: number, countedTo: number, bytes: number): void {
    this.#run("UPDATE log_partitions SET start = ?, counted_to = ?, bytes = ? WHERE id = ?", [start, countedTo, bytes, id]);
  }

  setCleanTo(id: number, cleanTo: number): void {
    this.#run("UPDATE log_partitions SET clean_to = ? WHERE id = ?", [cleanTo, id]);
  }

  cleanTo(id: number): number {
    return this.#number("SELECT clean_to FROM log_partitions WHERE id = ?", [id]) ?? 0;
  }

  /** Counts a new member of a group in; its generation. */
  nextGeneration(group: string): { readonly id: number; readonly generation: number } {
    const sql = "INSERT INTO log_groups (name, generation) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET generation = generation + 1 RETURNING id, generation";
    return this.#rows(sql, [group], (row) => ({ id: row.number(0), generation: row.number(1) }))[0]!;
  }

  setPosition(group: number, partition: number, position: number): void {
    const upsert = this.#statement(
      "INSERT INTO log_positions (team, partition, position) VALUES (?, ?, ?) ON CONFLICT (team, partition) DO UPDATE SET position = excluded.position",
    );
    upsert.bindNumber(0, group);
    upsert.bindNumber(1, partition);
    upsert.bindNumber(2, position);
    upsert.run();
  }

  position(group: string, partition: number): number | null {
    return this.#number("SELECT position FROM log_positions WHERE team = (SELECT id FROM log_groups WHERE name = ?) AND partition = ?", [group, partition]);
  }

  /** Groups that stand below a position. */
  groupsBelow(partition: number, position: number): { readonly group: string; readonly position: number }[] {
    return this.#rows(
      "SELECT name, position FROM log_positions JOIN log_groups ON id = team WHERE partition = ? AND position < ?",
      [partition, position],
      (row) => ({ group: row.text(0), position: row.number(1) }),
    );
  }

  id(scope: string, value: string): IdRow | null {
    const rows = this.#rows("SELECT partition, position, checksum, expires FROM log_ids WHERE scope = ? AND value = ?", [scope, value], (row) => ({
      ...{ partition: row.number(0), position: row.number(1), checksum: row.number(2), expires: row.number(3) },
    }));
    return rows[0] ?? null;
  }

  setId(scope: string, value: string, row: IdRow): void {
    this.#run("INSERT OR REPLACE INTO log_ids (scope, value, partition, position, checksum, expires) VALUES (?, ?, ?, ?, ?, ?)", [
      ...[scope, value, row.partition, row.position, row.checksum, row.expires],
    ]);
  }

  /** Deletes at most `limit` ids beyond their time; how many there were. */
  deleteExpiredIds(now: number, limit: number): number {
    this.#run("DELETE FROM log_ids WHERE (scope, value) IN (SELECT scope, value FROM log_ids WHERE expires <= ? ORDER BY expires LIMIT ?)", [now, limit]);
    return this.#database.changes();
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, values: readonly (number | string)[] = []): void {
    const statement = this.#statement(sql);
    bind(statement, values);
    statement.run();
  }

  #number(sql: string, values: readonly (number | string)[]): number | null {
    return this.#rows(sql, values, (row) => row.isNull(0) ? null : row.number(0))[0] ?? null;
  }

  #rows<Row>(sql: string, values: readonly (number | string)[], read: (row: Statement) => Row): Row[] {
    const statement = this.#statement(sql);
    bind(statement, values);
    const rows: Row[] = [];
    try {
      while (statement.step()) rows.push(read(statement));
    } finally {
      statement.reset();
    }
    return rows;
  }
}

function bind(statement: Statement, values: readonly (number | string)[]): void {
  values.forEach((value, index) => typeof value === "number" ? statement.bindNumber(index, value) : statement.bindText(index, value));
}
