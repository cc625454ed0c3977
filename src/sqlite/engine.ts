/**
 * SQLite's WebAssembly module without the JavaScript of its package: instantiated directly, its C functions called as they are. One instance, with a memory of its own,
 * a database, so that closing one gives everything back and one that runs full harms no other.
 *
 * Views of the memory are made anew when it grows: read `bytes` and `words` off the engine each time, never keep them over a call into SQLite.
 */
import { StoreError } from "../base/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** An address in SQLite's memory; 0 is none. */
export type Pointer = number;

/** The C functions of SQLite that are used, by their names in C. */
export interface SqliteExports {
  readonly __indirect_function_table: WebAssembly.Table;
  readonly __wasm_call_ctors: () => void;
  readonly malloc: (bytes: number) => Pointer;
  readonly realloc: (at: Pointer, bytes: number) => Pointer;
  readonly free: (at: Pointer) => void;
  readonly sqlite3_initialize: () => number;
  readonly sqlite3_vfs_register: (vfs: Pointer, makeDefault: number) => number;
  readonly sqlite3_open_v2: (name: Pointer, database: Pointer, flags: number, vfs: Pointer) => number;
  readonly sqlite3_close_v2: (database: Pointer) => number;
  readonly sqlite3_extended_result_codes: (database: Pointer, on: number) => number;
  readonly sqlite3_file_control: (database: Pointer, schema: Pointer, operation: number, argument: Pointer) => number;
  readonly sqlite3_prepare_v3: (database: Pointer, sql: Pointer, bytes: number, flags: number, statement: Pointer, tail: Pointer) => number;
  readonly sqlite3_step: (statement: Pointer) => number;
  readonly sqlite3_reset: (statement: Pointer) => number;
  readonly sqlite3_finalize: (statement: Pointer) => number;
  readonly sqlite3_bind_parameter_count: (statement: Pointer) => number;
  readonly sqlite3_bind_text: (statement: Pointer, index: number, at: Pointer, bytes: number, destructor: number) => number;
  readonly sqlite3_bind_blob: (statement: Pointer, index: number, at: Pointer, bytes: number, destructor: number) => number;
  readonly sqlite3_bind_null: (statement: Pointer, index: number) => number;
  readonly sqlite3_column_type: (statement: Pointer, column: number) => number;
  readonly sqlite3_column_double: (statement: Pointer, column: number) => number;
  readonly sqlite3_changes: (database: Pointer) => number;
  readonly sqlite3_get_autocommit: (database: Pointer) => number;
  readonly sqlite3_errmsg: (database: Pointer) => Pointer;
  readonly sqlite3_backup_init: (target: Pointer, targetSchema: Pointer, source: Pointer, sourceSchema: Pointer) => Pointer;
  readonly sqlite3_backup_step: (backup: Pointer, pages: number) => number;
  readonly sqlite3_backup_remaining: (backup: Pointer) => number;
  readonly sqlite3_backup_finish: (backup: Pointer) => number;
}

/** What `vfs.wasm` offers besides the methods of the VFS; `scripts/build-vfs-shim.ts` holds its source. */
export interface ShimExports {
  /** Writes the checksum of a page of `bytes` at `page`, all but its last 8 bytes, to `out`. */
  readonly seal: (page: Pointer, bytes: number, seed: number, out: Pointer) => void;
  /** 1 when the 8 bytes at `stored` are that checksum. */
  readonly check: (page: Pointer, bytes: number, seed: number, stored: Pointer) => number;
  /** Steps; resets unless there is a row. Returns 100 for a row, 0 at the end, else the error. */
  readonly step: (statement: Pointer) => number;
  /** Steps to the end and resets; returns the error or 0. */
  readonly run: (statement: Pointer) => number;
  readonly bindNumber: (statement: Pointer, index: number, value: number) => number;
  /** Returns where the bytes are, and writes how many to `length`. */
  readonly columnBlob: (statement: Pointer, column: number, length: Pointer) => Pointer;
  readonly columnText: (statement: Pointer, column: number, length: Pointer) => Pointer;
}

const WASM_PAGE_BYTES = 65_536;
/** What the module asks for at least, and allows at most. */
const MEMORY_PAGES_MIN = 128;
const MEMORY_PAGES_MAX = 32_768;
const ENOSYS = 52;
const MS_PER_SECOND = 1_000;

