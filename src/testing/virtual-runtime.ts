/**
 * A simulated `Runtime`: clocks that only the caller moves, timers in the order of their time, and everything random from a seed.
 *
 * What no seed can decide (digests, decompression, compiled modules) comes from a host's runtime. Nothing here waits for real time.
 */
import { Random } from "../base/random.ts";
import { ExternalError } from "../base/errors.ts";
import type { Disk } from "../runtime/disk.ts";
import { memoryDisk } from "../runtime/memory-disk.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";

/** Options of {@linkcode virtualRuntime}. */
export interface VirtualRuntimeOptions {
  /** Gives digests, decompression and compiled modules, and turns of the event loop unless `yields` says otherwise. */
  readonly host: Runtime;
  /** Of `randomBytes`. @default 1 */
  readonly seed?: number;
  /** The wall clock at first, ms since the epoch. @default 2026-01-01T00:00:00Z */
  readonly startAt?: number;
  /** The disk of a directory, asked once for each. @default a disk in memory */
  readonly disk?: (directory: string) => Disk;
  /** Who ends a `yield()`: the host's event loop, or the caller by `releaseYields()`. @default "host" */
  readonly yields?: "host" | "caller";
  /** The environment. @default empty */
  readonly env?: Readonly<Record<string, string>>;
}

/** A runtime whose time is the caller's. */
export interface VirtualRuntime extends Runtime {
  /** Moves both clocks on; timers fire in order, each at its moment. */
  advance(ms: number): void;
  /** Moves the wall clock alone, back or forth, as a correction of the system's time does. */
  jump(ms: number): void;
  /** Monotonic ms of the next timer; Infinity when there is none. */
  readonly nextTimerAt: number;
  /** How many callers of `yield()` wait. */
  readonly waitingYields: number;
  /** Lets those go on who wait in `yield()`; returns how many. */
  releaseYields(): number;
  /** What was printed. */
  readonly lines: readonly string[];
}

interface PendingTimer {
  readonly at: number;
  readonly fn: () => void;
}

/** 2026-01-01T00:00:00Z. */
export const VIRTUAL_START_MS = 1_767_225_600_000;

/** Makes a simulated runtime. */
export function virtualRuntime(options: VirtualRuntimeOptions): VirtualRuntime {
  const { host, seed = 1, startAt = VIRTUAL_START_MS, disk = () => memoryDisk(), yields = "host", env = {} } = options;
  const random = new Random(seed);
  const disks = new Map<string, Disk>();
  const lines: string[] = [];
  /** Ascending by time; of equal times, in the order they were set. */
  const timers: PendingTimer[] = [];
  let waiting: (() => void)[] = [];
  let monotonic = 0;
  let wall = startAt;

  function moveTo(at: number): void {
    if (at <= monotonic) return;
    wall += at - monotonic;
    monotonic = at;
  }

  return {
    name: "simulated",
    version: "1",
    capabilities: { keepsFiles: false, listens: false, hasProcess: false, spawns: false },
    now: () => Math.floor(wall),
    monotonic: () => monotonic,
    setTimer: (fn, delayMs): Timer => {
      const timer: PendingTimer = { at: monotonic + Math.max(0, delayMs), fn };
      let index = timers.length;
      while (index > 0 && timers[index - 1]!.at > timer.at) index--;
      timers.splice(index, 0, timer);
      return {
        cancel: () => {
          const found = timers.indexOf(timer);
          if (found >= 0) timers.splice(found, 1);
        },
      };
    },
    yield: () => yields === "host" ? host.yield() : new Promise<void>((resolve) => waiting.push(resolve)),
    randomBytes: (length) => random.fill(new Uint8Array(length)),
    digest: (algorithm, data) => host.digest(algorithm, data),
    hmac: (algorithm, key, data) => host.hmac(algorithm, key, data),
    decompress: (format, data, bytesMax) => host.decompress(format, data, bytesMax),
    env: (name) => Object.hasOwn(env, name) ? env[name] : undefined,
    disk: (directory) => {
      let found = disks.get(directory);
      if (found === undefined) disks.set(directory, found = disk(directory));
      return found;
    },
    wasm: (name) => host.wasm(name),
    serve: () => Promise.reject(new ExternalError("RUNTIME_UNSUPPORTED", "Cannot listen on a simulated runtime: call fetch() with a request")),
    onSignal: () => () => {},
    print: (line) => void lines.push(line),
    advance: (ms) => {
      const until = monotonic + ms;
      for (let next = timers[0]; next !== undefined && next.at <= until; next = timers[0]) {
        timers.shift();
        moveTo(next.at);
        next.fn();
      }
      moveTo(until);
    },
    jump: (ms) => {
      wall += ms;
    },
    get nextTimerAt() {
      return timers[0]?.at ?? Infinity;
    },
    get waitingYields() {
      return waiting.length;
    },
    releaseYields: () => {
      const released = waiting;
      waiting = [];
      for (const resolve of released) resolve();
      return released.length;
    },
    lines,
  };
}
