import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { toBytes } from "../../../../src/base/bytes.ts";
import { JSON_DEPTH_MAX, parseJson } from "../../../../src/http/ingest/json.ts";

describe("parseJson()", () => {
  test("gives what JSON.parse gives, for any value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(toBytes(text))).toEqual(JSON.parse(text));
      }),
      { seed: 4_711, numRuns: 300 },
    );
  });

  test("takes 64 levels, and not 65", () => {
    const nested = (depth: number): Uint8Array => toBytes("[".repeat(depth) + "]".repeat(depth));

    expect(JSON_DEPTH_MAX).toBe(64);
    expect(JSON.stringify(parseJson(nested(64)))).toBe("[".repeat(64) + "]".repeat(64));
    expect(() => parseJson(nested(65))).toThrow("The body is nested deeper than 64.");
  });

  test("refuses ten thousand brackets without a stack overflow", () => {
    expect(() => parseJson(toBytes("[".repeat(10_000)))).toThrow("The body is nested deeper than 64.");
    expect(() => parseJson(toBytes('{"a":'.repeat(10_000)))).toThrow("The body is nested deeper than 64.");
  });

  test("counts no brackets in text", () => {
    const text = JSON.stringify({ a: `"${"[{".repeat(100)}"\\`, "[[\\\"[": "]".repeat(100) });

    expect(parseJson(toBytes(text))).toEqual(JSON.parse(text));
  });

  test("keeps NUL and lone surrogates", () => {
    expect(parseJson(toBytes('["\\u0000","\\ud800"]'))).toEqual(["\u0000", "\ud800"]);
  });

  test("defines __proto__ as a name like any other", () => {
    const value = parseJson(toBytes('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')) as object;

    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });

  test.each([[""], ["{"], ["{'a':1}"], ["NaN"], ["01"], ["1 2"], ["\u0000"], ["undefined"], ["[1,]"]])("refuses %j and does not repeat it", (text) => {
    expect(() => parseJson(toBytes(text))).toThrow("The body is not valid JSON in UTF-8.");
  });

  test("refuses bytes that are not UTF-8", () => {
    expect(() => parseJson(new Uint8Array([0x22, 0xc3, 0x28, 0x22]))).toThrow("The body is not valid JSON in UTF-8.");
    expect(() => parseJson(new Uint8Array([0xff, 0xfe, 0x31, 0x00]))).toThrow("The body is not valid JSON in UTF-8.");
  });
});
