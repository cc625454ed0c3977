/** Moments as parameters of a URL. */
import { Refusal } from "./problem.ts";

/** A moment with its zone; a date alone is the start of that day in UTC. */
const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Milliseconds since the epoch; null where the parameter is missing. Throws {@linkcode Refusal} 400 for what is no moment. */
export function momentOf(name: string, text: string | null): number | null {
  if (text === null) return null;
  // A + that was not written %2B arrives as a space.
  const moment = text.replace(/ (\d\d:\d\d)$/, "+$1");
  const ms = /^-?\d{1,16}$/.test(moment) ? Number(moment) : MOMENT.test(moment) ? Date.parse(moment) : Number.NaN;
  if (Number.isSafeInteger(ms)) return ms;
  throw new Refusal({
    status: 400,
    reason: "query",
    detail: `The parameter ${name} must be milliseconds since the epoch, or a moment such as 2026-01-31T12:00:00Z.`,
  });
}
