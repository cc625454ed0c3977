/**
 * A copy of a database, made while the database is used: SQLite's backup takes some pages a step, and whatever the same connection writes meanwhile to a page that was taken already is carried into
 * the copy as well. So the copy ends as of one commit, the last one before its last step.
 *
 * Its file is written by a second connection of the same instance, behind a file system of its own (`Vfs`): a disk that refuses the copy never harms a commit, and nothing of it is synced with the
 * database. The pages get their checksums there.
 */
import type { DatabaseCopy } from "./database.ts";
import type { Engine, Pointer } from "./engine.ts";
import type { Vfs } from "./vfs.ts";
import { resultCode, sqliteError } from "./result.ts";

/** The connection that writes the copy's file. */
export interface CopyTarget {
  readonly pointer: Pointer;
  flush(): Promise<void>;
  close(): void;
}

/** What a copy is made of. */
export interface CopyOptions {
  readonly engine: Engine;
  /** The connection that is copied. */
  readonly source: Pointer;
  readonly target: CopyTarget;
  /** Those of the target, then of the source: whoever has kept an error is why a step failed. */
  readonly files: readonly Vfs[];
  /** Of the database, for messages. */
  readonly path: string;
}

/** {@linkcode DatabaseCopy} by `sqlite3_backup`. */
export class SqliteCopy implements DatabaseCopy {
  readonly #options: CopyOptions;
  #backup: Pointer;
  #isClosed = false;

  constructor(options: CopyOptions) {
    this.#options = options;
    const { engine, source, target } = options;
    const main = engine.allocateText("main");
    this.#backup = engine.sqlite.sqlite3_backup_init(target.pointer, main, source, main);
    engine.sqlite.free(main);
    if (this.#backup !== 0) return;
    const message = engine.textAt(engine.sqlite.sqlite3_errmsg(target.pointer));
    this.close();
    throw sqliteError({ code: resultCode.ERROR, message, path: options.path, sql: null, doing: "copy", diskError: null });
  }

  get pagesLeft(): number {
    return this.#backup === 0 ? 0 : this.#options.engine.sqlite.sqlite3_backup_remaining(this.#backup);
  }

  step(pages: number): boolean {
    const { engine } = this.#options;
    if (this.#backup === 0) throw this.#failure(resultCode.ERROR, "the copy was closed");
    const code = engine.sqlite.sqlite3_backup_step(this.#backup, pages);
    if (code === resultCode.DONE) {
      this.#finish();
      return true;
    }
    // A transaction is open: its end is waited for.
    if (code === 0 || code === resultCode.BUSY || code === resultCode.LOCKED) return false;
    throw this.#failure(code, `SQLite stopped with result code ${code}`);
  }

  flush(): Promise<void> {
    return this.#options.target.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#finish();
    try {
      this.#options.target.close();
    } catch {
      // What was flushed is there; what was not is of no use, and must not keep the database from being closed.
    }
  }

  #finish(): void {
    if (this.#backup !== 0) this.#options.engine.sqlite.sqlite3_backup_finish(this.#backup);
    this.#backup = 0;
  }

  #failure(code: number, message: string): Error {
    const { path, files } = this.#options;
    let diskError = null;
    for (const vfs of files) diskError ??= vfs.takeError() ?? vfs.fatal;
    return sqliteError({ code, message, path, sql: null, doing: "copy", diskError });
  }
}
