/**
 * One store of one task: a write-back cache of decoded values in front of its rows, ordered by time.
 *
 * Rows of one time form a bucket. A bucket is *complete* when the cache holds all its rows, so that a missing key needs no look-up: a bucket that the task itself opened is, until
 * something of it is evicted. Nothing reaches the database but through `flush`, inside of the commit.
 */
import { assert } from "../base/assert.ts";
import type { RowSink } from "./changes.ts";
import { type EffectScope, Entry } from "./scope.ts";
import type { StateStorage, StoreSpec } from "./storage.ts";

/** A cached entry costs about this much beside its key and value. */
const ENTRY_BYTES = 160;
/** A decoded value takes about so many times the bytes of its row. */
const DECODED_FACTOR = 4;
const SCAN_ROWS = 512;

class Bucket {
  readonly time: number;
  readonly entries = new Map<string, Entry>();
  /** About how much memory its entries take. */
  bytes = 0;
  isComplete: boolean;
  /** Every row of it is gone: one delete instead of many. */
  isClosed = false;
  /** Some row of it is committed. */
  isStored: boolean;
  /** The last key that `drain` brought in from the database; null: none. */
  scannedKey: string | null = null;
  /** Where `drain` goes on in the cache. */
  cursor: Iterator<Entry> | null = null;
  constructor(time: number, isStored: boolean) {
    this.time = time;
    this.isStored = isStored;
    this.isComplete = !isStored;
  }
}

/** Keyed values of one task, in the order of a time. Plain key-value stores use time 0 throughout. */
export class StateStore {
  readonly spec: StoreSpec;
  readonly #storage: StateStorage;
  readonly #scope: EffectScope;
  readonly #space: number;
  readonly #buckets = new Map<number, Bucket>();
  /** Times that may have entries, ascending. */
  #times: number[];
  #lastBucket: Bucket | null = null;
  #dirty: Entry[] = [];
  #closed: Bucket[] = [];
  #bytes = 0;
  #epoch = 1;
  /** Its rows were brought into another form, and take the place of those that are kept with the next commit. */
  #isMigrated: boolean;

