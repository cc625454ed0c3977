/** A queue with two ends in a ring of slots: constant time at both, no garbage but when it grows. */

/** First in, first out; or last, by the other end. */
export class Queue<T> implements Iterable<T> {
  /** Its length is a power of two, so that indexes wrap by a mask. */
  #slots: (T | undefined)[] = new Array<T | undefined>(16).fill(undefined);
  #head = 0;
  #length = 0;

  /** Number of items. */
  get length(): number {
    return this.#length;
  }

  /** Adds an item at the end. */
  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
  }

  /** Adds an item at the front. */
  pushFront(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = item;
    this.#length++;
  }

  /** Takes the first item; undefined when empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    return item;
  }

  /** Takes the last item; undefined when empty. */
  pop(): T | undefined {
    if (this.#length === 0) return undefined;
    this.#length--;
    const index = (this.#head + this.#length) & (this.#slots.length - 1);
    const item = this.#slots[index];
    this.#slots[index] = undefined;
    return item;
  }

  /** The item at an index, 0 being the first; undefined beyond the end. */
  at(index: number): T | undefined {
    return index >= 0 && index < this.#length ? this.#slots[(this.#head + index) & (this.#slots.length - 1)] : undefined;
  }

  /** Forgets all items. */
  clear(): void {
    this.#slots = new Array<T | undefined>(16).fill(undefined);
    this.#head = 0;
    this.#length = 0;
  }

  /** From the first to the last. The queue must not change meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let i = 0; i < this.#length; i++) yield this.at(i) as T;
  }

  #grow(): void {
    const slots = new Array<T | undefined>(2 * this.#slots.length).fill(undefined);
    for (let i = 0; i < this.#length; i++) slots[i] = this.at(i);
    this.#slots = slots;
    this.#head = 0;
  }
}
