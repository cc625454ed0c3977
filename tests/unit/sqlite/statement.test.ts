import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";

const runtime = await hostRuntime();
let database: Database;

beforeEach(async () => {
  database = await openDatabase(runtime, memoryDisk(), "app.db");
});

afterEach(() => database.close());

/** The type and value that a bound value has in SQLite. */
function stored(bind: (statement: ReturnType<Database["prepare"]>) => void): { type: string; value: string } {
  const statement = database.prepare("SELECT typeof(?1), quote(?1)");
  bind(statement);
  statement.step();
  const result = { type: statement.text(0), value: statement.text(1) };
  statement.finalize();
  return result;
}

describe("bindNumber()", () => {
  for (const [value, type, quoted] of [
    [0, "integer", "0"], [-1, "integer", "-1"], [2 ** 31, "integer", "2147483648"], [2 ** 53, "integer", "9007199254740992"], [-(2 ** 53), "integer", "-9007199254740992"],
    [0.5, "real", "0.5"], [2 ** 54, "real", "18014398509481984.0"], [Infinity, "real", "9.0e+999"], [NaN, "null", "NULL"],
  ] as const) {
    test(`stores ${value} as ${type}`, () => {
      expect(stored((statement) => statement.bindNumber(0, value))).toEqual({ type, value: quoted });
    });
  }

  test("gives any number but NaN back as it was", () => {
    const statement = database.prepare("SELECT ?");
    fc.assert(fc.property(fc.oneof(fc.double({ noNaN: true }), fc.maxSafeInteger()), (value) => {
      statement.bindNumber(0, value);
      statement.step();
      // SQLite has no minus zero among its integers.
      expect(statement.number(0)).toBe(value === 0 ? 0 : value);
      statement.reset();
    }), { seed: 20_261_120, numRuns: 500 });
  });
});

describe("bindText() and bindBlob()", () => {
  test("give any text and bytes back, whatever was bound before", () => {
    const statement = database.prepare("SELECT ?, ?");
    const unit = fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0x10ffff })).map((code) => String.fromCodePoint(code));
    const text = fc.oneof(fc.string({ unit, maxLength: 200 }), fc.nat(9_000).map((length) => "é".repeat(length)));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.nat(300_000).map((length) => new Uint8Array(length).fill(length & 255)));
    fc.assert(fc.property(text, bytes, (someText, someBytes) => {
      statement.bindText(0, someText);
      statement.bindBlob(1, someBytes);
      statement.step();
      expect(statement.text(0)).toBe(someText.toWellFormed());
      expect(statement.blob(1)).toEqual(someBytes);
      expect(statement.blobView(1)).toEqual(someBytes);
      statement.reset();
    }), { seed: 20_261_120, numRuns: 300 });
  });

  test("tell empty from null", () => {
    expect(stored((statement) => statement.bindText(0, ""))).toEqual({ type: "text", value: "''" });
    expect(stored((statement) => statement.bindBlob(0, new Uint8Array(0)))).toEqual({ type: "blob", value: "X''" });
    expect(stored((statement) => statement.bindNull(0))).toEqual({ type: "null", value: "NULL" });
  });

  test("bindBlob() takes the part that was asked for", () => {
    const bytes = new Uint8Array(100).map((_, at) => at);

    expect(stored((statement) => statement.bindBlob(0, bytes, 10, 13)).value).toBe("X'0A0B0C'");
    expect(stored((statement) => statement.bindBlob(0, bytes, 90)).value).toBe("X'5A5B5C5D5E5F60616263'");
    expect(stored((statement) => statement.bindBlob(0, bytes, 30, 60)).value.length).toBe(63);
  });

  test("change a value of the same size and kind, and one of another", () => {
    const statement = database.prepare("SELECT typeof(?1) || quote(?1)");
    const seen: string[] = [];

    for (const bind of [
      () => statement.bindText(0, "abc"), () => statement.bindText(0, "xyz"), () => statement.bindBlob(0, new Uint8Array([1, 2, 3])), () => statement.bindText(0, "abc"),
      () => statement.bindNumber(0, 7), () => statement.bindText(0, "abc"), () => statement.bindNull(0), () => statement.bindText(0, "abc"), () => statement.bindText(0, "a"),
    ]) {
      bind();
      statement.step();
      seen.push(statement.text(0));
      statement.reset();
    }

    expect(seen).toEqual(["text'abc'", "text'xyz'", "blobX'010203'", "text'abc'", "integer7", "text'abc'", "nullNULL", "text'abc'", "text'a'"]);
  });

  test("stay bound over reset(), in each statement its own", () => {
    const first = database.prepare("SELECT ?"), second = database.prepare("SELECT ?");
    first.bindText(0, "one");
    second.bindText(0, "two");
    first.step();
    first.reset();
    first.step();
    second.step();

    expect([first.text(0), second.text(0)]).toEqual(["one", "two"]);
  });

  test("reset a statement that stands on a row", () => {
    database.exec("CREATE TABLE entries(name TEXT); INSERT INTO entries VALUES('a'), ('b'), ('c')");
    const statement = database.prepare("SELECT name FROM entries WHERE name > ? ORDER BY name");
    statement.bindText(0, "");
    statement.step();
    statement.bindText(0, "b");

    expect([statement.step(), statement.text(0), statement.step()]).toEqual([true, "c", false]);
  });

  test("refuse a parameter that is not there", () => {
    const statement = database.prepare("SELECT ?");

    expect(() => statement.bindText(1, "x")).toThrow(/Cannot run "SELECT \?"/);
    expect(() => statement.bindNumber(-1, 1)).toThrow(/Cannot run "SELECT \?"/);
    expect(() => statement.bindBlob(7, new Uint8Array(90))).toThrow(/Cannot run "SELECT \?"/);
  });
});

describe("step() and run()", () => {
  test("step() resets at the end, so that the next one begins again", () => {
    const statement = database.prepare("SELECT 1 UNION ALL SELECT 2");

    expect([1, 2, 3, 4, 5].map(() => statement.step())).toEqual([true, true, false, true, true]);
  });

  test("run() skips rows and resets", () => {
    database.exec("CREATE TABLE entries(id INTEGER PRIMARY KEY)");
    const insert = database.prepare("INSERT INTO entries VALUES(?) RETURNING id");
    for (const id of [3, 4]) {
      insert.bindNumber(0, id);
      insert.run();
    }

    expect(database.changes()).toBe(1);
    expect(() => insert.run()).toThrow(/UNIQUE constraint failed: entries.id/);
    insert.bindNumber(0, 5);
    insert.run();
  });

  test("isNull() tells NULL from empty, and NULL reads as zero and empty", () => {
    const statement = database.prepare("SELECT NULL, '', x'', 0");
    statement.step();

    expect([0, 1, 2, 3].map((column) => statement.isNull(column))).toEqual([true, false, false, false]);
    expect([statement.number(0), statement.text(0), statement.blob(0).length, statement.text(1), statement.blob(2).length]).toEqual([0, "", 0, "", 0]);
  });

  test("finalize() twice does nothing, and the statement is refused afterwards", () => {
    const statement = database.prepare("SELECT ?");
    statement.bindText(0, "x");
    statement.finalize();
    statement.finalize();

    expect(() => statement.step()).toThrow(/SELECT/);
    expect(() => statement.bindText(0, "y")).toThrow(/SELECT/);
  });
});