  constructor(storage: StateStorage, scope: EffectScope, spec: StoreSpec, partition: number) {
    this.spec = spec;
    this.#storage = storage;
    this.#scope = scope;
    this.#space = storage.space(spec, partition);
    this.#isMigrated = storage.isAside(this.#space);
    this.#times = storage.times(this.#space);
    for (const time of this.#times) this.#buckets.set(time, new Bucket(time, true));
  }

  /** The number of its rows' space. */
  get space(): number {
    return this.#space;
  }

  /** About how much memory the cache takes. */
  get cachedBytes(): number {
    return this.#bytes;
  }

  /** Its rows are new as a whole: the next commit says all of them. */
  get isMigrated(): boolean {
    return this.#isMigrated;
  }

  /** Entries to write at the next commit; at least one where that is to happen though nothing else does. */
  get dirtyCount(): number {
    return this.#isMigrated ? this.#dirty.length + 1 : this.#dirty.length;
  }

  /** The earliest time with entries; Infinity when empty. */
  get nextTime(): number {
    return this.#times.length === 0 ? Infinity : this.#times[0]!;
  }

  get(time: number, key: string): unknown {
    const entry = this.#find(time, key);
    return entry === null ? undefined : this.#scope.read(entry);
  }

  /** Puts a value; undefined deletes. The value is the store's from here on: don't change it. */
  set(time: number, key: string, value: unknown): void {
    let entry = this.#find(time, key);
    if (entry === null) {
      if (value === undefined) return;
      entry = this.#add(this.#bucket(time), key, undefined, false);
    }
    this.#scope.write(entry, value);
  }

  /** Puts what `fold` makes of the value; one look-up for both. */
  update(time: number, key: string, fold: (value: unknown) => unknown): unknown {
    const scope = this.#scope;
    const entry = this.#find(time, key) ?? this.#add(this.#bucket(time), key, undefined, false);
    const value = fold(scope.read(entry));
    scope.write(entry, value);
    return value;
  }

  /**
   * Visits entries of one time until `visit` returns false or all were visited; true when all were. Each visited entry is removed first: call it to close.
   * Begin each entry's effects in `visit`; the removal itself is not undone.
   */
  drain(time: number, visit: (key: string, value: unknown) => boolean): boolean {
    const bucket = this.#buckets.get(time);
    assert(bucket !== undefined && time === this.#times[0], "only the earliest time is drained");
    for (;;) {
      bucket.cursor ??= bucket.entries.values();
      for (let next = bucket.cursor.next(); !next.done; next = bucket.cursor.next()) {
        const entry = next.value, value = entry.value;
        if (value === undefined) continue;
        this.#remove(entry);
        if (!visit(entry.key, value)) return false;
      }
      bucket.cursor = null;
      if (bucket.isComplete || !this.#loadMore(bucket)) break;
    }
    bucket.isClosed = true;
    this.#closed.push(bucket);
    this.#buckets.delete(time);
    this.#times.shift();
    if (this.#lastBucket === bucket) this.#lastBucket = null;
    return true;
  }

  /** Values of a key: that of time 0, or of up to `limit` times after `after`. For people to look at. */
  near(key: string, after: number, limit: number): (readonly [time: number, value: unknown])[] {
    const found: (readonly [number, unknown])[] = [];
    for (const time of this.#times) {
      if (time !== 0 && time <= after) continue;
      const value = this.get(time, key);
      if (value !== undefined) found.push([time, value]);
      if (found.length === limit) break;
    }
    return found;
  }

  /** All keys and values of time 0. */
  *all(): Iterable<readonly [key: string, value: unknown]> {
    const bucket = this.#buckets.get(0);
    if (bucket === undefined) return;
    while (!bucket.isComplete && this.#loadMore(bucket));
    for (const entry of bucket.entries.values()) {
      const value = this.#scope.read(entry);
      if (value !== undefined) yield [entry.key, value];
    }
  }

  /** Writes what changed. Into the database, which is the default, inside of the commit's transaction. Returns the bytes written. */
  flush(sink: RowSink = this.#storage): number {
    let bytes = 0;
    if (this.#isMigrated && sink === this.#storage) this.#storage.adopt(this.#space);
    for (const bucket of this.#closed) {
      if (bucket.isStored) sink.deleteTime(this.#space, bucket.time);
    }
    for (const entry of this.#dirty) {
      if (entry.value !== undefined) {
        const packed = this.spec.pack(entry.value);
        bytes += packed.length + entry.key.length + 16;
        sink.put(this.#space, entry.time, entry.key, packed);
        const bucket = this.#buckets.get(entry.time);
        if (bucket !== undefined) this.#measure(bucket, entry, packed.length);
      } else if (entry.isStored) sink.delete(this.#space, entry.time, entry.key, !this.#buckets.has(entry.time));
    }
    return bytes;
  }

  /** The commit has happened: what was dirty is clean. */
  committed(): void {
    this.#isMigrated = false;
    for (const entry of this.#dirty) {
      entry.isDirty = false;
      entry.isStored = entry.value !== undefined;
      const bucket = this.#buckets.get(entry.time);
      if (bucket === undefined) continue;
      if (entry.isStored) bucket.isStored = true;
      else if (entry.pins === 0 && bucket.entries.get(entry.key) === entry) this.#forget(bucket, entry);
    }
    this.#dirty.length = 0;
    for (const bucket of this.#closed) this.#bytes -= bucket.bytes;
    this.#closed = [];
    this.#epoch++;
  }

  /** Gives up clean entries that were not used for `epochs` commits. */
  evict(epochs: number): void {
    for (const bucket of this.#buckets.values()) {
      for (const entry of bucket.entries.values()) {
        if (entry.isDirty || entry.pins > 0 || entry.usedEpoch > this.#epoch - epochs) continue;
        this.#forget(bucket, entry);
        if (entry.isStored) bucket.isComplete = false;
        bucket.scannedKey = null;
      }
    }
  }

  #find(time: number, key: string): Entry | null {
    const bucket = this.#lastBucket !== null && this.#lastBucket.time === time ? this.#lastBucket : this.#buckets.get(time);
    if (bucket === undefined) return null;
    this.#lastBucket = bucket;
    const cached = bucket.entries.get(key);
    if (cached !== undefined) {
      cached.usedEpoch = this.#epoch;
      return cached;
    }
    if (bucket.isComplete) return null;
    const bytes = this.#storage.get(this.#space, time, key);
    if (bytes === null) return null;
    const entry = this.#add(bucket, key, this.spec.unpack(bytes), true);
    this.#measure(bucket, entry, bytes.length);
    return entry;
  }

  #bucket(time: number): Bucket {
    let bucket = this.#buckets.get(time);
    if (bucket === undefined) {
      // A bucket that was closed since the last commit may still have rows: they are deleted before anything is written.
      bucket = new Bucket(time, false);
      this.#buckets.set(time, bucket);
      insertSorted(this.#times, time);
    }
    return bucket;
  }

  #add(bucket: Bucket, key: string, value: unknown, isStored: boolean): Entry {
    const entry = new Entry(bucket.time, key, value, isStored, this.#dirty);
    entry.usedEpoch = this.#epoch;
    bucket.entries.set(key, entry);
    this.#grow(bucket, ENTRY_BYTES);
    return entry;
  }

  #remove(entry: Entry): void {
    entry.value = undefined;
    if (!entry.isDirty) {
      entry.isDirty = true;
      this.#dirty.push(entry);
    }
  }

  #forget(bucket: Bucket, entry: Entry): void {
    bucket.entries.delete(entry.key);
    this.#grow(bucket, -ENTRY_BYTES - entry.bytes);
  }

  /** The row of an entry was read or written: its size is known. */
  #measure(bucket: Bucket, entry: Entry, rowBytes: number): void {
    const bytes = DECODED_FACTOR * (rowBytes + entry.key.length);
    this.#grow(bucket, bytes - entry.bytes);
    entry.bytes = bytes;
  }

  #grow(bucket: Bucket, bytes: number): void {
    bucket.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Brings more rows of a bucket into the cache; false when there are none, and then it is complete. */
  #loadMore(bucket: Bucket): boolean {
    const rows = this.#storage.scan(this.#space, bucket.time, bucket.scannedKey, SCAN_ROWS);
    for (const row of rows) {
      bucket.scannedKey = row.key;
      if (!bucket.entries.has(row.key)) this.#measure(bucket, this.#add(bucket, row.key, this.spec.unpack(row.value), true), row.value.length);
    }
    if (rows.length < SCAN_ROWS) bucket.isComplete = true;
    return rows.length > 0;
  }
}

function insertSorted(times: number[], time: number): void {
  let at = times.length;
  while (at > 0 && times[at - 1]! > time) at--;
  times.splice(at, 0, time);
}
