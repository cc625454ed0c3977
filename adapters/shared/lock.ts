/**
 * The exclusive lock of a path (D7), in two files:
 *
 * - `<path>.millrace-guard` is an empty file on which the operating system holds a lock for as long as the process lives. A killed holder is released by the kernel, so there is no take-over to race
 *   for, no process id that was given anew, and containers that share a directory but not their process ids exclude each other.
 * - `<path>` says who holds it: JSON, mode 0600. It is written and removed only by whoever holds the guard.
 *
 * A POSIX lock is lost when its own process closes any descriptor of the file, for instance by copying the directory. So whoever gets the guard also looks at `<path>`: a holder named there that
 * lives, by process id and start time, is respected.
 */
import * as fs from "node:fs";
import { StoreError } from "../../src/base/errors.ts";
import type { DiskLock, LockHolder } from "../../src/runtime/disk.ts";
import { diskFailure, guarded } from "./disk-failure.ts";
import { isAlive, processIdentity } from "./process-identity.ts";

/** What locks need of a host. */
export interface LockHost {
  /** Takes the operating system's lock on a file, made where missing, waiting at most `waitMs`; null when another holds it. */
  openGuard(path: string, waitMs: number): { close(): void } | null;
  /** For the reader of a lock: program and runtime. */
  readonly description: string;
  /** Whether directories can be synced; not on Windows. */
  readonly syncsDirectories: boolean;
}

/** Where a lock lies: on the machine, and as the user named it. */
export interface LockPlace {
  readonly full: string;
  readonly path: string;
  readonly facts?: Readonly<Record<string, string>>;
}

/** A look at who holds a lock takes the guard for some microseconds; a taker waits them out. */
const GUARD_WAIT_MS = 250;

const VERSION = 1;

const GUARD_SUFFIX = ".millrace-guard";
const DRAFT_SUFFIX = ".millrace-draft";

/** What `<path>` holds. */
interface HolderFile extends LockHolder {
  readonly version: number;
  /** When the holder's process started, in the words of its host; null where the host doesn't say. */
  readonly processStart: string | null;
  /** Which set of process ids `processId` belongs to; null where the host doesn't say. */
  readonly processSpace: string | null;
}

/** Paths held by this process: a second taker inside of it is refused without asking the guard. */
const heldHere = new Set<string>();

/** Leaves the files of locks out of the names in one directory. */
export function withoutLocks<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  const guards = new Set(entries.filter(({ name }) => name.endsWith(GUARD_SUFFIX)).map(({ name }) => name.slice(0, -GUARD_SUFFIX.length)));
  return entries.filter(({ name }) => !guards.has(name) && !name.endsWith(GUARD_SUFFIX) && !name.endsWith(DRAFT_SUFFIX));
}

/** Takes the lock of a path, or throws `DISK_LOCKED`. */
export function takeLock(host: LockHost, place: LockPlace): DiskLock {
  if (heldHere.has(place.full)) throw lockedError(place, readHolderFile(place));
  const guard = guarded("lock", place.path, () => host.openGuard(guardPath(place), GUARD_WAIT_MS));
  if (guard === null) throw lockedError(place, readHolderFile(place));
  try {
    const former = readHolderFile(place);
    if (former !== null && isAlive(former)) throw lockedError(place, former);
    guarded("lock", place.path, () => writeHolderFile(host, place));
  } catch (error) {
    guard.close();
    throw error;
  }
  heldHere.add(place.full);
  return new HeldLock(place, guard);
}

/** Who holds the lock of a path, or null. */
export function readLockHolder(host: LockHost, place: LockPlace): LockHolder | null {
  const holder = readHolderFile(place);
  if (holder === null || (!heldHere.has(place.full) && !isAlive(holder) && isGuardFree(host, place))) return null;
  return { processId: holder.processId, description: holder.description, ...(holder.facts === undefined ? {} : { facts: holder.facts }) };
}

class HeldLock implements DiskLock {
  readonly #place: LockPlace;
  #guard: { close(): void } | null;

  constructor(place: LockPlace, guard: { close(): void }) {
    this.#place = place;
    this.#guard = guard;
  }

  release(): void {
    const guard = this.#guard;
    if (guard === null) return;
    this.#guard = null;
    // First the name, then the guard: the next holder's name must not be removed.
    try {
      guarded("unlock", this.#place.path, () => fs.rmSync(this.#place.full, { force: true }));
    } finally {
      guard.close();
      heldHere.delete(this.#place.full);
    }
  }
}

function guardPath(place: LockPlace): string {
  return place.full + GUARD_SUFFIX;
}

function isGuardFree(host: LockHost, place: LockPlace): boolean {
  if (!fs.existsSync(guardPath(place))) return true;
  const guard = guarded("look at the lock of", place.path, () => host.openGuard(guardPath(place), 0));
  guard?.close();
  return guard !== null;
}

function writeHolderFile(host: LockHost, place: LockPlace): void {
  const holder: HolderFile = {
    version: VERSION,
    ...processIdentity(),
    description: host.description,
    ...(place.facts === undefined ? {} : { facts: place.facts }),
  };
  // By rename, so that nobody reads half of it.
  const draft = place.full + DRAFT_SUFFIX;
  fs.rmSync(draft, { force: true });
  fs.writeFileSync(draft, `${JSON.stringify(holder)}\n`, { mode: 0o600, flag: "wx" });
  fs.renameSync(draft, place.full);
}

function readHolderFile(place: LockPlace): HolderFile | null {
  let text: string;
  try {
    text = fs.readFileSync(place.full, "utf8");
  } catch (cause) {
    if ((cause as { code?: unknown }).code === "ENOENT") return null;
    throw diskFailure("read the lock of", place.path, cause);
  }
  try {
    const parsed = JSON.parse(text) as HolderFile;
    return Number.isSafeInteger(parsed.processId) ? parsed : null;
  } catch {
    // Cut by a loss of power: no process of before that lives.
    return null;
  }
}

function lockedError(place: LockPlace, holder: HolderFile | null): StoreError {
  const who = holder === null ? "another process" : `process ${holder.processId} (${holder.description})`;
  return new StoreError("DISK_LOCKED", `Cannot lock "${place.path}": ${who} holds it`, { details: { path: place.path, processId: holder?.processId ?? null } });
}
