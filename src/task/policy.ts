/** What to do about a record that failed: a pure decision. */
import { backoffMs } from "../base/backoff.ts";
import { isStreamError } from "../base/errors.ts";
import type { Policy } from "../topology/node.ts";

/** The policy unless a source, step or app says otherwise. */
export const defaultPolicy: Policy = { attempts: 3, backOffMs: 1_000, backOffMaxMs: 60_000, then: "dead-letter", thenWithoutKey: "skip" };

/** What becomes of a failed record. */
export type Verdict =
  | { readonly do: "retry"; readonly afterMs: number }
  | { readonly do: "dead-letter" }
  | { readonly do: "skip" }
  | { readonly do: "stop" };

/** Decides after `attempts` tries. `random` gives [0, 1). Bad data, terminal errors and missing keys are not tried again. */
export function judge(error: unknown, attempts: number, policy: Policy, random: () => number): Verdict {
  if (isStreamError(error)) {
    if (error.code === "KEY_MISSING") return { do: policy.thenWithoutKey } as Verdict;
    if (error.domain === "data" || error.code === "HANDLER_TERMINAL") return { do: policy.then } as Verdict;
    if (error.domain === "internal") return { do: "stop" };
    if (error.retryAfterMs !== null && attempts < policy.attempts) return { do: "retry", afterMs: error.retryAfterMs };
  }
  if (attempts >= policy.attempts) return { do: policy.then } as Verdict;
  return { do: "retry", afterMs: backoffMs({ attempt: attempts, firstMs: policy.backOffMs, maxMs: policy.backOffMaxMs, random }) };
}
