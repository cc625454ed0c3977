/**
 * The part of a `Runtime` that Web APIs alone can give: randomness, digests, HMAC, content codings. Every adapter spreads it.
 *
 * The host's Web Crypto comes in as an argument, for `src/` reaches no global of the host.
 */
import { DecodeError, messageOf } from "../base/errors.ts";
import type { HashAlgorithm, Runtime } from "./runtime.ts";

/** What {@linkcode webBase} needs of a host. */
export interface WebBaseOptions {
  /** The host's Web Crypto. */
  readonly webCrypto: WebCrypto;
}

/** The members of the Web Crypto API that are used, so that the core needs no runtime's types. */
export interface WebCrypto {
  getRandomValues(array: Uint8Array<ArrayBuffer>): unknown;
  readonly subtle: {
    digest(algorithm: string, data: BufferSource): Promise<ArrayBuffer>;
    importKey(format: "raw", key: BufferSource, algorithm: { name: string; hash: string }, extractable: boolean, usages: ["sign"]): Promise<CryptoKey>;
    sign(algorithm: string, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  };
}

/** What {@linkcode webBase} gives. */
export type WebBase = Pick<Runtime, "randomBytes" | "digest" | "hmac" | "decompress">;

/** `getRandomValues` refuses more at once. */
const RANDOM_BYTES_MAX = 65_536;

/** Deflate grows bytes up to 1,032 times: what one slice can become bounds how far the limit of `decompress` is overshot. */
const SLICE_BYTES = 1_024;

/** Builds the shared base from the host's Web Crypto. */
export function webBase({ webCrypto }: WebBaseOptions): WebBase {
  return {
    randomBytes: (length) => randomBytes(webCrypto, length),
    digest: async (algorithm, data) => new Uint8Array(await webCrypto.subtle.digest(algorithm, asSource(data))),
    hmac: (algorithm, key, data) => hmac(webCrypto, algorithm, key, data),
    decompress,
  };
}

function randomBytes(webCrypto: WebCrypto, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let start = 0; start < length; start += RANDOM_BYTES_MAX) webCrypto.getRandomValues(bytes.subarray(start, start + RANDOM_BYTES_MAX));
  return bytes;
}

async function hmac(webCrypto: WebCrypto, algorithm: HashAlgorithm, key: Uint8Array, data: Uint8Array): Promise<Uint8Array> {
  // Web Crypto refuses an empty key, while HMAC pads every short key with zeros: one zero byte is the same key.
  const raw = key.length === 0 ? new Uint8Array(1) : key;
  const imported = await webCrypto.subtle.importKey("raw", asSource(raw), { name: "HMAC", hash: algorithm }, false, ["sign"]);
  return new Uint8Array(await webCrypto.subtle.sign("HMAC", imported, asSource(data)));
}

async function decompress(format: "gzip" | "deflate", data: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    // Some hosts take no bytes at all for a whole stream.
    if (data.length === 0) throw new Error("there is no stream");
    const reader = slices(data).pipeThrough(new DecompressionStream(format)).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      sizeBytes += next.value.length;
      if (sizeBytes > bytesMax) {
        void reader.cancel().catch(() => undefined);
        break;
      }
      chunks.push(next.value);
    }
  } catch (cause) {
    throw notCompressed(format, data, messageOf(cause), cause);
  }
  if (sizeBytes > bytesMax) {
    throw new DecodeError("RECORD_TOO_LARGE", `Cannot decompress ${data.length} bytes as ${format}: more than ${bytesMax} bytes came out`);
  }
  const whole = joined(chunks, sizeBytes);
  // Some hosts take a stream without its checksum for a whole one.
  if (format === "deflate" && !endsWithAdler32(data, whole)) throw notCompressed(format, data, "the checksum does not fit");
  return whole;
}

function notCompressed(format: string, data: Uint8Array, reason: string, cause?: unknown): DecodeError {
  return new DecodeError("CODEC_FAILED", `Cannot decompress ${data.length} bytes as ${format}: ${reason}`, { cause });
}

/** RFC 1950, section 9. The sums stay whole in a double for this many bytes. */
const ADLER_RUN_BYTES = 65_536;

function endsWithAdler32(data: Uint8Array, whole: Uint8Array): boolean {
  let low = 1;
  let high = 0;
  for (let start = 0; start < whole.length; start += ADLER_RUN_BYTES) {
    for (const byte of whole.subarray(start, start + ADLER_RUN_BYTES)) {
      low += byte;
      high += low;
    }
    low %= 65_521;
    high %= 65_521;
  }
  const stored = data.length >= 4 ? new DataView(data.buffer, data.byteOffset + data.length - 4).getUint32(0) : -1;
  return stored === high * 65_536 + low;
}

/** A stream of small slices, each asked for when the one before was taken. */
function slices(data: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  let start = 0;
  return new ReadableStream({
    pull(controller) {
      if (start >= data.length) return controller.close();
      controller.enqueue(asSource(data.subarray(start, start + SLICE_BYTES)));
      start += SLICE_BYTES;
    },
  });
}

function joined(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(sizeBytes);
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.length;
  }
  return whole;
}

/** Web Crypto's types refuse shared memory, which Millrace never uses. */
function asSource(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
