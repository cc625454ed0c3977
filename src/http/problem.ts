/** Refusals, as problem details (RFC 9457). Their texts are written here and there in the HTTP layer: nothing an exception says reaches a client. */
import { jsonValue } from "../base/json-value.ts";
import type { IssueDetail } from "../record/schema.ts";

/** Why a request is not served. */
export interface Problem {
  readonly status: number;
  /** For metrics and logs: one of few words. */
  readonly reason: string;
  /** For the client: a sentence. */
  readonly detail: string;
  readonly issues?: readonly IssueDetail[];
  /** A code of Millrace, where one says more. */
  readonly code?: string;
  /** Whole seconds. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is left of the request is not read: the connection ends. */
  readonly closes?: boolean;
}

/** Carries a problem out of whatever found it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

const TITLES: Readonly<Record<number, string>> = Object.freeze({
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
});

/** What an answer is never without: it is for its asker alone, and not to be guessed at. */
const ALWAYS: Readonly<Record<string, string>> = Object.freeze({ "cache-control": "no-store", "x-content-type-options": "nosniff" });

const ISSUES_MAX = 100;
const ISSUE_LENGTH_MAX = 1_000;

/** The answer to a request that is not served. */
export function problemResponse(problem: Problem): Response {
  const { status, detail, code, issues } = problem;
  const body = {
    type: "about:blank",
    title: TITLES[status] ?? "Error",
    status,
    detail,
    ...(code === undefined ? {} : { code }),
    ...(issues === undefined
      ? {}
      : { issues: issues.slice(0, ISSUES_MAX).map(({ path, message }) => ({ path: shortened(path), message: shortened(message) })) }),
  };
  const headers: Record<string, string> = { ...ALWAYS, "content-type": "application/problem+json", ...problem.headers };
  if (problem.retryAfterSeconds !== undefined) headers["retry-after"] = String(problem.retryAfterSeconds);
  if (problem.closes === true) headers["connection"] = "close";
  return new Response(JSON.stringify(body), { status, headers });
}

/** An answer in JSON. What JSON does not know: bigint becomes text, maps lists of pairs, sets lists, bytes base64, NaN and infinities null. */
export function jsonResponse(value: unknown, status: number = 200): Response {
  return new Response(JSON.stringify(value, jsonValue), { status, headers: { ...ALWAYS, "content-type": "application/json" } });
}

/** An answer in text. */
export function textResponse(text: string, contentType: string): Response {
  return new Response(text, { headers: { ...ALWAYS, "content-type": contentType } });
}

/** An answer of bytes that come by and by, to be kept as a file of this name. */
export function bytesResponse(body: ReadableStream<Uint8Array>, contentType: string, name: string): Response {
  return new Response(body, { headers: { ...ALWAYS, "content-type": contentType, "content-disposition": `attachment; filename="${name}"` } });
}

function shortened(text: string): string {
  return text.length <= ISSUE_LENGTH_MAX ? text : `${text.slice(0, ISSUE_LENGTH_MAX)}…`;
}

/** Whole seconds of a pause, at least one. */
export function retryAfterSeconds(pauseMs: number | null): number {
  return Math.max(1, Math.ceil((pauseMs ?? 0) / 1_000));
}

/** There is nothing here: the same for every path that is unknown. */
export const NOT_FOUND: Problem = Object.freeze({ status: 404, reason: "not_found", detail: "Nothing is at this path." });

/** An error of ours, told to nobody but the log. */
export const FAILED: Problem = Object.freeze({
  status: 500,
  reason: "failed",
  detail: "The request could not be handled. The cause is in the log of the server.",
});

/** The method is not one of those a path takes. */
export function methodProblem(allowed: readonly string[]): Problem {
  return { status: 405, reason: "method", detail: `This path takes ${allowed.join(" and ")}.`, headers: { allow: allowed.join(", ") } };
}
