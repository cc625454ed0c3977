/**
 * Short keys as text without making the text again: most records have a key that was seen a moment ago, and a string that is already there keeps its hash.
 */
import { readUtf8 } from "./utf8.ts";

const SLOTS = 8_192;
const LENGTH_MAX = 32;

/** Remembers short ASCII keys; a later key of the same slot takes its place. */
export class KeyCache {
  readonly #slots: (string | null)[] = new Array<string | null>(SLOTS).fill(null);

  /** The bytes from `start` to `end` as text. Throws DecodeError `CODEC_FAILED` when they are not UTF-8. */
  read(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length > LENGTH_MAX) return readUtf8(bytes, start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = Math.imul(hash, 31) + bytes[at]! | 0;
    const slot = (hash ^ hash >>> 13) & SLOTS - 1;
    const known = this.#slots[slot]!;
    if (known !== null && known.length === length && isAt(known, bytes, start)) return known;
    const text = readUtf8(bytes, start, end);
    // As many characters as bytes: it is ASCII, which `isAt` takes for granted.
    if (text.length === length) this.#slots[slot] = text;
    return text;
  }
}

function isAt(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
