/** Text and bytes as they are. */
import { type Codec, codec } from "./codec.ts";
import type { Payload } from "./record.ts";
import { readUtf8 } from "./utf8.ts";

const textCodec: Codec<string, string> = codec<string>({
  name: "text",
  encode: (value) => {
    if (typeof value !== "string") throw new TypeError(`it is ${typeof value}, wanted text`);
    return value;
  },
  decode: (bytes) => readUtf8(bytes, 0, bytes.length),
});

const bytesCodec: Codec<Uint8Array, Uint8Array> = codec<Uint8Array>({
  name: "bytes",
  encode: (value): Payload => {
    if (!(value instanceof Uint8Array)) throw new TypeError(`it is ${typeof value}, wanted a Uint8Array`);
    return value;
  },
  decode: (bytes) => new Uint8Array(bytes),
});

/** UTF-8 text. Keeps all text but lone surrogates, which become U+FFFD; refuses bytes that are not UTF-8. */
export function text(): Codec<string, string> {
  return textCodec;
}

/** Bytes as they are, copied when they are read. */
export function bytes(): Codec<Uint8Array, Uint8Array> {
  return bytesCodec;
}
