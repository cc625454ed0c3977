/**
 * How far event time is in one input partition, and what holds it back.
 *
 * `late` counts every record that was begun, so that lateness is what it would be if records were handled one after the other; `safe` stays behind records that are still
 * unresolved, so that no window closes without them.
 */

/** Event time of one input partition, ms; -Infinity before its first record. */
export class InputClock {
  /** Largest timestamp begun (or least carried clock), without the delay. */
  seen: number = -Infinity;
  readonly #delayMs: number;
  readonly #writers: Map<string, number> | null;
  /** What `seen` was before each unresolved record. */
  readonly #holds = new Map<object, number>();

  /** `writers`: the tasks whose carried clocks make up this one; null: records' own timestamps do. */
  constructor(delayMs: number, writers: readonly string[] | null) {
    this.#delayMs = delayMs;
    this.#writers = writers === null ? null : new Map(writers.map((writer) => [writer, -Infinity]));
  }

  get isCarried(): boolean {
    return this.#writers !== null;
  }

  /** A record with this timestamp was begun. */
  observe(timestamp: number): void {
    if (timestamp > this.seen) this.seen = timestamp;
  }

  /** A writer said how far it is; NaN: it is idle and never had anything. */
  carry(writer: string, watermark: number): void {
    const writers = this.#writers;
    if (writers === null) return;
    const before = writers.get(writer);
    if (before !== undefined && before >= watermark) return;
    writers.set(writer, watermark);
    let least = Infinity;
    for (const value of writers.values()) if (value < least) least = value;
    if (least < Infinity && least > this.seen) this.seen = least;
  }

  /** Whether an unresolved record holds it; it may do so without being behind. */
  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  hold(by: object, seenBefore: number): void {
    this.#holds.set(by, seenBefore);
  }

  release(by: object): void {
    this.#holds.delete(by);
  }

  get late(): number {
    return this.seen - this.#delayMs;
  }

  get safe(): number {
    let seen = this.seen;
    if (this.#holds.size === 0) return seen - this.#delayMs;
    for (const held of this.#holds.values()) if (held < seen) seen = held;
    return seen - this.#delayMs;
  }

  /** For the checkpoint. Unresolved records are checkpointed by themselves and hold the clock again. */
  save(): readonly [number, readonly (readonly [string, number])[]] {
    return [this.seen, this.#writers === null ? [] : [...this.#writers]];
  }

  load(saved: readonly [number, readonly (readonly [string, number])[]]): void {
    this.seen = saved[0];
    if (this.#writers !== null) { for (const [writer, value] of saved[1]) if (this.#writers.has(writer)) this.#writers.set(writer, value); }
  }
}
