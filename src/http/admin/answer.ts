/** How admin pages answer: JSON, or a problem that says what is wrong, for whoever may see them may see all. */
import { isStreamError } from "../../base/errors.ts";
import { errorFacts } from "../../observe/events.ts";
import type { HttpHost } from "../host.ts";
import { issuesOf } from "../ingest/message.ts";
import { jsonResponse, type Problem, problemResponse, Refusal, retryAfterSeconds } from "../problem.ts";

/** An answer in JSON, or why there is none, in words. */
export async function answered(host: HttpHost, route: string, answer: () => Promise<unknown>): Promise<Response> {
  try {
    return jsonResponse(await answer());
  } catch (error) {
    const problem = problemOf(error);
    if (problem === null) throw error;
    if (problem.status >= 500) host.log({ type: "requestFailed", route, status: problem.status, error: errorFacts(error) });
    return problemResponse(problem);
  }
}

/** What is told of an error to whoever may see all; null: nothing. */
function problemOf(error: unknown): Problem | null {
  if (error instanceof Refusal) return error.problem;
  if (!isStreamError(error)) return null;
  const { code, domain, details, message } = error;
  if (code === "OPTION_INVALID") {
    const status = details["reason"] === "missing" ? 404 : details["reason"] === "state" ? 409 : 400;
    return { status, reason: "order", detail: message, code };
  }
  if (code === "SCHEMA_MISMATCH") return { status: 400, reason: "schema", detail: message, code, issues: issuesOf(details) };
  if (code === "RECORD_TOO_LARGE") return { status: 413, reason: "record_too_large", detail: message, code };
  if (domain === "data") return { status: 400, reason: "record", detail: message, code };
  if (domain !== "external") return null;
  return { status: 503, reason: "log_failed", detail: `${message}. Try again.`, code, retryAfterSeconds: retryAfterSeconds(error.retryAfterMs ?? 1_000) };
}
