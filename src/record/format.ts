/** Turns what users give for a format (a schema, a codec, nothing) into the two functions that the engine calls. */
import type { Codec, Format } from "./codec.ts";
import { isCodec } from "./codec.ts";
import { json } from "./codec-json.ts";
import type { Payload } from "./record.ts";

/** A format, ready to use. */
export interface ValueFormat<out V = unknown, in Input = V> {
  readonly name: string;
  /** Throws DecodeError `CODEC_FAILED` or `SCHEMA_MISMATCH`. */
  encode(value: Input): Payload;
  /** A promise only when a schema answers with one. Throws, or rejects with, DecodeError `CODEC_FAILED` or `SCHEMA_MISMATCH`. */
  decode(bytes: Uint8Array): V | Promise<V>;
}

/** A schema becomes JSON that is checked on reading and on writing, a codec stays what it is, nothing becomes `fallback`. @default plain JSON */
export function valueFormat<V, Input = V>(format: Format<V, Input> | undefined, fallback?: Codec<V, Input>): ValueFormat<V, Input> {
  if (format === undefined) return (fallback ?? json<V, Input>())["~codec"];
  return (isCodec(format) ? format : json(format))["~codec"];
}
