import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/base/random.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
/** The values of the sectors of a file: a number where all bytes are alike, else null. */
function sectors(disk: FaultyDisk, sectorBytes = 512): readonly (number | null)[] {
  const contents = disk.contents("a")!;
  return Array.from({ length: contents.length / sectorBytes }, (_, at) => {
    const sector = contents.subarray(at * sectorBytes, (at + 1) * sectorBytes);
    return sector.every((byte) => byte === sector[0]) ? sector[0]! : null;
  });
}

describe("FaultyDisk", () => {
  test("crash() keeps what was synced, and each sector of the rest is kept, lost or garbage on its own", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const disk = new FaultyDisk({ sectorBytes: 512, random: new Random(seed) });
      const file = disk.open("a");
      file.write(bytes(2_048, 1), 0);
      file.sync();
      file.write(bytes(1_024, 2), 1_024);
      disk.crash();
      seen.add(sectors(disk).map((value) => value ?? "x").join(""));
    }

    expect([...seen].sort()).toEqual(["1111", "1112", "111x", "1121", "1122", "112x", "11x1", "11x2", "11xx"]);
  });

  test("crash() may undo or keep a creation, a deletion and a size that no sync covered", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = new FaultyDisk({ sectorBytes: 512, random: new Random(seed), fates: { kept: 1, lost: 0, garbage: 0 } });
      const old = disk.open("old");
      old.write(bytes(10, 1), 0);
      old.sync();
      disk.delete("old");
      const sized = disk.open("sized");
      sized.sync();
      sized.truncate(2);
      disk.open("new");
      disk.crash();
      seen.add(`${disk.list().join()} ${disk.contents("sized")!.length}`);
    }

    const names = ["new,old,sized", "new,sized", "old,sized", "sized"];
    expect([...seen].sort()).toEqual(names.flatMap((name) => [`${name} 0`, `${name} 1`, `${name} 2`]));
  });

  test("flush() makes durable what was written before it, not what was written meanwhile", async () => {
    let finish = (): void => undefined;
    const disk = new FaultyDisk({ sectorBytes: 512, fates: { kept: 0, lost: 1, garbage: 0 }, flushDelay: () => new Promise((resolve) => (finish = resolve)) });
    const file = disk.open("a");
    file.write(bytes(1_024, 1), 0);
    const flushed = file.flush();
    file.write(bytes(512, 2), 512);
    const before = disk.afterCrash();
    finish();
    await flushed;

    expect(before.contents("a")?.length ?? 0).toBe(0);
    expect(sectors(disk)).toEqual([1, 2]);
    expect(sectors(disk.afterCrash())).toEqual([1, 1]);
  });

  test("a flush that ends after a later sync takes nothing of it back", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const disk = new FaultyDisk({ sectorBytes: 512, flushDelay: () => promise });
    const file = disk.open("a");
    file.write(bytes(512, 1), 0);
    const flushed = file.flush();
    file.write(bytes(1_024, 2), 0);
    file.sync();
    resolve();
    await flushed;
    disk.crash();

    expect(sectors(disk)).toEqual([2, 2]);
  });

  test("a failed sync drops what was written: later syncs of the file fail, and of another handle do not bring it back", () => {
    const disk = new FaultyDisk({ sectorBytes: 512, fates: { kept: 0, lost: 1, garbage: 0 } });
    const file = disk.open("a");
    file.sync();
    file.write(bytes(512, 1), 0);
    disk.onOperation = ({ operation }) => (operation === "sync" ? "failed" : null);
    expect(() => file.sync()).toThrow(/input\/output error/);
    disk.onOperation = null;

    expect(() => file.sync()).toThrow(/input\/output error/);
    disk.open("a").sync();
    expect(sectors(disk)).toEqual([1]);
    expect(sectors(disk.afterCrash())).toEqual([0]);
  });

  test("a process killed within a sync takes nothing with it: a later sync makes durable what it wrote", () => {
    const disk = new FaultyDisk({ sectorBytes: 512 });
    const file = disk.open("a");
    file.write(bytes(512, 1), 0);
    disk.onOperation = ({ operation }) => {
      if (operation === "sync") disk.kill();
      return null;
    };
    expect(() => file.sync()).toThrow("the process died");

    disk.onOperation = null;
    disk.open("a").sync();
    disk.crash();

    expect(sectors(disk)).toEqual([1]);
  });

  test("a torn write is done in part", () => {
    const disk = new FaultyDisk({ random: new Random(4) });
    const file = disk.open("a");
    disk.onOperation = () => "torn";
    expect(() => file.write(bytes(100, 1), 0)).toThrow(/no space left after a part/);

    expect(disk.contents("a")!.length).toBeGreaterThan(0);
    expect(disk.contents("a")!.length).toBeLessThan(100);
  });

  test("crash() and kill() end handles, flushes and locks; kill() keeps every byte", async () => {
    for (const end of ["crash", "kill"] as const) {
      let finish = (): void => undefined;
      const disk = new FaultyDisk({ flushDelay: () => new Promise((resolve) => (finish = resolve)) });
      const file = disk.open("a");
      disk.lock("a.lock");
      file.write(bytes(10, 1), 0);
      const flushed = file.flush();
      disk[end]();
      finish();

      await expect(flushed).rejects.toThrow(/the process died meanwhile/);
      expect(() => file.read(new Uint8Array(1), 0)).toThrow(/the process died/);
      expect(disk.lockHolder("a.lock")).toBe(null);
      if (end === "kill") expect(disk.contents("a")).toEqual(bytes(10, 1));
    }
  });

  test("onOperation hears of each operation and may end the process in it", () => {
    const disk = new FaultyDisk();
    const heard: string[] = [];
    disk.onOperation = ({ operation, path, position, bytes: length, index }) => {
      heard.push(`${index} ${operation} ${path} ${position} ${length}`);
      if (operation === "truncate") disk.kill();
      return null;
    };
    const file = disk.open("a");
    file.write(bytes(5, 1), 3);
    file.read(new Uint8Array(4), 2);
    expect(() => file.truncate(1)).toThrow(/the process died here/);
    disk.delete("a");

    expect(heard).toEqual(["0 open a 0 0", "1 write a 3 5", "2 read a 2 4", "3 truncate a 1 0", "4 delete a 0 0"]);
  });
});
