/** Lengths of time as people write them, refused where they could be misread. */
import { DefinitionError } from "./errors.ts";

/** `"500ms"`. */
export type DurationMs = `${number}ms`;
/** Seconds and less. */
export type DurationSeconds = DurationMs | `${number}s` | `${number}s ${DurationMs}`;
/** Minutes and less. */
export type DurationMinutes = DurationSeconds | `${number}m` | `${number}m ${DurationSeconds}`;
/** Hours and less. */
export type DurationHours = DurationMinutes | `${number}h` | `${number}h ${DurationMinutes}`;
/** Days and less. */
export type DurationDays = DurationHours | `${number}d` | `${number}d ${DurationHours}`;
/** A length of time: milliseconds, or text such as `"10m"`, `"1h 30m"`, `"500ms"` (largest unit first, each once). */
export type Duration = number | DurationDays | `${number}w` | `${number}w ${DurationDays}`;

/** Largest first. */
const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

/**
 * A duration in whole milliseconds; `"infinity"` is `Infinity`. `what` names the option in the error.
 *
 * Throws DefinitionError `DURATION_INVALID` for text outside of the grammar (`w d h m s ms`, largest first, each once, decimals allowed, spaces between the
 * parts optional), for numbers that are negative or NaN, and for what is not a whole number of milliseconds.
 */
export function durationMs(value: Duration | "infinity", what: string): number {
  return value === "infinity" ? Infinity : finiteDurationMs(value, what);
}

/** As {@linkcode durationMs}, where `"infinity"` makes no sense: it is refused as well. */
export function finiteDurationMs(value: Duration, what: string): number {
  const ms = typeof value === "number" ? value : parseDuration(value);
  if (ms !== null && Number.isSafeInteger(ms) && ms >= 0) return ms === 0 ? 0 : ms;
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  const wanted = 'whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once';
  throw new DefinitionError(`${what} is ${shown}, wanted ${wanted}`, { code: "DURATION_INVALID" });
}

/** Exact: decimals are counted in whole numbers. Null for anything outside of the grammar; a fraction of a millisecond stays one. */
function parseDuration(text: unknown): number | null {
  if (typeof text !== "string") return null;
  const part = / *(\d+)(?:\.(\d+))?(ms|[wdhms])/y;
  let ms = 0;
  let unitsUsed = 0;
  while (part.lastIndex < text.length) {
    if (unitsUsed === 0 && text[0] === " ") return null;
    const match = part.exec(text);
    if (match === null) return null;
    const [, whole = "", decimals = "", name] = match;
    const unit = UNITS.findIndex(([unitName]) => unitName === name);
    if (unit < unitsUsed) return null;
    unitsUsed = unit + 1;
    const scaled = Number(whole + decimals) * UNITS[unit]![1];
    const scale = 10 ** decimals.length;
    if (!Number.isSafeInteger(scaled) || scaled % scale !== 0) return null;
    ms += scaled / scale;
  }
  return unitsUsed === 0 ? null : ms;
}
