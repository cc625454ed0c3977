/** The host's own SQLite, to look at our files with. */

/** Opens a file, runs a query and returns the first column of its first row as text. */
export async function nativeText(path: string, sql: string): Promise<string> {
  if ("Bun" in globalThis) {
    const { Database } = await import("bun:sqlite");
    const database = new Database(path);
    try {
      return String(Object.values(database.query(sql).get() as Record<string, unknown>)[0]);
    } finally {
      database.close();
    }
  }
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  try {
    return String(Object.values(database.prepare(sql).get() as Record<string, unknown>)[0]);
  } finally {
    database.close();
  }
}
