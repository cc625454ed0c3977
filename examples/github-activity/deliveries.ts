/** Deliveries as GitHub makes them: the real payloads of `@octokit/webhooks-examples`, moved to the present and signed. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { momentOf } from "./moment.ts";

/** One webhook, ready to be posted. */
export interface Delivery {
  /** `X-GitHub-Delivery`: the same for each try. */
  readonly id: string;
  readonly event: string;
  /** null: not about a repository. */
  readonly repository: string | null;
  /** When it happened, ms; null where the payload does not say. */
  readonly happenedAt: number | null;
  readonly body: string;
}

/** A payload as it lies in the package. */
export interface Example {
  readonly event: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** All examples, in the package's order: 329 of 58 events. */
export function loadExamples(): readonly Example[] {
  const file = createRequire(import.meta.url).resolve("@octokit/webhooks-examples");
  const kinds: readonly { readonly name: string; readonly examples: readonly Example["payload"][] }[] = JSON.parse(readFileSync(file, "utf8"));
  return kinds.flatMap((kind) => kind.examples.map((payload) => ({ event: kind.name, payload })));
}

/** Makes a delivery of an example: what it tells happened at `happenedAt`, and all its times are moved by as much. */
export function makeDelivery(example: Example, id: string, happenedAt: number): Delivery {
  const was = momentOf(example.payload);
  const payload = was === null ? example.payload : moveTimes(example.payload, happenedAt - was);
  const { repository } = example.payload as { readonly repository?: { readonly full_name?: string } };
  return { id, event: example.event, repository: repository?.full_name ?? null, happenedAt: momentOf(payload), body: JSON.stringify(payload) };
}

/** The headers that GitHub sends along. */
export async function signedHeaders(delivery: Delivery, secret: string): Promise<Record<string, string>> {
  const text = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", text.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(delivery.body)));
  return {
    "content-type": "application/json",
    "user-agent": "GitHub-Hookshot/example",
    "x-github-event": delivery.event,
    "x-github-delivery": delivery.id,
    "x-hub-signature-256": `sha256=${Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("")}`,
  };
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;

function moveTimes(value: unknown, byMs: number, name = ""): unknown {
  if (typeof value === "string" && ISO_TIME.test(value)) return new Date(Date.parse(value) + byMs).toISOString();
  // Pushes give these two in seconds.
  if (typeof value === "number" && (name === "pushed_at" || name === "created_at")) return Math.floor((value * 1000 + byMs) / 1000);
  if (Array.isArray(value)) return value.map((item) => moveTimes(item, byMs));
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, moveTimes(item, byMs, key)]));
  return value;
}
