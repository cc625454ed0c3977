/**
 * MessagePack, for values that JSON would change. The only file that knows msgpackr.
 *
 * It runs in plain mode: any MessagePack reader understands objects, arrays, text and numbers. There objects and maps look alike, so a `Map` goes as an
 * extension of ours; a walk over the value finds them before it is written, and finds what cannot be written (functions, cycles, too deep nesting) on its
 * way.
 */
import { addExtension, Packr, RESET_BUFFER_MODE } from "msgpackr";
import { checkedCodec } from "./checked-codec.ts";
import { type Codec, codec } from "./codec.ts";
import type { Schema } from "./schema.ts";

/** Containers within each other, at most: what comes in may be walked by recursion afterwards. */
export const MSGPACK_DEPTH_MAX = 512;

/** "m"; msgpackr leaves it free and keeps users' extensions below 101. */
const MAP_EXTENSION = 0x6d;

/** "e", msgpackr's own. */
const ERROR_EXTENSION = 0x65;

const ERRORS: ReadonlyMap<unknown, new (message: string, options?: ErrorOptions) => Error> = new Map(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((one) => [one.name, one]),
);

/** A map on its way into the packer, which would write a `Map` itself as an object. */
class OutgoingMap {
  /** Keys and values in turn. */
  readonly entries: unknown[];
  constructor(entries: unknown[]) {
    this.entries = entries;
  }
}

addExtension({
  Class: OutgoingMap,
  type: MAP_EXTENSION,
  write: (map: OutgoingMap): unknown[] => map.entries,
  read: readMap,
});
// In place of msgpackr's reader, which looks the name up on an object and so finds inherited functions too.
addExtension({ type: ERROR_EXTENSION, read: readError });

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, moreTypes: true, useBigIntExtension: true, copyBuffers: true });

const plainMsgpack: Codec<unknown, unknown> = codec<unknown>({ name: "msgpack", encode: writeMsgpack, decode: readMsgpack });

/**
 * MessagePack, optionally checked by a schema. Keeps what JSON keeps, and undefined, NaN, infinities, bigint, Date, Map, Set, Error (class, name, message,
 * cause), RegExp, ArrayBuffer and typed arrays (a Node Buffer comes back as Uint8Array). Changes -0 to 0, holes in arrays to undefined, a key `__proto__`
 * to `__proto_`, lone surrogates to U+FFFD, instances of other classes to plain objects. Refuses functions, symbols, cycles, and nesting deeper than
 * {@linkcode MSGPACK_DEPTH_MAX}.
 */
export function msgpack<V = unknown, Input = V>(schema?: Schema<V, Input>): Codec<V, Input> {
  return schema === undefined ? plainMsgpack as Codec<V, Input> : checkedCodec(plainMsgpack, schema);
}

/** A value as {@linkcode msgpack} writes it. Throws DecodeError `CODEC_FAILED`. */
export function packValue(value: unknown): Uint8Array {
  return plainMsgpack["~codec"].encode(value) as Uint8Array;
}

/** A value as {@linkcode msgpack} reads it. Throws DecodeError `CODEC_FAILED`. */
export function unpackValue(bytes: Uint8Array): unknown {
  return plainMsgpack["~codec"].decode(bytes);
}

function writeMsgpack(value: unknown): Uint8Array {
  // A copy, for the packer's pool is written over by the next call and is a Buffer where there are Buffers.
  return new Uint8Array(packr.pack(outgoing(value, 0), RESET_BUFFER_MODE));
}

function readMsgpack(bytes: Uint8Array): unknown {
  // A view of our own: msgpackr leaves a property on it, and cuts Buffers out of Buffers.
  const value: unknown = packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (bytes.length > MSGPACK_DEPTH_MAX) refuseDepth(value, 0);
  return value;
}

function readMap(entries: unknown): Map<unknown, unknown> {
  if (!Array.isArray(entries) || entries.length % 2 !== 0) throw new TypeError("a map lacks a value");
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < entries.length; i += 2) map.set(entries[i], entries[i + 1]);
  return map;
}

function readError(parts: unknown): Error {
  if (!Array.isArray(parts) || typeof parts[0] !== "string" || typeof parts[1] !== "string") throw new TypeError("an error lacks name or message");
  const [name, message, cause] = parts as [string, string, unknown];
  const options = cause === undefined ? undefined : { cause };
  if (name === "AggregateError") return new AggregateError([], message, options);
  const error = new (ERRORS.get(name) ?? Error)(message, options);
  if (error.name !== name) error.name = name;
  return error;
}

/** The value itself, or a copy of its containers down to where maps had to be replaced. */
function outgoing(value: unknown, depth: number): unknown {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`it holds a ${typeof value}`);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MSGPACK_DEPTH_MAX) throw new TypeError(`it is nested deeper than ${MSGPACK_DEPTH_MAX}, or in a cycle`);
  if (Array.isArray(value)) return outgoingArray(value, depth);
  if (value.constructor === Object) return outgoingObject(value as Record<string, unknown>, depth);
  if (value instanceof Map) return outgoingMap(value, depth);
  if (value instanceof Set) return new Set(outgoingArray([...value], depth));
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Date || value instanceof RegExp || value instanceof Error) return value;
  const toJson = (value as { readonly toJSON?: unknown }).toJSON;
  if (typeof toJson === "function") return outgoing(toJson.call(value), depth + 1);
  return outgoingObject(value as Record<string, unknown>, depth);
}

function outgoingArray(value: unknown[], depth: number): unknown[] {
  let copy: unknown[] | null = null;
  for (let i = 0; i < value.length; i++) {
    const item = value[i];
    if (typeof item === "string" || typeof item === "number") continue;
    const replaced = outgoing(item, depth + 1);
    if (replaced !== item) (copy ??= value.slice())[i] = replaced;
  }
  return copy ?? value;
}

function outgoingObject(value: Record<string, unknown>, depth: number): Record<string, unknown> {
  let copy: Record<string, unknown> | null = null;
  for (const key in value) {
    const field = value[key];
    if (typeof field === "string" || typeof field === "number") continue;
    const replaced = outgoing(field, depth + 1);
    if (replaced !== field && Object.hasOwn(value, key)) (copy ??= { ...value })[key] = replaced;
  }
  return copy ?? value;
}

function outgoingMap(map: ReadonlyMap<unknown, unknown>, depth: number): OutgoingMap {
  const entries: unknown[] = [];
  for (const [key, value] of map) entries.push(outgoing(key, depth + 1), outgoing(value, depth + 1));
  return new OutgoingMap(entries);
}

function refuseDepth(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  if (depth > MSGPACK_DEPTH_MAX) throw new TypeError(`it is nested deeper than ${MSGPACK_DEPTH_MAX}`);
  if (Array.isArray(value) || value instanceof Set) { for (const item of value) refuseDepth(item, depth + 1); }
  else if (value instanceof Map) {
    for (const [key, item] of value) {
      refuseDepth(key, depth + 1);
      refuseDepth(item, depth + 1);
    }
  } else if (value instanceof Error) refuseDepth(value.cause, depth + 1);
  else for (const key of Object.keys(value)) refuseDepth((value as Record<string, unknown>)[key], depth + 1);
}
