/**
 * Clocks that travel with the records of internal topics: each carries who wrote it and how far that writer's event time is, so that a repartition makes nothing late by chance.
 *
 * Header `mr-clock`: version byte 1, watermark as float64 (NaN: the writer is idle and has seen nothing), writer's name as UTF-8.
 * A clock-only record has no key and no value and the header `mr-only`.
 */
import { DecodeError } from "../base/errors.ts";
import type { HeaderField } from "../record/record.ts";

/** The header that carries a clock. */
export const CLOCK_HEADER = "mr-clock";
/** Marks a record that carries nothing else. */
export const CLOCK_ONLY_HEADER = "mr-only";

const VERSION = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes clock headers for one writer. */
export class ClockWriter {
  readonly #name: Uint8Array;
  #value = -Infinity;
  #field: HeaderField | null = null;

  constructor(name: string) {
    this.#name = encoder.encode(name);
  }

  field(watermark: number): HeaderField {
    if (this.#field === null || !Object.is(this.#value, watermark)) {
      const bytes = new Uint8Array(9 + this.#name.length);
      bytes[0] = VERSION;
      new DataView(bytes.buffer).setFloat64(1, watermark);
      bytes.set(this.#name, 9);
      this.#value = watermark;
      this.#field = { name: CLOCK_HEADER, value: bytes };
    }
    return this.#field;
  }
}

/** Reads a clock header. */
export function readClock(bytes: Uint8Array): { readonly writer: string; readonly watermark: number } {
  if (bytes.length < 10 || bytes[0] !== VERSION) {
    throw new DecodeError("RECORD_CORRUPT", `Cannot read header ${CLOCK_HEADER}: it has version ${bytes[0]}, wanted ${VERSION}`);
  }
  return { watermark: new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getFloat64(1), writer: decoder.decode(bytes.subarray(9)) };
}
