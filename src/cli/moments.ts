/** Moments as operators write them: ISO 8601, or how long ago. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";

/** A moment, before anybody has looked at the clock. */
export type Moment = { readonly at: number } | { readonly agoMs: number };

/** Days, or moments with a zone: one without would mean another moment on each machine. */
const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** Milliseconds since the epoch; null for what is no moment in ISO 8601. */
export function isoMs(text: string): number | null {
  const ms = ISO.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** Reads `2026-01-01T12:00Z`, `2026-01-01` or `2h` (ago). Throws RangeError. */
export function parseMoment(name: string): (text: string) => Moment {
  return (text) => {
    const at = isoMs(text);
    if (at !== null) return { at };
    try {
      return { agoMs: finiteDurationMs(text as Duration, `--${name}`) };
    } catch {
      throw new RangeError(`--${name} is ${text}, wanted a moment such as 2026-01-01T12:00Z, or how long ago, such as 2h`);
    }
  };
}

/** Milliseconds since the epoch. */
export function momentMs(moment: Moment | undefined, now: number): number | undefined {
  if (moment === undefined) return undefined;
  return "at" in moment ? moment.at : now - moment.agoMs;
}
