/** What the topics of an errors run must hold, record by record, by brute force over the plan: each has the one fate it may have, once, and those of a key are in order. */
import { anyKeys } from "../../src/record/key.ts";
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Said } from "./app.ts";
import type { Content, Lying } from "./content.ts";
import { ATTEMPTS, type Fate, type Fault, type Lane, lanes, type Plan, type Planned, type Step, WINDOW_MS } from "./plan.ts";

/** What was found. */
export interface ErrorsVerdict {
  /** How many records ended so. */
  readonly fates: Readonly<Record<Fate, number>>;
  /** How many records had a fault of each kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Records that have not come to their end. Fewer with time. */
  readonly missing: number;
  /** One sentence for each thing that time does not mend. */
  readonly wrong: readonly string[];
  /** How many there are in all. */
  readonly wrongCount: number;
}

const SENTENCES_MAX = 30;
const OPENING_BRACE = 0x7b;

/** The name by which a letter of a lane names a step; null where that is not looked at. */
export function stepNameOf(name: string, lane: Lane, step: Step): string | null {
  const source = `${name}-${lane}`;
  switch (step) {
    case "timestamp":
      return source;
    case "wait":
      return `${source}-map-2`;
    case "sink":
      return `${source}-forEach`;
    case "parse":
    case "resolve":
      return `${lane} resolver`;
    case "fold":
      return `${source}-tumbling-${WINDOW_MS}`;
    case "behind":
      return `${source}-map-3`;
    case "group":
      return lane;
    case "last":
      return null;
    default:
      return `${source}-${step}`;
  }
}

/** Judges what lies in the topics, and what was written into the book. */
export function verdictOn(name: string, plan: Plan, content: Content, book: { readonly tries: Uint8Array; readonly sunk: Uint8Array }): ErrorsVerdict {
  const judge = new Judge(name, plan);
  for (const lane of lanes) {
    for (const record of content.out(lane)) judge.said(lane, record);
    for (const letter of content.dead(lane)) judge.dead(lane, letter);
    for (const letter of content.late(lane)) judge.late(lane, letter);
  }
  for (const row of content.features()) judge.row(row);
  return judge.end(book);
}

/** One judgement. */
class Judge {
  readonly #name: string;
  readonly #plan: Plan;
  readonly #fates = new Map<number, Fate>();
  readonly #rows: Uint8Array;
  readonly #lastOfKey = new Map<string, number>();
  readonly #wrong: string[] = [];
  #wrongCount = 0;

  constructor(name: string, plan: Plan) {
    this.#name = name;
    this.#plan = plan;
    this.#rows = new Uint8Array(plan.records);
  }

  said(lane: Lane, { key, value }: Lying): void {
    const said = unpackValue(value!) as Said;
    if (said.n < 0) return;
    const sum = said.ids.reduce((total, n) => total + n, 0);
    if (sum !== said.total || new Set(said.ids).size !== said.ids.length) {
      this.#say(`${lane}: the window of record ${said.n} holds ${said.ids.join()} and their sum is said to be ${said.total}: its state counted twice`);
    }
    // Behind a groupBy() keys may be of any type.
    if (key === null || (lane === "close" ? new TextDecoder().decode(key) : anyKeys.decode!(key)) !== said.key) {
      this.#say(`${lane}: record ${said.n} came out under another key than ${JSON.stringify(said.key)}`);
    }
    for (const n of lane === "close" ? said.ids : [said.n]) {
      const planned = this.#end(n, "processed");
      if (planned.key !== said.key || planned.lane !== lane) {
        this.#say(`record ${n} came out of lane ${lane} under key ${JSON.stringify(said.key)}: it is not of there`);
      }
      if (lane === "nothing") continue;
      const chain = `${lane} ${said.key}`;
      const before = this.#lastOfKey.get(chain) ?? -1;
      if (n <= before) this.#say(`${lane}: record ${n} of key ${JSON.stringify(said.key)} came out after ${before}`);
      this.#lastOfKey.set(chain, Math.max(before, n));
    }
  }

