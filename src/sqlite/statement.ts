/**
 * A prepared statement. Binding and reading allocate nothing but the results.
 *
 * Each parameter owns a slot of SQLite's memory, and SQLite is told to read the value there (a "static" binding): so a value of the same size as the last needs no call into
 * SQLite at all, its bytes are just replaced. That is allowed only between runs, so binding resets a statement that stands on a row.
 */
import { readUtf8, writeUtf8 } from "../record/utf8.ts";
import type { Statement } from "./database.ts";
import type { Engine, Pointer, ShimExports, SqliteExports } from "./engine.ts";
import { resultCode } from "./result.ts";

/** What a statement needs of its connection. */
export interface StatementOwner {
  readonly engine: Engine;
  readonly shim: ShimExports;
  /** 4 bytes for the length of a column. */
  readonly lengthAt: Pointer;
  /** The error for a result code. */
  failure(code: number, sql: string): Error;
  /** Hears of `finalize`. */
  finalized(statement: Statement): void;
}

const KIND_OTHER = 0, KIND_TEXT = 1, KIND_BLOB = 2;
const TYPE_NULL = 5;
const SLOT_BYTES_MIN = 64;
/** A slot larger than this is given back when a value needs less than a quarter of it. */
const SLOT_BYTES_KEPT = 65_536;
/** Longer text is measured first: in place it would need three bytes a UTF-16 unit. */
const TEXT_IN_PLACE_MAX = 4_096;
/** Shorter blobs are copied by hand. */
const BLOB_BY_HAND_MAX = 24;

const encoder = new TextEncoder();

/** {@linkcode Statement} over `sqlite3_stmt`. */
export class SqliteStatement implements Statement {
  readonly #owner: StatementOwner;
  readonly #engine: Engine;
  readonly #sqlite: SqliteExports;
  readonly #shim: ShimExports;
  readonly #lengthAt: Pointer;
  readonly #sql: string;
  #pointer: Pointer;
  #hasRow = false;
  /** By parameter: where its slot is, how large, what is bound to it and how many bytes of it. */
  readonly #slots: Int32Array;
  readonly #slotBytes: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #boundBytes: Int32Array;

  constructor(owner: StatementOwner, pointer: Pointer, sql: string) {
    this.#owner = owner;
    this.#engine = owner.engine;
    this.#sqlite = owner.engine.sqlite;
    this.#shim = owner.shim;
    this.#lengthAt = owner.lengthAt;
    this.#sql = sql;
    this.#pointer = pointer;
    const count = this.#sqlite.sqlite3_bind_parameter_count(pointer);
    this.#slots = new Int32Array(count);
    this.#slotBytes = new Int32Array(count);
    this.#kinds = new Uint8Array(count);
    this.#boundBytes = new Int32Array(count);
  }

