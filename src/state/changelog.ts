/**
 * State as records: how rows of a task's stores lie in its changelog, a compacted topic from which the state comes back when a task moves or a disk is lost.
 *
 * A key is `version, kind`, then for a space the store's name, and for a row the length of the store's name (16 bits), the name, the time (float64), the key. The value of a space is its
 * fingerprint, that of a row its bytes, none for a row that is gone. A space comes before its first row. Where it is said again, because its rows were in another changelog meanwhile, all of them
 * are, and what was there before counts no more: compaction may have left some of that and taken the space before it. A space without a value is in another changelog from there on.
 */
import { readInt16, writeInt16 } from "../base/bytes.ts";
import { StoreError } from "../base/errors.ts";
import type { RecordCursor } from "../record/cursor.ts";
import type { BatchEncoder } from "../record/encoder.ts";
import { readUtf8, writeUtf8 } from "../record/utf8.ts";
import type { RowSink } from "./changes.ts";
import type { StateStorage } from "./storage.ts";

const VERSION = 1;
const SPACE = 0;
const ROW = 1;
const NAME_AT = 4;
const TIME_BYTES = 8;

/** Writes rows as records. */
export class ChangelogWriter implements RowSink {
  readonly #encoder: BatchEncoder;
  /** Of a space: the beginning of its rows' keys. */
  readonly #prefixes = new Map<number, Uint8Array>();
  #scratch: Uint8Array = new Uint8Array(512);
  #view: DataView = new DataView(this.#scratch.buffer);
  #space = -1;
  #prefixBytes = 0;
  /** Wall clock of the records, ms. */
  now = 0;

  constructor(encoder: BatchEncoder) {
    this.#encoder = encoder;
  }

  /** Rows of this space are those of a store of this name. */
  name(space: number, store: string): void {
    const prefix = new Uint8Array(NAME_AT + 3 * store.length);
    const end = writeUtf8(prefix, NAME_AT, store);
    prefix[0] = VERSION;
    prefix[1] = ROW;
    writeInt16(prefix, 2, end - NAME_AT);
    this.#prefixes.set(space, prefix.subarray(0, end));
  }

  /** Says what a store is; null: that another changelog has it from here on. */
  space(store: string, fingerprint: string | null): void {
    const key = new Uint8Array(2 + 3 * store.length);
    key[0] = VERSION;
    key[1] = SPACE;
    this.#encoder.append(this.now, key.subarray(0, writeUtf8(key, 2, store)), fingerprint, null);
  }

  put(space: number, time: number, key: string, value: Uint8Array): void {
    this.#encoder.append(this.now, this.#keyOf(space, time, key), value, null);
  }

  delete(space: number, time: number, key: string): void {
    this.#encoder.append(this.now, this.#keyOf(space, time, key), null, null);
  }

  /** Each of its rows is said by itself. */
  deleteTime(): void {}

