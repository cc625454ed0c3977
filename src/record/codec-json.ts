/** JSON as UTF-8, the default of values. */
import { DecodeError } from "../base/errors.ts";
import { checkedCodec } from "./checked-codec.ts";
import { type Codec, codec } from "./codec.ts";
import type { Schema } from "./schema.ts";
import { readUtf8 } from "./utf8.ts";

/** Arrays and objects within each other, at most: what comes in may be walked by recursion afterwards. */
export const JSON_DEPTH_MAX = 512;

const QUOTE = 34;
const BACKSLASH = 92;

const plainJson: Codec<unknown, unknown> = codec<unknown>({ name: "json", encode: writeJson, decode: readJson });

/**
 * JSON, optionally checked by a schema. Keeps null, booleans, finite numbers (-0 becomes 0), strings, arrays without holes and plain objects; what
 * `JSON.stringify` changes (Date, undefined, NaN, Map, Set) comes back changed: use `msgpack` for those. Refuses a byte order mark, bytes that are not
 * UTF-8, and nesting deeper than {@linkcode JSON_DEPTH_MAX}.
 */
export function json<V = unknown, Input = V>(schema?: Schema<V, Input>): Codec<V, Input> {
  return schema === undefined ? plainJson as Codec<V, Input> : checkedCodec(plainJson, schema);
}

function writeJson(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`there is no JSON for ${typeof value}`);
  return text;
}

function readJson(bytes: Uint8Array): unknown {
  // Each level takes two bytes.
  if (bytes.length > 2 * JSON_DEPTH_MAX && isTooDeep(bytes)) {
    throw new DecodeError("CODEC_FAILED", `Cannot read ${bytes.length} bytes as json: nested deeper than ${JSON_DEPTH_MAX}`);
  }
  return JSON.parse(readUtf8(bytes, 0, bytes.length));
}

function isTooDeep(bytes: Uint8Array): boolean {
  const length = bytes.length;
  let depth = 0;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      for (i++; i < length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
    } else if (byte === 123 || byte === 91) {
      if (++depth > JSON_DEPTH_MAX) return true;
    } else if (byte === 125 || byte === 93) depth--;
  }
  return false;
}
