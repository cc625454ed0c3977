/**
 * SQLite's files on a `Disk`: the methods that SQLite calls for its I/O. `docs/internals/sqlite.md` has the argument why flushed commits survive loss of power.
 *
 * - Adjacent writes are joined in one buffer; it reaches the disk before a read that meets it, a sync, a flush, and the end of a commit. A write that the disk refused stays in the
 *   buffer, so nothing SQLite believes written is ever forgotten.
 * - A commit's sync of the WAL reaches the disk, not the device: `flush()` does that, off the thread. All other syncs block, unless nothing was written since the last.
 * - Nothing is thrown into SQLite: errors are kept for the statement that fails by them. After a sync or flush that failed the files are not trusted again.
 */
import { isStreamError, StoreError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Engine, Pointer, ShimExports } from "./engine.ts";
import { PageChecks } from "./page-checks.ts";
import { resultCode } from "./result.ts";
import { WalLayout } from "./wal-layout.ts";

const OPEN_DELETE_ON_CLOSE = 0x8, OPEN_CREATE = 0x4, OPEN_MAIN_DB = 0x100, OPEN_WAL = 0x80000;
/** The sync of a commit; checkpoints sync with 3, because of `checkpoint_fullfsync`. */
const SYNC_NORMAL = 2;
const SYNC_KIND_MASK = 0xf;

const JOURNAL_SUFFIX = "-journal";
const JOIN_BYTES = 256 * 1024;
const METHODS_BYTES = 76, VFS_BYTES = 88, FILE_BYTES = 8, NAME_BYTES_MAX = 512;
const JULIAN_EPOCH_DAYS = 2_440_587.5, MS_PER_DAY = 86_400_000, TWO_32 = 4_294_967_296;

interface OpenFile {
  readonly file: DiskFile;
  readonly path: string;
  readonly kind: "database" | "wal" | "other";
  readonly isDeletedOnClose: boolean;
  /** Writes so far, and how many of them are known to be durable. */
  writes: number;
  durable: number;
}

/** What a {@linkcode Vfs} is made of. */
export interface VfsOptions {
  readonly engine: Engine;
  readonly disk: Disk;
  readonly runtime: Pick<Runtime, "now" | "randomBytes">;
  readonly module: WebAssembly.Module;
  readonly checksums: boolean;
  /** Under which SQLite knows it; the one without a name is the default. */
  readonly name?: string;
}

/** The files of one database. */
export class Vfs {
  readonly shim: ShimExports;
  /** Why the files can't be trusted any more; null while they can. */
  fatal: StoreError | null = null;
  readonly #engine: Engine;
  readonly #disk: Disk;
  readonly #runtime: Pick<Runtime, "now" | "randomBytes">;
  readonly #layout: WalLayout = new WalLayout();
  readonly #checks: PageChecks | null;
  readonly #files: (OpenFile | null)[] = [];
  readonly #methods: Pointer;
  readonly #join: Pointer;
  #error: StoreError | null = null;
  /** Whose bytes wait in the join buffer, from which position on, and how many. */
  #waiting: OpenFile | null = null;
  #waitingStart = 0;
  #waitingBytes = 0;
  /** A commit is complete, and goes to the disk, with the end of the frame that is being written. */
  #isCommitDue = false;
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;

