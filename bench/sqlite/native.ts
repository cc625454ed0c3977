/** The host's own SQLite: `bun:sqlite` on Bun, `node:sqlite` on Node and Deno. */
import type { Side } from "./run.ts";

const SETTINGS: readonly string[] = [
  "PRAGMA page_size=4096",
  "PRAGMA locking_mode=exclusive",
  "PRAGMA journal_mode=wal",
  "PRAGMA synchronous=normal",
  "PRAGMA temp_store=memory",
  "PRAGMA wal_autocheckpoint=4096",
];
/** One table without row ids, as stores are. */
export const TABLE: string = "CREATE TABLE IF NOT EXISTS entries(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
export const UPSERT: string = "INSERT INTO entries VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
export const READ: string = "SELECT value FROM entries WHERE key = ?";

/** Opens a file with the settings that the other side has. */
export function openNative(path: string, cacheKib: number): Promise<Side> {
  return "Bun" in globalThis ? openBun(path, cacheKib) : openNode(path, cacheKib);
}

async function openNode(path: string, cacheKib: number): Promise<Side> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  for (const setting of [...SETTINGS, `PRAGMA cache_size=-${cacheKib}`]) database.exec(setting);
  database.exec(TABLE);
  const begin = database.prepare("BEGIN"), commit = database.prepare("COMMIT"), upsert = database.prepare(UPSERT), read = database.prepare(READ);
  return {
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    upsert: (key, value) => void upsert.run(key, value),
    read: (key) => (read.get(key) as { value: Uint8Array }).value.length,
    checkpoint: () => database.exec("PRAGMA wal_checkpoint"),
    close: () => database.close(),
  };
}

async function openBun(path: string, cacheKib: number): Promise<Side> {
  const { Database } = await import("bun:sqlite");
  const database = new Database(path, { create: true });
  for (const setting of [...SETTINGS, `PRAGMA cache_size=-${cacheKib}`]) database.run(setting);
  database.run(TABLE);
  const begin = database.prepare("BEGIN"), commit = database.prepare("COMMIT"), upsert = database.prepare(UPSERT), read = database.prepare(READ);
  return {
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    upsert: (key, value) => void upsert.run(key, value),
    read: (key) => (read.get(key) as { value: Uint8Array }).value.length,
    checkpoint: () => void database.run("PRAGMA wal_checkpoint"),
    close: () => {
      for (const statement of [begin, commit, upsert, read]) statement.finalize();
      database.close();
    },
  };
}
