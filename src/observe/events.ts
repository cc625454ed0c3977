/**
 * What happens, as one typed union. Whoever wants to know takes a function of it: the logger is one, a test another. No event carries a secret or a record's content.
 */
import { isStreamError, messageOf } from "../base/errors.ts";

/** What is told of an error. */
export interface ErrorFacts {
  readonly name: string;
  /** A code of Millrace, or null for errors of others. */
  readonly code: string | null;
  readonly message: string;
  /** Where in the user's program, for errors that are not Millrace's own. */
  readonly stack: string | null;
  readonly cause: ErrorFacts | null;
}

/** Something that happened. `step` is the operator, resolver or agent; topic, partition and position say which record. */
export type StreamEvent =
  | { readonly type: "appStarted"; readonly app: string; readonly runtime: string; readonly tasks: number }
  | { readonly type: "appStopped"; readonly app: string; readonly reason: string }
  | { readonly type: "listening"; readonly url: string; readonly isLoopback: boolean }
  | { readonly type: "taskStarted"; readonly task: string; readonly restoredRecords?: number; readonly durationMs?: number }
  | { readonly type: "taskStopped"; readonly task: string; readonly reason: string; readonly error?: ErrorFacts }
  | { readonly type: "taskStuck"; readonly task: string; readonly step: string | null; readonly ageMs: number }
  | { readonly type: "partitionsChanged"; readonly assigned: readonly string[]; readonly revoked: readonly string[] }
  | { readonly type: "recordSkipped"; readonly step: string; readonly reason: string; readonly message: string }
  | { readonly type: "recordLate"; readonly step: string; readonly topic: string; readonly partition: number; readonly position: number; readonly latenessMs: number }
  | {
    readonly type: "recordDeadLettered";
    readonly step: string;
    readonly topic: string;
    readonly partition: number;
    readonly position: number;
    readonly attempts: number;
    readonly message: string;
    readonly error?: ErrorFacts;
  }
  | { readonly type: "retryScheduled"; readonly step: string; readonly attempts: number; readonly afterMs: number; readonly message: string; readonly error?: ErrorFacts }
  | { readonly type: "commitFailed"; readonly message: string; readonly afterMs: number | null; readonly error?: ErrorFacts }
  | { readonly type: "logUnavailable"; readonly log: string; readonly message: string; readonly afterMs: number | null }
  | { readonly type: "webhookRejected"; readonly webhook: string; readonly status: number; readonly reason: string }
  | { readonly type: "webhookDuplicateDiffers"; readonly webhook: string; readonly idempotencyId: string }
  | { readonly type: "adminRefused"; readonly remoteAddress: string | null; readonly status: number; readonly reason: string }
  | { readonly type: "requestFailed"; readonly route: string; readonly status: number; readonly error: ErrorFacts }
  | { readonly type: "warning"; readonly message: string; readonly error?: ErrorFacts };

/** The kinds of {@linkcode StreamEvent}. */
export type StreamEventType = StreamEvent["type"];

/** Takes events. Must not throw. */
export type Observer = (event: StreamEvent) => void;

/** How loud an event is. */
export type Severity = "debug" | "info" | "warn" | "error";

const SEVERITIES: { readonly [Type in StreamEventType]: Severity } = Object.freeze({
  appStarted: "info",
  appStopped: "info",
  listening: "info",
  taskStarted: "info",
  taskStopped: "error",
  taskStuck: "error",
  partitionsChanged: "info",
  recordSkipped: "info",
  recordLate: "info",
  recordDeadLettered: "error",
  retryScheduled: "warn",
  commitFailed: "error",
  logUnavailable: "error",
  webhookRejected: "warn",
  webhookDuplicateDiffers: "warn",
  adminRefused: "warn",
  requestFailed: "error",
  warning: "warn",
});

/** How loud an event is. */
export function severityOf(event: StreamEvent): Severity {
  return SEVERITIES[event.type];
}

/** Causes that are followed at most. */
const CAUSES_MAX = 3;

/** What is told of anything that was thrown. */
export function errorFacts(thrown: unknown, depth: number = 0): ErrorFacts {
  const isOurs = isStreamError(thrown);
  const error = thrown instanceof Error ? thrown : null;
  const cause = error?.cause;
  return {
    name: error?.name ?? typeof thrown,
    code: isOurs ? thrown.code : null,
    message: messageOf(thrown),
    stack: isOurs ? null : (error?.stack ?? null),
    cause: cause === undefined || cause === null || depth >= CAUSES_MAX ? null : errorFacts(cause, depth + 1),
  };
}
