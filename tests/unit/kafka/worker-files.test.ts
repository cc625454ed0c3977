/** What a worker keeps in its directory: an id for good, and state that goes when it is damaged. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { keptWorkerId, openState } from "../../../adapters/kafka/worker-files.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { tempDirectory } from "../../shim/temp.ts";

function write(disk: Disk, path: string, text: string): void {
  const file = disk.open(path);
  file.truncate(0);
  file.write(new TextEncoder().encode(text), 0);
  file.close();
}

describe("keptWorkerId()", () => {
  test("is made up once, and the same after a restart", async () => {
    const runtime = await hostRuntime();
    const directory = tempDirectory();
    const first = keptWorkerId(runtime, runtime.disk(directory.path));

    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(keptWorkerId(runtime, runtime.disk(directory.path))).toBe(first);
    expect(keptWorkerId(runtime, memoryDisk())).not.toBe(first);
    directory.remove();
  });

  test("a file that was torn, or holds something else, is made anew", async () => {
    const runtime = await hostRuntime();
    for (const text of ["", "0123", "0123456789abcdeX", "../../etc/passwd"]) {
      const disk = memoryDisk();
      write(disk, "worker-id", text);
      const id = keptWorkerId(runtime, disk);

      expect(id).toMatch(/^[0-9a-f]{16}$/);
      expect(keptWorkerId(runtime, disk)).toBe(id);
    }
  });
});

describe("openState()", () => {
  async function filled(disk: Disk): Promise<void> {
    const database = await openState(await hostRuntime(), disk, () => {
      throw new Error("nothing is wrong with a new file");
    });
    database.exec("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
    database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n");
    database.close();
  }

  async function rowsOf(disk: Disk, warned: string[]): Promise<number | null> {
    const database = await openState(await hostRuntime(), disk, (message) => warned.push(message));
    try {
      const tables = database.prepare("SELECT count(*) FROM sqlite_schema");
      tables.step();
      if (tables.number(0) === 0) return null;
      const rows = database.prepare("SELECT count(*) FROM t");
      rows.step();
      return rows.number(0);
    } finally {
      database.close();
    }
  }

  test("keeps what is whole", async () => {
    const disk = memoryDisk();
    await filled(disk);
    const warned: string[] = [];

    expect([await rowsOf(disk, warned), warned]).toEqual([2000, []]);
  });

  test("F17 deletes a file with one flipped bit, a torn one and one that is no database, and says so", async () => {
    const damages: readonly ((disk: Disk) => void)[] = [
      (disk) => {
        const file = disk.open("state.db");
        const byte = new Uint8Array(1);
        file.read(byte, 20 * 4_096 + 77);
        byte[0] = byte[0]! ^ 4;
        file.write(byte, 20 * 4_096 + 77);
        file.close();
      },
      (disk) => {
        const file = disk.open("state.db");
        file.truncate(10 * 4_096);
        file.close();
      },
      (disk) => write(disk, "state.db", "something else that is no database at all".repeat(200)),
    ];
    for (const damage of damages) {
      const disk = memoryDisk();
      await filled(disk);
      damage(disk);
      const warned: string[] = [];

      expect(await rowsOf(disk, warned)).toBeNull();
      expect(warned).toEqual(['[kafka] "state.db" is damaged and was deleted: state is restored from the changelog']);
      expect([await rowsOf(disk, warned), warned.length]).toEqual([null, 1]);
    }
  });

  test("a file that another has open is not touched", async () => {
    const disk = memoryDisk();
    await filled(disk);
    const runtime = await hostRuntime();
    const database = await openState(runtime, disk, () => {});

    await expect(openState(runtime, disk, () => {})).rejects.toThrow("state.db");
    database.close();
    expect(await rowsOf(disk, [])).toBe(2000);
  });
});