  constructor({ engine, disk, runtime, module, checksums, name }: VfsOptions) {
    this.#engine = engine;
    this.#disk = disk;
    this.#runtime = runtime;
    const exports = engine.attach(module, this.#callbacks());
    this.shim = exports as unknown as ShimExports;
    this.#checks = checksums ? new PageChecks(engine, this.shim, this.#layout) : null;
    this.#join = engine.allocate(JOIN_BYTES);
    this.#methods = engine.allocate(METHODS_BYTES);
    this.#register(exports, name ?? null);
  }

  /** Gives the error that a callback kept, once. */
  takeError(): StoreError | null {
    const error = this.#error;
    this.#error = null;
    return error;
  }

  /** Makes everything written before the call durable, off the thread; calls under way share one flush. */
  flush(): Promise<void> {
    if (this.#running === null) return this.#beginFlush();
    const next = (): Promise<void> => {
      this.#queued = null;
      return this.#beginFlush();
    };
    return (this.#queued ??= this.#running.then(next, next));
  }

  /** Closes what SQLite has left open, writing nothing. */
  dispose(): void {
    this.#waiting = null;
    for (const open of this.#files) open?.file.close();
    this.#files.length = 0;
  }

  #beginFlush(): Promise<void> {
    this.#running = this.#flushOnce().finally(() => (this.#running = null));
    return this.#running;
  }

  async #flushOnce(): Promise<void> {
    if (this.fatal !== null) throw this.fatal;
    this.#writeOut();
    await Promise.all(this.#files.map((open) => (open === null || open.writes === open.durable ? null : this.#flushFile(open))));
    if (this.fatal !== null) throw this.fatal;
  }

  async #flushFile(open: OpenFile): Promise<void> {
    const writes = open.writes;
    try {
      await open.file.flush();
      open.durable = Math.max(open.durable, writes);
    } catch (thrown) {
      throw this.#distrust(thrown, "flush", open.path);
    }
  }

  #callbacks(): Record<string, (...values: number[]) => number> {
    return {
      open: (_vfs, name, file, flags, flagsOut) => this.#open(name!, file!, flags!, flagsOut!),
      delete: (_vfs, name) => this.#delete(name!),
      access: (_vfs, name, _flags, out) => this.#access(name!, out!),
      fullPathname: (_vfs, name, bytes, out) => this.#fullPathname(name!, bytes!, out!),
      randomness: (_vfs, bytes, out) => this.#randomness(bytes!, out!),
      currentTime: (_vfs, out) => this.#currentTime(out!),
      close: (id) => this.#close(id!),
      read: (id, into, bytes, position) => this.#read(this.#files[id!]!, into!, bytes!, position!),
      write: (id, from, bytes, position) => this.#write(this.#files[id!]!, from!, bytes!, position!),
      truncate: (id, size) => this.#truncate(this.#files[id!]!, size!),
      sync: (id, flags) => this.#sync(this.#files[id!]!, flags!),
      fileSize: (id, out) => this.#fileSize(this.#files[id!]!, out!),
    };
  }

  #read(open: OpenFile, into: Pointer, bytes: number, position: number): number {
    try {
      if (this.fatal !== null) return resultCode.IOERR_READ;
      if (this.#waiting === open && position < this.#waitingStart + this.#waitingBytes && position + bytes > this.#waitingStart) this.#writeOut();
      const memory = this.#engine.bytes;
      const got = open.file.read(memory.subarray(into, into + bytes), position);
      if (got < bytes) memory.fill(0, into + got, into + bytes);
      if (open.kind === "wal") this.#layout.learn(this.#engine, into, got, position);
      if (this.#checks !== null && open.kind !== "other") {
        const damage = open.kind === "wal" ? this.#checks.readWal(into, bytes, position, got) : this.#checks.readDatabase(into, bytes, position);
        if (damage !== null) return this.#damaged(open, damage);
      }
      return got < bytes ? resultCode.IOERR_SHORT_READ : 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_READ, "read", open.path);
    }
  }

