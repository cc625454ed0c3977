/** Signatures that are an HMAC of the body in one header: GitHub's, and anybody's. Neither signs a timestamp, so only remembered ids keep repeats out. */
import { fromBase64, fromHex, toBytes } from "../../base/bytes.ts";
import { makeVerifier, type Verifier, type VerifierOptions } from "./verifier.ts";

/** Options of {@linkcode hmac}. */
export interface HmacOptions extends VerifierOptions {
  /** The header with the signature, such as `x-signature`. */
  readonly header: string;
  /** The hash behind the signature. @default "sha256" */
  readonly algorithm?: "sha256" | "sha512";
  /** How the signature is written. @default "hex" */
  readonly encoding?: "hex" | "base64";
  /** Stands in front of the signature, such as `sha256=`. @default "" */
  readonly prefix?: string;
}

/**
 * Verifies GitHub's signature, header `X-Hub-Signature-256`. The id of the delivery, header `X-GitHub-Delivery`, becomes the idempotency key; GitHub does not
 * sign it.
 */
export function github(options: VerifierOptions): Verifier {
  return bodyHmac("github", { ...options, header: "x-hub-signature-256", prefix: "sha256=" }, "x-github-delivery");
}

/** Verifies a plain HMAC in a header. */
export function hmac(options: HmacOptions): Verifier {
  return bodyHmac("hmac", options, null);
}

function bodyHmac(name: string, options: HmacOptions, idHeader: string | null): Verifier {
  const { header = "", algorithm = "sha256", encoding = "hex", prefix = "" } = options;
  const verifier = makeVerifier(name, options, {
    algorithm: algorithm === "sha512" ? "SHA-512" : "SHA-256",
    hasTimestamp: false,
    idHeader,
    keyOf: toBytes,
    read: (headers) => {
      const sent = isHeaderName(header) ? (headers.get(header) ?? "") : "";
      const signature = sent.startsWith(prefix) ? (encoding === "hex" ? fromHex : fromBase64)(sent.slice(prefix.length)) : null;
      return { prefix: "", signatures: signature === null ? [] : [signature], timestampMs: null };
    },
  });
  const faults = [...verifier["~scheme"].faults];
  if (!isHeaderName(header)) faults.push(`${name}() has the header ${JSON.stringify(header)}, wanted the name of a header`);
  if (algorithm !== "sha256" && algorithm !== "sha512") faults.push(`${name}() has the algorithm ${JSON.stringify(algorithm)}, wanted "sha256" or "sha512"`);
  if (encoding !== "hex" && encoding !== "base64") faults.push(`${name}() has the encoding ${JSON.stringify(encoding)}, wanted "hex" or "base64"`);
  return Object.freeze({ "~verifier": name, "~scheme": Object.freeze({ ...verifier["~scheme"], faults }) });
}

function isHeaderName(name: unknown): name is string {
  return typeof name === "string" && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name);
}
