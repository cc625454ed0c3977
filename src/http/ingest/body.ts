/** The bytes of a request: counted as they come in and as they are decompressed, before anything else looks at them. */
import { isStreamError } from "../../base/errors.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Admitted } from "../admission.ts";
import { Refusal } from "../problem.ts";

/** Options of {@linkcode readBody}. */
export interface ReadBodyOptions {
  readonly runtime: Pick<Runtime, "setTimer" | "decompress">;
  readonly bytesMax: number;
  /** From the call to the last byte. */
  readonly timeoutMs: number;
  /** Whose memory it is. */
  readonly admitted: Admitted;
}

/** How long the sender has to read a refusal before the rest of its body is given up. */
const LINGER_MS = 100;

/** Refuses what the head of a request already shows: a wrong type, an unknown coding, a body that is too large or of doubtful length. */
export function checkHead(headers: Headers, bytesMax: number): void {
  const length = headers.get("content-length");
  if (length !== null) {
    if (headers.has("transfer-encoding")) throw malformed("The request has both Content-Length and Transfer-Encoding.");
    if (!/^\d{1,15}$/.test(length)) throw malformed("The Content-Length is no number.");
    if (Number(length) > bytesMax) throw tooLarge(bytesMax);
  }
  if (!isJson(headers.get("content-type") ?? "")) {
    throw new Refusal({
      status: 415,
      reason: "content_type",
      detail: "The Content-Type must be application/json or end with +json, in UTF-8.",
      headers: { accept: "application/json" },
      closes: true,
    });
  }
  codingOf(headers);
}

function isJson(contentType: string): boolean {
  const [type = "", ...parameters] = contentType.toLowerCase().split(";").map((part) => part.trim());
  if (!/^application\/(json|[a-z0-9!#$&^_.+-]+\+json)$/.test(type)) return false;
  return parameters.every((parameter) => !parameter.startsWith("charset=") || /^charset="?utf-?8"?$/.test(parameter));
}

function codingOf(headers: Headers): "gzip" | "deflate" | null {
  const coding = (headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (coding === "identity" || coding === "") return null;
  if (coding === "gzip" || coding === "x-gzip") return "gzip";
  if (coding === "deflate") return "deflate";
  throw new Refusal({
    status: 415,
    reason: "content_encoding",
    detail: "The Content-Encoding must be gzip, deflate or none.",
    headers: { "accept-encoding": "gzip, deflate" },
    closes: true,
  });
}

/**
 * The body, its content coding undone. Throws {@linkcode Refusal}: 413 for too many bytes, 408 when they come too slowly, 400 when they break off, 503 when
 * memory is short.
 */
export async function readBody(request: Request, { runtime, bytesMax, timeoutMs, admitted }: ReadBodyOptions): Promise<Uint8Array> {
  const received = await receive(request, { runtime, bytesMax, timeoutMs, admitted });
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) !== received.length) throw malformed("The body does not have the length that Content-Length says.");
  const coding = codingOf(request.headers);
  if (coding === null) return received;
  // How much comes out is known afterwards: the most that may come out is held meanwhile.
  admitted.hold(bytesMax);
  try {
    const body = await runtime.decompress(coding, received, bytesMax);
    admitted.drop(bytesMax - body.length + received.length);
    return body;
  } catch (error) {
    if (isStreamError(error) && error.code === "RECORD_TOO_LARGE") throw tooLarge(bytesMax);
    if (isStreamError(error) && error.code === "CODEC_FAILED") throw malformed("The body does not fit its Content-Encoding.");
    throw error;
  }
}

async function receive(request: Request, options: ReadBodyOptions): Promise<Uint8Array> {
  const { runtime, timeoutMs } = options;
  if (request.bodyUsed) throw malformed("The body was read before.");
  const reader = bodyOf(request)?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  const late = Promise.withResolvers<never>();
  const timer = runtime.setTimer(() => {
    late.reject(new Refusal({ status: 408, reason: "too_slow", detail: `The body did not come within ${Math.ceil(timeoutMs / 1_000)} s.`, closes: true }));
  }, timeoutMs);
  const given = { up: false };
  try {
    return await Promise.race([collect(reader, options, given), late.promise]);
  } catch (error) {
    given.up = true;
    // Not at once: on some hosts the connection ends with the body, and the answer would be lost.
    runtime.setTimer(() => void reader.cancel().catch(() => undefined), LINGER_MS);
    throw error;
  } finally {
    timer.cancel();
  }
}

/** Copied into one growing array: a million chunks of one byte must not cost a million objects. */
async function collect(reader: ChunkReader, { bytesMax, admitted }: ReadBodyOptions, given: { readonly up: boolean }): Promise<Uint8Array> {
  let bytes: Uint8Array = new Uint8Array(0);
  let sizeBytes = 0;
  for (;;) {
    const chunk = await nextChunk(reader);
    if (chunk === null || given.up) return bytes.subarray(0, sizeBytes);
    const wantedBytes = sizeBytes + chunk.length;
    if (wantedBytes > bytesMax) throw tooLarge(bytesMax);
    if (wantedBytes > bytes.length) {
      const grown = sizeBytes === 0 ? chunk : new Uint8Array(Math.min(bytesMax, Math.max(wantedBytes, 2 * bytes.length)));
      admitted.hold(grown.length - bytes.length);
      if (sizeBytes > 0) grown.set(bytes.subarray(0, sizeBytes));
      bytes = grown;
    }
    if (bytes !== chunk) bytes.set(chunk, sizeBytes);
    sizeBytes = wantedBytes;
  }
}

/** Some hosts throw here once the sender has gone. */
function bodyOf(request: Request): ReadableStream<Uint8Array> | null {
  try {
    return request.body;
  } catch {
    throw malformed("The body broke off.");
  }
}

/** What the stream readers of all hosts have in common. */
interface ChunkReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

/** null at the end. */
async function nextChunk(reader: ChunkReader): Promise<Uint8Array | null> {
  try {
    const { done, value } = await reader.read();
    return done ? null : (value ?? null);
  } catch {
    throw malformed("The body broke off.");
  }
}

function tooLarge(bytesMax: number): Refusal {
  return new Refusal({ status: 413, reason: "body_too_large", detail: `The body is larger than ${bytesMax} bytes.`, closes: true });
}

function malformed(detail: string): Refusal {
  return new Refusal({ status: 400, reason: "malformed", detail, closes: true });
}
