/** Checks of our own assumptions. A failure is a bug in Millrace, never bad input. */
import { InvariantError } from "./errors.ts";

/** Throws {@linkcode InvariantError} unless `condition` holds. Cite the invariant: `L3: positions grow`. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(`Invariant broken: ${message}`);
}

/** Marks what no value can reach; the compiler refuses a forgotten case. */
export function unreachable(value: never): never {
  throw new InvariantError(`Invariant broken: unexpected ${String(value)}`);
}
