/** JSON from strangers: UTF-8, and no deeper than what walks it later can stand. */
import { Refusal } from "../problem.ts";

/** Deepest nesting of lists and objects. */
export const JSON_DEPTH_MAX = 64;

const QUOTE = 0x22, BACKSLASH = 0x5c;
const LIST = 0x5b, LIST_END = 0x5d, OBJECT = 0x7b, OBJECT_END = 0x7d;

/**
 * The value of some JSON. Of repeated names the last one counts; `__proto__` is a name like any other; numbers beyond 2^53 are rounded. Throws {@linkcode
 * Refusal} 400 for anything that is not
 * JSON in UTF-8, or nested deeper than {@linkcode JSON_DEPTH_MAX}.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (isTooDeep(bytes)) throw new Refusal({ status: 400, reason: "json", detail: `The body is nested deeper than ${JSON_DEPTH_MAX}.` });
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new Refusal({ status: 400, reason: "json", detail: "The body is not valid JSON in UTF-8." });
  }
}

/** Counts brackets outside of strings. Bytes of UTF-8 beyond ASCII never look like one. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (isText) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (byte === LIST || byte === OBJECT) {
      if (++depth > JSON_DEPTH_MAX) return true;
    } else if (byte === LIST_END || byte === OBJECT_END) depth--;
  }
  return false;
}
