/** Letters as the admin pages show them: plain data that JSON can hold. Times are milliseconds since the epoch. */
import { headerText } from "../record/headers.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { type Letter, type LetterError, type LetterKind, type LetterState, letterTopicName } from "./letter.ts";
import type { PlacedEntry } from "./letter-box.ts";
import { type LetterStatus, stateOf } from "./letter-status.ts";
import { type ShownKey, shownKey, type ShownValue, shownValue } from "./letter-values.ts";

/** How many letters of each state a box holds. */
export interface LetterCounts {
  readonly source: string;
  readonly kind: LetterKind;
  /** Where they lie. */
  readonly topic: string;
  readonly open: number;
  readonly queued: number;
  readonly replayed: number;
  readonly purged: number;
}

/** A letter in a list. */
export type LetterSummary = ShownKey & {
  readonly id: number;
  readonly state: LetterState;
  /** A later value takes the place of its own. */
  readonly isEdited: boolean;
  readonly step: string;
  readonly from: Letter["place"];
  readonly timestamp: number;
  readonly at: number;
  readonly fingerprint: string;
  readonly attempts: number;
  /** The class, message and code of the error; null for late letters. */
  readonly error: string | null;
  readonly message: string | null;
  readonly code: string | null;
  /** null for dead letters. */
  readonly latenessMs: number | null;
  readonly replayOf: string | null;
};

/** All of a letter. */
export type LetterView = ShownKey & ShownValue & {
  readonly id: number;
  readonly source: string;
  readonly kind: LetterKind;
  readonly topic: string;
  readonly state: LetterState;
  readonly step: string;
  readonly from: Letter["place"];
  readonly timestamp: number;
  readonly at: number;
  readonly fingerprint: string;
  readonly traceId: string | null;
  readonly attempts: number;
  readonly error: LetterError | null;
  readonly latenessMs: number | null;
  readonly missed: Letter["missed"];
  /** What the stores of its task had for its key. */
  readonly stores: unknown;
  readonly replayOf: string | null;
  readonly headers: readonly { readonly name: string; readonly value: string | null }[];
  /** What it held before it was edited; null: it was not. */
  readonly original: ShownValue | null;
  readonly history: readonly AuditView[];
};

/** An entry of the audit. */
export interface AuditView {
  /** Its position in the audit. */
  readonly id: number;
  readonly at: number;
  readonly by: string;
  readonly action: string;
  readonly [detail: string]: unknown;
}

/** Letters that failed alike. */
export interface LetterGroup {
  readonly fingerprint: string;
  /** Those that were not purged. */
  readonly count: number;
  readonly open: number;
  readonly step: string;
  readonly error: string | null;
  readonly code: string | null;
  readonly message: string | null;
  /** When the first and the last of them were given up. */
  readonly first: number;
  readonly last: number;
  /** The id of the last one. */
  readonly example: number;
}

/** Of a message in a list. */
export const MESSAGE_CHARACTERS_MAX = 500;

/** A letter in a list. */
export function summaryOf(letter: Letter, status: LetterStatus, topic: TopicDefinition | undefined): LetterSummary {
  const { id, step, place, timestamp, at, fingerprint, attempts, error, latenessMs, replayOf } = letter;
  return {
    id,
    state: stateOf(status),
    isEdited: status.editedAt !== null,
    step,
    from: place,
    timestamp,
    at,
    ...shownKey(letter, topic),
    fingerprint,
    attempts,
    error: error?.name ?? null,
    message: error?.message.slice(0, MESSAGE_CHARACTERS_MAX) ?? null,
    code: error?.code ?? null,
    latenessMs,
    replayOf,
  };
}

/** All of a letter. `edit`: its newest; undefined: there is none. */
export async function viewOf(
  letter: Letter,
  status: LetterStatus,
  edit: Uint8Array | null | undefined,
  history: readonly PlacedEntry[],
  topic: TopicDefinition | undefined,
): Promise<LetterView> {
  const { id, source, kind, step, place, timestamp, at, fingerprint, traceId, attempts, error, latenessMs, missed, replayOf } = letter;
  const original = await shownValue(letter, topic, letter.value);
  return {
    id,
    source,
    kind,
    topic: letterTopicName(letter),
    state: stateOf(status),
    step,
    from: place,
    timestamp,
    at,
    fingerprint,
    traceId,
    attempts,
    error,
    latenessMs,
    missed,
    stores: jsonOf(letter.stores),
    replayOf,
    ...shownKey(letter, topic),
    ...(edit === undefined ? original : await shownValue(letter, topic, edit)),
    original: edit === undefined ? null : original,
    headers: letter.headers.map(({ name, value }) => ({ name, value: value === null ? null : headerText(value) })),
    history: history.toSorted(inTime).map(auditViewOf),
  };
}

/** An entry of the audit; of an edit only how large its value is. */
export function auditViewOf({ position, at, by, change }: PlacedEntry): AuditView {
  const { action, ...details } = change;
  if (action !== "edit") return { id: position, at, by, action, ...details };
  const { letter, value } = change;
  return { id: position, at, by, action, letter, valueBytes: value?.length ?? null };
}

/** A task may take a letter before the order to do so is in the audit. */
function inTime(left: PlacedEntry, right: PlacedEntry): number {
  const isLater = ({ change }: PlacedEntry): number => Number(change.action === "replayed");
  return left.at - right.at || isLater(left) - isLater(right) || left.position - right.position;
}

function jsonOf(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
