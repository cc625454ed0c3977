/** What the rest of the core sees of SQLite: one connection, prepared statements, numbers instead of BigInt. */

/** A prepared statement. Indices of parameters and columns start at 0. */
export interface Statement {
  /** Integers up to 2^53 are stored as INTEGER, others as REAL. */
  bindNumber(index: number, value: number): void;
  bindText(index: number, value: string): void;
  /** Copies `bytes` (or its part from `start` to `end`). */
  bindBlob(index: number, bytes: Uint8Array, start?: number, end?: number): void;
  bindNull(index: number): void;
  /** Goes to the next row; false at the end, and then the statement is reset. */
  step(): boolean;
  /** Runs to the end and resets. */
  run(): void;
  isNull(column: number): boolean;
  number(column: number): number;
  text(column: number): string;
  /** A copy that the caller owns. */
  blob(column: number): Uint8Array;
  /** The bytes where SQLite holds them, to be decoded at once: another call of this database may change or detach them. On V8 half a microsecond cheaper than a copy. */
  blobView(column: number): Uint8Array;
  /** Back to before the first row; bindings stay. */
  reset(): void;
  finalize(): void;
}

/** One connection to one file, exclusive. */
export interface Database {
  /** Statements separated by `;`, without results. */
  exec(sql: string): void;
  /** Throws `StoreError` `SQLITE_FAILED` with SQLite's message and the SQL. */
  prepare(sql: string): Statement;
  /** Rows changed by the last statement. */
  changes(): number;
  /** Whether a transaction is open. A statement that fails for the disk's or the memory's sake may have ended it, undoing all of it. */
  readonly inTransaction: boolean;
  /** False after a sync or flush that failed, or damage in the log: then only opening it again can tell what is there. */
  readonly isTrusted: boolean;
  /** Everything committed before the call is durable when it fulfils; calls under way share one flush of the device. */
  flush(): Promise<void>;
  /**
   * Begins a copy of everything committed, in a file of the same disk; one at a time. Whatever lies at `path` is replaced. Throws `StoreError`, and `RUNTIME_UNSUPPORTED` where the journal is not a
   * WAL: such a disk has transactions, and copies, of its own.
   */
  copy(path: string): DatabaseCopy;
  /** Moves the WAL into the file, as far as it goes. */
  checkpoint(): void;
  /** Bytes of SQLite's memory. */
  readonly memoryBytes: number;
  /** Checkpoints and closes; a second call does nothing. */
  close(): void;
}

/** A copy under way. Between its steps the database is used as ever. */
export interface DatabaseCopy {
  /** Takes so many pages more; true when the copy is whole: as of the last commit before this call. Within a transaction it does nothing. Throws `StoreError` when either file fails; then close it. */
  step(pages: number): boolean;
  /** As of the last step. It grows when the database does, and when a transaction that was undone makes the copy begin anew. */
  readonly pagesLeft: number;
  /** What was written of the copy is durable when it fulfils. Steps and commits may go on meanwhile. */
  flush(): Promise<void>;
  /** Ends it. The file stays as it is: of use only if `step` has said true and `flush` has fulfilled after. A second call does nothing. */
  close(): void;
}

/** How a database is opened. */
export interface DatabaseOptions {
  /** Only for a new file. @default 4096 */
  readonly pageBytes?: number;
  /** How much of the file is kept in memory. @default 16 MiB */
  readonly cacheBytes?: number;
  /** `wal`, or `memory` for disks with a transaction of their own. @default "wal" */
  readonly journal?: "wal" | "memory";
  /** How large the WAL may grow before a commit moves it into the file. @default 16 MiB */
  readonly checkpointBytes?: number;
  /** SQLite gets no more memory than this; beyond it statements fail with `STORE_FULL`. At least 8 MiB. @default 2 GiB */
  readonly memoryBytesMax?: number;
  /** A checksum in each page, verified when it is read; the same for the whole life of a file. @default true */
  readonly checksums?: boolean;
}
