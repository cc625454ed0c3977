/** What the admin pages answer of letters. */
import type { LetterState } from "../../letter/letter.ts";
import type { LetterCounts, LetterGroup, LetterSummary, LetterView } from "../../letter/letter-view.ts";

/** `GET /admin/letters`. */
export interface SourcesAnswer {
  readonly sources: readonly LetterCounts[];
}

/** `GET /admin/letters/{kind}/{source}/groups`. */
export interface GroupsAnswer {
  readonly groups: readonly LetterGroup[];
}

/** `GET /admin/letters/{kind}/{source}`. */
export interface LettersAnswer {
  readonly letters: readonly LetterSummary[];
  /** What to go on after; null: these are all. */
  readonly next: number | null;
}

/** `GET /admin/letters/{kind}/{source}/whole`. */
export interface WholeLettersAnswer {
  readonly letters: readonly LetterView[];
  readonly next: number | null;
}

/** Which letters a list shows. */
export type ShownState = LetterState | "all";
