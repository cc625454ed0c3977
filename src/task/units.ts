/** The unresolved records of a task: which of them may run, and which wait for an earlier one of their key. */
import type { Unit } from "./unit.ts";

/** Unresolved records, in the order they came. */
export class Units {
  readonly #all = new Set<Unit>();
  readonly #chains = new Map<string, Unit[]>();
  #running = 0;
  #blocking = 0;

  get size(): number {
    return this.#all.size;
  }

  /** How many have a handler under way. */
  get running(): number {
    return this.#running;
  }

  /** One of them lets nothing else of the partition begin. */
  get isPartitionBlocked(): boolean {
    return this.#blocking > 0;
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
    if (unit.state === "running") this.#running++;
    if (unit.retryPosition < 0) this.#join(unit);
  }

  /** From here on nothing else of the partition begins until it is resolved: those of its key that came before it must not be what it waits for. */
  block(unit: Unit): void {
    if (unit.blocksPartition) return;
    unit.blocksPartition = true;
    this.#blocking++;
    if (unit.chain === null || this.#isInChain(unit)) return;
    // It was out of turn, and has lost its place by a restart.
    this.#chains.set(unit.chain, [unit, ...this.#chains.get(unit.chain) ?? []]);
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
    if (unit.blocksPartition) this.#blocking--;
    const chain = unit.chain === null ? undefined : this.#chains.get(unit.chain);
    const at = chain?.indexOf(unit) ?? -1;
    if (at < 0) return;
    chain!.splice(at, 1);
    if (chain!.length === 0) this.#chains.delete(unit.chain!);
  }

  /** The next one to run at monotonic `now`: due, first of its chain, and not `isHeld`. */
  next(now: number, isHeld: (unit: Unit) => boolean): Unit | null {
    for (const unit of this.#all) {
      if (this.#blocking > 0 && !unit.blocksPartition || isHeld(unit)) continue;
      if (unit.state === "waiting" && unit.nextTryAt <= now) {
        if (unit.retryPosition < 0 || this.#isInChain(unit)) return unit;
        // It was out of turn as long as it had to wait.
        unit.state = "queued";
        this.#join(unit);
      }
      if (unit.state === "queued" && this.#isFirst(unit)) return unit;
    }
    return null;
  }

  /** Monotonic ms at which the next one is due; Infinity when none waits for time. */
  nextDueAt(isHeld: (unit: Unit) => boolean): number {
    let due = Infinity;
    for (const unit of this.#all) {
      if (unit.state !== "waiting" || unit.nextTryAt >= due || this.#blocking > 0 && !unit.blocksPartition || isHeld(unit)) continue;
      due = unit.nextTryAt;
    }
    return due;
  }

  /** It waits behind those of its key that are here, and those that come behind it. */
  #join(unit: Unit): void {
    if (unit.chain === null) return;
    const chain = this.#chains.get(unit.chain);
    if (chain === undefined) this.#chains.set(unit.chain, [unit]);
    else chain.push(unit);
  }

  #isInChain(unit: Unit): boolean {
    return unit.chain !== null && this.#chains.get(unit.chain)?.includes(unit) === true;
  }

  #isFirst(unit: Unit): boolean {
    return unit.chain === null || this.#chains.get(unit.chain)![0] === unit;
  }
}
