/**
 * One open file of a `FileDisk`: positioned reads and writes on a descriptor, and shared flushes.
 *
 * A failed sync or flush is remembered: the kernel may have dropped the pages it could not write, so a later flush that succeeds would prove nothing (D5).
 */
import { StoreError } from "../../src/base/errors.ts";
import type { DiskFile } from "../../src/runtime/disk.ts";
import type { EntryKeeper } from "./directory-entries.ts";
import { diskFailure, guarded } from "./disk-failure.ts";
import type { FileSystem } from "./file-system.ts";
import { FlushQueue } from "./flush-queue.ts";

/** What an {@linkcode OpenFile} is made of. */
export interface OpenFileOptions {
  readonly fileSystem: FileSystem;
  readonly descriptor: number;
  /** As the user named it. */
  readonly path: string;
  readonly entries: EntryKeeper;
}

/** An open file. */
export class OpenFile implements DiskFile {
  readonly #fs: FileSystem;
  readonly #descriptor: number;
  readonly #path: string;
  readonly #entries: EntryKeeper;
  readonly #flushes: FlushQueue;
  #isClosed = false;

  constructor({ fileSystem, descriptor, path, entries }: OpenFileOptions) {
    this.#fs = fileSystem;
    this.#descriptor = descriptor;
    this.#path = path;
    this.#entries = entries;
    this.#flushes = new FlushQueue(() => this.#flushOnce());
  }

  read(into: Uint8Array, position: number): number {
    this.#check("read", position);
    try {
      let done = 0;
      while (done < into.length) {
        const count = this.#fs.read(this.#descriptor, into, done, into.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    } catch (cause) {
      throw diskFailure("read", this.#path, cause);
    }
  }

  write(from: Uint8Array, position: number): void {
    this.#check("write", position);
    try {
      for (let done = 0; done < from.length;) done += this.#fs.write(this.#descriptor, from, done, from.length - done, position + done);
    } catch (cause) {
      throw diskFailure("write", this.#path, cause);
    }
  }

  truncate(size: number): void {
    this.#check("truncate", size);
    guarded("truncate", this.#path, () => this.#fs.truncate(this.#descriptor, size));
  }

  size(): number {
    this.#check("measure", 0);
    return guarded("measure", this.#path, () => this.#fs.size(this.#descriptor));
  }

  sync(): void {
    this.#check("sync", 0);
    if (this.#flushes.failure !== null) throw this.#flushes.failure.error;
    try {
      guarded("sync", this.#path, () => {
        this.#fs.dataSync(this.#descriptor);
        this.#entries.sync(this.#path);
      });
    } catch (error) {
      this.#flushes.fail(error);
      throw error;
    }
  }

  flush(): Promise<void> {
    if (this.#isClosed) return Promise.reject(this.#failure("flush", "the file was closed"));
    return this.#flushes.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const close = (): void => guarded("close", this.#path, () => this.#fs.close(this.#descriptor));
    // The descriptor's number would be given to the next file while the device still flushes this one.
    if (this.#flushes.isBusy) void this.#flushes.settled().then(close);
    else close();
  }

  async #flushOnce(): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => this.#fs.dataFlush(this.#descriptor, (error) => (error ? reject(error) : resolve())));
      await this.#entries.flush(this.#path);
    } catch (cause) {
      throw diskFailure("flush", this.#path, cause);
    }
  }

  #check(operation: string, position: number): void {
    if (this.#isClosed) throw this.#failure(operation, "the file was closed");
    // Hosts take a position below 0 as "wherever the last operation ended".
    if (!Number.isSafeInteger(position) || position < 0) throw this.#failure(operation, `${position} is no position; wanted a whole number from 0 on`);
  }

  #failure(operation: string, fault: string): StoreError {
    return new StoreError("DISK_FAILED", `Cannot ${operation} "${this.#path}": ${fault}`, { details: { operation, path: this.#path } });
  }
}
