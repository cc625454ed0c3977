/**
 * Makes the names of files durable (D4): `fdatasync` of a file says nothing about the directory that names it.
 *
 * The first sync of each path syncs every directory from the file's up to the root, the one above the root (an earlier process may have made the root and died before it synced), and those above
 * that were made here. Later syncs of the path find it done. The directory above a root that was there may not be ours to open: then whoever made the root vouches for its name.
 */
import type { FileSystem } from "./file-system.ts";
import { openFlags } from "./file-system.ts";

/** Options of {@linkcode EntryKeeper}. */
export interface EntryKeeperOptions {
  /** Absolute, with `/`. */
  readonly root: string;
  readonly fileSystem: FileSystem;
  /** False where directories cannot be synced. */
  readonly syncsDirectories: boolean;
}

/** Knows which paths have a durable name. */
export class EntryKeeper {
  readonly #root: string;
  readonly #fs: FileSystem;
  readonly #syncsDirectories: boolean;
  readonly #durable = new Set<string>();
  /** Grows with each {@linkcode EntryKeeper.forget}, so that a flush under way does not vouch for a file that was made meanwhile. */
  readonly #epochs = new Map<string, number>();
  /** The highest directory made here; everything between it and the root was made too. */
  #highest: string;
  #isRootOurs = false;

  constructor({ root, fileSystem, syncsDirectories }: EntryKeeperOptions) {
    this.#root = root;
    this.#fs = fileSystem;
    this.#syncsDirectories = syncsDirectories;
    this.#highest = root;
  }

  /** A directory was made, and those below it down to a file's. */
  madeDirectory(path: string): void {
    if (path.length <= this.#root.length) this.#isRootOurs = true;
    if (path.length < this.#highest.length) this.#highest = path;
  }

  /** The file of a path was deleted, or is about to be made anew. */
  forget(path: string): void {
    this.#durable.delete(path);
    this.#epochs.set(path, this.#epochOf(path) + 1);
  }

  /** Makes the name of a path durable; blocks. */
  sync(path: string): void {
    if (this.#durable.has(path)) return;
    for (const directory of this.#above(path)) this.#syncDirectory(directory);
    this.#durable.add(path);
  }

  /** Makes the name of a path durable, off the thread. */
  async flush(path: string): Promise<void> {
    if (this.#durable.has(path)) return;
    const epoch = this.#epochOf(path);
    for (const directory of this.#above(path)) await this.#flushDirectory(directory);
    if (this.#epochOf(path) === epoch) this.#durable.add(path);
  }

  /** Makes a deletion durable; blocks. */
  syncParent(path: string): void {
    if (this.#syncsDirectories) this.#syncDirectory(parentOf(`${this.#root}/${path}`));
  }

  #epochOf(path: string): number {
    return this.#epochs.get(path) ?? 0;
  }

  #above(path: string): readonly string[] {
    if (!this.#syncsDirectories) return [];
    const last = parentOf(this.#highest);
    const directories: string[] = [];
    let directory = `${this.#root}/${path}`;
    do {
      directory = parentOf(directory);
      directories.push(directory);
    } while (directory.length > last.length);
    return directories;
  }

  #openDirectory(directory: string): number | null {
    try {
      return this.#fs.open(directory, openFlags.read, 0);
    } catch (cause) {
      if (!this.#isRootOurs && directory === parentOf(this.#root)) return null;
      throw cause;
    }
  }

  #syncDirectory(directory: string): void {
    const descriptor = this.#openDirectory(directory);
    if (descriptor === null) return;
    try {
      this.#fs.sync(descriptor);
    } finally {
      this.#fs.close(descriptor);
    }
  }

  async #flushDirectory(directory: string): Promise<void> {
    const descriptor = this.#openDirectory(directory);
    if (descriptor === null) return;
    try {
      await new Promise<void>((resolve, reject) => this.#fs.flush(descriptor, (error) => (error ? reject(error) : resolve())));
    } finally {
      this.#fs.close(descriptor);
    }
  }
}

/** The directory of a path with `/`. */
export function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}
