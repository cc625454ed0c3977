/**
 * What lies around the app: the input it gets, and the services that its handlers call. Which call fails, how often and after what delay follows from the seed and the record alone, so that
 * the model knows it as well.
 */
import { Random } from "../../src/base/random.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { retryLater, skip, terminal } from "../../src/stream/signals.ts";
import type { Genes } from "./genes.ts";
import { policyAt, type PolicyGenes } from "./policies.ts";

/** A value of the input. */
export interface Value {
  readonly id: string;
  readonly key: string | null;
  readonly group: string;
  readonly amount: number;
  readonly at: number;
  readonly padding: string;
}

/** What is wrong with a record itself: its bytes, its value, its time. Of `past` the timestamp is negative: nobody hears of it. */
export type Badness = "undecodable" | "mismatch" | "untimed" | "ahead" | "past";

const BADNESSES: readonly Badness[] = ["undecodable", "mismatch", "untimed", "ahead", "past"];

/** A record to send. */
export interface Input {
  readonly id: string;
  readonly topic: "events" | "others";
  /** null: a tombstone. */
  readonly value: Value | null;
  readonly key: string | null;
  readonly at: number;
  /** By webhook: under an id, and sent again until it is answered. */
  readonly isWebhook: boolean;
  /** Closes what is open: under an id as well. */
  readonly isLast: boolean;
  /** In place of the value, for a record that is bad. */
  readonly bytes: Uint8Array | null;
}

/** What goes wrong about a record. */
export interface Fate {
  /** The step whose calls fail. */
  readonly step: string;
  /** How many calls fail; Infinity: all. */
  readonly times: number;
  readonly how: "error" | "terminal" | "later" | "skip";
}

/** What becomes of a record or a result. `open`: it depends on how long things take; either it is processed, or what its policy says. */
export type Outcome = "processed" | "dead" | "skipped" | "open";

/** Calls of a record or result that succeed at once. */
const FINE: Fate = { step: "", times: 0, how: "error" };
/** Event time begins here, wall time too. */
export const START_MS = 1_767_225_600_000;

/** The steps whose handlers see a value. */
export function stepsReached(genes: Genes, value: Value): string[] {
  const steps = ["timestamp", "first"];
  if (genes.resolver !== null) steps.push("parse");
  if (genes.resolver !== null && isResolved(value)) steps.push("resolve");
  for (const step of ["enrich", "split", "sieve", "sink"] as const) if (genes[step]) steps.push(step);
  if (genes.window?.emit === "update" && genes.after && isCounted(value) && value.key !== null) steps.push("after");
  return steps;
}

/** What `parse` of the resolver lets through. */
export function isResolved({ amount }: Value): boolean {
  return amount > 10;
}

/** What the filter before the window lets through. */
export function isCounted({ amount }: Value): boolean {
  return amount % 5 !== 0;
}

/** Input and services of one run. */
export class World {
  readonly genes: Genes;
  /** Of the process that lives. */
  runtime: Runtime | null = null;
  /** Ids that the sink has taken. */
  readonly sunk: Set<string> = new Set();
  /** Ids that the window gave away as late. */
  readonly tardy: Set<string> = new Set();
  /** A record was tried more often than its policy says; null: none was. */
  overtried: string | null = null;
  readonly #seed: number;
  readonly #random: Random;
  readonly #values = new Map<string, Value>();
  readonly #bad = new Map<string, Badness>();
  readonly #calls = new Map<string, number>();
  /** How often each is begun, but for tries. */
  readonly #begun = new Map<string, number>();
  /** Partitions are read again. */
  isReread = false;
  /** What bad records should have been. */
  readonly #right = new Map<string, Value>();
  /** What fails no more, since an operator has seen to it. */
  readonly #mended = new Set<string>();
  /** Further tries by record, as far as they were not undone; those that a commit has, and those that a durable one has. */
  #retries = new Map<string, number>();
  #committed = new Map<string, number>();
  #durable = new Map<string, number>();
  #base = START_MS;
  #made = 0;
  largestAt: number = START_MS;

  constructor(seed: number, genes: Genes) {
    this.genes = genes;
    this.#seed = seed;
    this.#random = new Random(seed ^ 0x5eed);
  }

