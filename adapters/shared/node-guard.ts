/**
 * The operating system's file lock on Node and Deno. Neither has a call for one that the other and Bun would respect; the SQLite that comes with each takes the same POSIX locks, at once and
 * without a helper process. The file stays empty.
 */
import { DatabaseSync } from "node:sqlite";

/** SQLITE_BUSY */
const BUSY = 5;

/** Takes the lock; null when another process holds it. */
export function openNodeGuard(path: string, waitMs: number): { close(): void } | null {
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA journal_mode=memory; PRAGMA busy_timeout=${waitMs}; BEGIN EXCLUSIVE`);
    return { close: () => database.close() };
  } catch (cause) {
    database.close();
    const { errcode, message } = cause as { errcode?: number; message?: string };
    if (errcode === BUSY || message === "database is locked") return null;
    throw cause;
  }
}
