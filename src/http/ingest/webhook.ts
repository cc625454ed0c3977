/** What a webhook is: its options as users write them, and the checked definition that the server and the app work with. */
import type { Awaitable } from "../../base/awaitable.ts";
import { type Duration, finiteDurationMs } from "../../base/duration.ts";
import { messageOf } from "../../base/errors.ts";
import type { Schema } from "../../record/schema.ts";
import type { SignatureScheme, Verifier } from "./verifier.ts";

/** A request that passed verification and its schemas. */
export interface WebhookMessage<out Body, out Query, out HeaderValues> {
  /** Parsed, and as its schema makes it. */
  readonly body: Body;
  /** As its schema makes it; without one, text by name. */
  readonly query: Query;
  /** As their schema makes them; without one, text by lower-case name. */
  readonly headers: HeaderValues;
}

/** The query of a request: a parameter that is repeated is a list. */
export type QueryValues = Readonly<Record<string, string | readonly string[]>>;

/** The headers of a request, by lower-case name. */
export type HeaderRecord = Readonly<Record<string, string>>;

/** What a webhook accepts and where it leads. */
export interface WebhookOptions<Body, Query, HeaderValues, Input> {
  /** Of the body. @default none: `unknown` */
  readonly body?: Schema<Body>;
  /** Of the query. @default none: text by name, a list where a name is repeated */
  readonly query?: Schema<Query>;
  /** Of the headers, by lower-case name. @default none: text by name */
  readonly headers?: Schema<HeaderValues>;
  /** The topic that gets the record. @default a topic of its own, named after the path */
  readonly topic?: { readonly "~target": (key: null, value: Input) => void };
  /** From request to the topic's value; null or `skip()` answers 202 without a record. @default the body, checked by the topic's schema */
  readonly map?: (message: WebhookMessage<Body, Query, HeaderValues>) => Awaitable<Input | { readonly "~skip": string } | null | undefined>;
  /** Required: `"none"` must be written out. */
  readonly verify: Verifier | "none";
  /** Seen keys are answered without a second record. @default the id of the delivery, where the verifier knows one */
  readonly idempotencyKey?: (message: WebhookMessage<Body, Query, HeaderValues>) => string;
  /** How long keys are remembered; at least twice the tolerance of the verifier. @default "24h" */
  readonly idempotencyTtl?: Duration;
  /** Largest body, as received and as decompressed. @default 1_048_576 */
  readonly bodyBytesMax?: number;
}

/** Demanded of a webhook whose topic takes something else than its body. */
export interface MapNeeded {
  /** Makes what the topic takes of the request. */
  readonly map: unknown;
}

/** What options need besides: `map`, when the schema of the body gives what the topic does not take. A body without a schema is checked by the topic's, request by request. */
export type CheckedMap<Body, Input> = unknown extends Body ? unknown : [Body] extends [Input] ? unknown : MapNeeded;

/** A checked webhook, its types erased. */
export interface WebhookDefinition {
  readonly path: string;
  /** null: `verify` is `"none"`. */
  readonly scheme: SignatureScheme | null;
  readonly body: Schema | null;
  readonly query: Schema | null;
  readonly headers: Schema | null;
  /** As given; what it is, the app knows. */
  readonly topic: unknown;
  readonly map: ((message: WebhookMessage<unknown, unknown, unknown>) => Awaitable<unknown>) | null;
  readonly idempotencyKey: ((message: WebhookMessage<unknown, unknown, unknown>) => string) | null;
  readonly idempotencyTtlMs: number;
  readonly bodyBytesMax: number;
}

const BODY_BYTES_MAX = 1_048_576;
/** The largest limit that can be asked for: bodies are held in memory. */
const BODY_BYTES_MAX_MAX = 67_108_864;
const IDEMPOTENCY_TTL_MS = 86_400_000;
/** Paths of the server itself. */
const RESERVED = /^\/(admin|features|metrics)(\/|$)/;

