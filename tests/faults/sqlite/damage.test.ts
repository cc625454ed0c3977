/** Damaged files: whatever is flipped, cut, swapped or lost, opening or reading fails with `STORE_CORRUPT`, and nothing wrong is ever read. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { closeQuietly } from "./workload.ts";

const runtime = await hostRuntime();
const PATH = "app.db", PAGE_BYTES = 4_096, ROWS = 120;

function valueOf(row: number): Uint8Array {
  return new Random(row + 1).fill(new Uint8Array(row % 10 === 0 ? 9_000 : 200));
}

/** A closed database of some 45 pages: inner and leaf pages of a table and an index, and overflow pages. */
async function build(checksums = true): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  const database = await openDatabase(runtime, disk, PATH, { checksums });
  database.exec("CREATE TABLE entries(id INTEGER PRIMARY KEY, name TEXT NOT NULL, value BLOB NOT NULL); CREATE INDEX by_name ON entries(name)");
  database.exec("BEGIN");
  const insert = database.prepare("INSERT INTO entries VALUES(?, ?, ?)");
  for (let row = 0; row < ROWS; row++) {
    insert.bindNumber(0, row);
    insert.bindText(1, `name ${(row * 37) % ROWS} ${"of a row ".repeat(10)}`);
    insert.bindBlob(2, valueOf(row));
    insert.run();
  }
  database.exec("COMMIT");
  database.close();
  return disk;
}

/** Reads every row, by the table and by the index. Returns the error's code, or null when all that was read is right. */
async function readAll(disk: FaultyDisk, checksums = true): Promise<string | null> {
  try {
    const database = await openDatabase(runtime, disk, PATH, { checksums });
    try {
      for (const order of ["id", "name"]) {
        const rows = database.prepare(`SELECT id, value FROM entries ORDER BY ${order}`);
        let count = 0;
        for (; rows.step(); count++) expect(rows.blob(1)).toEqual(valueOf(rows.number(0)));
        expect(count).toBe(ROWS);
      }
    } finally {
      closeQuietly(database);
    }
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function damaged(whole: FaultyDisk, change: (bytes: Uint8Array) => Uint8Array): FaultyDisk {
  const disk = whole.copy();
  disk.replace(PATH, change(disk.contents(PATH)!));
  return disk;
}

describe("openDatabase() never reads wrong data", () => {
  test("when one bit of any region of any page is flipped", async () => {
    const whole = await build();
    const pages = whole.contents(PATH)!.length / PAGE_BYTES;
    const random = new Random(11);
    const misses: string[] = [];
    for (let page = 0; page < pages; page++) {
      const positions = [random.below(8), 8 + random.below(92), 100 + random.below(1_900), 2_000 + random.below(2_088), PAGE_BYTES - 8 + random.below(8)];
      for (const position of page === 0 ? [...positions, 16, 18, 19, 20, 21, 28, 40] : positions) {
        const bit = random.below(8);
        const disk = damaged(whole, (bytes) => {
          bytes[page * PAGE_BYTES + position]! ^= 1 << bit;
          return bytes;
        });
        const code = await readAll(disk);
        if (code !== "STORE_CORRUPT") misses.push(`page ${page + 1} byte ${position} bit ${bit}: ${code}`);
      }
    }

    expect(pages).toBeGreaterThan(35);
    expect(misses).toEqual([]);
  });

  test("when the file was cut", async () => {
    const whole = await build();
    const bytes = whole.contents(PATH)!.length;
    const codes: (string | null)[] = [];

    for (const size of [1, 50, 100, 1_000, PAGE_BYTES, PAGE_BYTES + 1, bytes - PAGE_BYTES, bytes - 1]) codes.push(await readAll(damaged(whole, (all) => all.slice(0, size))));

    expect(codes).toEqual(Array(8).fill("STORE_CORRUPT"));
  });

  test("when two pages have changed places, or one holds an older page's bytes", async () => {
    const whole = await build();
    const swapped = damaged(whole, (bytes) => {
      const page = bytes.slice(10 * PAGE_BYTES, 11 * PAGE_BYTES);
      bytes.copyWithin(10 * PAGE_BYTES, 12 * PAGE_BYTES, 13 * PAGE_BYTES);
      bytes.set(page, 12 * PAGE_BYTES);
      return bytes;
    });
    const zeroed = damaged(whole, (bytes) => bytes.fill(0, 20 * PAGE_BYTES, 21 * PAGE_BYTES));

    expect([await readAll(swapped), await readAll(zeroed)]).toEqual(["STORE_CORRUPT", "STORE_CORRUPT"]);
  });

  test("when the file is empty or gone while its WAL holds commits", async () => {
    const codes: (string | null)[] = [];
    for (const bytes of [new Uint8Array(0), null]) {
      const disk = await crashedWithWal();
      disk.replace(PATH, bytes);
      codes.push(await readAll(disk));
    }

    expect(codes).toEqual(["STORE_CORRUPT", "STORE_CORRUPT"]);
  });

  test("when it is no database at all", async () => {
    const disk = new FaultyDisk();
    disk.replace(PATH, new Random(5).fill(new Uint8Array(20_000)));

    expect(await readAll(disk)).toBe("STORE_CORRUPT");
  });

  test("when a frame of the WAL changes while it is open", async () => {
    const disk = new FaultyDisk();
    const database = await openDatabase(runtime, disk, PATH, { cacheBytes: 8_192 });
    database.exec("CREATE TABLE entries(value BLOB)");
    const insert = database.prepare("INSERT INTO entries VALUES(?)");
    insert.bindBlob(0, valueOf(10));
    for (let row = 0; row < 5; row++) insert.run();
    const walBytes = disk.contents(`${PATH}-wal`)!.length;
    for (let position = 200; position < walBytes; position += 512) disk.flipBits(`${PATH}-wal`, position, 4);
    const select = database.prepare("SELECT max(value) FROM entries");

    expect(() => select.step()).toThrow(/frame \d+ is not what was written/);
    // What a checkpoint would have moved into the file is not trusted either.
    await expect(database.flush()).rejects.toThrow(/frame \d+ is not what was written/);
    database.close();
  });

  test("except without checksums, where flipped data is served", async () => {
    const whole = await build(false);
    const at = 30 * PAGE_BYTES + 2_000;

    const code = await readAll(damaged(whole, (bytes) => {
      bytes[at]! ^= 1;
      return bytes;
    }), false);

    expect(code).not.toBe(null);
    expect(code).not.toBe("STORE_CORRUPT");
  });
});

async function crashedWithWal(): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  const database = await openDatabase(runtime, disk, PATH);
  database.exec("CREATE TABLE entries(id INTEGER PRIMARY KEY, name TEXT, value BLOB)");
  disk.kill();
  closeQuietly(database);
  expect(disk.contents(`${PATH}-wal`)!.length).toBeGreaterThan(PAGE_BYTES);
  return disk;
}
