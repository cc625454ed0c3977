/**
 * The `Disk` of Node, Bun and Deno: files below one directory, by synchronous reads and writes at positions, and `fdatasync` off the thread.
 *
 * Opening a file makes nothing durable: the first sync or flush of the file through this disk also syncs the directories above it (D4).
 */
import type { Disk, DiskFile, DiskLock, LockHolder, OpenFileOptions } from "../../src/runtime/disk.ts";
import { guarded } from "./disk-failure.ts";
import { checkDiskPath } from "./disk-path.ts";
import type { FileSystem } from "./file-system.ts";
import { machineFileSystem, openFlags } from "./file-system.ts";
import { EntryKeeper, parentOf } from "./directory-entries.ts";
import { OpenFile } from "./open-file.ts";
import type { LockHost } from "./lock.ts";
import { readLockHolder, takeLock, withoutLocks } from "./lock.ts";

/** How a {@linkcode FileDisk} is built. */
export interface FileDiskOptions {
  readonly name: string;
  /** Absolute path of the root directory; made on first use. */
  readonly directory: string;
  readonly lockHost: LockHost;
  /** @default the machine's */
  readonly fileSystem?: FileSystem;
}

const FILE_MODE = 0o600;

/** Files below one directory. */
export class FileDisk implements Disk {
  readonly name: string;
  readonly #root: string;
  readonly #fs: FileSystem;
  readonly #lockHost: LockHost;
  readonly #entries: EntryKeeper;

  constructor({ name, directory, lockHost, fileSystem = machineFileSystem }: FileDiskOptions) {
    this.name = name;
    this.#root = directory;
    this.#fs = fileSystem;
    this.#lockHost = lockHost;
    this.#entries = new EntryKeeper({ root: directory, fileSystem, syncsDirectories: lockHost.syncsDirectories });
  }

  open(path: string, { create = true, readOnly = false }: OpenFileOptions = {}): DiskFile {
    const full = this.#full(path);
    const descriptor = guarded("open", path, () => {
      if (!create) return this.#fs.open(full, readOnly ? openFlags.read : openFlags.readWrite, FILE_MODE);
      if (!this.#fs.isFile(full)) {
        this.#entries.forget(path);
        this.#makeParents(full);
      }
      return this.#fs.open(full, openFlags.create, FILE_MODE);
    });
    return new OpenFile({ fileSystem: this.#fs, descriptor, path, entries: this.#entries });
  }

  exists(path: string): boolean {
    const full = this.#full(path);
    return guarded("look for", path, () => this.#fs.isFile(full));
  }

  delete(path: string): void {
    const full = this.#full(path);
    guarded("delete", path, () => {
      if (!this.#fs.isFile(full)) return;
      this.#entries.forget(path);
      this.#fs.remove(full);
      // A journal that comes back after loss of power would undo what was committed after its deletion.
      this.#entries.syncParent(path);
    });
  }

  rename(from: string, to: string): void {
    const source = this.#full(from), target = this.#full(to);
    guarded("rename", from, () => {
      if (!this.#fs.isFile(source)) throw new Error("there is no such file");
      this.#makeParents(target);
      this.#entries.forget(from);
      this.#entries.forget(to);
      this.#fs.rename(source, target);
      this.#entries.sync(to);
      this.#entries.syncParent(from);
    });
  }

  list(): readonly string[] {
    const names: string[] = [];
    guarded("list", this.#root, () => this.#collect(this.#root, "", names));
    return names.sort();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock {
    const full = this.#full(path);
    guarded("lock", path, () => this.#makeParents(full));
    return takeLock(this.#lockHost, { full, path, ...(facts === undefined ? {} : { facts }) });
  }

  lockHolder(path: string): LockHolder | null {
    return readLockHolder(this.#lockHost, { full: this.#full(path), path });
  }

  #full(path: string): string {
    checkDiskPath(path);
    return `${this.#root}/${path}`;
  }

  #makeParents(full: string): void {
    const made = this.#fs.makeDirectory(parentOf(full));
    if (made !== undefined) this.#entries.madeDirectory(made);
  }

  #collect(directory: string, prefix: string, names: string[]): void {
    for (const entry of withoutLocks(this.#fs.entries(directory))) {
      if (entry.isDirectory) this.#collect(`${directory}/${entry.name}`, `${prefix}${entry.name}/`, names);
      else names.push(prefix + entry.name);
    }
  }
}
