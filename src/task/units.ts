/** The unresolved records of a task: which of them may run, and which wait for an earlier one of their key. */
import type { Unit } from "./unit.ts";

/** Unresolved records, in the order they came. */
export class Units {
  readonly #all = new Set<Unit>();
  readonly #chains = new Map<string, Unit[]>();
  #running = 0;

  get size(): number {
    return this.#all.size;
  }

  /** How many have a handler under way. */
  get running(): number {
    return this.#running;
  }

  [Symbol.iterator](): IterableIterator<Unit> {
    return this.#all.values();
  }

  /** Whether a record of this chain has to wait. */
  isBlocked(chain: string | null): boolean {
    return chain !== null && this.#chains.has(chain);
  }

  add(unit: Unit): void {
    this.#all.add(unit);
    if (unit.chain !== null) {
      const chain = this.#chains.get(unit.chain);
      if (chain === undefined) this.#chains.set(unit.chain, [unit]);
      else chain.push(unit);
    }
    if (unit.state === "running") this.#running++;
  }

  start(unit: Unit): void {
    unit.state = "running";
    this.#running++;
  }

  wait(unit: Unit, nextTryAt: number): void {
    if (unit.state === "running") this.#running--;
    unit.state = "waiting";
    unit.nextTryAt = nextTryAt;
  }

  resolve(unit: Unit): void {
    if (unit.state === "running") this.#running--;
    unit.state = "resolved";
    this.#all.delete(unit);
    if (unit.chain === null) return;
    const chain = this.#chains.get(unit.chain)!;
    chain.splice(chain.indexOf(unit), 1);
    if (chain.length === 0) this.#chains.delete(unit.chain);
  }

  /** The next one to run at monotonic `now`: due, and first of its chain. */
  next(now: number): Unit | null {
    for (const unit of this.#all) {
      if (unit.state === "queued" ? this.#isFirst(unit) : unit.state === "waiting" && unit.nextTryAt <= now) return unit;
    }
    return null;
  }

  /** Monotonic ms at which the next one is due; Infinity when none waits for time. */
  nextDueAt(): number {
    let due = Infinity;
    for (const unit of this.#all) if (unit.state === "waiting" && unit.nextTryAt < due) due = unit.nextTryAt;
    return due;
  }

  #isFirst(unit: Unit): boolean {
    return unit.chain === null || this.#chains.get(unit.chain)![0] === unit;
  }
}
