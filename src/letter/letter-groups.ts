/** Letters that failed alike, counted by their fingerprint. */
import type { RecordCursor } from "../record/cursor.ts";
import { headerText } from "../record/headers.ts";
import { type LetterBoxName, readLetter } from "./letter.ts";
import { type LetterGroup, MESSAGE_CHARACTERS_MAX } from "./letter-view.ts";

/** Kinds of failure that are told apart; the letters of further ones are only counted. */
const GROUPS_MAX = 1_000;

type Writable = { -readonly [P in keyof Omit<LetterGroup, "message">]: LetterGroup[P] } & {
  /** Of the example, as it lies in its header; null: none. */
  message: Uint8Array | null;
};

/** The groups of a box. */
export class LetterGroups {
  /** Letters of kinds beyond the first thousand. */
  others = 0;
  readonly #box: LetterBoxName;
  readonly #groups = new Map<string, Writable>();

  constructor(box: LetterBoxName) {
    this.#box = box;
  }

  /** Counts the letter at the cursor. */
  add(cursor: RecordCursor, isOpen: boolean): void {
    const mark = cursor.headerCount === 0 ? null : cursor.header("mr-fingerprint");
    const fingerprint = headerText(mark);
    const group = this.#groups.get(fingerprint) ?? this.#begin(fingerprint, cursor);
    if (group === null) {
      this.others++;
      return;
    }
    const given = cursor.headerCount === 0 ? null : cursor.header("mr-at");
    const at = given === null ? cursor.timestamp : Number(headerText(given));
    group.count++;
    if (isOpen) group.open++;
    group.first = Math.min(group.first, at);
    group.last = Math.max(group.last, at);
    group.example = cursor.position;
    // Decoded for one of them only.
    group.message = cursor.headerCount === 0 ? null : cursor.header("mr-message")?.slice() ?? null;
  }

  /** Those with the most open letters first. */
  list(): readonly LetterGroup[] {
    return [...this.#groups.values()]
      .sort((left, right) => right.open - left.open || right.count - left.count || left.first - right.first)
      .map((group) => ({ ...group, message: group.message === null ? null : headerText(group.message).slice(0, MESSAGE_CHARACTERS_MAX) }));
  }

  #begin(fingerprint: string, cursor: RecordCursor): Writable | null {
    if (this.#groups.size === GROUPS_MAX) return null;
    const { step, error, at } = readLetter(this.#box, cursor);
    const facts = { error: error?.name ?? null, code: error?.code ?? null, message: null };
    const group: Writable = { fingerprint, count: 0, open: 0, step, ...facts, first: at, last: at, example: cursor.position };
    this.#groups.set(fingerprint, group);
    return group;
  }
}