  #keyOf(space: number, time: number, key: string): Uint8Array {
    if (space !== this.#space) this.#begin(space);
    const at = this.#prefixBytes;
    const room = at + TIME_BYTES + 3 * key.length;
    if (room > this.#scratch.length) this.#grow(room);
    this.#view.setFloat64(at, time);
    return this.#scratch.subarray(0, writeUtf8(this.#scratch, at + TIME_BYTES, key));
  }

  #begin(space: number): void {
    const prefix = this.#prefixes.get(space)!;
    if (prefix.length > this.#scratch.length) this.#grow(prefix.length);
    this.#scratch.set(prefix);
    this.#space = space;
    this.#prefixBytes = prefix.length;
  }

  #grow(room: number): void {
    const grown = new Uint8Array(2 * room);
    grown.set(this.#scratch);
    this.#scratch = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** What a space is that a reader has no use for. */
const NONE = -1;

/** Puts records of one partition of a changelog into the database. */
export class ChangelogReader {
  readonly #storage: StateStorage;
  readonly #topic: string;
  readonly #partition: number;
  readonly #isCurrent: ((topic: string) => boolean) | null;
  readonly #spaces = new Map<string, number>();
  /** Stores whose rows came before what they are. */
  readonly #unknown = new Set<string>();
  /** Stores that are elsewhere by now, but not in this database. */
  readonly #gone = new Set<string>();
  /** The store of the row before, by its bytes: most rows are of the same. */
  #last: Uint8Array = new Uint8Array(0);
  #lastSpace = NONE;

  /** With `isCurrent`, which tells whether an app still writes a changelog, this one is not: stores that are said in another one by now are left out. */
  constructor(storage: StateStorage, topic: string, partition: number, isCurrent: ((topic: string) => boolean) | null = null) {
    this.#storage = storage;
    this.#topic = topic;
    this.#partition = partition;
    this.#isCurrent = isCurrent;
  }

  /** Applies the record at the cursor; inside of a transaction. */
  apply(cursor: RecordCursor): void {
    const { bytes, keyStart, keyEnd } = cursor;
    const kind = keyEnd - keyStart < 2 ? -1 : bytes[keyStart + 1]!;
    if (kind === -1 || bytes[keyStart] !== VERSION || (kind !== SPACE && kind !== ROW)) {
      throw new StoreError(
        "STORE_NEWER",
        `Cannot restore from "${this.#topic}" partition ${this.#partition}: the record at position ${cursor.position} has a format this version does not know, wanted ${VERSION}`,
      );
    }
    if (kind === SPACE) {
      const store = readUtf8(bytes, keyStart + 2, keyEnd);
      this.#unknown.delete(store);
      if (cursor.valueStart < 0) this.#lose(store);
      else if (!this.#isElsewhere(store)) this.#storage.restoreSpace(store, this.#partition, cursor.valueText() ?? "", this.#topic);
      if (cursor.valueStart >= 0) this.#gone.delete(store);
      this.#spaces.clear();
      this.#last = new Uint8Array(0);
      return;
    }
    const nameEnd = keyStart + NAME_AT + (readInt16(bytes, keyStart + 2) & 0xffff);
    const space = this.#spaceOf(bytes, keyStart + NAME_AT, nameEnd);
    if (space === NONE) return;
    const time = new DataView(bytes.buffer, bytes.byteOffset + nameEnd, TIME_BYTES).getFloat64(0);
    const key = readUtf8(bytes, nameEnd + TIME_BYTES, keyEnd);
    if (cursor.valueStart < 0) this.#storage.delete(space, time, key);
    else this.#storage.put(space, time, key, bytes.subarray(cursor.valueStart, cursor.valueEnd));
  }

  /** All was read. Throws where there were rows of stores of which nothing is known, or stores that another changelog has by now. */
  end(): void {
    for (const name of this.#gone) {
      throw new StoreError(
        "STORE_INCOMPATIBLE",
        `Cannot restore from "${this.#topic}" partition ${this.#partition}: another version of the app has taken store "${name}" from it: start that version, or use the directory of a worker that ran it`,
      );
    }
    // Of a changelog that is written no more, compaction may have taken word of what went elsewhere.
    for (const name of this.#isCurrent === null ? this.#unknown : []) {
      throw new StoreError(
        "STORE_CORRUPT",
        `Cannot restore from "${this.#topic}" partition ${this.#partition}: it has rows of store "${name}", but not what that is`,
      );
    }
  }

  /** A store has gone to another changelog: which one, this database knows where it was there. */
  #lose(store: string): void {
    const space = this.#storage.findSpace(store, this.#partition);
    const other = space === null ? null : this.#storage.changelogOf(space);
    if (other !== null && other !== this.#topic) return;
    if (space !== null) this.#storage.forgetSpace(space);
    if (this.#isCurrent === null) this.#gone.add(store);
  }

  #spaceOf(bytes: Uint8Array, start: number, end: number): number {
    const last = this.#last;
    if (last.length === end - start) {
      let i = 0;
      while (i < last.length && last[i] === bytes[start + i]) i++;
      if (i === last.length) return this.#lastSpace;
    }
    const name = readUtf8(bytes, start, end);
    let space = this.#spaces.get(name);
    if (space === undefined) {
      const found = this.#storage.findSpace(name, this.#partition);
      if (found === null) this.#unknown.add(name);
      space = found === null || this.#isElsewhere(name) ? NONE : found;
      this.#spaces.set(name, space);
    }
    this.#last = bytes.slice(start, end);
    return this.#lastSpace = space;
  }

  /** Whether another changelog has the store by now. Throws where nobody can tell which of two has it. */
  #isElsewhere(store: string): boolean {
    if (this.#isCurrent === null) return false;
    const space = this.#storage.findSpace(store, this.#partition);
    const other = space === null ? null : this.#storage.changelogOf(space);
    if (other === null || other === this.#topic) return false;
    if (this.#isCurrent(other)) return true;
    throw new StoreError(
      "STORE_INCOMPATIBLE",
      `Cannot restore partition ${this.#partition} of store "${store}": it is in changelogs "${this.#topic}" and "${other}", of which the app writes neither any more: delete the older one`,
    );
  }
}