  #write(open: OpenFile, from: Pointer, bytes: number, position: number): number {
    try {
      if (this.fatal !== null) return resultCode.IOERR_WRITE;
      const isAdjacent = this.#waiting === open && position === this.#waitingStart + this.#waitingBytes && this.#waitingBytes + bytes <= JOIN_BYTES;
      if (!isAdjacent) this.#writeOut();
      open.writes++;
      // Larger than any page, so there is nothing to seal.
      if (bytes > JOIN_BYTES) return this.#writeDirect(open, from, bytes, position);
      if (!isAdjacent) {
        this.#waiting = open;
        this.#waitingStart = position;
        this.#waitingBytes = 0;
      }
      const at = this.#join + this.#waitingBytes;
      this.#engine.bytes.copyWithin(at, from, from + bytes);
      this.#waitingBytes += bytes;
      if (open.kind === "database") this.#checks?.writeDatabase(at, bytes, position);
      else if (open.kind === "wal") return this.#wroteWal(from, bytes, position);
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_WRITE, "write", open.path);
    }
  }

  #writeDirect(open: OpenFile, from: Pointer, bytes: number, position: number): number {
    open.file.write(this.#engine.bytes.subarray(from, from + bytes), position);
    return 0;
  }

  #wroteWal(from: Pointer, bytes: number, position: number): number {
    if (this.#layout.learn(this.#engine, from, bytes, position)) this.#checks?.startWal();
    else this.#checks?.writeWal(from, bytes, position);
    if (this.#isCommitDue && this.#layout.endsAt(position + bytes)) {
      this.#isCommitDue = false;
      this.#writeOut();
    }
    return 0;
  }

  /** Hands the joined writes to the disk. When the disk refuses they stay. */
  #writeOut(): void {
    const open = this.#waiting;
    if (open === null) return;
    open.file.write(this.#engine.bytes.subarray(this.#join, this.#join + this.#waitingBytes), this.#waitingStart);
    this.#waiting = null;
  }

  #sync(open: OpenFile, flags: number): number {
    if (this.fatal !== null) return resultCode.IOERR_FSYNC;
    const isCommit = open.kind === "wal" && (flags & SYNC_KIND_MASK) === SYNC_NORMAL;
    try {
      // SQLite calls this within the frame that pads a commit to a sector: the rest of it still comes, and one write takes both.
      this.#isCommitDue = isCommit && this.#waiting === open && !this.#layout.endsAt(this.#waitingStart + this.#waitingBytes);
      if (!this.#isCommitDue) this.#writeOut();
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_WRITE, "write", open.path);
    }
    if (isCommit) return 0;
    if (open.durable === open.writes) return 0;
    try {
      open.file.sync();
      open.durable = open.writes;
      return 0;
    } catch (thrown) {
      this.#error = this.#distrust(thrown, "sync", open.path);
      return resultCode.IOERR_FSYNC;
    }
  }

  #truncate(open: OpenFile, size: number): number {
    try {
      if (this.fatal !== null) return resultCode.IOERR_TRUNCATE;
      this.#writeOut();
      open.writes++;
      open.file.truncate(size);
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_TRUNCATE, "truncate", open.path);
    }
  }

  #fileSize(open: OpenFile, out: Pointer): number {
    try {
      const waitingEnd = this.#waiting === open ? this.#waitingStart + this.#waitingBytes : 0;
      const size = Math.max(open.file.size(), waitingEnd);
      this.#engine.words[out >> 2] = size % TWO_32 | 0;
      this.#engine.words[(out >> 2) + 1] = Math.floor(size / TWO_32);
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_FSTAT, "measure", open.path);
    }
  }

  #open(name: Pointer, file: Pointer, flags: number, flagsOut: Pointer): number {
    this.#engine.words[file >> 2] = 0;
    // A file without a name would be temporary; those are kept in memory (`temp_store`).
    if (name === 0) return resultCode.CANTOPEN;
    const path = this.#engine.textAt(name);
    try {
      if (this.fatal !== null) return resultCode.CANTOPEN;
      const kind = (flags & OPEN_MAIN_DB) !== 0 ? "database" : (flags & OPEN_WAL) !== 0 ? "wal" : "other";
      const opened = this.#disk.open(path, { create: (flags & OPEN_CREATE) !== 0 });
      // One write is owed from the start: what an earlier process wrote may not be durable either.
      const id = this.#files.push({ file: opened, path, kind, isDeletedOnClose: (flags & OPEN_DELETE_ON_CLOSE) !== 0, writes: 1, durable: 0 }) - 1;
      this.#engine.words[file >> 2] = this.#methods;
      this.#engine.words[(file >> 2) + 1] = id;
      if (flagsOut !== 0) this.#engine.words[flagsOut >> 2] = flags;
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.CANTOPEN, "open", path);
    }
  }

  #close(id: number): number {
    const open = this.#files[id]!;
    this.#files[id] = null;
    try {
      if (this.#waiting === open) {
        if (this.fatal === null) this.#writeOut();
        this.#waiting = null;
      }
      open.file.close();
      if (open.isDeletedOnClose) this.#disk.delete(open.path);
      return 0;
    } catch (thrown) {
      this.#waiting = null;
      open.file.close();
      return this.#keep(thrown, resultCode.IOERR_CLOSE, "close", open.path);
    }
  }

  #delete(name: Pointer): number {
    const path = this.#engine.textAt(name);
    try {
      if (this.fatal !== null) return resultCode.IOERR_DELETE;
      if (path.endsWith(JOURNAL_SUFFIX)) this.#empty(path);
      this.#disk.delete(path);
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_DELETE, "delete", path);
    }
  }

  /** No disk promises that a deletion survives loss of power, and a rollback journal that came back would undo what was committed: an empty one is harmless. */
  #empty(path: string): void {
    if (!this.#disk.exists(path)) return;
    const file = this.#disk.open(path, { create: false });
    try {
      file.truncate(0);
      file.sync();
    } finally {
      file.close();
    }
  }

  #access(name: Pointer, out: Pointer): number {
    const path = this.#engine.textAt(name);
    try {
      this.#engine.words[out >> 2] = this.#disk.exists(path) ? 1 : 0;
      return 0;
    } catch (thrown) {
      return this.#keep(thrown, resultCode.IOERR_ACCESS, "look for", path);
    }
  }

  #fullPathname(name: Pointer, bytes: number, out: Pointer): number {
    const memory = this.#engine.bytes;
    const end = memory.indexOf(0, name);
    if (end - name >= bytes) return resultCode.CANTOPEN;
    memory.copyWithin(out, name, end + 1);
    return 0;
  }

  #randomness(bytes: number, out: Pointer): number {
    this.#engine.bytes.set(this.#runtime.randomBytes(bytes), out);
    return bytes;
  }

  #currentTime(out: Pointer): number {
    new DataView(this.#engine.bytes.buffer).setFloat64(out, this.#runtime.now() / MS_PER_DAY + JULIAN_EPOCH_DAYS, true);
    return 0;
  }

  #keep(thrown: unknown, code: number, operation: string, path: string): number {
    this.#error = asStoreError(thrown, operation, path);
    return this.#error.code === "STORE_FULL" && code === resultCode.IOERR_WRITE ? resultCode.FULL : code;
  }

  #distrust(thrown: unknown, operation: string, path: string): StoreError {
    const cause = asStoreError(thrown, operation, path);
    this.fatal ??= new StoreError(
      cause.code,
      `Cannot use "${path}" any more: a ${operation} of it failed, so what was written may be lost; close and reopen it`,
      {
        cause,
        details: { path, operation },
      },
    );
    return this.fatal;
  }

  #damaged(open: OpenFile, damage: string): number {
    const error = new StoreError("STORE_CORRUPT", `Cannot read "${open.path}": ${damage}`, { details: { path: open.path } });
    this.#error = error;
    // A checkpoint fails without a word, so a damaged WAL has to stop everything.
    if (open.kind === "wal") this.fatal ??= error;
    return resultCode.IOERR_DATA;
  }

  #register(exports: WebAssembly.Exports, givenName: string | null): void {
    const { sqlite } = this.#engine;
    const method = (name: string): number => {
      const at = sqlite.__indirect_function_table.grow(1);
      sqlite.__indirect_function_table.set(at, exports[name] as (...args: never[]) => unknown);
      return at;
    };
    const lock = method("fileLock");
    const methods = [
      1,
      method("fileClose"),
      method("fileRead"),
      method("fileWrite"),
      method("fileTruncate"),
      method("fileSync"),
      method("fileSize"),
      lock,
      lock,
      method("fileCheckReservedLock"),
      method("fileControl"),
      method("fileSectorSize"),
      method("fileCharacteristics"),
      0,
      0,
      0,
      0,
      0,
      0,
    ];
    const name = this.#engine.allocateText(givenName ?? "disk");
    const vfs = this.#engine.allocate(VFS_BYTES);
    const fields = [
      1,
      FILE_BYTES,
      NAME_BYTES_MAX,
      0,
      name,
      0,
      method("open"),
      method("delete"),
      method("access"),
      method("fullPathname"),
      0,
      0,
      0,
      0,
      method("randomness"),
      lock,
      method("currentTime"),
      method("nothing3"),
      0,
      0,
      0,
      0,
    ];
    this.#engine.words.set(methods, this.#methods >> 2);
    this.#engine.words.set(fields, vfs >> 2);
    if (sqlite.sqlite3_vfs_register(vfs, givenName === null ? 1 : 0) !== 0) {
      throw new StoreError("SQLITE_FAILED", "Cannot start SQLite: it refused its file system");
    }
  }
}

function asStoreError(thrown: unknown, operation: string, path: string): StoreError {
  if (isStreamError(thrown) && thrown instanceof StoreError) return thrown;
  return new StoreError("DISK_FAILED", `Cannot ${operation} "${path}": the disk threw`, { cause: thrown, details: { operation, path } });
}
