/** How commands write for people, and how they read what people write. */
import { describe, expect, test } from "bun:test";
import { controlTarget, seekTo } from "../../../src/cli/control-target.ts";
import { assigned, changeLines, parseAssignment, parseJson } from "../../../src/cli/letters/value-edits.ts";
import { momentMs, parseMoment } from "../../../src/cli/moments.ts";
import { clipped, indented, moment, tableLines } from "../../../src/cli/text.ts";
import { describeFailure } from "../../../src/cli/failure.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

describe("tableLines()", () => {
  test("numbers stand right, texts left, and what is unknown is a dash", () => {
    const lines = tableLines<{ readonly name: string; readonly count: number | null; readonly why: string }>(
      [{ name: "name", of: ({ name }) => name }, { name: "count", of: ({ count }) => count }, { name: "why", of: ({ why }) => why }],
      [{ name: "orders", count: 12, why: "" }, { name: "p", count: null, why: "nobody knows" }],
    );

    expect(lines).toEqual(["NAME    COUNT  WHY", "orders     12", "p           -  nobody knows"]);
  });

  test("nothing that a terminal would obey comes through", () => {
    const evil = "\u001b[2J\nrm";

    expect(tableLines<string>([{ name: "a", of: (text) => text }], [evil])[1]).toBe("\\u{1b}[2J\\u{a}rm");
    expect(indented(evil)).toEqual(["  \\u{1b}[2J", "  rm"]);
  });

  test("clipped() makes one line of a text, and moment() a second in UTC", () => {
    expect([clipped("a  b\nc", 10), clipped("abcdef", 4), moment(NOON + 999), moment(Infinity)]).toEqual(["a b c", "abc…", "2026-01-01T12:00:00Z", "Infinity"]);
  });
});

describe("parseMoment()", () => {
  test.each([
    ["2026-01-01T12:00Z", NOON],
    ["2026-01-01T12:00:00.5Z", NOON + 500],
    ["2026-01-01T13:00+01:00", NOON],
    ["2026-01-01", NOON - 43_200_000],
    ["2h", NOON + 1_000 - 7_200_000],
    ["1h 30m", NOON + 1_000 - 5_400_000],
  ])("%s", (text, ms) => {
    expect(momentMs(parseMoment("since")(text), NOON + 1_000)).toBe(ms);
  });

  test.each(["2026-01-01T12:00", "yesterday", "12", "", "2026-13-01"])("refuses %s, which means another moment elsewhere, or none", (text) => {
    expect(() => parseMoment("since")(text)).toThrow("--since is");
  });
});

describe("seek and its like", () => {
  test.each([
    ["orders", { topic: "orders", partition: undefined }],
    ["orders/3", { topic: "orders", partition: 3 }],
    ["a.b-c_d/10", { topic: "a.b-c_d", partition: 10 }],
  ])("controlTarget() reads %s", (text, target) => {
    expect(controlTarget(text)).toEqual(target);
  });

  test.each(["orders/", "orders/x", "or ders", "", "orders/-1", "a/b/1"])("controlTarget() refuses %j", (text) => {
    expect(controlTarget(text)).toEqual(expect.objectContaining({ message: expect.stringContaining("wanted such as orders or orders/3") }));
  });

  test.each<readonly [string, unknown]>([
    ["start", "start"],
    ["end", "end"],
    ["120", { position: 120 }],
    ["+1", { by: 1 }],
    ["-20", { by: -20 }],
    ["2026-01-01T12:00Z", { time: NOON }],
  ])("seekTo() reads %s", (text, to) => {
    expect(seekTo(text)).toEqual(to as never);
  });

  test.each(["", "1.5", "+", "first", "2026-01-01T12:00"])("seekTo() refuses %j", (text) => {
    expect(() => seekTo(text)).toThrow("wanted a position, start, end, +n, -n, or a moment");
  });
});

describe("changes to values", () => {
  const value = { id: "7", items: [{ price: "12" }], customer: null };

  test.each<readonly [string, unknown]>([
    ["id=8", { ...value, id: 8 }],
    ["items.0.price=12", { ...value, items: [{ price: 12 }] }],
    ['items.1={"price":1}', { ...value, items: [{ price: "12" }, { price: 1 }] }],
    ['address.city="Berlin"', { ...value, address: { city: "Berlin" } }],
    ["customer=[1,2]", { ...value, customer: [1, 2] }],
  ])("--set %s changes that part alone", (text, changed) => {
    const before = structuredClone(value);

    expect(assigned(value, [parseAssignment(text)])).toEqual(changed as never);
    expect(value).toEqual(before);
  });

  test.each([["customer.name=1", 'null has no part "name"'], ["items.2.price=1", 'a list of 1 has no place "2"'], ["items.x=1", 'no place "x"'], [
    "id.a=1",
    '"7" has no part "a"',
  ]])(
    "--set %s is refused: %s",
    (text, says) => {
      expect(assigned(value, [parseAssignment(text)])).toEqual(expect.objectContaining({ message: expect.stringContaining(says) }));
    },
  );

  test.each(["id", "=1", "a..b=1", "__proto__.x=1", "a.constructor=1"])("--set %s is not understood", (text) => {
    expect(() => parseAssignment(text)).toThrow("--set is");
  });

  test("JSON that is none says how texts are quoted", () => {
    expect(() => parseJson("value", "Berlin")).toThrow("texts stand in double quotes");
  });

  test("changeLines() shows what differs and what stands around it", () => {
    expect(changeLines(value, { ...value, items: [{ price: 12 }] })).toEqual(["      {", '-       "price": "12"', '+       "price": 12', "      }"]);
    expect(changeLines(1, 1)).toEqual(["  (unchanged)"]);
    expect(changeLines("a", undefined)).toEqual(['- "a"', "+ (no value: a tombstone)"]);
    expect(changeLines([1], [1, 2])).toEqual(["  [", "-   1", "+   1,", "+   2", "  ]"]);
  });
});

test("a failure is told with what caused it, unless that is in it already", () => {
  const disk = new Error("EROFS: read-only file system");
  const lock = new Error("Cannot lock it: EROFS: read-only file system", { cause: disk });
  const text = (error: unknown): string => describeFailure(error, { json: false, debug: false }).text;

  expect(text(new Error("Cannot open it", { cause: lock }))).toBe(
    "Error: Cannot open it\n  because Cannot lock it: EROFS: read-only file system\n(--debug shows the stack)",
  );
  expect(text(lock)).toBe("Error: Cannot lock it: EROFS: read-only file system\n(--debug shows the stack)");
});
