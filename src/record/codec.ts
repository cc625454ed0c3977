/**
 * The `Codec` contract: bytes to value and back.
 *
 * Invariants, each proven by the conformance suite on every implementation:
 *
 * - **C1** `decode(encode(value))` equals `value` for every value the codec claims to keep; its documentation says which.
 * - **C2** `encode` is pure: the same value gives the same payload, the value is not changed, and a payload given out is not changed by later calls.
 * - **C3** `decode` reads the bytes it is given and nothing around them, does not change them, and the value holds no part of them: they may be overwritten
 *   at once.
 * - **C4** Bytes that do not fit (cut, damaged, nested too deeply, not UTF-8) are DecodeError `CODEC_FAILED` or some value, never another error, an endless
 *   loop or an overflow.
 * - **C5** A value that cannot be written at all (a cycle, a function) is DecodeError `CODEC_FAILED` in `encode`.
 * - **C6** Decoding gives data: it changes no prototype, calls no function named by the bytes, and never returns a promise unless a schema does.
 *
 * @module
 */
import { DecodeError, isStreamError, messageOf } from "../base/errors.ts";
import type { Payload } from "./record.ts";
import type { Schema } from "./schema.ts";

/** Bytes to value and back; see C1–C6. The nested property keeps codecs apart from schemas that have `encode` and `decode` of their own. */
export interface Codec<out Output = unknown, in Input = never> {
  /** Its name and its two halves. */
  readonly "~codec": {
    /** For people and errors: `json`, `msgpack`. */
    readonly name: string;
    /** Text is written as UTF-8. */
    encode(value: Input): Payload;
    decode(bytes: Uint8Array): Output;
  };
}

/** How values of a topic look: a schema over JSON, or a codec. */
export type Format<Output = unknown, Input = never> = Schema<Output, Input> | Codec<Output, Input>;

/** The two halves of a codec. */
export interface CodecSpec<Output, Input = Output> {
  /** For people and errors. */
  readonly name: string;
  /** Pure; text is written as UTF-8. */
  readonly encode: (value: Input) => Payload;
  /** Keeps nothing of the bytes, which are overwritten afterwards. */
  readonly decode: (bytes: Uint8Array) => Output;
}

/** Makes a codec from two functions. What they throw becomes DecodeError `CODEC_FAILED` with their error as cause; errors of Millrace pass as they are. */
export function codec<Output, Input = Output>(spec: CodecSpec<Output, Input>): Codec<Output, Input> {
  const { name, encode, decode } = spec;
  return {
    "~codec": {
      name,
      encode(value: Input): Payload {
        try {
          return encode(value);
        } catch (cause) {
          throw codecFailed(cause, `Cannot write a value as ${name}`);
        }
      },
      decode(bytes: Uint8Array): Output {
        try {
          return decode(bytes);
        } catch (cause) {
          throw codecFailed(cause, `Cannot read ${bytes.length} bytes as ${name}`);
        }
      },
    },
  };
}

function codecFailed(cause: unknown, what: string): unknown {
  return isStreamError(cause) ? cause : new DecodeError("CODEC_FAILED", `${what}: ${messageOf(cause)}`, { cause });
}

/** Whether a format is a codec, from whichever copy of the package. */
export function isCodec<Output, Input>(format: Format<Output, Input>): format is Codec<Output, Input> {
  return (format as { readonly "~codec"?: unknown })["~codec"] !== undefined;
}
