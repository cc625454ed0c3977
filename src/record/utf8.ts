/** UTF-8 straight out of and into record buffers: short ASCII by hand, where a call into the host costs more than the bytes; the rest by the host. */
import { DecodeError } from "../base/errors.ts";

/** Text up to so many UTF-16 units is written by hand. */
const WRITE_BY_HAND_MAX = 40;
/** Text up to so many bytes is read by hand. */
const READ_BY_HAND_MAX = 24;

const encoder = new TextEncoder();
// A byte order mark is part of the text: without ignoreBOM two different keys would read as one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads bytes as UTF-8 as `TextDecoder` does with a byte order mark kept and damage as U+FFFD. */
export type Utf8Slice = (bytes: Uint8Array, start: number, end: number) => string;

/** A host's own way, where it has a quicker one than a `TextDecoder` over a view: half of the time of a short value. */
let hostSlice: Utf8Slice | null = null;

/** Lets a host's adapter put its own reader here. It must give what `TextDecoder` gives. */
export function useUtf8Slice(slice: Utf8Slice): void {
  hostSlice = slice;
}

/** Writes text at `at` and returns where it ends; there must be room for three bytes a UTF-16 unit. Lone surrogates become U+FFFD. */
export function writeUtf8(bytes: Uint8Array, at: number, text: string): number {
  const length = text.length;
  if (length > WRITE_BY_HAND_MAX) return at + encoder.encodeInto(text, bytes.subarray(at, at + 3 * length)).written;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return at + i + encoder.encodeInto(text.slice(i), bytes.subarray(at + i, at + 3 * length)).written;
    bytes[at + i] = code;
  }
  return at + length;
}

/** Reads the bytes from `start` to `end` as text, a byte order mark included. Throws DecodeError `CODEC_FAILED` when they are not UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= READ_BY_HAND_MAX) {
    const text = readShortAscii(bytes, start, end);
    if (text !== null) return text;
  }
  // A strict decoder costs three times as much on Deno, so only text that may be damaged goes through it.
  const text = hostSlice === null ? decoder.decode(bytes.subarray(start, end)) : hostSlice(bytes, start, end);
  if (!text.includes("\ufffd")) return text;
  try {
    return strictDecoder.decode(bytes.subarray(start, end));
  } catch (cause) {
    throw new DecodeError("CODEC_FAILED", `Cannot read ${end - start} bytes as text: they are not UTF-8`, { cause });
  }
}

/** Eight bytes a call, for each call of `fromCharCode` makes a string; null for anything but ASCII. */
function readShortAscii(bytes: Uint8Array, start: number, end: number): string | null {
  let text = "";
  let at = start;
  for (; end - at >= 8; at += 8) {
    const a = bytes[at]!, b = bytes[at + 1]!, c = bytes[at + 2]!, d = bytes[at + 3]!;
    const e = bytes[at + 4]!, f = bytes[at + 5]!, g = bytes[at + 6]!, h = bytes[at + 7]!;
    if ((a | b | c | d | e | f | g | h) > 127) return null;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  if (end - at >= 4) {
    const a = bytes[at]!, b = bytes[at + 1]!, c = bytes[at + 2]!, d = bytes[at + 3]!;
    if ((a | b | c | d) > 127) return null;
    text += String.fromCharCode(a, b, c, d);
    at += 4;
  }
  for (; at < end; at++) {
    const code = bytes[at]!;
    if (code > 127) return null;
    text += String.fromCharCode(code);
  }
  return text;
}
