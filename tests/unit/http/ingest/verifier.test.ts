import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { toBase64, toBytes, toHex } from "../../../../src/base/bytes.ts";
import { github, hmac } from "../../../../src/http/ingest/hmac.ts";
import { standardWebhooks } from "../../../../src/http/ingest/standard-webhooks.ts";
import { readyVerifier, type Verifier } from "../../../../src/http/ingest/verifier.ts";
import { env } from "../../../../src/runtime/env-value.ts";
import { START_MS, stillRuntime } from "../fake-host.ts";

const OLD = `whsec_${toBase64(toBytes("the old secret of twenty-four bytes"))}`;
const NEW = `whsec_${toBase64(toBytes("the new secret of twenty-four bytes"))}`;
const BODY = '{"id":"ä€😀","n":1}';

function verifies(verifier: Verifier, headers: Readonly<Record<string, string>>, body: string | Uint8Array = BODY, variables: Readonly<Record<string, string>> = {}): Promise<boolean> {
  return readyVerifier(verifier["~scheme"], stillRuntime(variables), 'webhook "/a"').verify(new Headers(headers), toBytes(body));
}

/** Headers as the reference library signs them. */
function signed({ secret = NEW, id = "msg_1", ageMs = 0, body = BODY }: { secret?: string; id?: string; ageMs?: number; body?: string } = {}): Record<string, string> {
  const at = new Date(START_MS - ageMs);
  return { "webhook-id": id, "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)), "webhook-signature": new Webhook(secret).sign(id, at, body) };
}

describe("standardWebhooks()", () => {
  const verifier = standardWebhooks({ secret: [NEW, OLD] });

  test("takes what the reference library signed", async () => {
    expect(await verifies(verifier, signed())).toBe(true);
    expect(await verifies(standardWebhooks({ secret: NEW.slice(6) }), signed())).toBe(true);
  });

  test("tries every secret, so that they can be rotated", async () => {
    expect(await verifies(verifier, signed({ secret: OLD }))).toBe(true);
    expect(await verifies(standardWebhooks({ secret: NEW }), signed({ secret: OLD }))).toBe(false);
    expect(await verifies(standardWebhooks({ secret: [env("NEW_SECRET"), env("OLD_SECRET")] }), signed({ secret: OLD }), BODY, { NEW_SECRET: NEW, OLD_SECRET: OLD })).toBe(true);
  });

  test("takes any one of several signatures, and leaves other versions out", async () => {
    const { "webhook-signature": right, ...rest } = signed();
    const { "webhook-signature": wrong } = signed({ secret: OLD });

    expect(await verifies(standardWebhooks({ secret: NEW }), { ...rest, "webhook-signature": `v1a,xyz ${wrong} ${right}` })).toBe(true);
    expect(await verifies(verifier, { ...rest, "webhook-signature": right!.replace("v1,", "v2,") })).toBe(false);
  });

  test.each([
    ["five minutes old", 300_000, true],
    ["a second older", 301_000, false],
    ["five minutes ahead", -300_000, true],
    ["a second further ahead", -301_000, false],
  ])("timestamp that is %s", async (_what, ageMs, isFine) => {
    expect(await verifies(verifier, signed({ ageMs }))).toBe(isFine);
  });

  test("takes another tolerance", async () => {
    expect(await verifies(standardWebhooks({ secret: NEW, tolerance: "10s" }), signed({ ageMs: 10_000 }))).toBe(true);
    expect(await verifies(standardWebhooks({ secret: NEW, tolerance: "10s" }), signed({ ageMs: 11_000 }))).toBe(false);
  });

  test.each([["webhook-id"], ["webhook-timestamp"], ["webhook-signature"]])("refuses a request without %s", async (name) => {
    const headers = signed();
    delete headers[name];

    expect(await verifies(verifier, headers)).toBe(false);
  });

  test.each([
    ["webhook-id", "msg_2"],
    ["webhook-timestamp", String(START_MS / 1_000 + 1)],
    ["webhook-timestamp", `${START_MS / 1_000}.0`],
    ["webhook-timestamp", `+${START_MS / 1_000}`],
    ["webhook-timestamp", "NaN"],
    ["webhook-signature", ""],
    ["webhook-signature", "v1,"],
    ["webhook-signature", "v1,AAAA"],
    ["webhook-signature", "garbage"],
  ])("refuses %s %s", async (name, value) => {
    expect(await verifies(verifier, { ...signed(), [name]: value })).toBe(false);
  });

  test("refuses a body that differs in one byte", async () => {
    expect(await verifies(verifier, signed(), `${BODY} `)).toBe(false);
  });

  test("takes bytes that are no text", async () => {
    const body = new Uint8Array([0, 255, 254, 128]);
    const runtime = stillRuntime();
    const prefix = toBytes(`msg_1.${START_MS / 1_000}.`);
    const digest = await runtime.hmac("SHA-256", toBytes("the new secret of twenty-four bytes"), new Uint8Array([...prefix, ...body]));

    expect(await verifies(verifier, { ...signed(), "webhook-signature": `v1,${toBase64(digest)}` }, body)).toBe(true);
  });
});

describe("github()", () => {
  // The example of GitHub's documentation.
  const secret = "It's a Secret to Everybody";
  const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

  test("takes the example of the documentation", async () => {
    expect(await verifies(github({ secret }), { "x-hub-signature-256": signature }, "Hello, World!")).toBe(true);
    expect(await verifies(github({ secret: ["other", secret] }), { "x-hub-signature-256": signature }, "Hello, World!")).toBe(true);
  });

  test.each([
    ["another body", signature, "Hello, World"],
    ["no prefix", signature.slice(7), "Hello, World!"],
    ["SHA-1", signature.replace("sha256", "sha1"), "Hello, World!"],
    ["a shorter signature", signature.slice(0, -2), "Hello, World!"],
    ["nothing", "", "Hello, World!"],
  ])("refuses %s", async (_what, header, body) => {
    expect(await verifies(github({ secret }), { "x-hub-signature-256": header }, body)).toBe(false);
  });

  test("refuses a request without a signature", async () => {
    expect(await verifies(github({ secret }), {}, "Hello, World!")).toBe(false);
  });
});

describe("hmac()", () => {
  test.each([
    ["sha256", "hex", ""],
    ["sha512", "base64", "v1="],
  ] as const)("takes %s in %s behind %j", async (algorithm, encoding, prefix) => {
    const digest = await stillRuntime().hmac(algorithm === "sha256" ? "SHA-256" : "SHA-512", toBytes("key"), toBytes(BODY));
    const verifier = hmac({ secret: "key", header: "X-Signature", algorithm, encoding, prefix });
    const text = prefix + (encoding === "hex" ? toHex(digest) : toBase64(digest));

    expect(await verifies(verifier, { "x-signature": text })).toBe(true);
    expect(await verifies(verifier, { "x-signature": text }, `${BODY} `)).toBe(false);
    expect(await verifies(verifier, { "x-other": text })).toBe(false);
  });
});

describe("readyVerifier()", () => {
  test("names the variable that is missing", () => {
    expect(() => readyVerifier(standardWebhooks({ secret: [env("A"), env("B")] })["~scheme"], stillRuntime({ A: NEW }), 'webhook "/a"')).toThrow(
      'The secret 2 of webhook "/a" comes from the environment variable B, which is missing or empty: set it',
    );
  });

  test("does not show a secret that is malformed", () => {
    const verifier = standardWebhooks({ secret: "whsec_not base64!" });

    expect(() => readyVerifier(verifier["~scheme"], stillRuntime(), 'webhook "/a"')).toThrow(
      'The secret of webhook "/a" does not have the form that standardWebhooks() takes: Standard Webhooks wants whsec_ and base64',
    );
  });

  test("V1 computes the HMAC of every secret, for requests of any kind", async () => {
    const runtime = stillRuntime();
    let count = 0;
    const counted = { ...runtime, hmac: (...parts: Parameters<typeof runtime.hmac>) => (count++, runtime.hmac(...parts)) };
    const ready = readyVerifier(standardWebhooks({ secret: [NEW, OLD] })["~scheme"], counted, "x");

    const counts: number[] = [];
    for (const headers of [signed(), signed({ secret: OLD }), signed({ ageMs: 900_000 }), {}]) {
      count = 0;
      await ready.verify(new Headers(headers), toBytes(BODY));
      counts.push(count);
    }

    expect(counts).toEqual([2, 2, 2, 2]);
  });
});
