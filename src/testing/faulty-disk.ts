/**
 * A `Disk` in memory that can fail and lose power, from a seed. It obeys the `Disk` contract as long as nobody asks for a fault.
 *
 * ```ts
 * import { FaultyDisk, Random } from "millrace/testing";
 *
 * const disk = new FaultyDisk({ random: new Random(7), onOperation: ({ operation }) => (operation === "sync" ? "failed" : null) });
 * disk.crash();                       // power is lost: what was not synced is kept, lost or garbage, sector by sector
 * const later = disk.afterCrash();    // the same as a disk of its own; this one goes on
 * disk.kill();                        // the process dies: the system keeps what was written
 * ```
 *
 * After `crash()` or `kill()` every open file and pending flush is dead, locks are free, and the disk can be opened again, as by the next process.
 *
 * @module
 */
import { Random } from "../base/random.ts";
import { messageOf, StoreError } from "../base/errors.ts";
import type { Disk, DiskFile, DiskLock, LockHolder } from "../runtime/disk.ts";
import { checkPath } from "../runtime/memory-disk.ts";
import { FaultyContent } from "./faulty-content.ts";
import type { SectorFates } from "./faulty-content.ts";

/** An operation about to happen. */
export interface DiskOperation {
  readonly operation: "open" | "delete" | "rename" | "read" | "write" | "truncate" | "sync" | "flush" | "size";
  readonly path: string;
  /** First byte, of reads and writes; the new size, of a truncate; else 0. */
  readonly position: number;
  /** Length of reads and writes; else 0. */
  readonly bytes: number;
  /** Operations of this disk before this one. */
  readonly index: number;
}

/**
 * What goes wrong: `failed` (I/O error), `full` (no space), `torn` (a write is done in part, then fails; a truncate just fails). A failed sync or flush drops what it should have
 * made durable, as systems do.
 */
export type DiskFault = "failed" | "full" | "torn";

/** Options of {@linkcode FaultyDisk}. */
export interface FaultyDiskOptions {
  /** Decides the fate of sectors, and where torn writes end. @default a generator with seed 1 */
  readonly random?: Random;
  /** 512 or 4,096. @default 4096 */
  readonly sectorBytes?: number;
  /** @default equal weights */
  readonly fates?: SectorFates;
  /** Hears of each operation before it happens; what it returns goes wrong. It may call `crash()` or `kill()`: then the operation fails too. */
  readonly onOperation?: ((operation: DiskOperation) => DiskFault | null) | null;
  /** What a flush waits for. @default the next microtask */
  readonly flushDelay?: () => Promise<void>;
  /** @default { processId: 1, description: "simulated process" } */
  readonly holder?: LockHolder;
}

const EQUAL_FATES: SectorFates = Object.freeze({ kept: 1, lost: 1, garbage: 1 });
const SECTOR_BYTES = 4_096;

/** A disk with faults and power losses. */
export class FaultyDisk implements Disk {
  readonly name = "faulty";
  /** May be changed at any time; null for none. */
  onOperation: ((operation: DiskOperation) => DiskFault | null) | null;
  /** Operations so far. */
  operations = 0;
  /** Counts crashes and kills; a handle of another epoch is dead. */
  epoch = 0;
  readonly #options: FaultyDiskOptions;
  readonly #random: Random;
  readonly #sectorBytes: number;
  /** Names as the system sees them, and as the device holds them. */
  #names = new Map<string, FaultyContent>();
  #durableNames = new Map<string, FaultyContent>();
  readonly #locks = new Map<string, LockHolder>();

  constructor(options: FaultyDiskOptions = {}) {
    this.#options = options;
    this.#random = options.random ?? new Random(1);
    this.#sectorBytes = options.sectorBytes ?? SECTOR_BYTES;
    this.onOperation = options.onOperation ?? null;
  }

