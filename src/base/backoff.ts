/** How long to wait before the next try: exponential, with full jitter, so that many who failed together do not come back together. */

/** Options of {@linkcode backoffMs}. */
export interface BackoffOptions {
  /** Which pause it is: 1 after the first failure. */
  readonly attempt: number;
  /** Longest first pause; doubles each time. */
  readonly firstMs: number;
  /** Longest pause at all. */
  readonly maxMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** A pause in whole milliseconds, evenly from 0 to `min(maxMs, firstMs * 2^(attempt - 1))`. */
export function backoffMs(options: BackoffOptions): number {
  const { attempt, firstMs, maxMs, random } = options;
  const longest = Math.min(maxMs, firstMs * 2 ** Math.max(0, attempt - 1));
  return Math.floor(random() * (longest + 1));
}