  /** The next record to send. */
  next(): Input {
    const { genes } = this;
    const random = this.#random;
    const id = `r${this.#made++}`;
    this.#base += random.below(genes.stepMs + 1);
    const at = this.#base - (genes.disorderMs === 0 ? 0 : random.below(genes.disorderMs));
    this.largestAt = Math.max(this.largestAt, at);
    const topic = genes.merge && random.chance(0.3) ? "others" : "events";
    const hasKey = topic === "others" || !random.chance(genes.nullKeys);
    const key = hasKey ? `k${random.below(genes.keys)}` : null;
    const common = { id, topic, key, at, isWebhook: false, isLast: false, bytes: null } as const;
    if (topic === "events" && key !== null && random.chance(genes.tombstones)) return { ...common, value: null };
    const padding = "x".repeat(random.below(genes.paddingCharacters + 1));
    const value = { id, key, group: `g${random.below(3)}`, amount: random.below(100), at, padding };
    const badness = this.#draw(`bad ${id}`);
    if (topic === "events" && key !== null && badness.chance(genes.bad)) {
      const kind = badness.pick(BADNESSES);
      this.#bad.set(id, kind);
      this.#right.set(id, value);
      return { ...common, value: null, bytes: badBytes(kind, value, this.runtime!.now()) };
    }
    this.#values.set(id, value);
    return { ...common, value, isWebhook: topic === "events" && random.chance(genes.webhooks) };
  }

  /** A record that closes what is open. */
  last(topic: Input["topic"], partition: number): Input {
    const id = `last-${topic}-${partition}`;
    const at = this.largestAt + 7_200_000;
    const key = `last${partition}`;
    const value = { id, key, group: "last", amount: 1, at, padding: "" };
    this.#values.set(id, value);
    return { id, topic, value, key, at, isWebhook: false, isLast: true, bytes: null };
  }

  /** Whether it is neither a tombstone nor bad. */
  hasValue(id: string): boolean {
    return this.#values.has(id);
  }

  /** What is wrong with a record itself; null: nothing. */
  badnessOf(id: string): Badness | null {
    return this.#bad.get(id) ?? null;
  }

  /** What a bad record should have been; null for others. */
  rightValueOf(id: string): Value | null {
    return this.#right.get(id) ?? null;
  }

  /** What goes wrong about a record of the input, or a result of the window, `key@start`. */
  fateOf(id: string): Fate {
    if (id.startsWith("last")) return FINE;
    if (id.includes("@")) return this.#fate(id, ["after"], true);
    const value = this.#values.get(id);
    return value === undefined || value.key === null ? FINE : this.#fate(id, stepsReached(this.genes, value), false);
  }

  /** What becomes of either. */
  outcomeOf(id: string): Outcome {
    const badness = this.badnessOf(id);
    if (badness === "past") return "skipped";
    return badness === null ? this.#outcome(this.fateOf(id)) : given(policyAt(this.genes.policies, ""));
  }

  /** Whether it stops its task, so that it may be left out with what it stopped at. */
  isStopping(id: string): boolean {
    const { times, step } = this.fateOf(id);
    return times > 0 && policyAt(this.genes.policies, step).then === "stop";
  }

  /** What its policy does with what is given up. */
  givenUp(id: string): Outcome {
    return given(policyAt(this.genes.policies, this.fateOf(id).step));
  }

  /** Whether a record may have been tried out of turn: it failed, and blocked nothing. */
  isLoose(id: string): boolean {
    const { times, step, how } = this.fateOf(id);
    return times > 0 && how !== "terminal" && how !== "skip" && policyAt(this.genes.policies, step).blocks === "nothing";
  }

  /** Whether the handler of a step leaves a record out. */
  isSkipped(step: string, id: string): boolean {
    return !id.startsWith("last") && this.#draw(`skip ${step} ${id}`).chance(this.genes.skipping);
  }

  /** How many records a step makes of one. */
  partsOf(id: string): number {
    return this.#draw(`parts ${id}`).below(3);
  }

  /** What a filter lets through. */
  isSieved(id: string): boolean {
    return this.#draw(`sieve ${id}`).chance(0.5);
  }

