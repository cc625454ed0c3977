/** What the HTTP layer needs of an app. The app implements it; tests do too. */
import type { Metrics } from "../observe/metrics.ts";
import type { Observer } from "../observe/events.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ControlDesk } from "../task/control-desk.ts";
import type { LetterDesk } from "../letter/letter-desk.ts";
import type { LogCopy } from "../log/log.ts";
import type { WebhookDefinition } from "./ingest/webhook.ts";

/** A request that passed every check, on its way into the log. */
export interface AcceptedRequest {
  /** The JSON of the body, as its schema made it. */
  readonly body: unknown;
  /** As its schema made it; without one a record of text, repeated parameters as lists. */
  readonly query: unknown;
  /** As its schema made it; without one by lower-case name, credentials (`authorization`, `cookie`, `proxy-authorization`) left out. */
  readonly headers: unknown;
  /** The bytes that were signed: as received, the content coding undone. */
  readonly rawBody: Uint8Array;
  /** Wall clock when the body was complete, milliseconds. */
  readonly receivedAt: number;
  /** Under which id to remember the request; null: not at all. */
  readonly idempotencyId: IdempotencyId | null;
  /** What `map` gave; undefined without one. */
  readonly value: unknown;
}

/** The id of a request. */
export interface IdempotencyId {
  /** The path of the webhook: ids of two webhooks never meet. */
  readonly scope: string;
  /** 1 to 1,024 characters. */
  readonly value: string;
  readonly keepMs: number;
  /** CRC32C of the raw body: what tells a repeat from another request of the same id. Headers don't: each try of a sender is signed anew. */
  readonly checksum: number;
}

/** What became of a request. */
export interface AppendResult {
  /** The id was seen before: nothing was appended. */
  readonly duplicate: boolean;
  /** The first request of the id had another body. */
  readonly differs: boolean;
}

/** The state of an app, with its reasons. */
export interface HealthReport {
  readonly status: "ok" | "degraded" | "stopped" | "error";
  readonly reason?: string;
  /** False: only a restart helps. */
  readonly live: boolean;
  /** Takes requests and works on its tasks. */
  readonly ready: boolean;
  readonly tasks: readonly TaskHealth[];
}

/** The state of a task. */
export interface TaskHealth {
  readonly id: string;
  readonly status: string;
  readonly reason?: string;
  /** Records between the position and the end; null while unknown. */
  readonly lag: number | null;
  /** Event time, milliseconds; null before the first record. */
  readonly watermark: number | null;
}

/** Which features are asked for. */
export interface FeatureQuery {
  /** null: all. */
  readonly names: readonly string[] | null;
  /** The moment they are asked as of, milliseconds; null: now. */
  readonly at: number | null;
}

/** An app, as HTTP sees it. */
export interface HttpHost {
  readonly name: string;
  readonly version: string;
  readonly runtime: Runtime;
  readonly webhooks: readonly WebhookDefinition[];
  /**
   * Appends the record of a request; resolves once durable. Rejects with a StreamError: `LOG_BUSY` and other troubles of the log are answered 503,
   * `RECORD_TOO_LARGE` 413,
   * `SCHEMA_MISMATCH` (issues in its details) and other errors of domain `data` 400.
   */
  append(webhook: WebhookDefinition, request: AcceptedRequest): Promise<AppendResult>;
  /** Values of features by name; null for an unknown entity. Rejects with `OPTION_INVALID` for an unknown feature; that message is shown. */
  query(entity: string, key: string, options: FeatureQuery): Promise<Readonly<Record<string, unknown>> | null>;
  health(): Promise<HealthReport>;
  /** A description that JSON can hold. */
  topology(): unknown;
  /** The same as a Mermaid diagram. */
  mermaid(): string;
  readonly metrics: Metrics;
  /** Records that did not go through. */
  readonly letters: LetterDesk;
  /** Partitions, and orders about them. */
  readonly control: ControlDesk;
  /** Copies log and state as of one commit, while they are worked with. Rejects with `LOG_BUSY` while another copy is open, with `RUNTIME_UNSUPPORTED` where the log is no file of this process. */
  copy(signal: AbortSignal): Promise<LogCopy>;
  /** Read at each request: set when the app listens. */
  readonly admin: AdminAccess;
  readonly log: Observer;
}

/** Who may use the admin pages. */
export interface AdminAccess {
  /** Whoever knows it may; null: only this machine may, when it listens on loopback. */
  readonly token: string | null;
  /** The address that is listened on cannot be reached from other machines. */
  readonly isLoopback: boolean;
}
