/**
 * How values of stores lie in their rows. The first byte says how: 1, numbers as float64, little endian, which most aggregates are; 2, MessagePack.
 */
import { StoreError } from "../base/errors.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";

const NUMBERS = 1;
const PACKED = 2;
const NUMBERS_MAX = 32;

const scratch = new Uint8Array(1 + 8 * NUMBERS_MAX);
const scratchView = new DataView(scratch.buffer);

/** The bytes of a value; good until the next call. Throws `DecodeError` `CODEC_FAILED` for functions, cycles and the like. */
export function packRow(value: unknown): Uint8Array {
  if (Array.isArray(value) && value.length <= NUMBERS_MAX) {
    const length = packNumbers(value);
    if (length > 0) return scratch.subarray(0, length);
  }
  const packed = packValue(value);
  const row = new Uint8Array(1 + packed.length);
  row[0] = PACKED;
  row.set(packed, 1);
  return row;
}

/** The value of a row. */
export function unpackRow(row: Uint8Array): unknown {
  switch (row[0]) {
    case NUMBERS:
      return unpackNumbers(row);
    case PACKED:
      return unpackValue(row.subarray(1));
    default:
      throw new StoreError("STORE_NEWER", `Cannot read a row of state: it has format ${row[0] ?? "none"}, this version reads ${NUMBERS} and ${PACKED}`);
  }
}

/** How many bytes of the scratch were written; 0 when something is no number. */
function packNumbers(values: readonly unknown[]): number {
  scratch[0] = NUMBERS;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== "number") return 0;
    scratchView.setFloat64(1 + 8 * i, value, true);
  }
  return 1 + 8 * values.length;
}

function unpackNumbers(row: Uint8Array): number[] {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const values: number[] = [];
  for (let at = 1; at + 8 <= row.byteLength; at += 8) values.push(view.getFloat64(at, true));
  return values;
}
