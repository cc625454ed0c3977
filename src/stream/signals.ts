/** What a function of the user's can say besides a value. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";
import { HandlerError } from "../base/errors.ts";
import type { Skip } from "../base/skip.ts";

/**
 * Leaves a record out: it counts as done, under this reason. Returned by a step, it passes nothing on; thrown, from wherever a function of yours runs, nothing of the record's effects stays.
 *
 * @example
 * ```ts
 * import { skip } from "millrace";
 *
 * const outcome = skip("test account");
 * if (outcome["~skip"] !== "test account") throw new Error();
 * ```
 */
export function skip(reason: string): Skip {
  return { "~skip": reason };
}

/** An error that no retry can mend: goes straight to the policy's `then`. Throw it. */
export function terminal(message: string, options: ErrorOptions = {}): Error {
  return new HandlerError("HANDLER_TERMINAL", message, options);
}

/** An error that asks for another try after a time, within the policy's attempts and budget. Throw it. */
export function retryLater(after: Duration, options: ErrorOptions = {}): Error {
  const retryAfterMs = finiteDurationMs(after, "retryLater()");
  return new HandlerError("HANDLER_RETRY_LATER", `Asked for another try in ${retryAfterMs} ms`, { ...options, retryAfterMs });
}
