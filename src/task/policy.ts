/** What to do about a record that failed: a pure decision. */
import { backoffMs } from "../base/backoff.ts";
import { isStreamError } from "../base/errors.ts";
import { isSkip } from "../base/skip.ts";
import type { Policy } from "../topology/node.ts";

/** The policy unless a source, step or app says otherwise. */
export const defaultPolicy: Policy = {
  attempts: 3,
  backOffMs: 1_000,
  backOffMaxMs: 60_000,
  budgetMs: Infinity,
  blocks: "key",
  then: "dead-letter",
  thenWithoutKey: "skip",
};

/** What becomes of a failed record. */
export type Verdict =
  | { readonly do: "retry"; readonly afterMs: number; readonly blocks: Policy["blocks"] }
  | { readonly do: "dead-letter" }
  | { readonly do: "skip" }
  | { readonly do: "stop" };

/** What a record has been through. */
export interface Tried {
  /** The one that failed included. */
  readonly attempts: number;
  /** Since its first try, ms. */
  readonly ageMs: number;
}

/** Decides after some tries. `random` gives [0, 1). Bad data, terminal errors and missing keys are not tried again. */
export function judge(error: unknown, { attempts, ageMs }: Tried, policy: Policy, random: () => number): Verdict {
  if (isSkip(error)) return { do: "skip" };
  if (isStreamError(error)) {
    if (error.code === "KEY_MISSING") return { do: policy.thenWithoutKey };
    if (error.domain === "data" || error.code === "HANDLER_TERMINAL") return { do: policy.then };
    if (error.domain === "internal") return { do: "stop" };
  }
  if (attempts >= policy.attempts) return { do: policy.then };
  const asked = isStreamError(error) ? error.retryAfterMs : null;
  const afterMs = asked ?? backoffMs({ attempt: attempts, firstMs: policy.backOffMs, maxMs: policy.backOffMaxMs, random });
  return ageMs + afterMs > policy.budgetMs ? { do: policy.then } : { do: "retry", afterMs, blocks: policy.blocks };
}
