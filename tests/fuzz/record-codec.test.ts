/** Method: values that a generator makes up go through each codec that claims to keep them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anyText } from "../shim/any-text.ts";
import { toBytes } from "../../src/base/bytes.ts";
import type { Codec } from "../../src/record/codec.ts";
import { json } from "../../src/record/codec-json.ts";
import { msgpack } from "../../src/record/codec-msgpack.ts";
import { text } from "../../src/record/codec-text.ts";
import { isSameValue } from "../../src/testing/conformance/same-value.ts";

const seed = 20261113;

function comesBack<T>(codec: Codec<T, T>, value: T): boolean {
  return isSameValue(codec["~codec"].decode(toBytes(codec["~codec"].encode(value))), value);
}

describe(`codecs, seed ${seed}`, () => {
  test("C1 json() keeps any JSON value", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(comesBack(json<unknown>(), value)).toBe(true)), { seed, numRuns: 1_000 });
  });

  test("C1 msgpack() keeps any value of its types", () => {
    const key = anyText(40).filter((name) => name !== "__proto__");
    const anything = fc.anything({
      key,
      maxDepth: 4,
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
    });
    fc.assert(fc.property(anything, (value) => expect(comesBack(msgpack<unknown>(), value)).toBe(true)), { seed, numRuns: 1_000 });
  });

  test("C1 text() keeps any well-formed text", () => {
    fc.assert(fc.property(anyText(200), (value) => expect(comesBack(text(), value)).toBe(true)), { seed, numRuns: 1_000 });
  });
});
