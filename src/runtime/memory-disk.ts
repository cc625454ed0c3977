/** A `Disk` in memory: for tests, and where nothing has to outlive the process. `sync` and `flush` have nothing to do, and its locks hold within the disk. */
import { StoreError } from "../base/errors.ts";
import type { Disk, DiskFile, DiskLock, LockHolder } from "./disk.ts";

const BYTES_INITIAL = 4_096;

/** The bytes of one file, shared by all its handles. */
interface Content {
  bytes: Uint8Array;
  size: number;
}

/** An empty disk. `name` is `memory`. */
export function memoryDisk(): Disk {
  return new MemoryDisk();
}

class MemoryDisk implements Disk {
  readonly name = "memory";
  readonly #files = new Map<string, Content>();
  readonly #locks = new Map<string, LockHolder>();

  open(path: string, { create = true }: { readonly create?: boolean } = {}): DiskFile {
    checkPath(path);
    let content = this.#files.get(path);
    if (content === undefined) {
      if (!create) throw new StoreError("DISK_FAILED", `Cannot open "${path}": there is no such file`, { details: { path } });
      content = { bytes: new Uint8Array(BYTES_INITIAL), size: 0 };
      this.#files.set(path, content);
    }
    return new MemoryFile(content, path);
  }

  exists(path: string): boolean {
    checkPath(path);
    return this.#files.has(path);
  }

  delete(path: string): void {
    checkPath(path);
    this.#files.delete(path);
  }

  rename(from: string, to: string): void {
    checkPath(from);
    checkPath(to);
    const content = this.#files.get(from);
    if (content === undefined) throw new StoreError("DISK_FAILED", `Cannot rename "${from}": there is no such file`, { details: { path: from } });
    this.#files.delete(from);
    this.#files.set(to, content);
  }

  list(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock {
    checkPath(path);
    const holder = this.#locks.get(path);
    if (holder !== undefined) {
      throw new StoreError("DISK_LOCKED", `Cannot lock "${path}": process ${holder.processId} (${holder.description}) holds it`, { details: { path, holder } });
    }
    const held: LockHolder = { processId: 0, description: "this process, in memory", ...(facts === undefined ? {} : { facts }) };
    this.#locks.set(path, held);
    return {
      release: () => {
        if (this.#locks.get(path) === held) this.#locks.delete(path);
      },
    };
  }

  lockHolder(path: string): LockHolder | null {
    checkPath(path);
    return this.#locks.get(path) ?? null;
  }
}

class MemoryFile implements DiskFile {
  readonly #content: Content;
  readonly #path: string;
  #isClosed = false;

  constructor(content: Content, path: string) {
    this.#content = content;
    this.#path = path;
  }

  read(into: Uint8Array, position: number): number {
    this.#check("read");
    const { bytes, size } = this.#content;
    const count = Math.max(0, Math.min(into.length, size - position));
    if (count > 0) into.set(bytes.subarray(position, position + count));
    return count;
  }

  write(from: Uint8Array, position: number): void {
    this.#check("write");
    this.#resize(Math.max(this.#content.size, position + from.length));
    this.#content.bytes.set(from, position);
  }

  truncate(size: number): void {
    this.#check("truncate");
    this.#resize(size);
  }

  size(): number {
    this.#check("measure");
    return this.#content.size;
  }

  sync(): void {
    this.#check("sync");
  }

  flush(): Promise<void> {
    return this.#isClosed ? Promise.reject(this.#closedError("flush")) : Promise.resolve();
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Bytes beyond the size are always zero. */
  #resize(size: number): void {
    const content = this.#content;
    if (size > content.bytes.length) {
      const grown = new Uint8Array(Math.max(size, 2 * content.bytes.length));
      grown.set(content.bytes.subarray(0, content.size));
      content.bytes = grown;
    }
    if (size < content.size) content.bytes.fill(0, size, content.size);
    content.size = size;
  }

  #check(operation: string): void {
    if (this.#isClosed) throw this.#closedError(operation);
  }

  #closedError(operation: string): StoreError {
    return new StoreError("DISK_FAILED", `Cannot ${operation} "${this.#path}": the file was closed`, { details: { operation, path: this.#path } });
  }
}

/** Refuses what is not a path below the root (D1). */
export function checkPath(path: string): void {
  const isPlain = path.length > 0 && !path.includes("\\") && !path.includes("\0") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!isPlain) {
    throw new StoreError("DISK_FAILED", `Cannot use the path "${path}": wanted names separated by "/", below the disk's root`, { details: { path } });
  }
}
