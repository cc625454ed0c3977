/**
 * What lies around the app: the input it gets, and the services that its handlers call. Which call fails, how often and after what delay follows from the seed and the record alone, so that
 * the model knows it as well.
 */
import { Random } from "../../src/base/random.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { retryLater, terminal } from "../../src/stream/signals.ts";
import type { Genes } from "./genes.ts";

/** A value of the input. */
export interface Value {
  readonly id: string;
  readonly key: string | null;
  readonly group: string;
  readonly amount: number;
  readonly at: number;
  readonly padding: string;
}

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
}

/** What goes wrong about a record. */
export interface Fate {
  /** The step whose calls fail. */
  readonly step: string;
  /** How many calls fail; Infinity: all. */
  readonly times: number;
  readonly how: "error" | "terminal" | "later";
}

/** Calls of a record or result that succeed at once. */
const FINE: Fate = { step: "", times: 0, how: "error" };
/** Tries in all, by the policy of the topics. */
export const ATTEMPTS = 3;
/** Event time begins here, wall time too. */
export const START_MS = 1_767_225_600_000;

/** The steps whose handlers see a value. */
export function stepsReached(genes: Genes, value: Value): string[] {
  const steps: string[] = [];
  if (genes.resolver !== null && isResolved(value)) steps.push("resolve");
  if (genes.enrich) steps.push("enrich");
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
  readonly #seed: number;
  readonly #random: Random;
  readonly #values = new Map<string, Value>();
  readonly #calls = new Map<string, number>();
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
    if (topic === "events" && key !== null && random.chance(genes.tombstones)) return { id, topic, value: null, key, at, isWebhook: false, isLast: false };
    const padding = "x".repeat(random.below(genes.paddingCharacters + 1));
    const value = { id, key, group: `g${random.below(3)}`, amount: random.below(100), at, padding };
    this.#values.set(id, value);
    return { id, topic, value, key, at, isWebhook: topic === "events" && random.chance(genes.webhooks), isLast: false };
  }

  /** A record that closes what is open. */
  last(topic: Input["topic"], partition: number): Input {
    const id = `last-${topic}-${partition}`;
    const at = this.largestAt + 7_200_000;
    const key = `last${partition}`;
    const value = { id, key, group: "last", amount: 1, at, padding: "" };
    this.#values.set(id, value);
    return { id, topic, value, key, at, isWebhook: false, isLast: true };
  }

  /** What goes wrong about a record of the input. */
  fateOf(id: string): Fate {
    const value = this.#values.get(id);
    if (value === undefined || value.key === null || id.startsWith("last")) return FINE;
    return this.#fate(id, stepsReached(this.genes, value));
  }

  /** What goes wrong about a result of the window. */
  fateOfResult(key: string, start: number): Fate {
    return key.startsWith("last") ? FINE : this.#fate(`${key}@${start}`, ["after"], true);
  }

  /** Whether the handler of a step leaves a record out. */
  isSkipped(step: string, id: string): boolean {
    return !id.startsWith("last") && this.#draw(`skip ${step} ${id}`).chance(this.genes.skipping);
  }

  /** The call of a service: fails by fate, and takes its time. */
  call<T>(step: string, id: string, fate: Fate, result: () => T): T | Promise<T> {
    const name = `${step} ${id}`;
    const number = this.#calls.get(name) ?? 0;
    this.#calls.set(name, number + 1);
    const finish = (): T => {
      if (fate.step === step && number < fate.times) throw this.#error(fate, name);
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

  #fate(id: string, steps: readonly string[], isResult = false): Fate {
    if (steps.length === 0) return FINE;
    const { failing, dying, mode } = this.genes;
    const random = this.#draw(`fate ${id}`);
    const kind = random.float();
    const step = random.pick(steps);
    // In tight mode results may fail, for no clock of the input depends on them.
    const isCalm = mode === "tight" && isResult;
    const fails = isCalm ? 0.1 : failing, dies = isCalm ? 0.05 : dying;
    if (kind < dies) return { step, times: Infinity, how: random.pick(["error", "terminal"] as const) };
    if (kind < dies + fails) return { step, times: random.between(1, ATTEMPTS - 1), how: random.pick(["error", "error", "later"] as const) };
    return FINE;
  }

  #error({ how }: Fate, name: string): Error {
    if (how === "terminal") return terminal(`${name} cannot be done`);
    return how === "later" ? retryLater("700ms") : new Error(`${name} failed`);
  }

  #draw(text: string): Random {
    return new Random(hashText(text, this.#seed));
  }
}

/** FNV-1a over UTF-16 units. */
export function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
