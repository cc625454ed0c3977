import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anyText } from "../../shim/any-text.ts";
import { readUtf8, writeUtf8 } from "../../../src/record/utf8.ts";

const seed = 20261108;
const encoder = new TextEncoder();

function written(text: string, at: number): Uint8Array {
  const bytes = new Uint8Array(at + 3 * text.length + 4).fill(7);
  const end = writeUtf8(bytes, at, text);
  expect([...bytes.subarray(0, at)]).toEqual(Array(at).fill(7));
  return bytes.slice(at, end);
}

describe(`UTF-8, seed ${seed}`, () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "Z", "\0", "\x7f", "\x80", "é", "€", "\ufeff", "\u{1f600}", "\ud800", "\udc00"), maxLength: 150 }),
    fc.string({ unit: "binary-ascii", maxLength: 150 }),
    anyText(150),
  );

  test("writeUtf8() writes what the platform writes, and readUtf8() reads it back", () => {
    fc.assert(
      fc.property(text, fc.nat(3), (one, at) => {
        const bytes = written(one, at);
        expect(bytes).toEqual(encoder.encode(one));

        const framed = new Uint8Array([255, ...bytes, 255]);
        expect(readUtf8(framed, 1, bytes.length + 1)).toBe(one.toWellFormed());
        expect(readUtf8(bytes, 0, bytes.length)).toBe(one.toWellFormed());
      }),
      { seed, numRuns: 3_000 },
    );
  });

  for (const length of [0, 1, 7, 8, 12, 23, 24, 25, 63, 64, 65, 66, 1_000]) {
    test(`writeUtf8() and readUtf8() agree when the text is ${length} letters`, () => {
      const one = "abcdefgh".repeat(125).slice(0, length);

      expect(readUtf8(written(one, 0), 0, length)).toBe(one);
    });
  }

  for (const bytes of [[0x80], [0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x61, 0xe2, 0x82], Array(30).fill(0xfe)]) {
    test(`readUtf8() refuses [${bytes.slice(0, 4).join(" ")}]`, () => {
      expect(() => readUtf8(new Uint8Array(bytes), 0, bytes.length)).toThrow("they are not UTF-8");
    });
  }
});
