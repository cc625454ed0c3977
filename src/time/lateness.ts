/**
 * What is late, and against what. Two notions that never mix: a record is late for a window by the watermark, and past its source's deadline by the wall
 * clock.
 */
import { type AlignedWindows, firstStart } from "./aligned.ts";

/** Whether a window still takes records: its end lies after the watermark less the grace. Late by exactly the grace is too late. */
export function isOpen(endMs: number, watermark: number, graceMs: number): boolean {
  return endMs > watermark - graceMs;
}

/** The watermark at which a window closes and is said. */
export function closeTime(endMs: number, graceMs: number): number {
  return endMs + graceMs;
}

/** By how many ms the watermark has passed a moment (the end of a window, or a record's timestamp); 0 when it has not. */
export function latenessMs(moment: number, watermark: number): number {
  return watermark > moment ? watermark - moment : 0;
}

/** The start of the earliest window that holds `ts` and is open; above the last start when all are closed. */
export function firstOpenStart(windows: AlignedWindows, ts: number, watermark: number): number {
  const first = firstStart(windows, ts);
  const behind = watermark - windows.graceMs - windows.sizeMs - first;
  return behind < 0 ? first : first + (Math.floor(behind / windows.advanceMs) + 1) * windows.advanceMs;
}

/** Whether a record is older than its source's deadline allows, against the wall clock. Exactly as old is in time; a deadline of Infinity is never passed. */
export function isPastDeadline(timestamp: number, nowMs: number, deadlineMs: number): boolean {
  return nowMs - timestamp > deadlineMs;
}

/** What is to be done with a record for its timestamp. */
export type TimestampVerdict = "usable" | "unusable" | "negative" | "ahead";

/** What a source says of timestamps. */
export interface TimestampRules {
  /** Times before 1970 are meant. */
  readonly takesNegative: boolean;
  /** Farthest ahead of the wall clock. */
  readonly aheadMaxMs: number;
}

/** Judges a timestamp before it can move a clock: not a whole number, negative where that is not meant, or too far ahead of the wall clock. */
export function judgeTimestamp(timestamp: unknown, nowMs: number, rules: TimestampRules): TimestampVerdict {
  if (!Number.isSafeInteger(timestamp)) return "unusable";
  if ((timestamp as number) < 0 && !rules.takesNegative) return "negative";
  return (timestamp as number) - nowMs > rules.aheadMaxMs ? "ahead" : "usable";
}
