/** The error policy as users write it. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";
import type { Policy } from "../topology/node.ts";
import { defaultPolicy } from "../task/policy.ts";

/** What happens to a record whose handler, decoding or validation failed: first retry, then `then`. */
export interface ErrorPolicy {
  /** Bad data and `terminal()` errors are not tried again. `false`: nothing is. */
  readonly retry?: RetryPolicy | false;
  /** What happens after the last try. @default "dead-letter", to `<source topic>-dlq`; a null key in a keyed operator: "skip" */
  readonly then?: "dead-letter" | "skip" | "stop";
}

/** How often and how patiently to try again. */
export interface RetryPolicy {
  /** Tries in all, the first included. @default 3 */
  readonly attempts?: number;
  /** First pause; doubles each time, with jitter. @default "1s" */
  readonly backOff?: Duration;
  /** Longest pause. @default "1m" */
  readonly backOffMax?: Duration;
  /** How long a record may be tried in all: no try begins later than this after the first. @default as long as its attempts take */
  readonly budget?: Duration;
  /**
   * What waits while a record waits for another try. "key": later records of its key, so that each key is worked on in order. "partition": all later records. "nothing": the record is put into
   * `<app>-retry` and tried out of turn; event time goes on without it, so that it may be late for its windows then.
   * @default "key"
   */
  readonly blocks?: "key" | "partition" | "nothing";
}

/** The policy with every choice made; null when none was given. Faults go to `fault`. */
export function compilePolicy(errors: ErrorPolicy | undefined, what: string, fault: (sentence: string) => void): Policy | null {
  if (errors === undefined) return null;
  const retry: RetryPolicy = errors.retry === false ? { attempts: 1 } : errors.retry ?? {};
  const attempts = retry.attempts ?? defaultPolicy.attempts;
  if (!Number.isInteger(attempts) || attempts < 1) fault(`errors.retry.attempts of ${what} is ${String(attempts)}, wanted a whole number from 1`);
  const blocks = retry.blocks ?? defaultPolicy.blocks;
  if (!["key", "partition", "nothing"].includes(blocks)) {
    fault(`errors.retry.blocks of ${what} is ${JSON.stringify(blocks)}, wanted "key", "partition" or "nothing"`);
  }
  const then = errors.then ?? defaultPolicy.then;
  if (!["dead-letter", "skip", "stop"].includes(then)) fault(`errors.then of ${what} is ${JSON.stringify(then)}, wanted "dead-letter", "skip" or "stop"`);
  return {
    attempts,
    backOffMs: retry.backOff === undefined ? defaultPolicy.backOffMs : checkedDuration(retry.backOff, `errors.retry.backOff of ${what}`, fault),
    backOffMaxMs: retry.backOffMax === undefined ? defaultPolicy.backOffMaxMs : checkedDuration(retry.backOffMax, `errors.retry.backOffMax of ${what}`, fault),
    budgetMs: retry.budget === undefined ? defaultPolicy.budgetMs : checkedDuration(retry.budget, `errors.retry.budget of ${what}`, fault),
    blocks,
    then,
    thenWithoutKey: errors.then ?? defaultPolicy.thenWithoutKey,
  };
}

/** A duration in ms; one that is not understood is a fault, and 1 stands in so that all faults are found at once. */
export function checkedDuration(value: Duration, what: string, fault: (sentence: string) => void): number {
  try {
    return finiteDurationMs(value, what);
  } catch (error) {
    fault(error instanceof Error ? error.message : String(error));
    return 1;
  }
}
