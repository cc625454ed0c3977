/**
 * The `Disk` in a Durable Object: files as rows of its SQLite storage, which is synchronous.
 *
 * - A file is cut in chunks of 16 KiB, one row each, so that a page of the SQLite engine (16 KiB there) is one row. The last row has the file's exact end; missing rows and missing ends of
 *   others are zeros. So the size needs no row of its own.
 * - D4 is the platform's: what is written without an await in between becomes durable together, in order, and nothing leaves the object before (its output gate). So `sync()` has nothing to
 *   do, and `flush()` is `storage.sync()`.
 * - D7 too: an object has one instance at a time. Locks are kept in memory, against a second opener in the same object.
 */
import { messageOf, StoreError } from "../../src/base/errors.ts";
import type { Disk, DiskFile, DiskLock, LockHolder } from "../../src/runtime/disk.ts";
import { checkDiskPath } from "../shared/disk-path.ts";
import { DurableFile } from "./durable-file.ts";
import type { DurableStorage, SqlValue } from "./storage.ts";

/** What the disks of one storage share. */
interface Shared {
  readonly files: Map<string, DurableFile>;
  readonly locks: Map<string, LockHolder>;
}

const sharedOf = new WeakMap<DurableStorage, Shared>();

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS millrace_files (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS millrace_chunks (file INTEGER NOT NULL, chunk INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (file, chunk)) WITHOUT ROWID;
`;

/** The files below `directory` in a Durable Object's storage. */
export function durableDisk(storage: DurableStorage, directory = ""): Disk {
  return new DurableDisk(storage, directory);
}

class DurableDisk implements Disk {
  readonly name = "durable-object";
  readonly #storage: DurableStorage;
  readonly #prefix: string;
  readonly #shared: Shared;

  constructor(storage: DurableStorage, directory: string) {
    this.#storage = storage;
    this.#prefix = directory.endsWith("/") ? directory : `${directory}/`;
    let shared = sharedOf.get(storage);
    if (shared === undefined) {
      shared = { files: new Map(), locks: new Map() };
      sharedOf.set(storage, shared);
    }
    this.#shared = shared;
    this.#run("prepare", directory, SCHEMA);
  }

  open(path: string, { create = true }: { readonly create?: boolean } = {}): DiskFile {
    const full = this.#full(path);
    let file = this.#shared.files.get(full);
    if (file === undefined) {
      const id = this.#idOf(path, full) ?? this.#make(path, full, create);
      const opened = new DurableFile({ storage: this.#storage, id, path, run: (...call) => this.#run(...call) }, () => {
        if (this.#shared.files.get(full) === opened) this.#shared.files.delete(full);
      });
      file = opened;
      this.#shared.files.set(full, file);
    }
    return file.handle();
  }

  exists(path: string): boolean {
    return this.#idOf(path, this.#full(path)) !== null;
  }

  delete(path: string): void {
    const full = this.#full(path);
    const id = this.#idOf(path, full);
    if (id === null) return;
    this.#run("delete", path, "DELETE FROM millrace_chunks WHERE file = ?", id);
    this.#run("delete", path, "DELETE FROM millrace_files WHERE id = ?", id);
    this.#shared.files.get(full)?.markDeleted();
    this.#shared.files.delete(full);
  }

  rename(from: string, to: string): void {
    const full = this.#full(from), target = this.#full(to);
    const id = this.#idOf(from, full);
    if (id === null) throw new StoreError("DISK_FAILED", `Cannot rename "${from}": there is no such file`, { details: { path: from } });
    if (full === target) return;
    if (this.#idOf(to, target) === null) this.#refuseFolders(to, target);
    else this.delete(to);
    this.#run("rename", from, "UPDATE millrace_files SET path = ? WHERE id = ?", target, id);
    this.#shared.files.get(full)?.markDeleted();
    this.#shared.files.delete(full);
  }

  list(): readonly string[] {
    const rows = this.#run("list", ".", "SELECT path FROM millrace_files WHERE substr(path, 1, ?) = ?", this.#prefix.length, this.#prefix);
    return rows.map(({ path }) => String(path).slice(this.#prefix.length)).sort();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock {
    const full = this.#full(path);
    const { locks } = this.#shared;
    if (locks.has(full)) {
      throw new StoreError("DISK_LOCKED", `Cannot lock "${path}": this Durable Object holds it already`, { details: { path, processId: 0 } });
    }
    const holder: LockHolder = { processId: 0, description: "this Durable Object", ...(facts === undefined ? {} : { facts }) };
    locks.set(full, holder);
    return {
      release: () => {
        if (locks.get(full) === holder) locks.delete(full);
      },
    };
  }

  lockHolder(path: string): LockHolder | null {
    return this.#shared.locks.get(this.#full(path)) ?? null;
  }

  #full(path: string): string {
    checkDiskPath(path);
    return this.#prefix + path;
  }

  #idOf(path: string, full: string): number | null {
    const [row] = this.#run("look for", path, "SELECT id FROM millrace_files WHERE path = ?", full);
    return row === undefined ? null : Number(row["id"]);
  }

  #make(path: string, full: string, create: boolean): number {
    if (!create) throw new StoreError("DISK_FAILED", `Cannot open "${path}": there is no such file`, { details: { path } });
    this.#refuseFolders(path, full);
    const [row] = this.#run("make", path, "INSERT INTO millrace_files (path) VALUES (?) RETURNING id", full);
    return Number(row?.["id"]);
  }

  /** As in a file system: a file is no folder, and a folder is no file (D8). */
  #refuseFolders(path: string, full: string): void {
    const [below] = this.#run("look below", path, "SELECT path FROM millrace_files WHERE substr(path, 1, ?) = ? LIMIT 1", full.length + 1, `${full}/`);
    if (below !== undefined) throw new StoreError("DISK_FAILED", `Cannot open "${path}": it is a folder`, { details: { path } });
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const above = path.slice(0, end);
      if (this.#idOf(above, this.#prefix + above) !== null) {
        throw new StoreError("DISK_FAILED", `Cannot open "${path}": "${above}" is a file, no folder`, { details: { path } });
      }
    }
  }

  #run(operation: string, path: string, query: string, ...bindings: readonly (SqlValue | Uint8Array)[]): readonly Readonly<Record<string, SqlValue>>[] {
    try {
      return this.#storage.sql.exec(query, ...bindings).toArray();
    } catch (cause) {
      const isFull = messageOf(cause).includes("SQLITE_FULL");
      throw new StoreError(isFull ? "STORE_FULL" : "DISK_FAILED", `Cannot ${operation} "${path}": ${messageOf(cause)}`, {
        cause,
        details: { operation, path },
      });
    }
  }
}
