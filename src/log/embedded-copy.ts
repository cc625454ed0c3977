/**
 * Copies of the embedded log's file, made while it works: some pages a turn of the loop, so that records go on meanwhile. One at a time, in a file beside the log's that is removed when the copy
 * is closed, or at the next start.
 */
import { ExternalError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Database, DatabaseCopy } from "../sqlite/database.ts";
import { FLUSH_EVERY_BYTES, removeQuietly } from "./durable-file.ts";
import { closed, named } from "./failure.ts";
import type { LogCopy } from "./log.ts";

/** What copies need of their log. */
export interface EmbeddedCopiesHost {
  readonly name: string;
  readonly runtime: Runtime;
  readonly disk: Disk;
  readonly database: Database;
  /** Of the log's file. */
  readonly path: string;
  /** Fulfils once everything committed is durable. */
  durable(): Promise<void>;
}

/** How long a turn takes pages, how many at most, and how many between two looks at the clock. */
const TURN_MS = 3;
const TURN_PAGES = 1_024;
const STEP_PAGES = 16;
/** A copy that has taken the file so many times over, and this many pages, gets nowhere. */
const TIMES_MAX = 8;
const PAGES_SPARE = 100_000;
const PAGE_BYTES = 4_096;
const RETRY_AFTER_MS = 5_000;

/** Where the copy of a log's file lies. */
export function copyPath(path: string): string {
  return `${path}-backup`;
}

/** The copies of one log. */
export class EmbeddedCopies {
  readonly #host: EmbeddedCopiesHost;
  /** The one that is being made, or was made and is not closed yet. */
  #making: Promise<unknown> | null = null;
  #made: OpenCopy | null = null;
  #isClosed = false;

  constructor(host: EmbeddedCopiesHost) {
    this.#host = host;
  }

  /** Makes a copy. */
  async take(signal: AbortSignal | null): Promise<LogCopy> {
    const { name, path } = this.#host;
    if (this.#making !== null || this.#made !== null) {
      throw new ExternalError("LOG_BUSY", `[${name}] Cannot copy "${path}": another copy is being made, or not read to its end yet`, {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    const making = this.#make(signal);
    this.#making = making.catch(() => {});
    try {
      this.#made = await making;
      return this.#made;
    } catch (thrown) {
      throw named(name, `copy "${path}"`, thrown);
    } finally {
      this.#making = null;
    }
  }

  /** Ends what is under way, and removes its file. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#making;
    this.#made?.close();
  }

  async #make(signal: AbortSignal | null): Promise<OpenCopy> {
    const { disk, database, path } = this.#host;
    const target = copyPath(path);
    const copy = database.copy(target);
    try {
      await this.#fill(copy, signal);
      // What others made of commits that are in it may leave the process with it.
      await Promise.all([copy.flush(), this.#host.durable()]);
      this.#check(signal);
      copy.close();
      return new OpenCopy(disk, target, () => (this.#made = null));
    } catch (thrown) {
      copy.close();
      removeQuietly(disk, target);
      throw thrown;
    }
  }

  async #fill(copy: DatabaseCopy, signal: AbortSignal | null): Promise<void> {
    const { runtime } = this.#host;
    let unflushed = 0, taken = 0, pagesMax = Infinity;
    for (let isDone = false; !isDone;) {
      const until = runtime.monotonic() + TURN_MS;
      let pages = 0, isWaiting = false;
      do {
        const left = copy.pagesLeft;
        isDone = copy.step(STEP_PAGES);
        // Within somebody's transaction there is nothing to take.
        isWaiting = copy.pagesLeft === left;
        pages += STEP_PAGES;
      } while (!isDone && !isWaiting && pages < TURN_PAGES && runtime.monotonic() < until);
      if (isDone) return;
      taken += pages;
      unflushed += pages * PAGE_BYTES;
      if (pagesMax === Infinity) pagesMax = TIMES_MAX * (taken + copy.pagesLeft) + PAGES_SPARE;
      if (taken > pagesMax) throw this.#endless(taken, copy.pagesLeft);
      if (unflushed < FLUSH_EVERY_BYTES) await runtime.yield();
      else {
        await copy.flush();
        unflushed = 0;
      }
      this.#check(signal);
    }
  }

  #check(signal: AbortSignal | null): void {
    const { name, path } = this.#host;
    if (this.#isClosed) throw closed(name, `copy "${path}"`);
    if (signal?.aborted === true) throw new ExternalError("LOG_UNAVAILABLE", `[${name}] Cannot copy "${path}": whoever asked for the copy has gone`);
  }

  #endless(taken: number, left: number): Error {
    const { name, path } = this.#host;
    const message =
      `[${name}] Cannot copy "${path}": ${taken} pages were taken and ${left} are left, for the log grows as fast, or commits are undone again and again; ` +
      "try when it has less to do";
    return new ExternalError("LOG_UNAVAILABLE", message, { retryAfterMs: RETRY_AFTER_MS });
  }
}

/** A copy that is whole. */
class OpenCopy implements LogCopy {
  readonly bytes: number;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #onClose: () => void;
  #isClosed = false;

  constructor(disk: Disk, path: string, onClose: () => void) {
    this.#disk = disk;
    this.#path = path;
    this.#file = disk.open(path, { create: false });
    this.#onClose = onClose;
    this.bytes = this.#file.size();
  }

  read(into: Uint8Array, position: number): number {
    return this.#file.read(into, position);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#file.close();
    removeQuietly(this.#disk, this.#path);
    this.#onClose();
  }
}
