/** Where the records of a partition lie once they are moved: one after the other, without the gaps that compaction and retention left. Kept as runs without a gap, so that a partition that never lost a record is one. */
export class PositionMap {
  /** Of each run: the old position of its first record, and how many records come before it. */
  readonly #olds: number[] = [];
  readonly #befores: number[] = [];
  #count = 0;
  #next = -1;
  /** The new position of the first record. */
  base = 0;

  /** Takes the next record, by its old position. */
  add(position: number): void {
    if (position !== this.#next) {
      this.#olds.push(position);
      this.#befores.push(this.#count);
    }
    this.#count++;
    this.#next = position + 1;
  }

  /** Records so far. */
  get count(): number {
    return this.#count;
  }

  /** The new position of the first record at or behind an old position; behind the last one, the new end. */
  next(position: number): number {
    const run = this.#runOf(position);
    if (run < 0) return this.base;
    return this.base + Math.min(this.#befores[run]! + position - this.#olds[run]!, this.#endOf(run));
  }

  /** The new position of a record; null where it is not among those moved. */
  of(position: number): number | null {
    const run = this.#runOf(position);
    if (run < 0) return null;
    const rank = this.#befores[run]! + position - this.#olds[run]!;
    return rank < this.#endOf(run) ? this.base + rank : null;
  }

  /** The old position of a record, by how many come before it. */
  old(before: number): number {
    let run = this.#befores.length - 1;
    while (this.#befores[run]! > before) run--;
    return this.#olds[run]! + before - this.#befores[run]!;
  }

  /** The last run that begins at or before a position; -1: none. */
  #runOf(position: number): number {
    let low = 0, high = this.#olds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#olds[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #endOf(run: number): number {
    return this.#befores[run + 1] ?? this.#count;
  }
}