/** One instance of SQLite. */
export class Engine {
  /** All of the memory. */
  bytes: Uint8Array;
  /** The same, as 32-bit words. */
  words: Int32Array;
  readonly sqlite: SqliteExports;
  readonly #memory: WebAssembly.Memory;
  readonly #encoder: TextEncoder = new TextEncoder();
  readonly #decoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(module: WebAssembly.Module, runtime: Pick<Runtime, "now">, memoryBytesMax: number) {
    const maximum = Math.min(MEMORY_PAGES_MAX, Math.max(MEMORY_PAGES_MIN, Math.floor(memoryBytesMax / WASM_PAGE_BYTES)));
    this.#memory = new WebAssembly.Memory({ initial: MEMORY_PAGES_MIN, maximum });
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Int32Array(this.#memory.buffer);
    const instance = new WebAssembly.Instance(module, this.#imports(module, runtime, maximum));
    this.sqlite = instance.exports as unknown as SqliteExports;
    this.sqlite.__wasm_call_ctors();
    if (this.sqlite.sqlite3_initialize() !== 0) throw new StoreError("SQLITE_FAILED", "Cannot start SQLite: its initialization failed");
  }

  /** Bytes taken from the host. */
  get memoryBytes(): number {
    return this.bytes.length;
  }

  /** Instantiates `vfs.wasm` on the same memory. */
  attach(module: WebAssembly.Module, host: Readonly<Record<string, (...values: number[]) => number>>): WebAssembly.Exports {
    return new WebAssembly.Instance(module, { env: { memory: this.#memory }, host, sqlite: this.sqlite as unknown as WebAssembly.ModuleImports }).exports;
  }

  /** Takes memory; throws `STORE_FULL` when there is none. */
  allocate(bytes: number): Pointer {
    const at = this.sqlite.malloc(bytes);
    if (at === 0) throw this.full();
    return at;
  }

  /** Writes text with a zero at its end to memory that the caller frees. */
  allocateText(text: string): Pointer {
    const encoded = this.#encoder.encode(text);
    const at = this.allocate(encoded.length + 1);
    this.bytes.set(encoded, at);
    this.bytes[at + encoded.length] = 0;
    return at;
  }

  /** Text up to the next zero. */
  textAt(at: Pointer): string {
    return at === 0 ? "" : this.#decoder.decode(this.bytes.subarray(at, this.bytes.indexOf(0, at)));
  }

  /** The error of a memory that cannot grow. */
  full(): StoreError {
    return new StoreError("STORE_FULL", `Cannot get more memory for SQLite: it holds ${this.memoryBytes} bytes already`, {
      details: { memoryBytes: this.memoryBytes },
    });
  }

  #imports(module: WebAssembly.Module, runtime: Pick<Runtime, "now">, pagesMax: number): WebAssembly.Imports {
    const wanted: Record<string, unknown> = {
      memory: this.#memory,
      emscripten_date_now: () => runtime.now(),
      emscripten_get_now: () => runtime.now(),
      emscripten_get_heap_max: () => pagesMax * WASM_PAGE_BYTES,
      emscripten_resize_heap: (bytes: number) => this.#grow(bytes >>> 0, pagesMax),
      clock_time_get: (_clock: number, _precision: bigint, out: Pointer) => this.#writeClock(runtime.now(), out),
      _tzset_js: (timezone: Pointer, daylight: Pointer) => void (this.words[timezone >> 2] = this.words[daylight >> 2] = 0),
      _localtime_js: (seconds: bigint, out: Pointer) => this.#writeTime(Number(seconds), out),
      environ_sizes_get: (count: Pointer, bytes: Pointer) => (this.words[count >> 2] = this.words[bytes >> 2] = 0),
      environ_get: () => 0,
      fd_write: (_file: number, vectors: Pointer, count: number, written: Pointer) => this.#swallow(vectors, count, written),
    };
    const imports: Record<string, Record<string, unknown>> = {};
    // Everything else belongs to SQLite's own Unix VFS, which is never opened.
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      (imports[from] ??= {})[name] = wanted[name] ?? (from === "env" ? () => -ENOSYS : () => ENOSYS);
    }
    return imports as WebAssembly.Imports;
  }

  #grow(bytes: number, pagesMax: number): number {
    const now = this.bytes.length / WASM_PAGE_BYTES;
    const needed = Math.ceil(bytes / WASM_PAGE_BYTES);
    if (needed > pagesMax) return 0;
    // A fifth more than asked for: growing detaches the views and may copy.
    const wanted = Math.min(pagesMax, Math.max(needed, Math.ceil(now * 1.2)));
    try {
      this.#memory.grow(wanted - now);
    } catch {
      return 0;
    }
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Int32Array(this.#memory.buffer);
    return 1;
  }

  #writeClock(ms: number, out: Pointer): number {
    new DataView(this.bytes.buffer).setBigInt64(out, BigInt(ms) * 1_000_000n, true);
    return 0;
  }

  /** `struct tm` in UTC: nothing in a database may depend on where the machine stands. */
  #writeTime(seconds: number, out: Pointer): void {
    const date = new Date(seconds * MS_PER_SECOND);
    const yearStart = Date.UTC(date.getUTCFullYear(), 0, 1);
    const fields = [
      date.getUTCSeconds(),
      date.getUTCMinutes(),
      date.getUTCHours(),
      date.getUTCDate(),
      date.getUTCMonth(),
      date.getUTCFullYear() - 1900,
      date.getUTCDay(),
      Math.floor((date.getTime() - yearStart) / 86_400_000),
      0,
      0,
    ];
    this.words.set(fields, out >> 2);
  }

  /** Standard output and error of C go nowhere; said to be written, or C would try for ever. */
  #swallow(vectors: Pointer, count: number, written: Pointer): number {
    let total = 0;
    for (let i = 0; i < count; i++) total += this.words[(vectors >> 2) + 2 * i + 1]!;
    this.words[written >> 2] = total;
    return 0;
  }
}
