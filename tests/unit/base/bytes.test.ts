import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  compareBytes,
  concatBytes,
  equalBytes,
  equalBytesConstantTime,
  fromBase64,
  fromHex,
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  toBase64,
  toBytes,
  toHex,
  writeInt16,
  writeInt32,
  writeInt64,
} from "../../../src/base/bytes.ts";

const seed = 20261105;
const bytes = fc.uint8Array({ maxLength: 40 });

function check<T>(arbitrary: fc.Arbitrary<T>, fn: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, fn), { seed, numRuns: 500 });
}

describe(`bytes, seed ${seed}`, () => {
  test("toBase64() agrees with btoa() and fromBase64() undoes it, in both alphabets, padded or not", () => {
    check(bytes, (value) => {
      const text = toBase64(value);

      expect(text).toBe(btoa(String.fromCharCode(...value)));
      expect(fromBase64(text)).toEqual(value);
      expect(fromBase64(text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""))).toEqual(value);
    });
  });

  for (const text of ["A", "AAAAA", "AA=A", "A===", "=", "==", "AA==\n", " AA==", "AA*A", "AB==", "AAB=", "ÄA==", "AA=", "AAA=="]) {
    test(`fromBase64() is null when given ${JSON.stringify(text)}`, () => {
      expect(fromBase64(text)).toBe(null);
    });
  }

  test("fromHex() undoes toHex() in either case and is null for anything else", () => {
    check(bytes, (value) => {
      expect(fromHex(toHex(value))).toEqual(value);
      expect(fromHex(toHex(value).toUpperCase())).toEqual(value);
    });
    expect(toHex(new Uint8Array([0, 10, 255]))).toBe("000aff");
    expect(["0", "0g", "g0", "0x", " 0", "٣٣", "@a", "`0"].map(fromHex)).toEqual(Array(8).fill(null));
  });

  test("equalBytes() and equalBytesConstantTime() agree", () => {
    check(fc.tuple(bytes, bytes), ([left, right]) => {
      const wanted = toHex(left) === toHex(right);

      expect([equalBytes(left, right), equalBytesConstantTime(left, right)]).toEqual([wanted, wanted]);
      expect([equalBytes(left, left.slice()), equalBytesConstantTime(left, left.slice())]).toEqual([true, true]);
    });
    expect(equalBytesConstantTime(new Uint8Array([0]), new Uint8Array([]))).toBe(false);
    expect(equalBytesConstantTime(new Uint8Array([1, 2]), new Uint8Array([1, 3]))).toBe(false);
  });

  test("compareBytes() orders as hexadecimal text does", () => {
    check(fc.tuple(bytes, bytes), ([left, right]) => {
      const [a, b] = [toHex(left), toHex(right)];

      expect(Math.sign(compareBytes(left, right))).toBe(a < b ? -1 : a > b ? 1 : 0);
    });
  });

  test("concatBytes() joins in order", () => {
    check(fc.array(bytes), (parts) => expect([...concatBytes(parts)]).toEqual(parts.flatMap((part) => [...part])));
  });

  test("toBytes() writes text as UTF-8 and leaves bytes alone", () => {
    const given = new Uint8Array([1]);

    expect(toBytes(given)).toBe(given);
    expect(toBytes("é\ud800")).toEqual(new Uint8Array([0xc3, 0xa9, 0xef, 0xbf, 0xbd]));
  });

  test("big-endian numbers agree with DataView", () => {
    const view = new DataView(new ArrayBuffer(10));
    const array = new Uint8Array(view.buffer);
    check(fc.tuple(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -32_768, max: 32_767 })), ([long, int, short]) => {
      view.setBigInt64(1, BigInt(long));
      expect(readInt64(array, 1)).toBe(long);
      view.setInt32(1, int);
      expect([readInt32(array, 1), readUint32(array, 1)]).toEqual([int, int >>> 0]);
      view.setInt16(1, short);
      expect(readInt16(array, 1)).toBe(short);

      writeInt64(array, 1, long);
      expect(view.getBigInt64(1)).toBe(BigInt(long));
      writeInt32(array, 1, int);
      expect(view.getInt32(1)).toBe(int);
      writeInt32(array, 1, int >>> 0);
      expect(view.getInt32(1)).toBe(int);
      writeInt16(array, 1, short);
      expect(view.getInt16(1)).toBe(short);
    });
  });
});
