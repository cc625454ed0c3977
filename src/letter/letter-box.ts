/** Reads the topics of letters and the audit beside them: letters with what became of them, up to the end they had at the call, with little memory however many there are. */
import { isStreamError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import type { RecordCursor } from "../record/cursor.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type AuditEntry, readAudit } from "../task/audit.ts";
import { auditTopicName } from "../task/own-topics.ts";
import { type LetterBoxName, letterTopicName } from "./letter.ts";
import { afterEntry, type LetterStatus, untouched } from "./letter-status.ts";
import { type Span, spanOf, walk } from "./topic-walk.ts";

/** Letters whose fates are in memory at once: of more the audit is read once for each so many. */
const WINDOW = 100_000;

/** What an audit record says, and where. */
export interface PlacedEntry extends AuditEntry {
  readonly position: number;
}

/** A log, and whose letters lie in it. */
export interface LetterHost {
  readonly app: string;
  readonly log: Log;
  readonly runtime: Runtime;
}

/** Is shown a letter; keeps nothing of the cursor. Giving false ends it, a promise is waited for. */
export type LetterVisit = (cursor: RecordCursor, status: LetterStatus) => false | void | Promise<void>;

/** Shows the letters of a box in order, from `start` on, up to `end` or what its end is at the call: what is tried again and fails again lies behind it. Rejects as `walk` does. */
export async function eachLetter(host: LetterHost, box: LetterBoxName, start: number, visit: LetterVisit, end: number = Infinity): Promise<void> {
  const topic = letterTopicName(box);
  const whole = await spanOf(host, topic);
  const audit = await spanOf(host, auditTopicName(host.app));
  const last = Math.min(whole.end, end);
  let isEnded = false;
  for (let from = Math.max(whole.start, start); from < last && !isEnded; from += WINDOW) {
    const window = { start: from, end: Math.min(last, from + WINDOW) };
    const fates = await statusesOf(host, topic, window, audit);
    await walk(host, topic, window, (cursor) => {
      const more = visit(cursor, fates.get(cursor.position) ?? untouched);
      isEnded = more === false;
      return more;
    });
  }
}

/** The entries that name a letter, in order. */
export async function historyOf(host: LetterHost, box: LetterBoxName, id: number): Promise<readonly PlacedEntry[]> {
  const topic = letterTopicName(box);
  const entries: PlacedEntry[] = [];
  await eachEntry(host, topic, { start: id, end: id + 1 }, await spanOf(host, auditTopicName(host.app)), (entry) => void entries.push(entry));
  return entries;
}

/** The newest values that operators gave, by the positions of their entries. */
export async function editsAt(host: LetterHost, positions: readonly number[]): Promise<ReadonlyMap<number, Uint8Array | null>> {
  const values = new Map<number, Uint8Array | null>();
  const wanted = new Set(positions);
  if (wanted.size === 0) return values;
  const span = { start: Math.min(...wanted), end: Math.max(...wanted) + 1 };
  await walk(host, auditTopicName(host.app), span, (cursor) => {
    if (!wanted.has(cursor.position)) return;
    const change = entryAt(cursor)?.change;
    if (change?.action === "edit") values.set(cursor.position, change.value);
  });
  return values;
}

/** What became of the letters of a window that entries name. */
async function statusesOf(host: LetterHost, topic: string, window: Span, audit: Span): Promise<Map<number, LetterStatus>> {
  const statuses = new Map<number, LetterStatus>();
  await eachEntry(host, topic, window, audit, (entry, id) => {
    statuses.set(id, afterEntry(statuses.get(id) ?? untouched, entry, entry.position));
  });
  return statuses;
}

/** Entries of other letters are not parsed: the key says whose they are. */
async function eachEntry(host: LetterHost, topic: string, window: Span, audit: Span, visit: (entry: PlacedEntry, id: number) => void): Promise<void> {
  const prefix = `${topic}@`;
  await walk(host, auditTopicName(host.app), audit, (cursor) => {
    const key = cursor.keyText();
    if (key === null || !key.startsWith(prefix)) return;
    const id = Number(key.slice(prefix.length));
    if (id < window.start || id >= window.end) return;
    const entry = entryAt(cursor);
    if (entry !== null) visit(entry, id);
  });
}

/** null for what is no entry, or of a later version: it hides no others. */
function entryAt(cursor: RecordCursor): PlacedEntry | null {
  try {
    return { ...readAudit(cursor.valueBytes()!), position: cursor.position };
  } catch (error) {
    if (isStreamError(error) && error.code === "CODEC_FAILED") return null;
    throw error;
  }
}

/** A page of the audit, the newest first: entries before the position `before`, at most `limit`, and whether there are older ones. */
export async function auditPage(
  host: LetterHost,
  before: number,
  limit: number,
): Promise<{ readonly entries: readonly PlacedEntry[]; readonly hasOlder: boolean }> {
  const topic = auditTopicName(host.app);
  const { start, end } = await spanOf(host, topic);
  const last = Math.min(end, before);
  // Positions have gaps on some logs: how far to go back for so many records is found by trying.
  for (let reach = 4 * limit;; reach *= 8) {
    const first = Math.max(start, last - reach);
    const entries: PlacedEntry[] = [];
    await walk(host, topic, { start: first, end: last }, (cursor) => {
      const entry = entryAt(cursor);
      if (entry === null) return;
      entries.push(entry);
      // One more than a page tells of older ones.
      if (entries.length > limit + 1) entries.shift();
    });
    if (entries.length <= limit && first > start) continue;
    return { entries: entries.slice(-limit).reverse(), hasOlder: entries.length > limit };
  }
}
