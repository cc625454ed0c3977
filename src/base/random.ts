/**
 * Pseudo-random numbers from a seed, for simulations, fault injection and jitter: the same seed gives the same numbers on every runtime. Never for secrets.
 *
 * The generator is sfc32 (Chris Doty-Humphrey's "small fast counting" generator, 128 bits of state), started from four words of splitmix32.
 */

const TWO_32 = 4_294_967_296;
const WARM_UP = 12;

/** A seeded generator. */
export class Random {
  /** What it was made from, for messages. */
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** `seed` counts as an unsigned 32-bit number. */
  constructor(seed: number) {
    this.seed = seed >>> 0;
    let state = this.seed;
    const word = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = word();
    this.#b = word();
    this.#c = word();
    this.#counter = 1;
    for (let i = 0; i < WARM_UP; i++) this.word();
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** A number from 0 up to, not including, 1. */
  float(): number {
    return this.word() / TWO_32;
  }

  /** A whole number from 0 up to, not including, `bound`; `bound` is at most 2^32. */
  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of the items; there must be one. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Fills `into`. */
  fill(into: Uint8Array): Uint8Array {
    for (let i = 0; i < into.length; i++) into[i] = this.word() & 0xff;
    return into;
  }

  /** The items in another order, in a new array. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  /** A generator of its own: what is drawn from it leaves this one's later numbers alone. */
  fork(): Random {
    return new Random(this.word());
  }
}
