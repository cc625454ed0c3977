/** Keys as text: the same for equal keys, different for others, back again as they were. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { anyKeys, textKeys } from "../../../src/record/key.ts";
import { anyText } from "../../shim/any-text.ts";

const SEED = 20261120;

test("textKeys refuses a key that is no text: it would come back as another type", () => {
  expect(textKeys.encode("a-1")).toBe("a-1");
  expect(() => textKeys.encode(7)).toThrow("Cannot use a key of type number: keys are text unless the topic or feature set has a keyFormat");
  expect(() => textKeys.toId({ id: 7 })).toThrow("Cannot use a key of type object");
});

test("anyKeys gives back each key as it was, and keeps different keys apart", () => {
  const key = fc.oneof(anyText(), fc.integer(), fc.boolean(), fc.bigInt(), fc.date({ noInvalidDate: true }), fc.record({ a: fc.integer(), b: anyText() }));
  fc.assert(
    fc.property(key, key, (left, right) => {
      expect(anyKeys.fromId(anyKeys.toId(left))).toEqual(left);
      expect(anyKeys.decode!(new TextEncoder().encode(anyKeys.encode(left) as string))).toEqual(left);
      expect(anyKeys.toId(left) === anyKeys.toId(right)).toBe(Object.is(left, right) || JSON.stringify(plain(left)) === JSON.stringify(plain(right)));
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test("anyKeys does not depend on the order in which an object was written", () => {
  expect(anyKeys.toId({ b: 1, a: { d: 2, c: 3 } })).toBe(anyKeys.toId({ a: { c: 3, d: 2 }, b: 1 }));
});

/** With the type, for text and numbers read alike as JSON otherwise. */
function plain(key: unknown): unknown {
  if (typeof key === "bigint") return ["bigint", String(key)];
  return key instanceof Date ? ["date", key.getTime()] : [typeof key, key];
}
