/** One connection: it owns the instance of SQLite, its files and its statements, and turns result codes into errors. */
import { StoreError } from "../base/errors.ts";
import type { Disk, DiskLock } from "../runtime/disk.ts";
import { SqliteCopy } from "./copy.ts";
import type { Database, DatabaseCopy, Statement } from "./database.ts";
import type { Engine, Pointer, ShimExports } from "./engine.ts";
import { sqliteError } from "./result.ts";
import { SqliteStatement } from "./statement.ts";
import type { StatementOwner } from "./statement.ts";
import type { Vfs } from "./vfs.ts";

const OPEN_READWRITE_CREATE = 0x6;
const PREPARE_PERSISTENT = 1;
/** Statements that `exec` keeps prepared: one pair a commit. */
const keptSql: ReadonlySet<string> = new Set(["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]);

/** The cache of a copy's file: only pages that are written again come back to it. */
const COPY_CACHE_KIB = 512;
const noLock: DiskLock = Object.freeze({ release: () => {} });

/** Where copies are written. */
export interface CopyFiles {
  readonly vfs: Vfs;
  /** By which SQLite knows the vfs. */
  readonly name: string;
  readonly disk: Disk;
}

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly engine: Engine;
  readonly vfs: Vfs;
  /** Of the vfs; missing: the default one. */
  readonly vfsName?: string;
  readonly path: string;
  readonly lock: DiskLock;
  /** Asked for once, at the first copy: what is in SQLite's tables stays there. */
  readonly copyFiles?: () => CopyFiles;
}

/** {@linkcode Database} over `sqlite3`. */
export class Connection implements Database, StatementOwner {
  readonly engine: Engine;
  readonly shim: ShimExports;
  /** 16 bytes for what C functions write: a length or a statement, and the rest of the SQL. */
  readonly lengthAt: Pointer;
  readonly #vfs: Vfs;
  readonly #path: string;
  readonly #lock: DiskLock;
  readonly #statements = new Set<Statement>();
  readonly #kept = new Map<string, Statement>();
  readonly #openCopyFiles: (() => CopyFiles) | null;
  #copyFiles: CopyFiles | null = null;
  #copy: SqliteCopy | null = null;
  #pointer: Pointer = 0;

  constructor({ engine, vfs, vfsName, path, lock, copyFiles }: ConnectionOptions) {
    this.engine = engine;
    this.shim = vfs.shim;
    this.#vfs = vfs;
    this.#path = path;
    this.#lock = lock;
    this.#openCopyFiles = copyFiles ?? null;
    this.lengthAt = engine.allocate(16);
    const name = engine.allocateText(path);
    const of = vfsName === undefined ? 0 : engine.allocateText(vfsName);
    const code = engine.sqlite.sqlite3_open_v2(name, this.lengthAt, OPEN_READWRITE_CREATE, of);
    engine.sqlite.free(name);
    if (of !== 0) engine.sqlite.free(of);
    this.#pointer = engine.words[this.lengthAt >> 2]!;
    if (code !== 0) {
      const error = this.failure(code, null);
      // SQLite gives a handle all the same.
      engine.sqlite.sqlite3_close_v2(this.#pointer);
      throw error;
    }
    engine.sqlite.sqlite3_extended_result_codes(this.#pointer, 1);
  }

  get pointer(): Pointer {
    return this.#pointer;
  }

  get inTransaction(): boolean {
    return this.#pointer !== 0 && this.engine.sqlite.sqlite3_get_autocommit(this.#pointer) === 0;
  }

  get isTrusted(): boolean {
    return this.#vfs.fatal === null;
  }

  get memoryBytes(): number {
    return this.engine.memoryBytes;
  }

  exec(sql: string): void {
    if (keptSql.has(sql)) return this.#keptStatement(sql).run();
    this.#check(sql);
    const { sqlite } = this.engine;
    const text = this.engine.allocateText(sql);
    try {
      for (let rest = text; this.engine.bytes[rest] !== 0;) {
        const { statement, tail } = this.#compile(rest, 0, sql);
        rest = tail;
        // A comment, or nothing before a semicolon.
        if (statement === 0) continue;
        const code = this.shim.run(statement);
        const error = code === 0 ? null : this.failure(code, sql);
        sqlite.sqlite3_finalize(statement);
        if (error !== null) throw error;
      }
    } finally {
      sqlite.free(text);
    }
  }

  prepare(sql: string): Statement {
    this.#check(sql);
    const text = this.engine.allocateText(sql);
    try {
      const { statement } = this.#compile(text, PREPARE_PERSISTENT, sql);
      if (statement === 0) throw new StoreError("SQLITE_FAILED", `Cannot prepare ${JSON.stringify(sql)} on "${this.#path}": it holds no statement`);
      const prepared = new SqliteStatement(this, statement, sql);
      this.#statements.add(prepared);
      return prepared;
    } finally {
      this.engine.sqlite.free(text);
    }
  }

  changes(): number {
    return this.#pointer === 0 ? 0 : this.engine.sqlite.sqlite3_changes(this.#pointer);
  }

  flush(): Promise<void> {
    return this.#pointer === 0 ? Promise.reject(this.#closedError("flush")) : this.#vfs.flush();
  }

  copy(path: string): DatabaseCopy {
    this.#check("copy");
    this.#copy?.close();
    const files = this.#copyFiles ??= this.#openCopyFiles?.() ?? this.#cannotCopy("it is a copy itself");
    if (this.#journalMode() !== "wal") {
      this.#cannotCopy("its disk has transactions of its own: use the copies that the disk's owner makes (a Durable Object has point-in-time recovery)");
    }
    for (const suffix of ["", "-journal", "-wal"]) files.disk.delete(path + suffix);
    // What an earlier copy's file has met says nothing of a new one.
    files.vfs.fatal = null;
    const target = new Connection({ engine: this.engine, vfs: files.vfs, vfsName: files.name, path, lock: noLock });
    try {
      // What fails is thrown away as a whole, and `flush` makes it durable off the thread: neither journal nor syncs are of use.
      target.exec(`PRAGMA journal_mode=off; PRAGMA synchronous=off; PRAGMA temp_store=memory; PRAGMA cache_size=-${COPY_CACHE_KIB}`);
      this.#copy = new SqliteCopy({ engine: this.engine, source: this.#pointer, target, files: [files.vfs, this.#vfs], path: this.#path });
      return this.#copy;
    } catch (error) {
      target.close();
      throw error;
    }
  }

  checkpoint(): void {
    this.exec("PRAGMA wal_checkpoint(PASSIVE)");
    if (this.#vfs.fatal !== null) throw this.#vfs.fatal;
  }

  close(): void {
    if (this.#pointer === 0) return;
    const wasTrusted = this.#vfs.fatal === null;
    this.#copy?.close();
    for (const statement of [...this.#statements]) statement.finalize();
    this.#kept.clear();
    this.engine.sqlite.sqlite3_close_v2(this.#pointer);
    this.#pointer = 0;
    this.engine.sqlite.free(this.lengthAt);
    this.#vfs.dispose();
    this.#lock.release();
    // A checkpoint that failed leaves everything in the WAL; a sync that failed may have lost something.
    if (wasTrusted && this.#vfs.fatal !== null) throw this.#vfs.fatal;
  }

  /** Calls `sqlite3_file_control` with a number; returns what SQLite left there. */
  control(operation: number, value: number): number {
    this.engine.words[this.lengthAt >> 2] = value;
    const code = this.engine.sqlite.sqlite3_file_control(this.#pointer, 0, operation, this.lengthAt);
    if (code !== 0) throw this.failure(code, null);
    return this.engine.words[this.lengthAt >> 2]!;
  }

  failure(code: number, sql: string | null): StoreError {
    if (this.#pointer === 0 && sql !== null) return this.#closedError("use");
    const message = this.engine.textAt(this.engine.sqlite.sqlite3_errmsg(this.#pointer));
    return sqliteError({ code, message, path: this.#path, sql, diskError: this.#vfs.takeError() ?? this.#vfs.fatal });
  }

  finalized(statement: Statement): void {
    this.#statements.delete(statement);
  }

  #journalMode(): string {
    const statement = this.prepare("PRAGMA journal_mode");
    try {
      return statement.step() ? statement.text(0) : "";
    } finally {
      statement.finalize();
    }
  }

  #cannotCopy(why: string): never {
    throw new StoreError("RUNTIME_UNSUPPORTED", `Cannot copy "${this.#path}": ${why}`, { details: { path: this.#path } });
  }

  #keptStatement(sql: string): Statement {
    let statement = this.#kept.get(sql);
    if (statement === undefined) {
      statement = this.prepare(sql);
      this.#kept.set(sql, statement);
    }
    return statement;
  }

  #compile(text: Pointer, flags: number, sql: string): { readonly statement: Pointer; readonly tail: Pointer } {
    const code = this.engine.sqlite.sqlite3_prepare_v3(this.#pointer, text, -1, flags, this.lengthAt, this.lengthAt + 4);
    if (code !== 0) throw this.failure(code, sql);
    return { statement: this.engine.words[this.lengthAt >> 2]!, tail: this.engine.words[(this.lengthAt + 4) >> 2]! };
  }

  #check(sql: string): void {
    if (this.#pointer === 0) throw this.#closedError(`run ${JSON.stringify(sql)} on`);
  }

  #closedError(doing: string): StoreError {
    return new StoreError("SQLITE_FAILED", `Cannot ${doing} "${this.#path}": the database was closed`, { details: { path: this.#path } });
  }
}
