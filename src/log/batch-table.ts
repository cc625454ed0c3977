/**
 * The batches of one partition: a table of its own, one row a batch, its key the position of the batch's first record. Size columns
 * come before the blob, so that they are read without it. Why a table a partition: `docs/internals/log.md`.
 */
import type { Database, Statement } from "../sqlite/database.ts";
import type { BatchSize } from "./retention.ts";
import type { StoredBatch } from "./stored-batch.ts";

/** A batch without its bytes. */
export interface BatchRow extends BatchSize {
  readonly base: number;
}

/** Prepared on first use; none is left open between calls. */
export class BatchTable {
  readonly #database: Database;
  readonly #name: string;
  #insert: Statement | null = null;
  #select: Statement | null = null;
  readonly #others = new Map<string, Statement>();

  constructor(database: Database, partition: number) {
    this.#database = database;
    this.#name = `log_batches_${partition}`;
  }

  create(): void {
    this.#database.exec(`CREATE TABLE ${this.#name} (base INTEGER PRIMARY KEY, next INTEGER NOT NULL, time INTEGER NOT NULL, bytes BLOB NOT NULL)`);
  }

  /** Adds a batch that lies in `from`. */
  add(base: number, next: number, time: number, from: Uint8Array, start: number, end: number): void {
    this.#insert ??= this.#database.prepare(`INSERT INTO ${this.#name} (base, next, time, bytes) VALUES (?, ?, ?, ?)`);
    this.#insert.bindNumber(0, base);
    this.#insert.bindNumber(1, next);
    this.#insert.bindNumber(2, time);
    this.#insert.bindBlob(3, from, start, end);
    this.#insert.run();
  }

  /** Batches from `base` up to `end`, about `bytesMax` at most, but one at least where there is one. */
  read(base: number, end: number, bytesMax: number): StoredBatch[] {
    this.#select ??= this.#database.prepare(`SELECT base, next, time, length(bytes), bytes FROM ${this.#name} WHERE base >= ? AND base < ? ORDER BY base`);
    const select = this.#select;
    select.bindNumber(0, base);
    select.bindNumber(1, end);
    const batches: StoredBatch[] = [];
    let bytes = 0;
    try {
      while (select.step()) {
        bytes += select.number(3);
        if (batches.length > 0 && bytes > bytesMax) break;
        batches.push({ base: select.number(0), next: select.number(1), time: select.number(2), bytes: select.blob(4) });
      }
    } finally {
      select.reset();
    }
    return batches;
  }

  replace(base: number, bytes: Uint8Array): void {
    const update = this.#statement(`UPDATE ${this.#name} SET bytes = ? WHERE base = ?`);
    update.bindBlob(0, bytes);
    update.bindNumber(1, base);
    update.run();
  }

  delete(base: number): void {
    const statement = this.#statement(`DELETE FROM ${this.#name} WHERE base = ?`);
    statement.bindNumber(0, base);
    statement.run();
  }

  /** Deletes the batches up to and including the one at `base`. */
  deleteTo(base: number): void {
    const statement = this.#statement(`DELETE FROM ${this.#name} WHERE base <= ?`);
    statement.bindNumber(0, base);
    statement.run();
  }

  /** The base of the batch that a position lies in, or the position itself. */
  baseAt(position: number): number {
    const select = this.#statement(`SELECT base, next FROM ${this.#name} WHERE base <= ? ORDER BY base DESC LIMIT 1`);
    select.bindNumber(0, position);
    try {
      return select.step() && select.number(1) > position ? select.number(0) : position;
    } finally {
      select.reset();
    }
  }

  /** Position after the last batch; null where there is none. */
  lastNext(): number | null {
    const select = this.#statement(`SELECT next FROM ${this.#name} ORDER BY base DESC LIMIT 1`);
    try {
      return select.step() ? select.number(0) : null;
    } finally {
      select.reset();
    }
  }

  /** Bytes of the batches from a position on. */
  bytesFrom(base: number): number {
    const select = this.#statement(`SELECT coalesce(sum(length(bytes)), 0) FROM ${this.#name} WHERE base >= ?`);
    select.bindNumber(0, base);
    try {
      return select.step() ? select.number(0) : 0;
    } finally {
      select.reset();
    }
  }

  /** The oldest batches. */
  oldest(limit: number): BatchRow[] {
    const select = this.#statement(`SELECT base, next, time, length(bytes) FROM ${this.#name} ORDER BY base LIMIT ?`);
    select.bindNumber(0, limit);
    const rows: BatchRow[] = [];
    try {
      while (select.step()) rows.push({ base: select.number(0), next: select.number(1), time: select.number(2), bytes: select.number(3) });
    } finally {
      select.reset();
    }
    return rows;
  }

  #statement(sql: string): Statement {
    let statement = this.#others.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#others.set(sql, statement);
    }
    return statement;
  }
}
