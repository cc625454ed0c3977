/** What became of letters: the fold of their entries in the audit. */
import type { AuditEntry } from "../task/audit.ts";
import type { LetterState } from "./letter.ts";

/** What the audit says of one letter. */
export interface LetterStatus {
  /** Of the last replay that was ordered; 0: of none. */
  readonly queuedRun: number;
  /** Of the last replay that its task took. */
  readonly takenRun: number;
  /** Where its newest edit lies in the audit; null: it was not edited. */
  readonly editedAt: number | null;
  readonly isPurged: boolean;
}

/** Of a letter that no entry names. */
export const untouched: LetterStatus = Object.freeze({ queuedRun: 0, takenRun: 0, editedAt: null, isPurged: false });

/**
 * The status after one more entry, which lies at `position` of the audit. Entries come in the order of the audit. A run may be ordered twice, and may be taken before its order is in the audit: the
 * order is written after the record.
 */
export function afterEntry(status: LetterStatus, { change }: AuditEntry, position: number): LetterStatus {
  switch (change.action) {
    case "replay":
      return { ...status, queuedRun: Math.max(status.queuedRun, change.run), isPurged: false };
    case "replayed":
      return { ...status, takenRun: Math.max(status.takenRun, change.run), isPurged: false };
    case "edit":
      return { ...status, editedAt: position };
    case "purge":
      return { ...status, isPurged: true };
    default:
      return status;
  }
}

/** In one word. */
export function stateOf({ queuedRun, takenRun, isPurged }: LetterStatus): LetterState {
  if (isPurged) return "purged";
  if (queuedRun > takenRun) return "queued";
  return takenRun > 0 ? "replayed" : "open";
}

/** The number that the next replay gets: the same for all who order it before anyone's order is known. */
export function nextRun({ queuedRun, takenRun }: LetterStatus): number {
  return Math.max(queuedRun, takenRun) + 1;
}
