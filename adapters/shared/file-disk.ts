/**
 * The `Disk` of Node, Bun and Deno: files below one directory, by synchronous reads and writes at positions, and `fdatasync` off the thread.
 *
 * A file's directory entry is made durable by the first sync of the file through this disk (D4), so that opening stays cheap.
 */
import { StoreError } from "../../src/base/errors.ts";
import type { Disk, DiskFile, DiskLock, LockHolder } from "../../src/runtime/disk.ts";
import { diskFailure, guarded } from "./disk-failure.ts";
import { checkDiskPath } from "./disk-path.ts";
import type { FileSystem } from "./file-system.ts";
import { machineFileSystem, openFlags } from "./file-system.ts";
import { FlushQueue } from "./flush-queue.ts";
import type { LockHost } from "./lock.ts";
import { readLockHolder, takeLock } from "./lock.ts";

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
  /** Paths whose directory entry is known to be durable. */
  readonly #durable = new Set<string>();
  /** Directories above the root that were made here, whose entries the first sync must make durable. */
  readonly #madeAbove = new Set<string>();

  constructor({ name, directory, lockHost, fileSystem = machineFileSystem }: FileDiskOptions) {
    this.name = name;
    this.#root = directory;
    this.#fs = fileSystem;
    this.#lockHost = lockHost;
  }

  open(path: string, { create = true }: { readonly create?: boolean } = {}): DiskFile {
    const full = this.#full(path);
    if (create) this.#makeParents(path);
    const descriptor = guarded("open", path, () => this.#fs.open(full, create ? openFlags.create : openFlags.readWrite, FILE_MODE));
    return new OpenFile(this.#fs, descriptor, path, () => this.#makeEntryDurable(path));
  }

  exists(path: string): boolean {
    const full = this.#full(path);
    return guarded("look for", path, () => this.#fs.exists(full));
  }

  delete(path: string): void {
    const full = this.#full(path);
    if (!this.#fs.exists(full)) return;
    guarded("delete", path, () => {
      this.#durable.delete(path);
      this.#fs.remove(full);
      this.#syncDirectory(parentOf(full));
    });
  }

  list(): readonly string[] {
    const names: string[] = [];
    guarded("list", ".", () => {
      if (this.#fs.exists(this.#root)) this.#collect(this.#root, "", names);
    });
    return names.sort();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock {
    const full = this.#full(path);
    this.#makeParents(path);
    return takeLock(this.#lockHost, { full, path, ...(facts === undefined ? {} : { facts }) });
  }

  lockHolder(path: string): LockHolder | null {
    return readLockHolder(this.#lockHost, { full: this.#full(path), path });
  }

  #full(path: string): string {
    checkDiskPath(path);
    return `${this.#root}/${path}`;
  }

  #makeParents(path: string): void {
    guarded("make the directory of", path, () => {
      const directory = parentOf(`${this.#root}/${path}`);
      if (this.#fs.exists(directory)) return;
      const first = this.#fs.makeDirectory(directory);
      if (first !== undefined && this.#root.startsWith(first)) {
        for (let made = this.#root; made.length >= first.length; made = parentOf(made)) this.#madeAbove.add(parentOf(made));
      }
    });
  }

  #makeEntryDurable(path: string): void {
    if (this.#durable.has(path)) return;
    for (let directory = parentOf(`${this.#root}/${path}`); directory.length > this.#root.length; directory = parentOf(directory)) this.#syncDirectory(directory);
    this.#syncDirectory(this.#root);
    // The root may have been made by an earlier process that died before it synced: its own entry is always made durable once.
    this.#madeAbove.add(parentOf(this.#root));
    for (const directory of this.#madeAbove) this.#syncDirectory(directory);
    this.#durable.add(path);
  }

  #syncDirectory(directory: string): void {
    if (!this.#lockHost.syncsDirectories) return;
    const descriptor = this.#fs.open(directory, openFlags.read, 0);
    try {
      this.#fs.sync(descriptor);
    } finally {
      this.#fs.close(descriptor);
    }
  }

  #collect(directory: string, prefix: string, names: string[]): void {
    for (const entry of this.#fs.entries(directory)) {
      if (entry.isDirectory) this.#collect(`${directory}/${entry.name}`, `${prefix}${entry.name}/`, names);
      else names.push(prefix + entry.name);
    }
  }
}

class OpenFile implements DiskFile {
  readonly #fs: FileSystem;
  readonly #descriptor: number;
  readonly #path: string;
  readonly #makeEntryDurable: () => void;
  readonly #flushes: FlushQueue;
  #isClosed = false;

  constructor(fs: FileSystem, descriptor: number, path: string, makeEntryDurable: () => void) {
    this.#fs = fs;
    this.#descriptor = descriptor;
    this.#path = path;
    this.#makeEntryDurable = makeEntryDurable;
    this.#flushes = new FlushQueue(() => this.#flushOnce());
  }

  read(into: Uint8Array, position: number): number {
    this.#check("read");
    return guarded("read", this.#path, () => {
      let done = 0;
      while (done < into.length) {
        const count = this.#fs.read(this.#descriptor, into, done, into.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  }

  write(from: Uint8Array, position: number): void {
    this.#check("write");
    guarded("write", this.#path, () => {
      for (let done = 0; done < from.length; ) done += this.#fs.write(this.#descriptor, from, done, from.length - done, position + done);
    });
  }

  truncate(size: number): void {
    this.#check("truncate");
    guarded("truncate", this.#path, () => this.#fs.truncate(this.#descriptor, size));
  }

  size(): number {
    this.#check("measure");
    return guarded("measure", this.#path, () => this.#fs.size(this.#descriptor));
  }

  sync(): void {
    this.#check("sync");
    if (this.#flushes.failure !== null) throw this.#flushes.failure.error;
    try {
      guarded("sync", this.#path, () => {
        this.#fs.dataSync(this.#descriptor);
        this.#makeEntryDurable();
      });
    } catch (error) {
      this.#flushes.fail(error);
      throw error;
    }
  }

  flush(): Promise<void> {
    if (this.#isClosed) return Promise.reject(this.#closedError("flush"));
    return this.#flushes.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The descriptor's number would be given to the next file while the device still flushes it.
    if (!this.#flushes.isBusy) return guarded("close", this.#path, () => this.#fs.close(this.#descriptor));
    void this.#flushes.settled().then(() => this.#fs.close(this.#descriptor));
  }

  #flushOnce(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#fs.dataFlush(this.#descriptor, (error) => {
        try {
          if (error !== null && error !== undefined) throw error;
          this.#makeEntryDurable();
          resolve();
        } catch (cause) {
          reject(diskFailure("flush", this.#path, cause));
        }
      });
    });
  }

  #check(operation: string): void {
    if (this.#isClosed) throw this.#closedError(operation);
  }

  #closedError(operation: string): StoreError {
    return new StoreError("DISK_FAILED", `Cannot ${operation} "${this.#path}": the file was closed`, { details: { operation, path: this.#path } });
  }
}

function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}