  /** The call of a service: fails by fate, and takes its time. */
  call<T>(step: string, id: string, fate: Fate, result: () => T): T | Promise<T> {
    const name = `${step} ${id}`;
    const number = this.#begin(name);
    const finish = (): T => {
      if (this.#fails(fate, step, id, number)) throw this.#error(fate, name);
      return result();
    };
    const { timed, microtask, delayMs } = this.genes;
    const random = this.#draw(`delay ${name} ${number}`);
    const kind = random.float();
    if (kind < timed) {
      return new Promise<T>((resolve, reject) => {
        this.runtime!.setTimer(() => {
          try {
            resolve(finish());
          } catch (error) {
            reject(error);
          }
        }, random.below(delayMs + 1));
      });
    }
    return kind < timed + microtask ? Promise.resolve().then(finish) : finish();
  }

  /** A call that cannot wait, and that others than the task make too. */
  callNow<T>(step: string, id: string, fate: Fate, result: T): T {
    const name = `${step} ${id}`;
    if (this.#fails(fate, step, id, this.#begin(name))) throw this.#error(fate, name);
    return result;
  }

  /** A record will be tried again because of an error of a service, `text`. */
  retried(text: string): void {
    const [step = "", id = ""] = text.split(" ");
    if (!this.#calls.has(`${step} ${id}`)) return;
    const policy = policyAt(this.genes.policies, step);
    const { how } = this.fateOf(id);
    const count = (this.#retries.get(id) ?? 0) + 1;
    this.#retries.set(id, count);
    const most = how === "terminal" || how === "skip" ? 0 : (policy.attempts - 1) * (this.#begun.get(id) ?? 1) * (this.isReread ? 2 : 1);
    if (count > most) this.overtried ??= `${id} is tried again for the ${count}th time because of step ${step}, where its policy says ${most}`;
  }

  /** An operator has seen to what stops tasks. */
  mendStopped(): void {
    for (const name of this.#calls.keys()) {
      const [step = "", id = ""] = name.split(" ");
      const fate = this.fateOf(id);
      if (fate.step === step && fate.how !== "skip" && policyAt(this.genes.policies, step).then === "stop") this.#mended.add(id);
    }
  }

  /** An operator has seen to what fails about a record or a result. */
  mend(id: string): void {
    this.#mended.add(id);
  }

  /** A letter of it is to be tried again. */
  begins(id: string): void {
    this.#begun.set(id, (this.#begun.get(id) ?? 1) + 1);
  }

  /** A commit has what was tried so far. */
  committed(): void {
    this.#committed = new Map(this.#retries);
  }

  /** The last commit is durable. */
  durable(): void {
    this.#durable = this.#committed;
  }

  /** What was tried since the last commit, or the last durable one, was not. */
  undo(isPowerLost: boolean): void {
    if (isPowerLost) this.#committed = this.#durable;
    this.#retries = new Map(this.#committed);
  }

  #begin(name: string): number {
    const number = this.#calls.get(name) ?? 0;
    this.#calls.set(name, number + 1);
    return number;
  }

  #fails(fate: Fate, step: string, id: string, number: number): boolean {
    return fate.step === step && number < fate.times && !this.#mended.has(id);
  }

  #outcome({ step, times, how }: Fate): Outcome {
    if (times === 0) return "processed";
    if (how === "skip") return "skipped";
    const policy = policyAt(this.genes.policies, step);
    if (policy.then === "stop") return "processed";
    if (times === Infinity) return given(policy);
    return policy.budgetMs === null && !this.#isBehindWaiting(step) ? "processed" : "open";
  }

  /** Whether a try can end, with its process, before it gets to a step: it is a try all the same. */
  #isBehindWaiting(step: string): boolean {
    const { slowSchema, timed, microtask } = this.genes;
    return step !== "after" && slowSchema || step === "resolve" && timed + microtask > 0;
  }

  #fate(id: string, steps: readonly string[], isResult: boolean): Fate {
    const { failing, dying, mode, policies, throwsSkip } = this.genes;
    const random = this.#draw(`fate ${id}`);
    const kind = random.float();
    const step = random.pick(steps);
    // In tight mode results may fail, for no clock of the input depends on them.
    const isCalm = mode === "tight" && isResult;
    const fails = isCalm ? 0.1 : failing, dies = isCalm ? 0.05 : dying;
    if (kind < dies) {
      return {
        step,
        times: Infinity,
        how: random.pick(throwsSkip ? ["skip", "error", "terminal", "later"] as const : ["error", "error", "terminal", "later"] as const),
      };
    }
    const { attempts } = policyAt(policies, step);
    if (kind < dies + fails && attempts > 1) return { step, times: random.between(1, attempts - 1), how: random.pick(["error", "error", "later"] as const) };
    return FINE;
  }

  #error({ how }: Fate, name: string): unknown {
    if (how === "terminal") return terminal(`${name} cannot be done`);
    if (how === "skip") return skip(`${name} is of no interest`);
    const error = new Error(`${name} failed`);
    return how === "later" ? retryLater("700ms", { cause: error }) : error;
  }

  #draw(text: string): Random {
    return new Random(hashText(text, this.#seed));
  }
}

/** What a policy does with what is given up. */
function given({ then }: PolicyGenes): Outcome {
  // What stops its task and cannot be mended is left out in the end.
  return then === "skip" || then === "stop" ? "skipped" : "dead";
}

function badBytes(kind: Badness, value: Value, now: number): Uint8Array {
  switch (kind) {
    case "undecodable":
      return encoder.encode(`{"id":"${value.id}","amount":`);
    case "mismatch":
      return encoder.encode(JSON.stringify({ ...value, amount: "a lot" }));
    case "untimed":
      return encoder.encode(JSON.stringify({ ...value, at: value.at + 0.5 }));
    case "ahead":
      // Further than clocks are set and time passes within a run.
      return encoder.encode(JSON.stringify({ ...value, at: now + 30 * 86_400_000 }));
    case "past":
      return encoder.encode(JSON.stringify({ ...value, at: -5 }));
  }
}

const encoder = new TextEncoder();

/** FNV-1a over UTF-16 units. */
export function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
