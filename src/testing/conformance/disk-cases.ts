/** Conformance of a `Disk`: D1–D9 of `src/runtime/disk.ts`. What only real processes or a real loss of power can show is proven elsewhere; see docs/internals/disk.md. */
import { isStreamError } from "../../base/errors.ts";
import type { Disk } from "../../runtime/disk.ts";
import type { Case } from "./cases.ts";
import { check, checkEqual, checkRejects, checkThrows } from "./cases.ts";

/** What a disk case gets. */
export interface DiskSubject {
  /** Empty. */
  readonly disk: Disk;
  /** Another disk over the same files, as a second opener in the same process has it. */
  another(): Disk;
  /** Loses all that is not durable, and what else an implementation likes to lose; the disk after it. Needs the capability `losesPower`. */
  losePower?(): Disk;
}

type DiskCase = Case<DiskSubject>;

const FAILED = "DISK_FAILED";

const badPaths = ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/.", "a\0b", "a\\b"] as const;

const pathCases: readonly DiskCase[] = [
  ...badPaths.map(
    (path): DiskCase => ({
      name: `D1 the path ${JSON.stringify(path)} is refused`,
      async run({ disk }) {
        checkThrows(() => disk.open(path), FAILED, "open");
        checkThrows(() => disk.open(path, { create: false }), FAILED, "open without create");
        checkThrows(() => disk.exists(path), FAILED, "exists");
        checkThrows(() => disk.delete(path), FAILED, "delete");
        checkThrows(() => disk.rename(path, "b"), FAILED, "rename from");
        checkThrows(() => disk.rename("a", path), FAILED, "rename to");
        checkThrows(() => disk.lock(path), FAILED, "lock");
        checkThrows(() => disk.lockHolder(path), FAILED, "lockHolder");
        checkEqual(disk.list(), [], "nothing was made");
      },
    }),
  ),
  {
    name: "D1 plain and nested names are taken, and list() gives them sorted",
    async run({ disk }) {
      const names = ["b", "a/c", "a/b/d", "..a", "a..", "ü b", "B"];
      for (const name of names) disk.open(name).close();
      checkEqual(disk.list(), [...names].sort(), "list()");
      for (const name of names) check(disk.exists(name), `${name} exists`);
      check(!disk.exists("a"), "a folder is no file");
      check(!disk.exists("c/d"), "a name in a missing folder does not exist");
      check(!disk.exists("b/d"), "a name below a file does not exist");
    },
  },
];

