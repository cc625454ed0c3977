/**
 * D4 and D5 on the machine's disk cannot be seen without cutting the power. What can be proven is the order of the calls that promise it: here with a file system that only notes them, whose
 * flushes end when the test says so.
 */
import { describe, expect, test } from "bun:test";
import { FileDisk } from "../../adapters/shared/file-disk.ts";
import type { FileSystem } from "../../adapters/shared/file-system.ts";
import { FlushQueue } from "../../adapters/shared/flush-queue.ts";

/** Notes calls; files and directories are names only. */
class NotedFileSystem implements FileSystem {
  readonly calls: string[] = [];
  readonly waiting: ((error: Error | null) => void)[] = [];
  readonly #paths = new Map<number, string>();
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();
  failures: Readonly<Record<string, Error>> = {};
  writtenAtOnceMax = Number.POSITIVE_INFINITY;

  constructor(directories: readonly string[]) {
    for (const path of directories) this.#directories.add(path);
  }

  open(path: string): number {
    const descriptor = this.#paths.size + 3;
    this.#paths.set(descriptor, path);
    if (!this.#directories.has(path)) this.#files.add(path);
    return descriptor;
  }
  close(descriptor: number): void {
    if (this.#files.has(this.#pathOf(descriptor))) this.#note("close", descriptor);
  }
  read(): number {
    return 0;
  }
  write(descriptor: number, _from: Uint8Array, _offset: number, length: number): number {
    this.#note("write", descriptor);
    return Math.min(length, this.writtenAtOnceMax);
  }
  truncate(descriptor: number): void {
    this.#note("truncate", descriptor);
  }
  size(): number {
    return 0;
  }
  sync(descriptor: number): void {
    this.#note("fsync", descriptor);
  }
  dataSync(descriptor: number): void {
    this.#note("fdatasync", descriptor);
  }
  dataFlush(descriptor: number, done: (error: Error | null) => void): void {
    this.#note("begin fdatasync", descriptor);
    this.waiting.push(done);
  }
  flush(descriptor: number, done: (error: Error | null) => void): void {
    this.#note("begin fsync", descriptor);
    this.waiting.push(done);
  }
  isFile(path: string): boolean {
    return this.#files.has(path);
  }
  makeDirectory(path: string): string | undefined {
    let first: string | undefined;
    for (let directory = path; !this.#directories.has(directory); directory = directory.slice(0, directory.lastIndexOf("/")) || "/") {
      this.#directories.add(directory);
      first = directory;
    }
    return first;
  }
  remove(path: string): void {
    this.calls.push(`remove ${path}`);
    this.#files.delete(path);
  }
  rename(from: string, to: string): void {
    this.calls.push(`rename ${from} ${to}`);
    this.#files.delete(from);
    this.#files.add(to);
  }
  entries(): readonly { readonly name: string; readonly isDirectory: boolean }[] {
    return [];
  }

  /** Ends the oldest asynchronous call, and lets what waits for it go on. */
  async end(error: Error | null = null): Promise<void> {
    this.waiting.shift()?.(error);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  take(): readonly string[] {
    return this.calls.splice(0);
  }

  #pathOf(descriptor: number): string {
    return this.#paths.get(descriptor) ?? "?";
  }

  #note(call: string, descriptor: number): void {
    this.calls.push(`${call} ${this.#pathOf(descriptor)}`);
    const failure = this.failures[call];
    if (failure !== undefined) throw failure;
  }
}

function noted(directories: readonly string[] = ["/", "/data", "/data/app"]): { fileSystem: NotedFileSystem; disk: FileDisk } {
  const fileSystem = new NotedFileSystem(directories);
  const lockHost = { openGuard: () => null, description: "test", syncsDirectories: true };
  return { fileSystem, disk: new FileDisk({ name: "noted", directory: "/data/app", lockHost, fileSystem }) };
}

const BYTE = Uint8Array.of(1);

describe("FileDisk", () => {
  test("D4 sync() of a new file syncs its data, then its directories up to the one above the root", () => {
    const { fileSystem, disk } = noted();

    const file = disk.open("topic/part/a");
    file.write(BYTE, 0);
    file.sync();
    file.sync();

    expect(fileSystem.take()).toEqual([
      "write /data/app/topic/part/a",
      "fdatasync /data/app/topic/part/a",
      "fsync /data/app/topic/part",
      "fsync /data/app/topic",
      "fsync /data/app",
      "fsync /data",
      "fdatasync /data/app/topic/part/a",
    ]);
  });

  test("D4 sync() syncs each directory that was made above the root", () => {
    const { fileSystem, disk } = noted(["/"]);

    disk.open("a").sync();

    expect(fileSystem.take()).toEqual(["fdatasync /data/app/a", "fsync /data/app", "fsync /data", "fsync /"]);
  });

  test("D4 flush() fulfils only after the data and every directory were flushed", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    let isDone = false;

    const flush = file.flush().then(() => (isDone = true));
    const seen: unknown[] = [];
    for (let step = 0; step < 3; step++) {
      seen.push([...fileSystem.take(), isDone]);
      await fileSystem.end();
    }
    await flush;

    expect(seen).toEqual([
      ["begin fdatasync /data/app/a", false],
      ["begin fsync /data/app", false],
      ["begin fsync /data", false],
    ]);
  });

  test("D4 a file that is deleted and made anew has its directory synced anew, also while the directory is flushed", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    const flush = file.flush();
    await fileSystem.end();
    disk.delete("a");
    const renewed = disk.open("a");
    for (let step = 0; step < 2; step++) await fileSystem.end();
    await flush;
    fileSystem.take();

    renewed.sync();

    expect(fileSystem.take()).toEqual(["fdatasync /data/app/a", "fsync /data/app", "fsync /data"]);
  });

