/**
 * The HTTP face of an app: webhooks, queries and admin pages as one `fetch`, which can be served or mounted anywhere. It always answers, and never with what
 * an exception says.
 */
import { DefinitionError, isStreamError, messageOf } from "../base/errors.ts";
import { errorFacts } from "../observe/events.ts";
import type { Counter } from "../observe/metrics.ts";
import { adminRoutes } from "./admin/admin.ts";
import { adminGuard } from "./admin/guard.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import type { HttpHost } from "./host.ts";
import { type IngestOptions, webhookRoute } from "./ingest/ingest.ts";
import { FAILED, type Problem, problemResponse, Refusal } from "./problem.ts";
import { featureRoute } from "./query/features.ts";
import { type Route, router } from "./router.ts";

/** Limits of {@linkcode httpApp}. */
export interface HttpOptions extends AdmissionOptions, IngestOptions {}

/** Serves requests. */
export interface HttpApp {
  /** Never rejects. `info` is given by whoever listens; a request without it comes from an unknown address. */
  fetch(request: Request, info?: { readonly remoteAddress: string | null }): Promise<Response>;
}

const MALFORMED: Problem = Object.freeze({ status: 400, reason: "malformed", detail: "The request has no valid URL.", closes: true });
const URL_LENGTH_MAX = 8_192;
const HEADERS_MAX = 100;
const HEADER_BYTES_MAX = 16_384;

/** Builds the HTTP face; reads the secrets of all webhooks. Throws one DefinitionError with everything that is missing or doubled. */
export function httpApp(host: HttpHost, options: HttpOptions = {}): HttpApp {
  const admission = new Admission(options);
  const guard = adminGuard(host);
  const routes = [...webhookRoutes(host, admission, options), featureRoute(host, guard), ...adminRoutes(host, guard)];
  const route = router(routes, (error, path) => failed(host, error, path));
  const count = counting(host);
  measure(host, admission);
  return {
    fetch: async (request, info) => {
      const problem = headProblem(request);
      const { response, route: path } = problem === null
        ? await route(request, info?.remoteAddress ?? null)
        : { response: problemResponse(problem), route: "unknown" };
      count(path, response.status);
      return response;
    },
  };
}

function webhookRoutes(host: HttpHost, admission: Admission, options: HttpOptions): readonly Route[] {
  const faults: string[] = [];
  const routes: Route[] = [];
  const paths = new Set<string>();
  for (const webhook of host.webhooks) {
    if (paths.has(webhook.path)) faults.push(`Two webhooks have the path "${webhook.path}": give one of them a path of its own`);
    paths.add(webhook.path);
    try {
      routes.push(webhookRoute(host, webhook, admission, options));
    } catch (error) {
      if (!isStreamError(error) || error.domain !== "user") throw error;
      faults.push(messageOf(error));
    }
  }
  if (faults.length === 0) return routes;
  throw new DefinitionError(faults.length === 1 ? faults[0]! : `Cannot serve the webhooks:\n${faults.map((fault) => `- ${fault}`).join("\n")}`, {
    faults,
    code: "CONFIG_INVALID",
  });
}

/** What is wrong with a head. Some hosts parse it only when it is looked at, and throw then. */
function headProblem(request: Request): Problem | null {
  try {
    return new URL(request.url).host === "" ? MALFORMED : oversized(request);
  } catch {
    return MALFORMED;
  }
}

/** Hosts that parse the head first have limits of their own, which may be lower. */
function oversized(request: Request): Problem | null {
  if (request.url.length > URL_LENGTH_MAX) return { status: 414, reason: "url", detail: `The URL is longer than ${URL_LENGTH_MAX} characters.`, closes: true };
  let count = 0;
  let bytes = 0;
  for (const [name, value] of request.headers) {
    count++;
    bytes += name.length + value.length + 4;
  }
  if (count <= HEADERS_MAX && bytes <= HEADER_BYTES_MAX) return null;
  return { status: 431, reason: "headers", detail: `The headers are more than ${HEADERS_MAX}, or larger than ${HEADER_BYTES_MAX} bytes.`, closes: true };
}

function failed(host: HttpHost, error: unknown, path: string): Response {
  if (error instanceof Refusal) return problemResponse(error.problem);
  host.log({ type: "requestFailed", route: path, status: FAILED.status, error: errorFacts(error) });
  return problemResponse(FAILED);
}

function counting({ metrics }: HttpHost): (route: string, status: number) => void {
  const counters = new Map<string, Counter>();
  return (route, status) => {
    const key = `${status} ${route}`;
    let counter = counters.get(key);
    if (counter === undefined) {
      counter = metrics.counter("millrace_http_requests_total", "Requests, by the pattern of their path and the status of the answer.", {
        route,
        status: String(status),
      });
      counters.set(key, counter);
    }
    counter.inc();
  };
}

function measure({ metrics }: HttpHost, admission: Admission): void {
  const help = "Webhook requests whose bodies still come (reading), and those being checked and appended (working).";
  metrics.gauge("millrace_webhook_requests_under_way", help, { state: "reading" }, () => admission.reading);
  metrics.gauge("millrace_webhook_requests_under_way", help, { state: "working" }, () => admission.working);
  metrics.gauge("millrace_webhook_body_bytes_under_way", "Memory held by the bodies of webhook requests.", {}, () => admission.bytes);
}
