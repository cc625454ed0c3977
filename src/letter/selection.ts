/** Which letters are meant: by number, by what they have in common, or all. */
import { StreamError } from "../base/errors.ts";
import type { RecordCursor } from "../record/cursor.ts";
import { headerText } from "../record/headers.ts";

/** What letters must have in common. */
export interface LetterFilter {
  readonly fingerprint?: string | undefined;
  readonly step?: string | undefined;
  /** Given up at this moment or later, wall clock, ms. */
  readonly since?: number | undefined;
  /** Given up before this moment, wall clock, ms. */
  readonly until?: number | undefined;
}

/** Some letters: `ids` alone, `all` alone, or a filter. */
export interface Selection extends LetterFilter {
  readonly ids?: readonly number[] | undefined;
  readonly all?: boolean | undefined;
}

/** Ids in one selection, at most. */
export const IDS_MAX = 100_000;

/** Refuses, by `OPTION_INVALID`, what selects nothing on purpose, or more than one thing. */
export function checkSelection(selection: Selection): void {
  const { ids, all } = selection;
  const hasFilter = isFilter(selection);
  const kinds = Number(ids !== undefined) + Number(all === true) + Number(hasFilter);
  if (kinds === 0 || (ids !== undefined && ids.length === 0)) {
    throw refused('The selection is empty: give ids, or one or more of fingerprint, step, since and until, or "all": true.');
  }
  if (kinds > 1) throw refused('The selection is two things at once: ids stand alone, and so does "all"; fingerprint, step, since and until go together.');
  if (ids === undefined) return;
  if (ids.length > IDS_MAX) throw refused(`The selection names ${ids.length} letters, ${IDS_MAX} at most: select by fingerprint, step or time.`);
  const odd = ids.find((id) => !Number.isSafeInteger(id) || id < 0);
  if (odd !== undefined) throw refused(`The selection names letter ${String(odd)}: ids are whole numbers from 0.`);
}

function isFilter({ fingerprint, step, since, until }: LetterFilter): boolean {
  return fingerprint !== undefined || step !== undefined || since !== undefined || until !== undefined;
}

/** Whether the letter at the cursor is one of those. */
export function fits({ fingerprint, step, since, until }: LetterFilter, cursor: RecordCursor): boolean {
  if (fingerprint !== undefined && textAt(cursor, "mr-fingerprint") !== fingerprint) return false;
  if (step !== undefined && textAt(cursor, "mr-step") !== step) return false;
  if (since === undefined && until === undefined) return true;
  const at = cursor.headerCount === 0 ? null : cursor.header("mr-at");
  const ms = at === null ? cursor.timestamp : Number(headerText(at));
  return (since === undefined || ms >= since) && (until === undefined || ms < until);
}

function textAt(cursor: RecordCursor, name: string): string {
  return cursor.headerCount === 0 ? "" : headerText(cursor.header(name));
}

function refused(message: string): StreamError {
  return new StreamError("OPTION_INVALID", "user", message);
}
