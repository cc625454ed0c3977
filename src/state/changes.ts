/** Rows that a commit writes: packed once, then written wherever they go. */

/** Takes the rows that a store writes at a commit. */
export interface RowSink {
  put(space: number, time: number, key: string, value: Uint8Array): void;
  /** Takes a row out. `isCovered`: a `deleteTime` before it has said so already. */
  delete(space: number, time: number, key: string, isCovered: boolean): void;
  /** Takes all rows of one time out. */
  deleteTime(space: number, time: number): void;
}

const DELETE = -1;
const DELETE_COVERED = -2;
const DELETE_TIME = -3;

/** Rows kept in order until the commit has happened, for a log that takes them first and a database that takes them after. */
export class Changes implements RowSink {
  readonly #spaces: number[] = [];
  readonly #times: number[] = [];
  readonly #keys: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #count = 0;
  #bytes: Uint8Array = new Uint8Array(4_096);
  #end = 0;

  get count(): number {
    return this.#count;
  }

  put(space: number, time: number, key: string, value: Uint8Array): void {
    const end = this.#end + value.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
    }
    this.#bytes.set(value, this.#end);
    this.#add(space, time, key, this.#end, end);
    this.#end = end;
  }

  delete(space: number, time: number, key: string, isCovered: boolean): void {
    this.#add(space, time, key, 0, isCovered ? DELETE_COVERED : DELETE);
  }

  deleteTime(space: number, time: number): void {
    this.#add(space, time, "", 0, DELETE_TIME);
  }

  /** Says all of it to another. */
  writeTo(sink: RowSink): void {
    for (let i = 0; i < this.#count; i++) {
      const space = this.#spaces[i]!, time = this.#times[i]!, end = this.#ends[i]!;
      if (end >= 0) sink.put(space, time, this.#keys[i]!, this.#bytes.subarray(this.#starts[i]!, end));
      else if (end === DELETE_TIME) sink.deleteTime(space, time);
      else sink.delete(space, time, this.#keys[i]!, end === DELETE_COVERED);
    }
  }

  /** Empty again; what it held in memory is kept for the next commit, unless that was much. */
  reset(): void {
    if (this.#bytes.length > 16_777_216) this.#bytes = new Uint8Array(4_096);
    if (this.#count > 262_144) { for (const list of [this.#spaces, this.#times, this.#keys, this.#starts, this.#ends]) list.length = 0; }
    this.#count = 0;
    this.#end = 0;
  }

  #add(space: number, time: number, key: string, start: number, end: number): void {
    const at = this.#count++;
    this.#spaces[at] = space;
    this.#times[at] = time;
    this.#keys[at] = key;
    this.#starts[at] = start;
    this.#ends[at] = end;
  }
}
