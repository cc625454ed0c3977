/** The inputs of a task as one: which record is next, how far their common clock is, and which of them are idle. */
import type { Runtime } from "../runtime/runtime.ts";
import { type Input, TaskClock } from "./input.ts";

/** What a task reads. */
export class Inputs {
  readonly all: readonly Input[];
  readonly clock: TaskClock;
  readonly #runtime: Runtime;
  /** For topics that don't say; null: off. */
  readonly #idleTimeoutMs: number | null;
  readonly #idleMsOf = (input: Input): number | null => this.#idleMs(input);

  constructor(all: readonly Input[], clock: TaskClock, runtime: Runtime, idleTimeoutMs: number | null) {
    this.all = all;
    this.clock = clock;
    this.#runtime = runtime;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Brings the common clock up to the inputs. */
  updateClock(): void {
    this.clock.update(this.all, this.#idleMsOf);
  }

  /** The input whose record is next: in the order of timestamps, waiting for one that is known to have more. */
  choose(now: number): Input | null {
    const { all } = this;
    if (all.length === 1) {
      const input = all[0]!;
      if (input.isPaused) return null;
      if (input.hasHead()) return input;
      noteEnd(input, now);
      return null;
    }
    let chosen: Input | null = null;
    for (const input of all) {
      if (input.isPaused) {
        // What it has may come before what the others have.
        if (input.lag !== 0) return null;
        continue;
      }
      if (!input.hasHead()) {
        if (input.lag !== 0) return null;
        noteEnd(input, now);
        continue;
      }
      if (chosen === null || input.cursor.timestamp < chosen.cursor.timestamp) chosen = input;
    }
    return chosen;
  }

  /** All are idle: the clock goes on by itself. */
  get isIdle(): boolean {
    return this.all.every((input) => this.#idleMs(input) !== null);
  }

  /** An unresolved record holds the clock: it goes on when that is resolved. */
  get isHeld(): boolean {
    return this.all.some(({ clock }) => clock.isHeld);
  }

  /** Some clocks come from other tasks. */
  get isCarried(): boolean {
    return this.all.some(({ clock }) => clock.isCarried);
  }

  /** Monotonic ms at which idleness lets something happen; Infinity: never. `dueAt`: the clock at which something is due. */
  idleWakeAt(dueAt: number): number {
    const now = this.#runtime.monotonic();
    let at = Infinity;
    for (const input of this.all) {
      const timeout = this.#timeoutOf(input);
      if (timeout === null || input.endSince === null) continue;
      const turnsIdleAt = input.endSince + timeout;
      if (turnsIdleAt > now) at = Math.min(at, turnsIdleAt);
    }
    if (at < Infinity || dueAt === Infinity || !this.isIdle || this.isHeld) return at;
    return now + Math.max(1, dueAt - this.clock.safe);
  }

  /** How long beyond its time-out an input has been idle; null: it is not. */
  #idleMs(input: Input): number | null {
    const timeout = this.#timeoutOf(input);
    if (timeout === null || input.endSince === null) return null;
    const beyond = this.#runtime.monotonic() - input.endSince - timeout;
    return beyond < 0 || input.hasHead() ? null : Math.floor(beyond);
  }

  /** An internal topic's writers say how far they are; its silence means nothing. */
  #timeoutOf({ topic, clock }: Input): number | null {
    return clock.isCarried ? null : topic.idleTimeoutMs ?? this.#idleTimeoutMs;
  }
}

function noteEnd(input: Input, now: number): void {
  if (input.lag === 0) input.endSince ??= now;
}
