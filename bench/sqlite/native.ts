/** The host's own SQLite: `bun:sqlite` on Bun, `node:sqlite` on Node and Deno. */
import type { Side } from "./run.ts";

const SETTINGS = [
  "PRAGMA page_size=4096", "PRAGMA locking_mode=exclusive", "PRAGMA journal_mode=wal", "PRAGMA synchronous=normal", "PRAGMA temp_store=memory",
  "PRAGMA cache_size=-16384", "PRAGMA wal_autocheckpoint=4096",
];
export const TABLE = "CREATE TABLE IF NOT EXISTS entries(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
export const UPSERT = "INSERT INTO entries VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
export const READ = "SELECT value FROM entries WHERE key = ?";

/** Opens a file with the settings that the other side has. */
export function openNative(path: string): Promise<Side> {
  return "Bun" in globalThis ? openBun(path) : openNode(path);
}

async function openNode(path: string): Promise<Side> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  for (const setting of SETTINGS) database.exec(setting);
  database.exec(TABLE);
  const begin = database.prepare("BEGIN"), commit = database.prepare("COMMIT"), upsert = database.prepare(UPSERT), read = database.prepare(READ);
  return {
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    upsert: (key, value) => void upsert.run(key, value),
    read: (key) => (read.get(key) as { value: Uint8Array }).value.length,
    flush: () => Promise.resolve(),
    close: () => database.close(),
  };
}

async function openBun(path: string): Promise<Side> {
  const { Database } = await import("bun:sqlite");
  const database = new Database(path, { create: true });
  for (const setting of SETTINGS) database.run(setting);
  database.run(TABLE);
  const begin = database.prepare("BEGIN"), commit = database.prepare("COMMIT"), upsert = database.prepare(UPSERT), read = database.prepare(READ);
  return {
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    upsert: (key, value) => void upsert.run(key, value),
    read: (key) => (read.get(key) as { value: Uint8Array }).value.length,
    flush: () => Promise.resolve(),
    close: () => {
      for (const statement of [begin, commit, upsert, read]) statement.finalize();
      database.close();
    },
  };
}
