/**
 * A webhook request, from socket to log, in this order: method and path (router), head, body, signature, JSON and schemas, append.
 *
 * - **H1** 202 is said only after `append` resolved: the record is durable, or was before, or `map` left it out.
 * - **H2** Nothing is parsed before the signature was verified.
 * - **H3** A request holds its place and its memory until `append` has settled, even when its sender was answered already: what waits for the log is bounded.
 */
import { isStreamError } from "../../base/errors.ts";
import { errorFacts } from "../../observe/events.ts";
import { type Counter, type Histogram, LATENCY_BUCKETS_SECONDS } from "../../observe/metrics.ts";
import type { Admission, Admitted } from "../admission.ts";
import type { AcceptedRequest, AppendResult, HttpHost } from "../host.ts";
import { FAILED, jsonResponse, type Problem, problemResponse, Refusal, retryAfterSeconds } from "../problem.ts";
import type { Call, Route } from "../router.ts";
import { checkHead, readBody } from "./body.ts";
import { differingCounter, reportDiffering } from "./differing.ts";
import { isSchemaFailure, issuesOf, readMessage } from "./message.ts";
import { type ReadyVerifier, readyVerifier } from "./verifier.ts";
import type { WebhookDefinition } from "./webhook.ts";

/** Options of {@linkcode webhookRoute}. */
export interface IngestOptions {
  /** From the first byte of a body to the last. @default 30_000 */
  readonly bodyTimeoutMs?: number;
  /** How long the log may take before the sender is asked to come back; senders give up after 15 s and more. @default 15_000 */
  readonly appendTimeoutMs?: number;
}

const BODY_TIMEOUT_MS = 30_000;
const APPEND_TIMEOUT_MS = 15_000;

/** What a webhook needs to serve requests. */
interface Ingest {
  readonly host: HttpHost;
  readonly webhook: WebhookDefinition;
  readonly verifier: ReadyVerifier | null;
  readonly admission: Admission;
  readonly bodyTimeoutMs: number;
  readonly appendTimeoutMs: number;
  readonly metrics: IngestMetrics;
}

interface IngestMetrics {
  /** By outcome: `accepted`, `duplicate`, `skipped`, or the reason of a refusal. */
  outcome(name: string): void;
  readonly durationSeconds: Histogram;
  readonly bodyBytes: Counter;
}

/** The route of a webhook; reads its secrets, and throws DefinitionError `CONFIG_INVALID` when one is missing. */
export function webhookRoute(host: HttpHost, webhook: WebhookDefinition, admission: Admission, options: IngestOptions = {}): Route {
  const { bodyTimeoutMs = BODY_TIMEOUT_MS, appendTimeoutMs = APPEND_TIMEOUT_MS } = options;
  const verifier = webhook.scheme === null ? null : readyVerifier(webhook.scheme, host.runtime, `webhook "${webhook.path}"`);
  const ingest: Ingest = { host, webhook, verifier, admission, bodyTimeoutMs, appendTimeoutMs, metrics: ingestMetrics(host, webhook.path) };
  return { path: webhook.path, method: "POST", handle: (request, call) => handle(ingest, request, call) };
}

function ingestMetrics({ metrics }: HttpHost, webhook: string): IngestMetrics {
  const outcomes = new Map<string, Counter>();
  differingCounter(metrics, webhook);
  return {
    outcome: (outcome) => {
      let counter = outcomes.get(outcome);
      if (counter === undefined) {
        counter = metrics.counter("millrace_webhook_requests_total", "Requests to a webhook, by what became of them.", { webhook, outcome });
        outcomes.set(outcome, counter);
      }
      counter.inc();
    },
    durationSeconds: metrics.histogram("millrace_webhook_request_duration_seconds", "From the head of a request to its answer.", LATENCY_BUCKETS_SECONDS, {
      webhook,
    }),
    bodyBytes: metrics.counter("millrace_webhook_body_bytes_total", "Bytes of bodies, decompressed, that were read to the end.", { webhook }),
  };
}

