/** From a verified request to what the app appends: JSON, schemas, `map`, the id. */
import { isThenable } from "../../base/awaitable.ts";
import { isStreamError, type StreamError } from "../../base/errors.ts";
import { crc32c } from "../../record/crc32c.ts";
import { check, type IssueDetail, type Schema } from "../../record/schema.ts";
import type { AcceptedRequest, IdempotencyId } from "../host.ts";
import { Refusal } from "../problem.ts";
import { parseJson } from "./json.ts";
import type { HeaderRecord, QueryValues, WebhookDefinition, WebhookMessage } from "./webhook.ts";

/** Headers that let somebody in: they are checked by schemas that ask for them, and otherwise not kept. */
const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization"]);

const ID_LENGTH_MAX = 1_024;

/** What was sent, verified. */
export interface VerifiedRequest {
  readonly headers: Headers;
  readonly parameters: URLSearchParams;
  readonly rawBody: Uint8Array;
  readonly receivedAt: number;
}

/** What to append; null when `map` left the request out. Throws {@linkcode Refusal} 400 for what does not fit, the issues of all parts together. */
export async function readMessage(webhook: WebhookDefinition, sent: VerifiedRequest): Promise<AcceptedRequest | null> {
  const issues: IssueDetail[] = [];
  const body = await checked("", webhook.body, parseJson(sent.rawBody), issues);
  const query = await checked("query", webhook.query, queryOf(sent.parameters), issues);
  const headers = await checked("headers", webhook.headers, headersOf(sent.headers, webhook.headers !== null), issues);
  if (issues.length > 0) throw new Refusal({ status: 400, reason: "schema", detail: "The request does not fit its schema.", code: "SCHEMA_MISMATCH", issues });
  const message: WebhookMessage<unknown, unknown, unknown> = { body, query, headers };
  const idempotencyId = idOf(webhook, message, sent);
  let value: unknown;
  if (webhook.map !== null) {
    const mapped = webhook.map(message);
    value = isThenable(mapped) ? await mapped : mapped;
    if (isLeftOut(value)) return null;
  }
  return { body, query, headers, rawBody: sent.rawBody, receivedAt: sent.receivedAt, idempotencyId, value };
}

async function checked(part: "" | "query" | "headers", schema: Schema | null, value: unknown, issues: IssueDetail[]): Promise<unknown> {
  if (schema === null) return value;
  try {
    return await check(schema, value);
  } catch (error) {
    if (!isStreamError(error)) throw error;
    if (isSchemaFailure(error)) throw error.cause;
    for (const { path, message } of issuesOf(error.details)) issues.push({ path: joined(part, path), message });
    return undefined;
  }
}

/** Whether a schema threw: an error of the program, not of the request, and its text is not for the sender. */
export function isSchemaFailure(error: StreamError): boolean {
  return error.cause !== undefined && !isStreamError(error.cause);
}

/** The issues in the details of a `SCHEMA_MISMATCH`. */
export function issuesOf(details: Readonly<Record<string, unknown>>): readonly IssueDetail[] {
  const issues = details["issues"];
  return Array.isArray(issues) ? (issues as readonly IssueDetail[]) : [];
}

function joined(part: string, path: string): string {
  return part === "" || path === "" || path.startsWith("[") ? part + path : `${part}.${path}`;
}

/** Made by `Object.fromEntries`, which defines `__proto__` like any other name instead of setting a prototype. */
function queryOf(parameters: URLSearchParams): QueryValues {
  const values = new Map<string, string | string[]>();
  for (const [name, value] of parameters) {
    const known = values.get(name);
    if (known === undefined) values.set(name, value);
    else if (typeof known === "string") values.set(name, [known, value]);
    else known.push(value);
  }
  return Object.fromEntries(values);
}

function headersOf(headers: Headers, withCredentials: boolean): HeaderRecord {
  return Object.fromEntries([...headers].filter(([name]) => withCredentials || !CREDENTIALS.has(name)));
}

function idOf(webhook: WebhookDefinition, message: WebhookMessage<unknown, unknown, unknown>, { headers, rawBody }: VerifiedRequest): IdempotencyId | null {
  const { path: scope, idempotencyKey, idempotencyTtlMs: keepMs, scheme } = webhook;
  let value: unknown;
  if (idempotencyKey !== null) value = idempotencyKey(message);
  else {
    value = scheme === null || scheme.idHeader === null ? null : headers.get(scheme.idHeader);
    if (value === null || value === "") return null;
  }
  if (typeof value === "string" && value.length > 0 && value.length <= ID_LENGTH_MAX) {
    return { scope, value, keepMs, checksum: crc32c(rawBody, 0, rawBody.length) };
  }
  throw new Refusal({ status: 400, reason: "idempotency_key", detail: `The idempotency key must be text of 1 to ${ID_LENGTH_MAX} characters.` });
}

function isLeftOut(value: unknown): boolean {
  return value === null || value === undefined || (typeof value === "object" && "~skip" in value);
}