  dead(lane: Lane, letter: Lying): void {
    const numbers = numbersOf(letter);
    const faults = numbers.map((n) => this.#end(n, "dead").fault);
    const isAtOnce = faults.some(({ kind }) => kind !== "permanent" && kind !== "transient" && kind !== "none" && kind !== "big");
    const attempts = letter.headers.get("mr-attempts");
    const wanted = String(isAtOnce ? 1 : ATTEMPTS);
    if (attempts !== wanted) this.#say(`the letter of record ${numbers.join()} says ${attempts} attempts, wanted ${wanted}`);
    const fault = faults.find((fault): fault is Extract<Fault, { step: unknown }> => "step" in fault && fault.kind !== "transient");
    const stepName = fault === undefined ? null : stepNameOf(this.#name, lane, fault.step);
    if (stepName !== null && letter.headers.get("mr-step") !== stepName) {
      this.#say(`the letter of record ${numbers.join()} names step "${letter.headers.get("mr-step")}", wanted "${stepName}"`);
    }
  }

  late(_lane: Lane, letter: Lying): void {
    for (const n of numbersOf(letter)) if (n >= 0) this.#end(n, "late");
  }

  row({ value }: Lying): void {
    const [{ n }] = unpackValue(value!) as readonly [{ readonly n: number }];
    if (++this.#rows[n]! > 1) this.#say(`record ${n} gave its features ${this.#rows[n]} times`);
  }

  /** One that is not said to be wrong is right, or missing. */
  end(book: { readonly tries: Uint8Array; readonly sunk: Uint8Array }): ErrorsVerdict {
    const plan = this.#plan;
    const fates: Record<Fate, number> = { processed: 0, late: 0, skipped: 0, dead: 0 };
    const faults: Record<string, number> = {};
    const windowFate = this.#fateOfWindows();
    let missing = 0;
    for (let n = 0; n < plan.records; n++) {
      const planned = plan.record(n);
      const { fault } = planned;
      faults[fault.kind] = (faults[fault.kind] ?? 0) + 1;
      const wanted = windowFate(planned) ?? plan.fate(planned);
      const fate = this.#fates.get(n) ?? "skipped";
      fates[fate]++;
      if (fate !== wanted) {
        if (this.#fates.has(n)) this.#say(`record ${n} (${JSON.stringify(fault)}, lane ${planned.lane}) is ${fate}, wanted ${wanted}`);
        else missing++;
        continue;
      }
      const reaches = reachOf(planned);
      const rows = this.#rows[n]!;
      if (rows === 0 && reaches === "row") missing++;
      if (rows > 0 && reaches !== "row") this.#say(`record ${n} (${JSON.stringify(fault)}) gave its features, and left nothing else`);
      const uncalled = book.sunk[n] === 0 && reaches !== "nothing" ? "sink" : "step" in fault && book.tries[n] === 0 ? fault.step : null;
      if (uncalled === null) continue;
      // One that leaves nothing has perhaps not been come to.
      if (fate === "skipped") missing++;
      else this.#say(`record ${n} (${JSON.stringify(fault)}) is ${fate}, and its ${uncalled} was never called`);
    }
    if (this.#wrongCount > SENTENCES_MAX) this.#wrong.push(`… and ${this.#wrongCount - SENTENCES_MAX} more`);
    return { fates, faults, missing, wrong: this.#wrong, wrongCount: this.#wrongCount };
  }

  /** What becomes of a record by the result of its window that did not go through; null: nothing. */
  #fateOfWindows(): (planned: Planned) => Fate | null {
    const windowOf = ({ key, at }: Planned): string => `${Math.floor(at / WINDOW_MS)} ${key}`;
    const fates = new Map<string, Fate>();
    const isIn = (planned: Planned): boolean => planned.lane === "close" && (this.#plan.fate(planned) === "processed" || isBehind(planned.fault));
    for (let n = 0; n < this.#plan.records; n++) {
      const planned = this.#plan.record(n);
      const { fault } = planned;
      if (!isIn(planned) || !isBehind(fault) || fault.kind === "transient") continue;
      const id = windowOf(planned);
      fates.set(id, fault.kind === "thrown" || fates.get(id) === "skipped" ? "skipped" : "dead");
    }
    return (planned) => isIn(planned) ? fates.get(windowOf(planned)) ?? null : null;
  }

  #end(n: number, fate: Fate): Planned {
    const before = this.#fates.get(n);
    if (before !== undefined) this.#say(`record ${n} (${JSON.stringify(this.#plan.fault(n))}) is ${fate}, and was ${before} before`);
    this.#fates.set(n, fate);
    return this.#plan.record(n);
  }

  #say(sentence: string): void {
    if (++this.#wrongCount <= SENTENCES_MAX) this.#wrong.push(sentence);
  }
}

function isBehind(fault: Fault): fault is Extract<Fault, { step: unknown }> {
  return "step" in fault && fault.step === "behind";
}

/** How far a record comes: to the row of its features, to the sink, or to neither. Branches of a record that fails leave nothing, but the sink was called. */
function reachOf({ fault, lane }: Planned): "row" | "sink" | "nothing" {
  if ("step" in fault && fault.kind !== "transient" && fault.kind !== "stop") {
    if (["timestamp", "map", "filter", "flatMap", "wait"].includes(fault.step)) return "nothing";
    return fault.step === "last" || (fault.step === "behind" && lane === "close") ? "row" : "sink";
  }
  return ["decode", "schema", "ahead", "fraction", "badKey", "nullKey", "negative", "skip", "filtered", "flattened"].includes(fault.kind) ? "nothing" : "row";
}

/** The records that a letter is of: its own, or all of a window's result. */
function numbersOf({ headers, value }: Lying): readonly number[] {
  const own = headers.get("n");
  if (own !== undefined && own !== null) return [Number(own)];
  // By webhook, as it lies in its source.
  if (value![0] === OPENING_BRACE) return [(JSON.parse(new TextDecoder().decode(value!)) as { readonly n: number }).n];
  const held = unpackValue(value!) as Partial<Said> & { readonly value?: { readonly all: readonly { readonly n: number }[] } };
  return held.value === undefined ? [held.n!] : held.value.all.map(({ n }) => n);
}
