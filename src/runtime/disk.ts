/**
 * The `Disk` contract: synchronous files in one place, and an asynchronous flush.
 *
 * Invariants, each proven by the conformance suite on every implementation:
 *
 * - **D1** Paths are plain names or `/`-separated names below the disk's root; `..`, absolute and empty paths are refused with `DISK_FAILED`.
 * - **D2** `write` writes all bytes or throws; a write past the end fills the gap with zeros; `read` returns how many bytes it read, fewer only at the end of the file, and
 *   leaves the rest of the buffer as it was.
 * - **D3** What was written is read back at once, through any handle of this disk on that path.
 * - **D4** After `sync()` returned, or the promise of `flush()` fulfilled, everything written before that call survives loss of power; before, each sector may survive or not.
 *   The file's existence and size are covered too.
 * - **D5** `flush()` does not block the thread while the device works, and many calls under way share one device flush. It rejects when the device refused; such a
 *   file must not be trusted again (an fsync that failed once has dropped pages): close and reopen.
 * - **D6** `delete` of a missing file does nothing; an open file that is deleted stays readable through its handle or throws, never another file's content.
 * - **D7** `lock` admits one live holder a path, over all processes; a holder that died (kill -9 included) is taken over; the error of a second one is
 *   `StoreError` `DISK_LOCKED` and names the other process.
 * - **D8** Every failure is a `StoreError` (`DISK_FAILED`, `STORE_FULL` when space ran out) with the platform's error as cause.
 * - **D9** `rename` is one step, and durable when it returns: at any moment, after loss of power too, the file is found whole under the one name or the other, and what had the new name before is
 *   there until then. It makes no content durable. A missing file is `DISK_FAILED`; handles on either go on with their file or throw.
 *
 * @module
 */

/** An open file. Not shared between threads. */
export interface DiskFile {
  /** Fills `into` from `position` (bytes); returns how many bytes there were. */
  read(into: Uint8Array, position: number): number;
  /** Writes all of `from` at `position` (bytes). */
  write(from: Uint8Array, position: number): void;
  /** Cuts or extends (with zeros) the file to `size` bytes. */
  truncate(size: number): void;
  /** Bytes in the file. */
  size(): number;
  /** Makes what was written durable; blocks. */
  sync(): void;
  /** Makes what was written before the call durable, off the thread. */
  flush(): Promise<void>;
  /** Gives the handle up; a second call does nothing. Does not sync. */
  close(): void;
}

/** A held lock. */
export interface DiskLock {
  /** Gives the lock up; a second call does nothing. */
  release(): void;
}

/** Who holds a lock, as another process reads it. */
export interface LockHolder {
  /** Operating-system process id, or 0 where there is none. */
  readonly processId: number;
  /** For the reader: program, runtime. */
  readonly description: string;
  /** Facts for tools, such as the admin address; the file has mode 0600. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** How a file is opened. */
export interface OpenFileOptions {
  /** Whether a missing file is made. @default true */
  readonly create?: boolean;
  /** It is only read: needs no right to write, where there are such rights. Only without `create`. @default false */
  readonly readOnly?: boolean;
}

/** Files below one root, made on first use. */
export interface Disk {
  /** Short and stable: `node`, `memory`, `simulated`. Never branched on. */
  readonly name: string;
  /** Opens a file; creates it, with its folders, unless `create` is false: then a missing one throws. `readOnly` opens what may not be written, too. */
  open(path: string, options?: OpenFileOptions): DiskFile;
  /** Whether there is such a file. */
  exists(path: string): boolean;
  /** Removes a file; a missing one is no error. */
  delete(path: string): void;
  /** Gives a file another name, with its folders, in the place of the file that has it (D9). */
  rename(from: string, to: string): void;
  /** Names of the files below the root, with `/`, sorted. */
  list(): readonly string[];
  /** Takes the exclusive lock of `path`. */
  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock;
  /** Who holds the lock of `path` now; null when nobody alive does. */
  lockHolder(path: string): LockHolder | null;
}
