/** What JSON does not know, as something it does: for `JSON.stringify`. */
import { toBase64 } from "./bytes.ts";

/** bigint becomes text, maps lists of pairs, sets lists, bytes base64; NaN and infinities become null by themselves. */
export function jsonValue(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof Map) return [...value];
  return value instanceof Set ? [...value] : value;
}