  test("D4 delete() makes the deletion durable", () => {
    const { fileSystem, disk } = noted();
    disk.open("folder/a").close();
    fileSystem.take();

    disk.delete("folder/a");

    expect(fileSystem.take()).toEqual(["remove /data/app/folder/a", "fsync /data/app/folder"]);
  });

  test("D9 rename() makes the new name durable, then that the old one is gone", () => {
    const { fileSystem, disk } = noted();
    disk.open("a").sync();
    fileSystem.take();

    disk.rename("a", "folder/b");
    const renamed = fileSystem.take();
    disk.open("a").sync();

    expect(renamed).toEqual(["rename /data/app/a /data/app/folder/b", "fsync /data/app/folder", "fsync /data/app", "fsync /data", "fsync /data/app"]);
    expect(fileSystem.take()).toEqual(["fdatasync /data/app/a", "fsync /data/app", "fsync /data"]);
  });

  test("D5 calls during a flush share one that starts after it", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    file.sync();
    fileSystem.take();
    const ended: string[] = [];

    const first = file.flush().then(() => ended.push("first"));
    file.write(BYTE, 0);
    const others = [file.flush().then(() => ended.push("second")), file.flush().then(() => ended.push("third"))];
    expect(fileSystem.take()).toEqual(["begin fdatasync /data/app/a", "write /data/app/a"]);

    await fileSystem.end();
    expect([ended.splice(0), fileSystem.take()]).toEqual([["first"], ["begin fdatasync /data/app/a"]]);
    await fileSystem.end();
    await Promise.all([first, ...others]);
    expect([ended, fileSystem.take()]).toEqual([["second", "third"], []]);
  });

  test("D5 after a failed flush the file refuses every flush and sync, also those that waited", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    const first = file.flush();
    const second = file.flush();
    const outcomes = Promise.allSettled([first, second]);

    await fileSystem.end(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));

    expect((await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason?.code)).toEqual(["DISK_FAILED", "DISK_FAILED"]);
    await expect(file.flush()).rejects.toThrow('Cannot flush "a": EIO');
    expect(() => file.sync()).toThrow('Cannot flush "a": EIO');
    expect(fileSystem.take()).toEqual(["begin fdatasync /data/app/a"]);
  });

  test("D5 a failed sync() breaks later flushes", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    fileSystem.failures = { fdatasync: Object.assign(new Error("EIO: i/o error"), { code: "EIO" }) };
    expect(() => file.sync()).toThrow('Cannot sync "a": EIO');
    fileSystem.failures = {};

    await expect(file.flush()).rejects.toThrow('Cannot sync "a": EIO');
  });

  test("D5 close() during a flush keeps the descriptor until the device is done", async () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    const flushes = [file.flush(), file.flush()];
    file.close();

    for (let step = 0; step < 4; step++) await fileSystem.end();
    await Promise.all(flushes);
    await fileSystem.end();

    expect(fileSystem.take()).toEqual([
      "begin fdatasync /data/app/a",
      "begin fsync /data/app",
      "begin fsync /data",
      "begin fdatasync /data/app/a",
      "close /data/app/a",
    ]);
  });

  test("D2 write() goes on when the system took a part only", () => {
    const { fileSystem, disk } = noted();
    const file = disk.open("a");
    fileSystem.writtenAtOnceMax = 3;

    file.write(new Uint8Array(8), 0);

    expect(fileSystem.take()).toEqual(["write /data/app/a", "write /data/app/a", "write /data/app/a"]);
  });

  test("D8 a full disk is STORE_FULL with the platform's error as cause", () => {
    const { fileSystem, disk } = noted();
    const cause = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    fileSystem.failures = { write: cause };
    const file = disk.open("a");

    let thrown: unknown;
    try {
      file.write(BYTE, 0);
    } catch (error) {
      thrown = error;
    }

    expect([(thrown as { code: string }).code, (thrown as Error).cause]).toEqual(["STORE_FULL", cause]);
  });
});

describe("FlushQueue", () => {
  test("D5 flush() never has two flushes of the device under way, and each call gets one that began after it", async () => {
    const ends: (() => void)[] = [];
    let begun = 0;
    const queue = new FlushQueue(() => {
      begun++;
      return new Promise((resolve) => ends.push(resolve));
    });
    const calls: { readonly begunBefore: number; readonly done: Promise<number> }[] = [];

    for (let round = 0; round < 50; round++) {
      for (let call = 0; call <= round % 3; call++) {
        const begunBefore = begun;
        calls.push({ begunBefore, done: queue.flush().then(() => begun) });
      }
      expect(ends.length).toBe(1);
      if (round % 2 === 0) ends.shift()?.();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
    while (ends.length > 0) {
      ends.shift()?.();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }

    for (const { begunBefore, done } of calls) expect(await done).toBeGreaterThan(begunBefore);
    expect(begun).toBeLessThan(calls.length);
  });
});
