/**
 * Keys of any type as text that keeps their identity and, for text, their order.
 *
 * Text is itself, so that other programs read it. Anything else begins with NUL and a letter: `j` JSON with sorted names, `b` bigint, `d` date, `s` text that begins with NUL.
 */
import { DecodeError, DefinitionError } from "../base/errors.ts";
import type { Payload } from "./record.ts";

/** How the keys of a topic or step become bytes and map keys. */
export interface KeyFormat {
  /** Of another name, other ids: what is kept under them cannot be found again. */
  readonly name: string;
  /** The same for equal keys, different for others. What state is kept under. */
  toId(key: unknown): string;
  fromId(id: string): unknown;
  encode(key: unknown): Payload;
  /** null: keys are text as they are. */
  readonly decode: ((bytes: Uint8Array) => unknown) | null;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text keys, as they are. Throws `DefinitionError` for others: they would come back as text. */
export const textKeys: KeyFormat = { name: "text", toId: textOf, fromId: (id) => id, encode: textOf, decode: null };

function textOf(key: unknown): string {
  if (typeof key === "string") return key;
  throw new DefinitionError(`Cannot use a key of type ${typeof key}: keys are text unless the topic or feature set has a keyFormat`, {
    code: "OPTION_INVALID",
  });
}

/** Keys of any plain type: what `groupBy` gives. */
export const anyKeys: KeyFormat = { name: "any", toId: idOf, fromId: keyOf, encode: idOf, decode: (bytes) => keyOf(decodeText(bytes)) };

/** Keys by a codec of the user's; `encode` must give equal bytes for equal keys. */
export function codecKeys(format: { readonly name: string; encode(key: never): Payload; decode(bytes: Uint8Array): unknown }): KeyFormat {
  const encode = (key: unknown): Payload => format.encode(key as never);
  return {
    name: format.name,
    toId: (key) => {
      const payload = encode(key);
      if (typeof payload === "string") return payload;
      let id = "";
      for (const byte of payload) id += String.fromCharCode(byte);
      return `\0x${id}`;
    },
    fromId: (id) => {
      if (!id.startsWith("\0x")) return format.decode(new TextEncoder().encode(id));
      const bytes = new Uint8Array(id.length - 2);
      for (let i = 0; i < bytes.length; i++) bytes[i] = id.charCodeAt(i + 2);
      return format.decode(bytes);
    },
    encode,
    decode: (bytes) => format.decode(bytes),
  };
}

function idOf(key: unknown): string {
  if (typeof key === "string") return key.charCodeAt(0) === 0 ? `\0s${key}` : key;
  if (typeof key === "bigint") return `\0b${key}`;
  if (key instanceof Date) return `\0d${key.getTime()}`;
  return `\0j${JSON.stringify(key, sortNames)}`;
}

function keyOf(id: string): unknown {
  if (id.charCodeAt(0) !== 0) return id;
  const rest = id.slice(2);
  switch (id[1]) {
    case "s":
      return rest;
    case "b":
      return BigInt(rest);
    case "d":
      return new Date(Number(rest));
    default:
      return JSON.parse(rest);
  }
}

function sortNames(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  entries.sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries);
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new DecodeError("CODEC_FAILED", "Cannot decode a key: it is not UTF-8", { cause });
  }
}
