/** How time is cut, as users write it. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";
import { DefinitionError } from "../base/errors.ts";
import type { AlignedWindows } from "../time/aligned.ts";

/** A window and what was computed in it. `start` (inclusive) and `end` (exclusive) are milliseconds since the epoch. */
export interface Windowed<out K, out T> {
  readonly key: K;
  readonly start: number;
  readonly end: number;
  readonly value: T;
}

/** How time is cut. */
export interface Window {
  readonly "~window": "tumbling" | "hopping";
  readonly aligned: AlignedWindows;
}

/** Options that all windows of time share. */
export interface WindowOptions {
  /** How long after its end a window still takes records. @default 0 */
  readonly grace?: Duration;
}

/** Aligned windows can be shifted against the epoch. */
export interface AlignedWindowOptions extends WindowOptions {
  /** @default 0 */
  readonly offset?: Duration;
}

/**
 * Contiguous windows of one size, aligned to the epoch. A record belongs to `[start, start + size)`.
 *
 * @example
 * ```ts
 * import { tumbling } from "millrace";
 *
 * const tenMinutes = tumbling("10m", { grace: "30s" });
 * if (tenMinutes.aligned.sizeMs !== 600_000) throw new Error();
 * ```
 */
export function tumbling(size: Duration, options: AlignedWindowOptions = {}): Window {
  return { "~window": "tumbling", aligned: aligned("tumbling()", size, size, options) };
}

/** Overlapping windows: one starts every `every`. */
export function hopping(size: Duration, options: AlignedWindowOptions & { readonly every: Duration }): Window {
  const windows = aligned("hopping()", size, options.every, options);
  if (windows.advanceMs > windows.sizeMs) {
    throw new DefinitionError(`Cannot use hopping(): every is ${windows.advanceMs} ms and size ${windows.sizeMs} ms, wanted at most the size, or records would lie in no window`, { code: "OPTION_INVALID" });
  }
  return { "~window": "hopping", aligned: windows };
}

function aligned(what: string, size: Duration, advance: Duration, options: AlignedWindowOptions): AlignedWindows {
  const sizeMs = finiteDurationMs(size, `The size of ${what}`);
  const advanceMs = finiteDurationMs(advance, `every of ${what}`);
  if (sizeMs === 0 || advanceMs === 0) throw new DefinitionError(`Cannot use ${what}: its size and advance are ${sizeMs} and ${advanceMs} ms, wanted more than 0`, { code: "OPTION_INVALID" });
  const offsetMs = options.offset === undefined ? 0 : finiteDurationMs(options.offset, `offset of ${what}`);
  const graceMs = options.grace === undefined ? 0 : finiteDurationMs(options.grace, `grace of ${what}`);
  return { sizeMs, advanceMs, offsetMs: offsetMs % advanceMs, graceMs };
}
