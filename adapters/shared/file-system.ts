/**
 * The few calls of `node:fs` that the disk makes, as a table: Node, Bun and Deno all have them, and a test can put its own in place to prove the order of operations.
 */
import * as fs from "node:fs";

/** Synchronous file operations by descriptor, and one asynchronous flush. */
export interface FileSystem {
  open(path: string, flags: number, mode: number): number;
  close(descriptor: number): void;
  read(descriptor: number, into: Uint8Array, offset: number, length: number, position: number): number;
  write(descriptor: number, from: Uint8Array, offset: number, length: number, position: number): number;
  truncate(descriptor: number, size: number): void;
  size(descriptor: number): number;
  /** fsync, data and all metadata. */
  sync(descriptor: number): void;
  /** fdatasync: data and what is needed to read it, size included. */
  dataSync(descriptor: number): void;
  /** fdatasync off the thread. */
  dataFlush(descriptor: number, done: (error: Error | null) => void): void;
  /** fsync off the thread. */
  flush(descriptor: number, done: (error: Error | null) => void): void;
  /** Whether there is a file, not a directory. */
  isFile(path: string): boolean;
  /** Makes a directory with its parents; the first one made, or undefined. */
  makeDirectory(path: string): string | undefined;
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Files and directories of a directory; empty where there is none. */
  entries(path: string): readonly { readonly name: string; readonly isDirectory: boolean }[];
}

/** Flags for {@linkcode FileSystem.open}. */
export const openFlags: { readonly read: number; readonly readWrite: number; readonly create: number } = Object.freeze({
  read: fs.constants.O_RDONLY,
  readWrite: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
});

/** The file system of the machine. */
export const machineFileSystem: FileSystem = Object.freeze({
  open: (path: string, flags: number, mode: number) => fs.openSync(path, flags, mode),
  close: (descriptor: number) => fs.closeSync(descriptor),
  read: (descriptor: number, into: Uint8Array, offset: number, length: number, position: number) => fs.readSync(descriptor, into, offset, length, position),
  write: (descriptor: number, from: Uint8Array, offset: number, length: number, position: number) => fs.writeSync(descriptor, from, offset, length, position),
  truncate: (descriptor: number, size: number) => fs.ftruncateSync(descriptor, size),
  size: (descriptor: number) => fs.fstatSync(descriptor).size,
  sync: (descriptor: number) => fs.fsyncSync(descriptor),
  dataSync: (descriptor: number) => fs.fdatasyncSync(descriptor),
  dataFlush: (descriptor: number, done: (error: Error | null) => void) => fs.fdatasync(descriptor, done),
  flush: (descriptor: number, done: (error: Error | null) => void) => fs.fsync(descriptor, done),
  isFile,
  makeDirectory: (path: string) => fs.mkdirSync(path, { recursive: true }),
  remove: (path: string) => fs.rmSync(path, { force: true }),
  rename: (from: string, to: string) => fs.renameSync(from, to),
  entries,
});

function isFile(path: string): boolean {
  try {
    return fs.statSync(path).isFile();
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw cause;
  }
}

function entries(path: string): readonly { readonly name: string; readonly isDirectory: boolean }[] {
  if (!fs.existsSync(path)) return [];
  return fs.readdirSync(path, { withFileTypes: true }).map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }));
}
