/** The error policies of a run, and which of them speaks for what fails where. */
import type { Random } from "../../src/base/random.ts";
import type { ErrorPolicy } from "../../src/stream/error-policy.ts";

/** One error policy. Times in ms. */
export interface PolicyGenes {
  /** Tries in all. */
  readonly attempts: number;
  readonly backOffMs: number;
  readonly backOffMaxMs: number;
  /** null: none. */
  readonly budgetMs: number | null;
  readonly blocks: "key" | "partition" | "nothing";
  /** null: not said, so that records without a key are skipped and all others become dead letters. */
  readonly then: "dead-letter" | "skip" | "stop" | null;
}

/** The policies of a run; null: that of the app speaks. */
export interface PoliciesGenes {
  readonly app: PolicyGenes;
  readonly source: PolicyGenes | null;
  readonly resolver: PolicyGenes | null;
}

/** What the reference run goes by. */
export const plainPolicy: PolicyGenes = { attempts: 3, backOffMs: 200, backOffMaxMs: 1_000, budgetMs: null, blocks: "key", then: null };

/** Policies of a seed. */
export function drawPolicies(random: Random): PoliciesGenes {
  return {
    app: random.chance(0.5) ? plainPolicy : drawPolicy(random),
    source: random.chance(0.4) ? drawPolicy(random) : null,
    resolver: random.chance(0.3) ? drawPolicy(random) : null,
  };
}

function drawPolicy(random: Random): PolicyGenes {
  return {
    attempts: random.pick([1, 2, 3, 3, 5]),
    backOffMs: random.pick([1, 50, 200, 1_000]),
    backOffMaxMs: random.pick([1_000, 5_000]),
    budgetMs: random.chance(0.2) ? random.pick([500, 5_000]) : null,
    blocks: random.pick(["key", "key", "partition", "nothing"] as const),
    then: random.pick([null, "dead-letter", "dead-letter", "skip", "stop"] as const),
  };
}

/** A policy as users write it. */
export function errorsOf(policy: PolicyGenes): ErrorPolicy {
  const { attempts, backOffMs, backOffMaxMs, budgetMs, blocks, then } = policy;
  const retry = { attempts, backOff: backOffMs, backOffMax: backOffMaxMs, blocks, ...(budgetMs === null ? {} : { budget: budgetMs }) };
  return { retry: attempts === 1 ? false : retry, ...(then === null ? {} : { then }) };
}

/** Whose policy speaks of a failure: a step's own, that of the source, that of the app. */
export function policyAt({ app, source, resolver }: PoliciesGenes, step: string): PolicyGenes {
  return (step === "resolve" || step === "parse" ? resolver : null) ?? source ?? app;
}

/** All that speak somewhere. */
export function policiesOf({ app, source, resolver }: PoliciesGenes): PolicyGenes[] {
  return [app, source, resolver].filter((policy) => policy !== null);
}
