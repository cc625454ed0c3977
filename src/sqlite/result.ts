/** SQLite's result codes, and the error of ours that each becomes. */
import { StoreError } from "../base/errors.ts";

/** Result codes by their names in C, without `SQLITE_`. */
export const resultCode = {
  ERROR: 1,
  BUSY: 5,
  LOCKED: 6,
  NOMEM: 7,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  RANGE: 25,
  NOTADB: 26,
  ROW: 100,
  DONE: 101,
  IOERR_READ: 266,
  IOERR_SHORT_READ: 522,
  IOERR_WRITE: 778,
  IOERR_FSYNC: 1034,
  IOERR_TRUNCATE: 1546,
  IOERR_FSTAT: 1802,
  IOERR_DELETE: 2570,
  IOERR_NOMEM: 3082,
  IOERR_ACCESS: 3338,
  IOERR_CLOSE: 4106,
  IOERR_DATA: 8202,
} as const;

/** What failed. */
export interface SqliteFailure {
  /** Extended result code. */
  readonly code: number;
  /** `sqlite3_errmsg`. */
  readonly message: string;
  readonly path: string;
  readonly sql: string | null;
  /** Where there is no SQL. @default "open" */
  readonly doing?: string;
  /** What the disk said, if it was the disk. */
  readonly diskError: StoreError | null;
}

/** The longest part of a statement that an error shows. */
const SQL_LENGTH_MAX = 300;

/** Makes the error of a failed call. */
export function sqliteError({ code, message, path, sql, doing: verb = "open", diskError }: SqliteFailure): StoreError {
  const primary = code & 0xff;
  const shown = sql === null ? null : sql.length > SQL_LENGTH_MAX ? `${sql.slice(0, SQL_LENGTH_MAX)}…` : sql;
  const details = { path, sqliteCode: code, ...(shown === null ? {} : { sql: shown }) };
  const doing = shown === null ? `Cannot ${verb} "${path}"` : `Cannot run ${JSON.stringify(shown)} on "${path}"`;
  const isOfDisk = primary === resultCode.IOERR || primary === resultCode.FULL || primary === resultCode.CANTOPEN || primary === resultCode.NOMEM;
  if (diskError !== null && isOfDisk) return new StoreError(diskError.code, `${doing}: ${diskError.message}`, { cause: diskError, details });
  if (primary === resultCode.NOMEM || code === resultCode.IOERR_NOMEM) return new StoreError("STORE_FULL", `${doing}: SQLite's memory is full`, { details });
  if (primary === resultCode.FULL) return new StoreError("STORE_FULL", `${doing}: ${message}`, { details });
  if (primary === resultCode.CORRUPT || primary === resultCode.NOTADB) {
    return new StoreError("STORE_CORRUPT", `${doing}: the file is damaged (${message})`, { details });
  }
  if (primary === resultCode.IOERR || primary === resultCode.CANTOPEN) return new StoreError("DISK_FAILED", `${doing}: ${message}`, { details });
  return new StoreError("SQLITE_FAILED", `${doing}: ${message}`, { details });
}
