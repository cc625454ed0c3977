/** The operating system's file lock on Bun, by the SQLite that comes with it; see `adapters/shared/node-guard.ts`. */

/** The members of `bun:sqlite` that are used, so that the package type-checks without Bun's types. */
interface BunSqlite {
  readonly Database: new (path: string, options: { readonly create: boolean; readonly readwrite: boolean }) => { exec(sql: string): unknown; close(): void };
}

/** The part of `process` that loads what comes with Bun. */
interface BunProcess {
  getBuiltinModule(name: "bun:sqlite"): BunSqlite;
}

const { Database } = (globalThis as unknown as { readonly process: BunProcess }).process.getBuiltinModule("bun:sqlite");

/** SQLITE_BUSY */
const BUSY = 5;

/** Takes the lock; null when another process holds it. */
export function openBunGuard(path: string, waitMs: number): { close(): void } | null {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    database.exec(`PRAGMA journal_mode=memory; PRAGMA busy_timeout=${waitMs}; BEGIN EXCLUSIVE`);
    return { close: () => database.close() };
  } catch (cause) {
    database.close();
    if ((cause as { errno?: number }).errno === BUSY) return null;
    throw cause;
  }
}
