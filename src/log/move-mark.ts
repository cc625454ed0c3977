/** The mark that an embedded log bears once its app is moved to another log: with it the app does not go on here as well, which nobody could put together again. */
import { DefinitionError } from "../base/errors.ts";
import type { Database } from "../sqlite/database.ts";

/** A move, as the log that is left behind knows it. */
export interface MoveMark {
  /** Made up when the move began: what it writes elsewhere bears it too. */
  readonly id: string;
  /** The log it goes to: `kafka`. */
  readonly to: string;
  /** Wall clock, ms. */
  readonly beganAt: number;
  /** Wall clock, ms; null: it has not ended. */
  readonly endedAt: number | null;
}

/** The mark of a log's database; null: it has none. */
export function readMoveMark(database: Database): MoveMark | null {
  const find = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'log_moved'");
  try {
    if (!find.step()) return null;
  } finally {
    find.finalize();
  }
  const select = database.prepare("SELECT id, target, began_at, ended_at FROM log_moved");
  try {
    if (!select.step()) return null;
    return { id: select.text(0), to: select.text(1), beganAt: select.number(2), endedAt: select.isNull(3) ? null : select.number(3) };
  } finally {
    select.finalize();
  }
}

/** Puts a mark in the place of the one before; durable when it fulfils. */
export async function writeMoveMark(database: Database, { id, to, beganAt, endedAt }: MoveMark): Promise<void> {
  database.exec(
    "CREATE TABLE IF NOT EXISTS log_moved (one INTEGER PRIMARY KEY, id TEXT NOT NULL, target TEXT NOT NULL, began_at INTEGER NOT NULL, ended_at INTEGER)",
  );
  const insert = database.prepare("INSERT OR REPLACE INTO log_moved (one, id, target, began_at, ended_at) VALUES (1, ?1, ?2, ?3, ?4)");
  try {
    insert.bindText(0, id);
    insert.bindText(1, to);
    insert.bindNumber(2, beganAt);
    if (endedAt === null) insert.bindNull(3);
    else insert.bindNumber(3, endedAt);
    insert.run();
  } finally {
    insert.finalize();
  }
  await database.flush();
}

/** Takes the mark away: the app may go on here. */
export async function removeMoveMark(database: Database): Promise<void> {
  database.exec("DROP TABLE IF EXISTS log_moved");
  await database.flush();
}

/** Throws DefinitionError `CONFIG_INVALID` for a log that bears a mark. */
export function checkNotMoved(database: Database, place: string): void {
  const mark = readMoveMark(database);
  if (mark === null) return;
  const { to, beganAt, endedAt } = mark;
  const back = "To go on here with what is here, take the move back: millrace migrate <file> --undo";
  const message = endedAt === null
    ? `its app is being moved to ${to}, begun ${timeOf(beganAt)}, and that has not ended: end it with millrace migrate <file> --to ${to}. ${back}`
    : `its app was moved to ${to} at ${timeOf(endedAt)}: run it there, with MILLRACE_LOG=${to}. ${back}; what the app did on ${to} since is not here`;
  throw new DefinitionError(`[embedded] Cannot open "${place}": ${message}`, { code: "CONFIG_INVALID", details: { ...mark } });
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
