/** An app in memory, behind the HTTP layer: what was appended is a list, time stands still until it is moved. */
import { StreamError } from "../../../src/base/errors.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import type { AcceptedRequest, AppendResult, FeatureQuery, HealthReport, HttpHost } from "../../../src/http/host.ts";
import { ControlDesk } from "../../../src/task/control-desk.ts";
import { LetterDesk } from "../../../src/letter/letter-desk.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { defineWebhook, type HeaderRecord, type QueryValues, type WebhookDefinition, type WebhookOptions } from "../../../src/http/ingest/webhook.ts";
import { type HttpApp, httpApp, type HttpOptions } from "../../../src/http/server.ts";
import type { ObservedEvent } from "../../../src/observe/events.ts";
import { Metrics } from "../../../src/observe/metrics.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";

const realRuntime = await hostRuntime();

/** 2026-01-01T00:00:00Z. */
export const START_MS = 1_767_225_600_000;

/** A host's runtime whose clock and timers are moved by hand. */
export interface StillRuntime extends Runtime {
  /** Moves both clocks on, and fires the timers that are due. */
  advance(ms: number): void;
  /** Timers that were neither fired nor cancelled. */
  readonly pendingTimers: number;
}

/** A runtime with the variables of `env`, and no others. */
export function stillRuntime(env: Readonly<Record<string, string>> = {}): StillRuntime {
  let elapsedMs = 0;
  const timers = new Set<{ readonly due: number; readonly fn: () => void }>();
  return {
    ...realRuntime,
    now: () => START_MS + elapsedMs,
    monotonic: () => elapsedMs,
    env: (name) => env[name],
    setTimer: (fn, delayMs) => {
      const timer = { due: elapsedMs + delayMs, fn };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    get pendingTimers() {
      return timers.size;
    },
    advance: (ms) => {
      elapsedMs += ms;
      for (const timer of [...timers].sort((left, right) => left.due - right.due)) {
        if (timer.due > elapsedMs || !timers.delete(timer)) continue;
        timer.fn();
      }
    },
  };
}

/** What {@linkcode fakeHost} was asked to do, and how. */
export interface FakeHost extends HttpHost {
  readonly runtime: StillRuntime;
  readonly appended: AcceptedRequest[];
  readonly queries: (readonly [entity: string, key: string, options: FeatureQuery])[];
  readonly events: ObservedEvent[];
  admin: { token: string | null; isLoopback: boolean };
  report: HealthReport;
}

/** Parts of a host that a test replaces. */
export type FakeHostOptions = Partial<Pick<HttpHost, "append" | "query" | "health" | "topology" | "metrics" | "letters" | "copy">> & {
  readonly webhooks?: readonly WebhookDefinition[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A host that keeps what comes in, once an id. */
export function fakeHost({ webhooks = [], env = {}, ...replaced }: FakeHostOptions = {}): FakeHost {
  const appended: AcceptedRequest[] = [];
  const queries: (readonly [string, string, FeatureQuery])[] = [];
  const events: ObservedEvent[] = [];
  const runtime = stillRuntime(env);
  const host: FakeHost = {
    name: "shop",
    version: "1.2.3",
    runtime,
    webhooks,
    append: async (_webhook, request) => remember(appended, request),
    query: async (entity, key, options) => {
      queries.push([entity, key, options]);
      return entity === "account" ? { spend: 12.5, last: null } : null;
    },
    health: async () => host.report,
    topology: () => ({ app: "shop", topics: [] }),
    mermaid: () => "flowchart LR",
    metrics: new Metrics(),
    letters: new LetterDesk({ topology: { app: "shop", topics: [], subTopologies: [] }, log: memoryLog(runtime), runtime }),
    control: new ControlDesk({ topology: { app: "shop", topics: [], subTopologies: [] }, log: memoryLog(runtime), runtime, worker: null }),
    copy: async () => {
      throw new StreamError("RUNTIME_UNSUPPORTED", "user", "Cannot back up a fake");
    },
    admin: { token: null, isLoopback: true },
    report: { status: "ok", live: true, ready: true, tasks: [{ id: "payments-0", status: "running", lag: 3, watermark: 1_000 }] },
    log: (event) => void events.push(event),
    appended,
    queries,
    events,
    ...replaced,
  };
  return host;
}

function remember(appended: AcceptedRequest[], request: AcceptedRequest): AppendResult {
  const id = request.idempotencyId;
  const first = id === null ? undefined : appended.find((known) => known.idempotencyId?.scope === id.scope && known.idempotencyId.value === id.value);
  if (first === undefined) {
    appended.push(request);
    return { duplicate: false, differs: false };
  }
  return { duplicate: true, differs: new TextDecoder().decode(first.rawBody) !== new TextDecoder().decode(request.rawBody) };
}

/** The definition of a webhook without faults. */
export function webhook<Body = unknown, Query = QueryValues, HeaderValues = HeaderRecord, Input = unknown>(
  path: string,
  options: WebhookOptions<Body, Query, HeaderValues, Input>,
): WebhookDefinition {
  return defineWebhook(path, options, (sentence) => {
    throw new Error(sentence);
  });
}

/** An app with the one open webhook `/hook`. */
export function openHook<Body = unknown, Query = QueryValues, HeaderValues = HeaderRecord, Input = unknown>(
  options: Omit<WebhookOptions<Body, Query, HeaderValues, Input>, "verify"> = {},
  hostOptions: FakeHostOptions = {},
  httpOptions: HttpOptions = {},
): { readonly host: FakeHost; readonly app: HttpApp } {
  const host = fakeHost({ ...hostOptions, webhooks: [webhook("/hook", { ...options, verify: "none" })] });
  return { host, app: httpApp(host, httpOptions) };
}

/** A request with a JSON body. */
export function post(path: string, body: BodyInit | null, headers: Readonly<Record<string, string>> = {}): Request {
  const init: RequestInit = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
  // Streams are sent as they come; the option is not in every host's types.
  return new Request(`http://localhost${path}`, body instanceof ReadableStream ? ({ ...init, duplex: "half" } as RequestInit) : init);
}

/** Status and JSON of an answer. */
export async function read(answer: Promise<Response>): Promise<readonly [status: number, body: unknown]> {
  const response = await answer;
  return [response.status, await response.json()];
}

/** Status, and the detail of a problem. */
export async function detail(answer: Promise<Response>): Promise<string> {
  const [status, body] = await read(answer);
  return `${status} ${(body as { readonly detail?: string }).detail ?? ""}`;
}