const contentCases: readonly DiskCase[] = [
  {
    name: "D2 write() and read() keep bytes at their positions",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(1, 2, 3, 4, 5), 0);
      file.write(bytesOf(9, 8), 2);
      const into = new Uint8Array(3);
      checkEqual(file.read(into, 1), 3, "count");
      checkEqual(into, bytesOf(2, 9, 8), "bytes");
      checkEqual(file.size(), 5, "size");
      file.close();
    },
  },
  {
    name: "D2 write() of a part of a buffer writes that part only",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(0, 1, 2, 3, 4).subarray(1, 3), 0);
      const whole = new Uint8Array(6);
      checkEqual(file.read(whole.subarray(2, 4), 0), 2, "count");
      checkEqual([file.size(), whole], [2, bytesOf(0, 0, 1, 2, 0, 0)], "size and buffer");
      file.close();
    },
  },
  {
    name: "D2 write() past the end fills the gap with zeros",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(7), 0);
      file.write(bytesOf(8), 10_000);
      const into = new Uint8Array(10_001).fill(1);
      checkEqual(file.read(into, 0), 10_001, "count");
      check(into[0] === 7 && into[10_000] === 8, "the ends");
      check(
        into.subarray(1, 10_000).every((byte) => byte === 0),
        "zeros in the gap",
      );
      file.close();
    },
  },
  {
    name: "D2 read() at the end gives fewer bytes and leaves the rest of the buffer",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(1, 2, 3), 0);
      const into = bytesOf(9, 9, 9, 9);
      checkEqual([file.read(into, 1), into], [2, bytesOf(2, 3, 9, 9)], "over the end");
      checkEqual([file.read(into, 3), file.read(into, 1_000_000), into], [0, 0, bytesOf(2, 3, 9, 9)], "behind the end");
      checkEqual(file.read(new Uint8Array(0), 0), 0, "no bytes");
      file.close();
    },
  },
  {
    name: "D2 truncate() cuts, and what it extends is zeros, never what was cut",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(new Uint8Array(9_000).fill(5), 0);
      file.truncate(10);
      checkEqual(file.size(), 10, "cut");
      file.truncate(9_000);
      const into = new Uint8Array(9_000).fill(1);
      checkEqual([file.size(), file.read(into, 0)], [9_000, 9_000], "extended");
      check(
        into.every((byte, index) => byte === (index < 10 ? 5 : 0)),
        "zeros behind the cut",
      );
      file.close();
    },
  },
  {
    name: "D2 a mebibyte is written and read in one call",
    async run({ disk }) {
      const file = disk.open("a");
      const bytes = Uint8Array.from({ length: 1_048_577 }, (_, index) => (index * 31) & 255);
      file.write(bytes, 3);
      const into = new Uint8Array(bytes.length);
      checkEqual([file.read(into, 3), file.size()], [bytes.length, bytes.length + 3], "count and size");
      check(
        into.every((byte, index) => byte === bytes[index]),
        "same bytes",
      );
      file.close();
    },
  },
  {
    name: "D2 random writes, cuts and reads agree with an array",
    async run({ disk }) {
      const file = disk.open("a");
      const next = sequence(20_261);
      let model = new Uint8Array(0);
      for (let step = 0; step < 400; step++) {
        const position = next(20_000);
        if (next(8) === 0) {
          file.truncate(position);
          model = resized(model, position);
        } else {
          const bytes = new Uint8Array(next(9_000)).fill(next(255) + 1);
          file.write(bytes, position);
          if (bytes.length > 0) model = resized(model, Math.max(model.length, position + bytes.length));
          model.set(bytes, bytes.length > 0 ? position : 0);
        }
        const at = next(20_000);
        const into = new Uint8Array(next(9_000));
        const count = file.read(into, at);
        const wanted = model.subarray(at, at + into.length);
        check(count === wanted.length && wanted.every((byte, index) => byte === into[index]), `step ${step}: read ${into.length} at ${at}`);
        checkEqual(file.size(), model.length, `step ${step}: size`);
      }
      file.close();
    },
  },
  {
    name: "D2 a position below 0, or none, is refused",
    async run({ disk }) {
      const file = disk.open("a");
      for (const position of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        checkThrows(() => file.read(new Uint8Array(1), position), FAILED, `read at ${position}`);
        checkThrows(() => file.write(bytesOf(1), position), FAILED, `write at ${position}`);
        checkThrows(() => file.truncate(position), FAILED, `truncate to ${position}`);
      }
      checkEqual(file.size(), 0, "size");
      file.close();
    },
  },
  {
    name: "D3 every handle on a path sees what was written, at once",
    async run({ disk, another }) {
      const first = disk.open("a");
      const second = another().open("a");
      first.write(bytesOf(1, 2, 3), 0);
      checkEqual([second.size(), allOf(second)], [3, bytesOf(1, 2, 3)], "through a handle that was open");
      second.write(bytesOf(9), 1);
      const third = disk.open("a", { create: false });
      checkEqual([allOf(first), allOf(third)], [bytesOf(1, 9, 3), bytesOf(1, 9, 3)], "after the other wrote");
      for (const file of [first, second, third]) file.close();
      checkEqual(readAll(another(), "a"), bytesOf(1, 9, 3), "after all were closed");
    },
  },
  {
    name: "D3 open() keeps what is in the file, also to read it only",
    async run({ disk }) {
      writeAll(disk, "a", bytesOf(1, 2));
      disk.open("a").close();
      checkEqual(readAll(disk, "a"), bytesOf(1, 2), "bytes");
      const file = disk.open("a", { create: false, readOnly: true });
      checkEqual(allOf(file), bytesOf(1, 2), "bytes of one that is read only");
      file.close();
    },
  },
];

const durabilityCases: readonly DiskCase[] = [
  {
    name: "D4 sync() and flush() keep the bytes readable",
    async run({ disk, another }) {
      const file = disk.open("folder/a");
      file.write(bytesOf(1), 0);
      file.sync();
      file.write(bytesOf(2), 1);
      await file.flush();
      checkEqual(readAll(another(), "folder/a"), bytesOf(1, 2), "bytes");
      file.close();
    },
  },
  {
    name: "D4 what was synced, name and size included, survives loss of power",
    needs: "losesPower",
    async run({ disk, losePower }) {
      const synced = disk.open("folder/synced");
      synced.write(bytesOf(1, 2, 3), 5_000);
      synced.sync();
      disk.open("neither").write(bytesOf(9), 0);
      const flushed = disk.open("flushed");
      flushed.write(new Uint8Array(6_000).fill(4), 0);
      flushed.truncate(5_500);
      await flushed.flush();

      const after = losePower?.() ?? disk;
      checkEqual(readAll(after, "folder/synced").subarray(4_999, 5_003), bytesOf(0, 1, 2, 3), "what was synced");
      const bytes = readAll(after, "flushed");
      check(bytes.length === 5_500 && bytes.every((byte) => byte === 4), "what was flushed");
    },
  },
  {
    name: "D5 many flushes under way all fulfil",
    async run({ disk }) {
      const file = disk.open("a");
      const flushes: Promise<void>[] = [];
      for (let index = 0; index < 100; index++) {
        file.write(bytesOf(index), index);
        flushes.push(file.flush());
      }
      await Promise.all(flushes);
      checkEqual(file.size(), 100, "size");
      file.close();
    },
  },
  {
    name: "D5 flushes under way when the file is closed come to an end, and the next file is whole",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(1), 0);
      const flushes = [file.flush(), file.flush()];
      file.close();
      const next = disk.open("b");
      next.write(bytesOf(2), 0);
      await Promise.allSettled(flushes);
      await next.flush();
      checkEqual([allOf(next), readAll(disk, "a")], [bytesOf(2), bytesOf(1)], "both files");
      next.close();
    },
  },
];

