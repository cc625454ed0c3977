/**
 * The effects of one record on state: applied at once and undone when the record fails, or kept aside in an overlay while its handler is under way.
 *
 * One scope a task. Invariant: between two records the cache holds exactly the effects of the records that are done.
 */

/** A cached row of a store. Values are never changed in place: a write puts another value. */
export class Entry {
  readonly time: number;
  readonly key: string;
  /** undefined: there is no row. */
  value: unknown;
  /** Differs, or may differ, from what is committed. */
  isDirty = false;
  /** A committed row exists. */
  isStored: boolean;
  /** The record that saved the old value last. */
  undoSerial = 0;
  /** The commit during which it was used last. */
  usedEpoch = 0;
  /** About what key and value take in memory, as far as it is known: a value is measured when it is written or read. */
  bytes = 0;
  /** Overlays that hold it: such an entry is not evicted. */
  pins = 0;
  /** The list that collects what to write at the commit. */
  readonly dirtyList: Entry[];

  constructor(time: number, key: string, value: unknown, isStored: boolean, dirtyList: Entry[]) {
    this.time = time;
    this.key = key;
    this.value = value;
    this.isStored = isStored;
    this.dirtyList = dirtyList;
  }
}

/** Writes of a record that is not done: seen by itself alone. */
export type Overlay = Map<Entry, unknown>;

/** Undo log and overlay of the record at work. */
export class EffectScope {
  #serial = 1;
  readonly #entries: Entry[] = [];
  readonly #values: unknown[] = [];
  /** How many of them count: cutting an array for every record costs more than the record's writes. */
  #count = 0;
  #overlay: Overlay | null = null;

  /** A record begins: what came before it stays. */
  begin(): void {
    this.#serial++;
    this.#count = 0;
  }

  /** The record at work failed: state is as it was before it. */
  undo(): void {
    for (let i = this.#count - 1; i >= 0; i--) this.#entries[i]!.value = this.#values[i];
    this.begin();
  }

  /** Takes what the record did so far out of the cache into an overlay, for its handler has not finished. */
  detach(): Overlay {
    const overlay: Overlay = new Map();
    for (let i = 0; i < this.#count; i++) {
      const entry = this.#entries[i]!;
      overlay.set(entry, entry.value);
      entry.pins++;
    }
    this.undo();
    return overlay;
  }

  /** From here on reads and writes go through `overlay`; null: to the cache. */
  enter(overlay: Overlay | null): void {
    this.#overlay = overlay;
  }

  /** The handler finished: its writes become the task's, as one step. */
  apply(overlay: Overlay): void {
    this.#overlay = null;
    for (const [entry, value] of overlay) {
      entry.pins--;
      this.write(entry, value);
    }
    overlay.clear();
  }

  /** The handler failed: nothing of it stays. */
  drop(overlay: Overlay): void {
    for (const entry of overlay.keys()) entry.pins--;
    overlay.clear();
  }

  read(entry: Entry): unknown {
    const overlay = this.#overlay;
    return overlay !== null && overlay.has(entry) ? overlay.get(entry) : entry.value;
  }

  write(entry: Entry, value: unknown): void {
    const overlay = this.#overlay;
    if (overlay !== null) {
      if (!overlay.has(entry)) entry.pins++;
      overlay.set(entry, value);
      return;
    }
    if (entry.undoSerial !== this.#serial) {
      entry.undoSerial = this.#serial;
      const at = this.#count++;
      this.#entries[at] = entry;
      this.#values[at] = entry.value;
    }
    entry.value = value;
    if (!entry.isDirty) {
      entry.isDirty = true;
      entry.dirtyList.push(entry);
    }
  }
}