/** The webhook of some options. Each thing that is wrong goes to `faults` as one sentence; the definition is then not to be used. */
export function defineWebhook<Body = unknown, Query = QueryValues, HeaderValues = HeaderRecord, Input = unknown>(
  path: string,
  options: WebhookOptions<Body, Query, HeaderValues, Input>,
  faults: (sentence: string) => void,
): WebhookDefinition {
  const fault = (sentence: string): void => faults(`Webhook ${JSON.stringify(path)}: ${sentence}`);
  const given: Partial<WebhookOptions<Body, Query, HeaderValues, Input>> = typeof options === "object" && options !== null ? options : {};
  checkPath(path, fault);
  const scheme = schemeOf(given.verify, fault);
  for (const name of ["body", "query", "headers"] as const) {
    if (given[name] !== undefined && typeof given[name]?.["~standard"]?.validate !== "function") {
      fault(`${name} is no schema, wanted one that speaks Standard Schema`);
    }
  }
  for (const name of ["map", "idempotencyKey"] as const) {
    if (given[name] !== undefined && typeof given[name] !== "function") fault(`${name} is of type ${typeof given[name]}, wanted a function`);
  }
  if (given.topic !== undefined && (typeof given.topic !== "object" || given.topic === null || !("~target" in given.topic))) {
    fault("topic is nothing that takes records, wanted a topic");
  }
  return Object.freeze({
    path,
    scheme,
    body: given.body ?? null,
    query: given.query ?? null,
    headers: given.headers ?? null,
    topic: given.topic,
    // The types were checked where the options were written; from here on values are unknown.
    map: (given.map as WebhookDefinition["map"] | undefined) ?? null,
    idempotencyKey: (given.idempotencyKey as WebhookDefinition["idempotencyKey"] | undefined) ?? null,
    idempotencyTtlMs: ttlOf(given.idempotencyTtl, scheme, fault),
    bodyBytesMax: bodyBytesMaxOf(given.bodyBytesMax, fault),
  });
}

function checkPath(path: unknown, fault: (sentence: string) => void): void {
  if (typeof path !== "string" || !/^(\/[A-Za-z0-9._~-]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    fault("the path must begin with / and hold letters, digits and . _ ~ - between single slashes, without one at the end");
  } else if (RESERVED.test(path)) fault("the path is taken by the server's own pages: /admin, /features and /metrics");
}

function schemeOf(verify: Verifier | "none" | undefined, fault: (sentence: string) => void): SignatureScheme | null {
  if (verify === "none") return null;
  const scheme = typeof verify === "object" && verify !== null ? verify["~scheme"] : undefined;
  if (scheme === undefined) fault('verify is missing, wanted standardWebhooks(), github() or hmac(), or "none" for a hook that is open to everybody');
  else for (const sentence of scheme.faults) fault(sentence);
  return scheme ?? null;
}

function ttlOf(ttl: Duration | undefined, scheme: SignatureScheme | null, fault: (sentence: string) => void): number {
  // A timestamp from the future is good for the tolerance before it and after it.
  const leastMs = 2 * (scheme?.toleranceMs ?? 0);
  try {
    const ttlMs = ttl === undefined ? Math.max(IDEMPOTENCY_TTL_MS, leastMs) : finiteDurationMs(ttl, "idempotencyTtl");
    if (ttlMs < leastMs || ttlMs === 0) fault(`idempotencyTtl is ${ttlMs} ms, wanted at least ${Math.max(1, leastMs)} ms, twice the tolerance of the verifier`);
    return ttlMs;
  } catch (error) {
    fault(messageOf(error));
    return IDEMPOTENCY_TTL_MS;
  }
}

function bodyBytesMaxOf(bytesMax: number | undefined, fault: (sentence: string) => void): number {
  if (bytesMax === undefined) return BODY_BYTES_MAX;
  if (Number.isSafeInteger(bytesMax) && bytesMax >= 1 && bytesMax <= BODY_BYTES_MAX_MAX) return bytesMax;
  fault(`bodyBytesMax is ${String(bytesMax)}, wanted a whole number from 1 to ${BODY_BYTES_MAX_MAX}`);
  return BODY_BYTES_MAX;
}