const lifeCases: readonly DiskCase[] = [
  {
    name: "D6 delete() of a missing file does nothing",
    async run({ disk }) {
      disk.delete("a");
      disk.delete("folder/a");
      checkEqual(disk.list(), [], "list()");
    },
  },
  {
    name: "D6 a deleted file is gone, and made anew it is empty",
    async run({ disk }) {
      writeAll(disk, "folder/a", bytesOf(1, 2));
      disk.delete("folder/a");
      check(!disk.exists("folder/a"), "gone");
      checkEqual(disk.list(), [], "list()");
      checkThrows(() => disk.open("folder/a", { create: false }), FAILED, "open without create");
      checkEqual(readAll(disk, "folder/a", true), new Uint8Array(0), "made anew");
    },
  },
  {
    name: "D6 an open file that is deleted never shows another file's bytes",
    async run({ disk }) {
      const file = disk.open("a");
      file.write(bytesOf(1, 2, 3), 0);
      disk.delete("a");
      writeAll(disk, "a", bytesOf(7, 7, 7));
      try {
        checkEqual(allOf(file), bytesOf(1, 2, 3), "through the old handle");
        file.write(bytesOf(5), 0);
      } catch (error) {
        check(isStreamError(error) && error.code === FAILED, `the old handle may refuse, by ${FAILED}: ${String(error)}`);
      }
      checkEqual(readAll(disk, "a"), bytesOf(7, 7, 7), "the new file");
      file.close();
    },
  },
  {
    name: "D9 rename() gives a file another name, in another folder too, and in the place of another file",
    async run({ disk, another }) {
      writeAll(disk, "a", bytesOf(1, 2));
      disk.rename("a", "folder/b");
      checkEqual([disk.list(), readAll(another(), "folder/b")], [["folder/b"], bytesOf(1, 2)], "the new name");
      checkThrows(() => disk.open("a", { create: false }), FAILED, "the old name");
      writeAll(disk, "a", bytesOf(9, 9, 9));
      disk.rename("folder/b", "a");
      checkEqual([disk.list(), readAll(another(), "a")], [["a"], bytesOf(1, 2)], "in the place of another");
      writeAll(disk, "folder/b", bytesOf(5));
      checkEqual([readAll(disk, "folder/b"), readAll(disk, "a")], [bytesOf(5), bytesOf(1, 2)], "the old name made anew is another file");
      disk.rename("a", "a");
      checkEqual(readAll(another(), "a"), bytesOf(1, 2), "to its own name");
    },
  },
  {
    name: "D9 rename() of a missing file fails, and leaves what has the new name",
    async run({ disk }) {
      writeAll(disk, "b", bytesOf(1));
      checkThrows(() => disk.rename("a", "b"), FAILED, "missing");
      checkThrows(() => disk.rename("folder/a", "b"), FAILED, "missing folder");
      checkEqual([disk.list(), readAll(disk, "b")], [["b"], bytesOf(1)], "the file with the new name");
    },
  },
  {
    name: "D9 a name that was given survives loss of power, and the former one does not come back",
    needs: "losesPower",
    async run({ disk, losePower }) {
      for (const [path, byte] of [["new", 1], ["old", 2]] as const) {
        const file = disk.open(path);
        file.write(bytesOf(byte), 0);
        file.sync();
        file.close();
      }
      disk.rename("new", "old");

      const after = losePower?.() ?? disk;
      checkEqual([after.list(), readAll(after, "old")], [["old"], bytesOf(1)], "after loss of power");
    },
  },
  {
    name: "D8 open() without create of a missing file fails and makes nothing",
    async run({ disk }) {
      checkThrows(() => disk.open("a", { create: false }), FAILED, "missing");
      checkThrows(() => disk.open("folder/a", { create: false }), FAILED, "missing folder");
      checkEqual(disk.list(), [], "list()");
    },
  },
  {
    name: "D8 a file is no folder, and a folder is no file",
    async run({ disk }) {
      writeAll(disk, "a/b", bytesOf(1));
      checkThrows(() => disk.open("a/b/c"), FAILED, "a file as a folder");
      checkThrows(() => disk.open("a"), FAILED, "a folder as a file");
      checkEqual(disk.list(), ["a/b"], "list()");
    },
  },
  {
    name: "D8 a closed file refuses everything but another close()",
    async run({ disk }) {
      const file = disk.open("a");
      file.close();
      file.close();
      checkThrows(() => file.read(new Uint8Array(1), 0), FAILED, "read");
      checkThrows(() => file.write(bytesOf(1), 0), FAILED, "write");
      checkThrows(() => file.truncate(0), FAILED, "truncate");
      checkThrows(() => file.size(), FAILED, "size");
      checkThrows(() => file.sync(), FAILED, "sync");
      await checkRejects(file.flush(), FAILED, "flush");
    },
  },
];

