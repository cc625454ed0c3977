/** Values of any plain type as bytes: what the engine keeps for itself, and topics that no one gave a format. */
import { msgpack } from "./codec-msgpack.ts";

const plain = msgpack()["~codec"];

/** MessagePack of a value. Throws `DecodeError` `CODEC_FAILED` for functions, cycles and the like. */
export function packValue(value: unknown): Uint8Array {
  return plain.encode(value as never) as Uint8Array;
}

/** The value that was packed. */
export function unpackValue(bytes: Uint8Array): unknown {
  return plain.decode(bytes);
}