  bindNumber(index: number, value: number): void {
    if (this.#hasRow) this.reset();
    this.#kinds[index] = KIND_OTHER;
    const code = this.#shim.bindNumber(this.#pointer, index + 1, value);
    if (code !== 0) throw this.#owner.failure(code, this.#sql);
  }

  bindText(index: number, value: string): void {
    if (value.length > TEXT_IN_PLACE_MAX) return this.#bindBytes(index, encoder.encode(value), KIND_TEXT);
    if (this.#hasRow) this.reset();
    const at = this.#slot(index, 3 * value.length);
    this.#bind(index, at, writeUtf8(this.#engine.bytes, at, value) - at, KIND_TEXT);
  }

  bindBlob(index: number, bytes: Uint8Array, start: number = 0, end: number = bytes.length): void {
    const length = end - start;
    if (length > BLOB_BY_HAND_MAX) return this.#bindBytes(index, start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), KIND_BLOB);
    if (this.#hasRow) this.reset();
    const at = this.#slot(index, length);
    const memory = this.#engine.bytes;
    for (let i = 0; i < length; i++) memory[at + i] = bytes[start + i]!;
    this.#bind(index, at, length, KIND_BLOB);
  }

  bindNull(index: number): void {
    if (this.#hasRow) this.reset();
    this.#kinds[index] = KIND_OTHER;
    const code = this.#sqlite.sqlite3_bind_null(this.#pointer, index + 1);
    if (code !== 0) throw this.#owner.failure(code, this.#sql);
  }

  step(): boolean {
    const code = this.#shim.step(this.#pointer);
    if (code === resultCode.ROW) return (this.#hasRow = true);
    this.#hasRow = false;
    if (code !== 0) throw this.#owner.failure(code, this.#sql);
    return false;
  }

  run(): void {
    this.#hasRow = false;
    const code = this.#shim.run(this.#pointer);
    if (code !== 0) throw this.#owner.failure(code, this.#sql);
  }

  isNull(column: number): boolean {
    return this.#sqlite.sqlite3_column_type(this.#pointer, column) === TYPE_NULL;
  }

  number(column: number): number {
    return this.#sqlite.sqlite3_column_double(this.#pointer, column);
  }

  text(column: number): string {
    const at = this.#shim.columnText(this.#pointer, column, this.#lengthAt);
    return readUtf8(this.#engine.bytes, at, at + this.#engine.words[this.#lengthAt >> 2]!);
  }

  blob(column: number): Uint8Array {
    const at = this.#shim.columnBlob(this.#pointer, column, this.#lengthAt);
    return this.#engine.bytes.slice(at, at + this.#engine.words[this.#lengthAt >> 2]!);
  }

  blobView(column: number): Uint8Array {
    const at = this.#shim.columnBlob(this.#pointer, column, this.#lengthAt);
    return this.#engine.bytes.subarray(at, at + this.#engine.words[this.#lengthAt >> 2]!);
  }

  reset(): void {
    this.#hasRow = false;
    // The code it returns is that of the step before, which was thrown then.
    this.#sqlite.sqlite3_reset(this.#pointer);
  }

  finalize(): void {
    if (this.#pointer === 0) return;
    this.#sqlite.sqlite3_finalize(this.#pointer);
    this.#pointer = 0;
    for (const slot of this.#slots) this.#sqlite.free(slot);
    this.#slots.fill(0);
    this.#slotBytes.fill(0);
    this.#owner.finalized(this);
  }

  #bindBytes(index: number, bytes: Uint8Array, kind: number): void {
    if (this.#hasRow) this.reset();
    const at = this.#slot(index, bytes.length);
    this.#engine.bytes.set(bytes, at);
    this.#bind(index, at, bytes.length, kind);
  }

  #bind(index: number, at: Pointer, bytes: number, kind: number): void {
    if (this.#kinds[index] === kind && this.#boundBytes[index] === bytes) return;
    const bind = kind === KIND_TEXT ? this.#sqlite.sqlite3_bind_text : this.#sqlite.sqlite3_bind_blob;
    const code = bind(this.#pointer, index + 1, at, bytes, 0);
    if (code !== 0) throw this.#owner.failure(code, this.#sql);
    this.#kinds[index] = kind;
    this.#boundBytes[index] = bytes;
  }

  /** Where the bytes of a parameter go. */
  #slot(index: number, bytes: number): Pointer {
    const now = this.#slotBytes[index];
    if (now !== undefined && bytes <= now && now !== 0 && (now <= SLOT_BYTES_KEPT || bytes >= now / 4)) return this.#slots[index]!;
    return this.#newSlot(index, bytes);
  }

  #newSlot(index: number, bytes: number): Pointer {
    if (this.#pointer === 0 || index < 0 || index >= this.#slots.length) throw this.#owner.failure(resultCode.RANGE, this.#sql);
    const wanted = Math.max(SLOT_BYTES_MIN, bytes <= SLOT_BYTES_KEPT ? 2 ** Math.ceil(Math.log2(bytes + 1)) : bytes);
    // First the binding, then the memory it points to.
    this.#sqlite.sqlite3_bind_null(this.#pointer, index + 1);
    this.#kinds[index] = KIND_OTHER;
    this.#sqlite.free(this.#slots[index]!);
    this.#slotBytes[index] = this.#slots[index] = 0;
    this.#slots[index] = this.#engine.allocate(wanted);
    this.#slotBytes[index] = wanted;
    return this.#slots[index]!;
  }
}