const lockCases: readonly DiskCase[] = [
  {
    name: "D7 lock() admits one holder, and the next after release()",
    async run({ disk, another }) {
      const lock = disk.lock("folder/a.lock");
      checkThrows(() => disk.lock("folder/a.lock"), "DISK_LOCKED", "the same disk");
      const error = checkThrows(() => another().lock("folder/a.lock"), "DISK_LOCKED", "another disk");
      const processId = disk.lockHolder("folder/a.lock")?.processId ?? 0;
      check(processId === 0 || error.message.includes(String(processId)), `the message names process ${processId}: ${error.message}`);
      lock.release();
      const next = another().lock("folder/a.lock");
      lock.release();
      checkThrows(() => disk.lock("folder/a.lock"), "DISK_LOCKED", "a second release() gives nothing up");
      next.release();
      disk.lock("folder/a.lock").release();
    },
  },
  {
    name: "D7 locks of two paths are two locks",
    async run({ disk }) {
      const first = disk.lock("a.lock");
      const second = disk.lock("b.lock");
      first.release();
      checkThrows(() => disk.lock("b.lock"), "DISK_LOCKED", "the other is still held");
      second.release();
    },
  },
  {
    name: "D7 lockHolder() tells who holds a lock, with the facts, while it is held",
    async run({ disk, another }) {
      checkEqual(disk.lockHolder("a.lock"), null, "before");
      const lock = disk.lock("a.lock", { url: "http://127.0.0.1:1", token: "t" });
      for (const holder of [disk.lockHolder("a.lock"), another().lockHolder("a.lock")]) {
        check(holder !== null && Number.isSafeInteger(holder.processId) && holder.description !== "", "a holder");
        checkEqual(holder.facts, { url: "http://127.0.0.1:1", token: "t" }, "facts");
      }
      lock.release();
      checkEqual([disk.lockHolder("a.lock"), another().lockHolder("a.lock")], [null, null], "after");
    },
  },
  {
    name: "D7 asking for the holder does not disturb the lock",
    async run({ disk, another }) {
      const lock = disk.lock("a.lock");
      for (let index = 0; index < 20; index++) another().lockHolder("a.lock");
      checkThrows(() => another().lock("a.lock"), "DISK_LOCKED", "still held");
      lock.release();
    },
  },
  {
    name: "D7 a lock is no file of the disk",
    async run({ disk }) {
      writeAll(disk, "a", bytesOf(1));
      const lock = disk.lock("a.lock");
      checkEqual(disk.list(), ["a"], "while it is held");
      lock.release();
      checkEqual(disk.list(), ["a"], "after release()");
    },
  },
];

/** The suite. */
export const diskCases: readonly Case<DiskSubject>[] = [...pathCases, ...contentCases, ...durabilityCases, ...lifeCases, ...lockCases];

function bytesOf(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function allOf(file: { size(): number; read(into: Uint8Array, position: number): number }): Uint8Array {
  const into = new Uint8Array(file.size());
  file.read(into, 0);
  return into;
}

function readAll(disk: Disk, path: string, create = false): Uint8Array {
  const file = disk.open(path, { create });
  const bytes = allOf(file);
  file.close();
  return bytes;
}

function writeAll(disk: Disk, path: string, bytes: Uint8Array): void {
  const file = disk.open(path);
  file.write(bytes, 0);
  file.close();
}

function resized(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const next = new Uint8Array(size);
  next.set(bytes.subarray(0, size));
  return next;
}

/** Whole numbers below a limit from a linear congruential generator (Numerical Recipes): the same ones each time. */
function sequence(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
