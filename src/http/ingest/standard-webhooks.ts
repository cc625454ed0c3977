/** Signatures by Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, base64, several allowed. */
import { fromBase64 } from "../../base/bytes.ts";
import { makeVerifier, type Signed, type Verifier, type VerifierOptions } from "./verifier.ts";

const SECRET_PREFIX = "whsec_";
const DIGEST_BYTES = 32;

/**
 * Verifies by Standard Webhooks: headers `webhook-id`, `webhook-timestamp` (within the tolerance of five minutes) and `webhook-signature`. Secrets are
 * base64, with or without `whsec_` in front.
 * The id becomes the idempotency key.
 */
export function standardWebhooks(options: VerifierOptions): Verifier {
  return makeVerifier("standardWebhooks", options, {
    algorithm: "SHA-256",
    hasTimestamp: true,
    idHeader: "webhook-id",
    keyOf: (secret) => fromBase64(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret),
    read,
  });
}

function read(headers: Headers): Signed {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = headers.get("webhook-timestamp") ?? "";
  const isComplete = id !== "" && /^\d{1,12}$/.test(timestamp);
  return {
    prefix: `${id}.${timestamp}.`,
    signatures: signaturesOf(headers.get("webhook-signature") ?? ""),
    timestampMs: isComplete ? Number(timestamp) * 1_000 : Number.NaN,
  };
}

/** `v1,<base64>`, separated by spaces; other versions are left out. */
function signaturesOf(header: string): Uint8Array[] {
  const signatures: Uint8Array[] = [];
  for (const part of header.split(" ")) {
    const signature = part.startsWith("v1,") ? fromBase64(part.slice(3)) : null;
    if (signature?.length === DIGEST_BYTES) signatures.push(signature);
  }
  return signatures;
}
