/** What the tests of the logs share: a clock that stands still, and a disk whose flushes the test ends. */
import { hostRuntime } from "../../../adapters/host/host.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Disk, DiskFile } from "../../../src/runtime/disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";

/** The runtime with a wall clock that moves by `advance` alone. */
export async function testRuntime(): Promise<{ readonly runtime: Runtime; advance(ms: number): void }> {
  let nowMs = Date.UTC(2026, 0, 1);
  const runtime = { ...await hostRuntime(), now: () => nowMs };
  return { runtime, advance: (ms) => void (nowMs += ms) };
}

/** A disk whose flushes can be held back, counted and refused. */
export class HeldDisk implements Disk {
  readonly name = "held";
  readonly #disk: Disk;
  /** Flushes begun. */
  flushes = 0;
  /** What the next flushes fail with. */
  failure: Error | null = null;
  #held: PromiseWithResolvers<void> | null = null;

  constructor(disk: Disk = memoryDisk()) {
    this.#disk = disk;
  }

  /** Flushes begun from now on wait for {@linkcode HeldDisk.release}. */
  hold(): void {
    this.#held ??= Promise.withResolvers<void>();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = null;
  }

  open(path: string, options?: { readonly create?: boolean }): DiskFile {
    const file = this.#disk.open(path, options);
    return {
      read: (into, position) => file.read(into, position),
      write: (from, position) => file.write(from, position),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      sync: () => file.sync(),
      close: () => file.close(),
      flush: async () => {
        this.flushes++;
        await this.#held?.promise;
        if (this.failure !== null) throw this.failure;
        await file.flush();
      },
    };
  }

  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  delete(path: string): void {
    this.#disk.delete(path);
  }

  rename(from: string, to: string): void {
    this.#disk.rename(from, to);
  }

  list(): readonly string[] {
    return this.#disk.list();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): ReturnType<Disk["lock"]> {
    return this.#disk.lock(path, facts);
  }

  lockHolder(path: string): ReturnType<Disk["lockHolder"]> {
    return this.#disk.lockHolder(path);
  }
}

/** What was warned of, message by message. */
export function warnings(): { readonly heard: string[]; readonly onWarning: (message: string) => void } {
  const heard: string[] = [];
  return { heard, onWarning: (message) => void heard.push(message) };
}

/** Lets everything run that waits for nothing but its turn. */
export async function turns(runtime: Runtime, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await runtime.yield();
}
