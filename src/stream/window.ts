/** How time is cut, as users write it. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";
import { DefinitionError } from "../base/errors.ts";
import type { AlignedWindows } from "../time/aligned.ts";

/** A window and what was computed in it. `start` (inclusive) and `end` (exclusive) are milliseconds since the epoch. */
export interface Windowed<out K, out T> {
  /** Whose window it is. */
  readonly key: K;
  /** First moment in it, ms since the epoch. */
  readonly start: number;
  /** First moment after it, ms since the epoch. */
  readonly end: number;
  /** What was computed. */
  readonly value: T;
}

/** How time is cut. */
export interface Window {
  /** Its kind. */
  readonly "~window": "tumbling" | "hopping";
  /** @internal */
  readonly aligned: AlignedWindows;
}

/** Options that all windows of time share. */
export interface WindowOptions {
  /** How long after its end a window still takes records, by the clock of its task. @default 0 */
  readonly grace?: Duration;
}

/** Aligned windows can be shifted against the epoch. */
export interface AlignedWindowOptions extends WindowOptions {
  /** By how much starts are moved from the epoch. @default 0 */
  readonly offset?: Duration;
}

/**
 * Contiguous windows of one size, aligned to the epoch. A record belongs to `[start, start + size)`. Throws DefinitionError for a size of 0 or one that is no duration.
 *
 * @example
 * ```ts
 * import { count, createApp, tumbling } from "millrace";
 * import { testApp } from "millrace/testing";
 *
 * const app = createApp("clicks");
 * const clicks = app.topic("clicks");
 * const counts = app.stream(clicks).groupByKey().window(tumbling("10m", { grace: "30s" })).aggregate({ clicks: count() }).to("counts");
 *
 * await using test = testApp(app, { startAt: 0 });
 * for (const minute of [1, 9, 10, 11]) await test.send(clicks, "click", { key: "home", timestamp: minute * 60_000 });
 * const [first] = await test.read(counts);
 * if (first?.value.start !== 0 || first.value.end !== 600_000 || first.value.value.clicks !== 2) throw new Error("wanted the clicks of minutes 1 and 9");
 * ```
 */
export function tumbling(size: Duration, options: AlignedWindowOptions = {}): Window {
  return { "~window": "tumbling", aligned: aligned("tumbling()", size, size, options) };
}

/** Overlapping windows: one starts every `every`. Throws DefinitionError for a size or `every` of 0, and for an `every` above the size. */
export function hopping(size: Duration, options: AlignedWindowOptions & { readonly every: Duration }): Window {
  const windows = aligned("hopping()", size, options.every, options);
  if (windows.advanceMs > windows.sizeMs) {
    throw new DefinitionError(
      `Cannot use hopping(): every is ${windows.advanceMs} ms and size ${windows.sizeMs} ms, wanted at most the size, or records would lie in no window`,
      { code: "OPTION_INVALID" },
    );
  }
  return { "~window": "hopping", aligned: windows };
}

function aligned(what: string, size: Duration, advance: Duration, options: AlignedWindowOptions): AlignedWindows {
  const sizeMs = finiteDurationMs(size, `The size of ${what}`);
  const advanceMs = finiteDurationMs(advance, `every of ${what}`);
  if (sizeMs === 0 || advanceMs === 0) {
    throw new DefinitionError(`Cannot use ${what}: its size and advance are ${sizeMs} and ${advanceMs} ms, wanted more than 0`, { code: "OPTION_INVALID" });
  }
  const offsetMs = options.offset === undefined ? 0 : finiteDurationMs(options.offset, `offset of ${what}`);
  const graceMs = options.grace === undefined ? 0 : finiteDurationMs(options.grace, `grace of ${what}`);
  return { sizeMs, advanceMs, offsetMs: offsetMs % advanceMs, graceMs };
}