async function handle(ingest: Ingest, request: Request, call: Call): Promise<Response> {
  const { runtime } = ingest.host;
  const begun = runtime.monotonic();
  let admitted: Admitted | null = null;
  let isWaiting = false;
  try {
    checkHead(request.headers, ingest.webhook.bodyBytesMax);
    admitted = ingest.admission.enter();
    const accepted = await accept(ingest, request, call, admitted);
    if (accepted === null) return answer(ingest, "skipped");
    isWaiting = true;
    const result = await append(ingest, accepted, admitted);
    if (result.differs) reportDiffering(ingest.host.metrics, ingest.host.log, ingest.webhook.path, accepted.idempotencyId?.value ?? "");
    return answer(ingest, result.duplicate ? "duplicate" : "accepted");
  } catch (error) {
    const problem = problemOf(error);
    report(ingest, problem, error);
    return problemResponse(problem);
  } finally {
    if (!isWaiting) admitted?.release();
    ingest.metrics.durationSeconds.observe((runtime.monotonic() - begun) / 1_000);
  }
}

async function accept(ingest: Ingest, request: Request, call: Call, admitted: Admitted): Promise<AcceptedRequest | null> {
  const { webhook, verifier, host } = ingest;
  const rawBody = await readBody(request, { runtime: host.runtime, bytesMax: webhook.bodyBytesMax, timeoutMs: ingest.bodyTimeoutMs, admitted });
  admitted.work();
  ingest.metrics.bodyBytes.inc(rawBody.length);
  const receivedAt = host.runtime.now();
  if (verifier !== null && !(await verifier.verify(request.headers, rawBody))) {
    throw new Refusal({ status: 401, reason: "signature", detail: "The signature is missing, wrong, or too old." });
  }
  return await readMessage(webhook, { headers: request.headers, parameters: call.url.searchParams, rawBody, receivedAt });
}

/** Appends; gives the place back when that has settled, however long it takes (H3). */
function append(ingest: Ingest, accepted: AcceptedRequest, admitted: Admitted): Promise<AppendResult> {
  const { host, webhook, appendTimeoutMs } = ingest;
  return new Promise((resolve, reject) => {
    const timer = host.runtime.setTimer(() => {
      reject(new Refusal({ status: 503, reason: "log_slow", detail: "The log takes too long. Try again.", retryAfterSeconds: 5 }));
    }, appendTimeoutMs);
    const settled = (): void => {
      timer.cancel();
      admitted.release();
    };
    // An append that throws instead of rejecting is caught like any other.
    new Promise<AppendResult>((appended) => appended(host.append(webhook, accepted))).then(resolve, reject).finally(settled);
  });
}

function answer(ingest: Ingest, outcome: "accepted" | "duplicate" | "skipped"): Response {
  ingest.metrics.outcome(outcome);
  return jsonResponse({ status: outcome === "duplicate" ? "duplicate" : "accepted" }, 202);
}

function report({ host, webhook, metrics }: Ingest, problem: Problem, error: unknown): void {
  metrics.outcome(problem.reason);
  if (problem.status < 500) host.log({ type: "webhookRejected", webhook: webhook.path, status: problem.status, reason: problem.reason });
  else if (!(error instanceof Refusal) && !isBusy(error)) {
    host.log({ type: "requestFailed", route: webhook.path, status: problem.status, error: errorFacts(error) });
  }
}

function isBusy(error: unknown): boolean {
  return isStreamError(error) && error.code === "LOG_BUSY";
}

/** What a sender is told of an error; never its text. */
function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) return error.problem;
  if (!isStreamError(error)) return FAILED;
  const { code, domain, details, retryAfterMs } = error;
  if (code === "RECORD_TOO_LARGE") return { status: 413, reason: "record_too_large", detail: "The record is larger than the log takes.", code };
  if (code === "SCHEMA_MISMATCH" && isSchemaFailure(error)) return FAILED;
  if (code === "SCHEMA_MISMATCH") {
    return { status: 400, reason: "schema", detail: "The request does not fit the schema of its topic.", code, issues: issuesOf(details) };
  }
  if (domain === "data") return { status: 400, reason: "record", detail: "The request cannot become a record.", code };
  if (code === "LOG_BUSY") {
    return { status: 503, reason: "log_busy", detail: "The log takes no more for now. Try again.", code, retryAfterSeconds: retryAfterSeconds(retryAfterMs) };
  }
  return {
    status: 503,
    reason: "log_failed",
    detail: "The request could not be stored. Try again.",
    retryAfterSeconds: retryAfterSeconds(retryAfterMs ?? 5_000),
  };
}
