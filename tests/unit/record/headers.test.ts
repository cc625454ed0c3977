import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anyText } from "../../shim/any-text.ts";
import { fromHeaders, toHeaders } from "../../../src/record/headers.ts";

const seed = 20261109;
const encoder = new TextEncoder();

describe(`headers, seed ${seed}`, () => {
  test("toHeaders() reads text and bytes as UTF-8, joins repeated names, and shows null as empty", () => {
    const headers = toHeaders([
      { name: "Trace-Id", value: "t1" },
      { name: "tag", value: "a" },
      { name: "tag", value: encoder.encode("é") },
      { name: "none", value: null },
    ]);

    expect([...headers]).toEqual([["none", ""], ["tag", "a, é"], ["trace-id", "t1"]]);
  });

  test("toHeaders() percent-encodes what HTTP cannot hold, and leaves names out that are no tokens", () => {
    const headers = toHeaders([
      { name: "euro", value: "1 €" },
      { name: "lines", value: "a\nb" },
      { name: "ends", value: " x" },
      { name: "lone", value: "\ud800" },
      { name: "raw", value: new Uint8Array([0xff, 0xfe]) },
      { name: "not a token", value: "x" },
      { name: "", value: "x" },
      { name: "ü", value: "x" },
    ]);

    expect([...headers]).toEqual([["ends", "%20x"], ["euro", "1%20%E2%82%AC"], ["lines", "a%0Ab"], ["lone", "%EF%BF%BD"], ["raw", "\xff\xfe"]]);
  });

  test("toHeaders() takes any fields without throwing", () => {
    const field = fc.record({ name: anyText(5), value: fc.option(fc.oneof(anyText(), fc.uint8Array())) });
    fc.assert(fc.property(fc.array(field), (fields) => expect(toHeaders(fields)).toBeInstanceOf(Headers)), { seed, numRuns: 1_000 });
  });

  test("fromHeaders() takes all three shapes of the Web", () => {
    expect(fromHeaders({ A: "1", b: "€" })).toEqual([{ name: "A", value: "1" }, { name: "b", value: "€" }]);
    expect(fromHeaders([["A", "1"], ["A", "2"]])).toEqual([{ name: "A", value: "1" }, { name: "A", value: "2" }]);
    expect(fromHeaders(new Headers({ A: "1" }))).toEqual([{ name: "a", value: "1" }]);
  });
});
