/**
 * Who sent it: signatures over the raw body. Every kind of signature is the same work: read headers, rebuild the signed bytes, compare with each secret's HMAC.
 *
 * - **V1** The HMACs of all secrets are computed and compared for every request, well-formed or not, so that no failure is told from another by its time.
 * - **V2** Comparisons take a time that depends on lengths alone.
 * - **V3** A timestamp, where the kind has one, is part of what is signed and lies within the tolerance, in the past and in the future.
 */
import { equalBytesConstantTime, toBytes } from "../../base/bytes.ts";
import { type Duration, finiteDurationMs } from "../../base/duration.ts";
import { DefinitionError, messageOf } from "../../base/errors.ts";
import { resolveSecret, type Secret } from "../../runtime/env-value.ts";
import type { HashAlgorithm, Runtime } from "../../runtime/runtime.ts";

/** Checks that a request is who it says, over the raw body. Made by `standardWebhooks()`, `github()` and `hmac()`. */
export interface Verifier {
  /** Its kind: `standardWebhooks`, `github`, `hmac`. */
  readonly "~verifier": string;
  /** @internal */
  readonly "~scheme": SignatureScheme;
}

/** Secrets, newest first (all are tried, so they can be rotated), and the tolerated age. */
export interface VerifierOptions {
  /** Text or `env("NAME")`, or several; an empty one is refused at the start. */
  readonly secret: Secret | readonly Secret[];
  /** How far the timestamp of a request may be off, into the past and the future; only for kinds that sign one. @default "5m" */
  readonly tolerance?: Duration;
}

/** The parts of a request that a signature is made of. */
export interface Signed {
  /** In front of the body in what is signed. */
  readonly prefix: string;
  /** Signatures that were sent; one that fits is enough. */
  readonly signatures: readonly Uint8Array[];
  /** Milliseconds since the epoch; null when the kind has none. NaN is never within the tolerance. */
  readonly timestampMs: number | null;
}

/** What tells one kind of signature from another. */
export interface SignatureScheme {
  readonly name: string;
  readonly algorithm: HashAlgorithm;
  readonly secrets: readonly Secret[];
  /** null: the kind signs no timestamp. */
  readonly toleranceMs: number | null;
  /** The header with the id of a delivery, which repeats of it carry too; null when there is none. */
  readonly idHeader: string | null;
  /** What is wrong with the options. */
  readonly faults: readonly string[];
  /** The key that a secret's text stands for; null when it is malformed. */
  readonly keyOf: (secret: string) => Uint8Array | null;
  /** Never throws: what is missing becomes empty. */
  readonly read: (headers: Headers) => Signed;
}

/** A scheme whose secrets were read. */
export interface ReadyVerifier {
  /** Whether a request was signed with one of the secrets, lately. */
  verify(headers: Headers, body: Uint8Array): Promise<boolean>;
}

const TOLERANCE_MS = 300_000;
/** More signatures than any sender rotates through are not looked at. */
const SIGNATURES_MAX = 32;

/** Checks what the kinds have in common, and packs a scheme. */
export function makeVerifier(
  name: string,
  options: VerifierOptions,
  scheme: Omit<SignatureScheme, "name" | "secrets" | "toleranceMs" | "faults"> & { readonly hasTimestamp: boolean },
): Verifier {
  const { hasTimestamp, ...rest } = scheme;
  const faults: string[] = [];
  const given = (options as VerifierOptions | undefined)?.secret;
  const secrets: readonly Secret[] = given === undefined ? [] : Array.isArray(given) ? (given as readonly Secret[]) : [given as Secret];
  if (secrets.length === 0) faults.push(`${name}() has no secret, wanted text, env("NAME") or a list of them`);
  const toleranceMs = hasTimestamp ? toleranceOf(name, options, faults) : null;
  if (!hasTimestamp && options?.tolerance !== undefined) faults.push(`${name}() takes no tolerance: it signs no timestamp`);
  return Object.freeze({ "~verifier": name, "~scheme": Object.freeze({ name, secrets, toleranceMs, faults, ...rest }) });
}

function toleranceOf(name: string, options: VerifierOptions, faults: string[]): number {
  try {
    return options?.tolerance === undefined ? TOLERANCE_MS : finiteDurationMs(options.tolerance, `The tolerance of ${name}()`);
  } catch (error) {
    faults.push(messageOf(error));
    return TOLERANCE_MS;
  }
}

/** Reads the secrets of a scheme. Throws DefinitionError `CONFIG_INVALID` for one that is missing or malformed; `where` names the webhook. */
export function readyVerifier(scheme: SignatureScheme, runtime: Pick<Runtime, "env" | "hmac" | "now">, where: string): ReadyVerifier {
  const keys = scheme.secrets.map((secret, index) => {
    const what = `${scheme.secrets.length === 1 ? "secret" : `secret ${index + 1}`} of ${where}`;
    const key = scheme.keyOf(resolveSecret(runtime, secret, what));
    if (key !== null && key.length > 0) return key;
    throw new DefinitionError(`The ${what} does not have the form that ${scheme.name}() takes: ${SECRET_FORM}`, { code: "CONFIG_INVALID" });
  });
  return { verify: (headers, body) => verify(scheme, keys, runtime, headers, body) };
}

const SECRET_FORM = "Standard Webhooks wants whsec_ and base64";

async function verify(
  scheme: SignatureScheme,
  keys: readonly Uint8Array[],
  runtime: Pick<Runtime, "hmac" | "now">,
  headers: Headers,
  body: Uint8Array,
): Promise<boolean> {
  const { prefix, signatures, timestampMs } = scheme.read(headers);
  const signed = withPrefix(prefix, body);
  let isSigned = false;
  for (const key of keys) {
    const wanted = await runtime.hmac(scheme.algorithm, key, signed);
    for (const signature of signatures.slice(0, SIGNATURES_MAX)) isSigned = equalBytesConstantTime(wanted, signature) || isSigned;
  }
  const isFresh = scheme.toleranceMs === null || (timestampMs !== null && Math.abs(runtime.now() - timestampMs) <= scheme.toleranceMs);
  return isSigned && isFresh;
}

function withPrefix(prefix: string, body: Uint8Array): Uint8Array {
  if (prefix === "") return body;
  const head = toBytes(prefix);
  const signed = new Uint8Array(head.length + body.length);
  signed.set(head);
  signed.set(body, head.length);
  return signed;
}