  open(path: string, { create = true }: { readonly create?: boolean } = {}): DiskFile {
    checkPath(path);
    this.begin("open", path);
    let content = this.#names.get(path);
    if (content === undefined) {
      if (!create) throw new StoreError("DISK_FAILED", `Cannot open "${path}": there is no such file`, { details: { path } });
      content = new FaultyContent(this.#sectorBytes);
      this.#names.set(path, content);
    }
    return new FaultyFile(this, content, path);
  }

  exists(path: string): boolean {
    checkPath(path);
    return this.#names.has(path);
  }

  delete(path: string): void {
    checkPath(path);
    this.begin("delete", path);
    this.#names.delete(path);
  }

  rename(from: string, to: string): void {
    checkPath(from);
    checkPath(to);
    this.begin("rename", from);
    const content = this.#names.get(from);
    if (content === undefined) throw failure("DISK_FAILED", "rename", from, "there is no such file");
    const durable = this.#durableNames.get(from);
    this.#names.delete(from);
    this.#durableNames.delete(from);
    this.#names.set(to, content);
    // A name that no sync has covered is covered now, whatever its content.
    this.#durableNames.set(to, durable ?? content);
  }

  list(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): DiskLock {
    checkPath(path);
    const holder = this.#locks.get(path);
    if (holder !== undefined) {
      throw new StoreError("DISK_LOCKED", `Cannot lock "${path}": process ${holder.processId} (${holder.description}) holds it`, { details: { path, holder } });
    }
    const held: LockHolder = { ...(this.#options.holder ?? { processId: 1, description: "simulated process" }), ...(facts === undefined ? {} : { facts }) };
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

  /** Power is lost. */
  crash(): void {
    const after = this.afterCrash();
    this.#names = after.#names;
    this.#durableNames = after.#durableNames;
    this.kill();
  }

  /** The process dies; everything written stays readable, and as durable as it was. */
  kill(): void {
    this.epoch++;
    this.#locks.clear();
  }

  /** A disk as it would be found if power were lost now, without faults of its own. `random` decides; this disk goes on unharmed. */
  afterCrash(random: Random = this.#random): FaultyDisk {
    const { onOperation: _, ...options } = this.#options;
    const after = new FaultyDisk({ ...options, random });
    for (const path of [...new Set([...this.#names.keys(), ...this.#durableNames.keys()])].sort()) {
      const seen = this.#names.get(path), durable = this.#durableNames.get(path);
      // A creation, deletion or both that no sync has covered may have reached the device or not.
      const survivor = seen === durable ? seen : random.pick([seen, durable]);
      if (survivor !== undefined) after.#put(path, survivor.afterPowerLoss(random, this.#options.fates ?? EQUAL_FATES));
    }
    return after;
  }

  /** Another disk with the same files, all durable, and without faults of its own. */
  copy(): FaultyDisk {
    const { onOperation: _, ...options } = this.#options;
    const copy = new FaultyDisk(options);
    for (const [path, content] of this.#names) copy.#put(path, FaultyContent.of(content.bytes(), this.#sectorBytes));
    return copy;
  }

  /** A copy of a file's bytes; null when there is no such file. */
  contents(path: string): Uint8Array | null {
    return this.#names.get(path)?.bytes() ?? null;
  }

  /** Replaces or makes a file, durably; null removes it. */
  replace(path: string, bytes: Uint8Array | null): void {
    if (bytes !== null) return this.#put(path, FaultyContent.of(bytes, this.#sectorBytes));
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }

  /** Flips bits of one byte of a file, behind everybody's back. */
  flipBits(path: string, position: number, mask: number): void {
    this.#names.get(path)?.damage(position, (byte) => byte ^ mask);
  }

  /** Counts an operation and asks for its fault; throws it. Returns true for a torn one. For this disk's files. */
  begin(operation: DiskOperation["operation"], path: string, position = 0, bytes = 0): boolean {
    const epoch = this.epoch;
    const fault = this.onOperation?.({ operation, path, position, bytes, index: this.operations++ }) ?? null;
    if (epoch !== this.epoch) throw failure("DISK_FAILED", operation, path, "the process died here");
    if (fault === "torn" && (operation === "write" || operation === "truncate")) return true;
    if (fault === "full") throw failure("STORE_FULL", operation, path, "no space left (simulated)");
    if (fault !== null) throw failure("DISK_FAILED", operation, path, "input/output error (simulated)");
    return false;
  }

  /** Makes the name of a file durable, if it still has that name. For this disk's files. */
  makeNameDurable(path: string, content: FaultyContent): void {
    if (this.#names.get(path) === content) this.#durableNames.set(path, content);
  }

  /** How much of a torn write is done. For this disk's files. */
  tornLength(bytes: number): number {
    return this.#random.below(bytes);
  }

  /** Fulfils when a flush has taken its time. For this disk's files. */
  flushed(): Promise<void> {
    return this.#options.flushDelay?.() ?? Promise.resolve();
  }

  #put(path: string, content: FaultyContent): void {
    this.#names.set(path, content);
    this.#durableNames.set(path, content);
  }
}

class FaultyFile implements DiskFile {
  readonly #disk: FaultyDisk;
  readonly #content: FaultyContent;
  readonly #path: string;
  readonly #epoch: number;
  #isClosed = false;
  /** A sync that failed once has dropped pages: the file stays broken (D5). */
  #failure: unknown = null;

  constructor(disk: FaultyDisk, content: FaultyContent, path: string) {
    this.#disk = disk;
    this.#content = content;
    this.#path = path;
    this.#epoch = disk.epoch;
  }

  read(into: Uint8Array, position: number): number {
    this.#begin("read", position, into.length);
    return this.#content.read(into, position);
  }

  write(from: Uint8Array, position: number): void {
    if (!this.#begin("write", position, from.length)) return this.#content.write(from, position);
    this.#content.write(from.subarray(0, this.#disk.tornLength(from.length)), position);
    throw failure("STORE_FULL", "write", this.#path, "no space left after a part (simulated)");
  }

  truncate(size: number): void {
    const isTorn = this.#begin("truncate", size, 0);
    if (!isTorn) return this.#content.truncate(size);
    throw failure("DISK_FAILED", "truncate", this.#path, "input/output error (simulated)");
  }

  size(): number {
    this.#begin("size", 0, 0);
    return this.#content.size;
  }

  sync(): void {
    this.#check("sync");
    try {
      this.#disk.begin("sync", this.#path);
    } catch (error) {
      // A process that dies in a sync takes nothing with it.
      if (this.#epoch === this.#disk.epoch) this.#content.dropDirty();
      this.#failure = error;
      throw error;
    }
    this.#content.sync();
    this.#disk.makeNameDurable(this.#path, this.#content);
  }

  async flush(): Promise<void> {
    this.#check("flush");
    const image = this.#content.beginFlush();
    try {
      this.#disk.begin("flush", this.#path);
      await this.#disk.flushed();
      if (this.#epoch !== this.#disk.epoch) throw failure("DISK_FAILED", "flush", this.#path, "the process died meanwhile");
    } catch (error) {
      if (this.#epoch === this.#disk.epoch) this.#content.dropDirty();
      this.#failure = error;
      throw error;
    }
    if (this.#failure !== null) throw this.#failure;
    this.#content.endFlush(image);
    this.#disk.makeNameDurable(this.#path, this.#content);
  }

  close(): void {
    this.#isClosed = true;
  }

  #check(operation: string): void {
    if (this.#isClosed) throw failure("DISK_FAILED", operation, this.#path, "the file was closed");
    if (this.#epoch !== this.#disk.epoch) throw failure("DISK_FAILED", operation, this.#path, "the process died");
    if (this.#failure !== null && (operation === "sync" || operation === "flush")) throw this.#failure;
  }

  #begin(operation: DiskOperation["operation"], position: number, bytes: number): boolean {
    this.#check(operation);
    return this.#disk.begin(operation, this.#path, position, bytes);
  }
}

function failure(code: "DISK_FAILED" | "STORE_FULL", operation: string, path: string, why: string): StoreError {
  const cause = new Error(why);
  return new StoreError(code, `Cannot ${operation} "${path}": ${messageOf(cause)}`, { cause, details: { operation, path } });
}
