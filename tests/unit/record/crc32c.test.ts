import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromHex } from "../../../src/base/bytes.ts";
import { crc32c } from "../../../src/record/crc32c.ts";

const seed = 20261106;

/** Bit by bit, from the definition. */
function crcByBits(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe(`crc32c(), seed ${seed}`, () => {
  // RFC 3720, B.4; and the usual check value.
  const vectors: readonly (readonly [name: string, bytes: Uint8Array, crc: number])[] = [
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 times 255", new Uint8Array(32).fill(255), 0x62a8ab43],
    ["0 to 31", Uint8Array.from({ length: 32 }, (_byte, i) => i), 0x46dd794e],
    ["31 to 0", Uint8Array.from({ length: 32 }, (_byte, i) => 31 - i), 0x113fdb5c],
    [
      "an iSCSI read",
      fromHex("01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000")!,
      0xd9963a56,
    ],
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(0), 0],
  ];
  for (const [name, bytes, crc] of vectors) {
    test(`crc32c() is ${crc.toString(16)} for ${name}`, () => {
      expect(crc32c(bytes)).toBe(crc);
    });
  }

  test("crc32c() of any part agrees with the definition", () => {
    const part = fc.tuple(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100));
    fc.assert(
      fc.property(part, ([bytes, a, b]) => {
        const start = Math.min(a, bytes.length);
        const end = Math.max(start, Math.min(b, bytes.length));

        expect(crc32c(bytes, start, end)).toBe(crcByBits(bytes.subarray(start, end)));
      }),
      { seed, numRuns: 1_000 },
    );
  });
});
