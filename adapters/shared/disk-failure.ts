/** Turns what a platform threw into the `StoreError` that the `Disk` contract promises (D8). */
import { messageOf, StoreError } from "../../src/base/errors.ts";

const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** The error of a failed operation: `STORE_FULL` when space ran out, else `DISK_FAILED`. */
export function diskFailure(operation: string, path: string, cause: unknown): StoreError {
  const platformCode = (cause as { code?: unknown } | null)?.code;
  return new StoreError(FULL.has(platformCode) ? "STORE_FULL" : "DISK_FAILED", `Cannot ${operation} "${path}": ${messageOf(cause)}`, {
    cause,
    details: { operation, path },
  });
}

/** Runs `fn` and translates what it throws. */
export function guarded<T>(operation: string, path: string, fn: () => T): T {
  try {
    return fn();
  } catch (cause) {
    throw diskFailure(operation, path, cause);
  }
}
