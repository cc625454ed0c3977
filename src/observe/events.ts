/**
 * What happens, as one typed union. Whoever wants to know takes a function of it: the logger is one, a test another. No event carries a secret or a record's
 * content.
 */
import { isStreamError, messageOf } from "../base/errors.ts";

/** Where a record lies. */
export interface RecordPlace {
  /** Its name. */
  readonly topic: string;
  /** From 0. */
  readonly partition: number;
  /** In the partition. */
  readonly position: number;
}

/** What is told of an error. */
export interface ErrorFacts {
  /** Of its class. */
  readonly name: string;
  /** A code of Millrace, or null for errors of others. */
  readonly code: string | null;
  /** Its text. */
  readonly message: string;
  /** Where in the user's program, for errors that are not Millrace's own. */
  readonly stack: string | null;
  /** The error behind it. */
  readonly cause: ErrorFacts | null;
}

/** Something that happened. */
export type ObservedEvent =
  | { readonly type: "appStarted"; readonly app: string; readonly runtime: string; readonly tasks: number }
  | { readonly type: "appStopped"; readonly app: string; readonly reason: string }
  | { readonly type: "listening"; readonly url: string; readonly isLoopback: boolean }
  | TaskRestoring
  | StoreMigrated
  | { readonly type: "taskStarted"; readonly task: string; readonly restoredRecords: number; readonly durationMs: number }
  | { readonly type: "taskStopped"; readonly task: string; readonly reason: string; readonly error: ErrorFacts | null }
  | { readonly type: "taskStuck"; readonly task: string; readonly step: string | null; readonly record: RecordPlace | null; readonly ageMs: number }
  | { readonly type: "partitionsChanged"; readonly assigned: readonly string[]; readonly revoked: readonly string[] }
  | OrderDone
  | RecordSkipped
  | { readonly type: "recordLate"; readonly task: string; readonly step: string; readonly record: RecordPlace; readonly latenessMs: number }
  | RecordDeadLettered
  | RetryScheduled
  | { readonly type: "commitFailed"; readonly tasks: readonly string[]; readonly error: ErrorFacts; readonly retryAfterMs: number | null }
  | { readonly type: "commitsResumed"; readonly tasks: readonly string[]; readonly failures: number }
  | { readonly type: "logUnavailable"; readonly log: string; readonly error: ErrorFacts; readonly retryAfterMs: number | null }
  | { readonly type: "webhookRejected"; readonly webhook: string; readonly status: number; readonly reason: string }
  | { readonly type: "webhookDuplicateDiffers"; readonly webhook: string; readonly idempotencyId: string }
  | { readonly type: "adminRefused"; readonly remoteAddress: string | null; readonly status: number; readonly reason: string }
  | { readonly type: "requestFailed"; readonly route: string; readonly status: number; readonly error: ErrorFacts }
  | { readonly type: "warning"; readonly message: string; readonly error: ErrorFacts | null };

/** A task whose state is being brought up to date; said once a second. */
export interface TaskRestoring {
  /** What tells it from other events. */
  readonly type: "taskRestoring";
  /** Whose state it is. */
  readonly task: string;
  /** Records read so far. */
  readonly restoredRecords: number;
  /** About how many there are to come. */
  readonly leftRecords: number;
  /** How many are read in a second. */
  readonly recordsPerSecond: number;
  /** About how long it will take, ms. */
  readonly leftMs: number;
}

/** A store whose rows were brought into another form; the next commit of its task puts them in the place of what was kept. */
export interface StoreMigrated {
  /** What tells it from other events. */
  readonly type: "storeMigrated";
  /** Whose store it is. */
  readonly task: string;
  /** Its name. */
  readonly store: string;
  /** What it was kept as. */
  readonly from: string;
  /** What it is kept as now. */
  readonly to: string;
  /** How many there were. */
  readonly rows: number;
  /** How long it took. */
  readonly durationMs: number;
}

/** What an operator ordered for a partition was done. */
export interface OrderDone {
  /** What tells it from other events. */
  readonly type: "orderDone";
  /** The task that has the partition. */
  readonly task: string;
  /** What was ordered. */
  readonly order: "pause" | "resume" | "seek" | "restart";
  /** The topic of the partition. */
  readonly topic: string;
  /** Its number. */
  readonly partition: number;
  /** Of a seek: where reading goes on; else null. */
  readonly position: number | null;
}

/** A record that was left out: a function asked for that, it had no key, or its policy leaves out what fails. */
export interface RecordSkipped {
  /** What tells it from other events. */
  readonly type: "recordSkipped";
  /** Whose record it was. */
  readonly task: string;
  /** The step that left it out. */
  readonly step: string;
  /** Where it lay. */
  readonly record: RecordPlace;
  /** Why, for people. */
  readonly reason: string;
  /** What failed; null where nothing did. */
  readonly error: ErrorFacts | null;
}

/** A record that went to its dead-letter topic, in the commit in which it counts as done. */
export interface RecordDeadLettered {
  /** What tells it from other events. */
  readonly type: "recordDeadLettered";
  /** Whose record it was. */
  readonly task: string;
  /** The step that failed. */
  readonly step: string;
  /** Where it lay. */
  readonly record: RecordPlace;
  /** Tries in all. */
  readonly attempts: number;
  /** Where it went. */
  readonly topic: string;
  /** What the last try threw. */
  readonly error: ErrorFacts;
}

/** A record that is tried again after a pause. */
export interface RetryScheduled {
  /** What tells it from other events. */
  readonly type: "retryScheduled";
  /** Whose record it is. */
  readonly task: string;
  /** The step that failed. */
  readonly step: string;
  /** Where it lies. */
  readonly record: RecordPlace;
  /** Tries so far. */
  readonly attempt: number;
  /** Until the next try. */
  readonly delayMs: number;
  /** What the last try threw. */
  readonly error: ErrorFacts;
}

/** The kinds of {@linkcode ObservedEvent}. */
export type ObservedEventType = ObservedEvent["type"];

/** Takes events. Must not throw. */
export type Observer = (event: ObservedEvent) => void;

/** How loud an event is. */
export type Severity = "debug" | "info" | "warn" | "error";

const SEVERITIES: { readonly [Type in ObservedEventType]: Severity } = Object.freeze({
  appStarted: "info",
  appStopped: "info",
  listening: "info",
  taskRestoring: "info",
  storeMigrated: "info",
  taskStarted: "info",
  taskStopped: "info",
  taskStuck: "error",
  partitionsChanged: "info",
  orderDone: "info",
  recordSkipped: "info",
  recordLate: "info",
  recordDeadLettered: "error",
  retryScheduled: "warn",
  commitFailed: "error",
  // As loud as what it ends, for whoever reads errors and warnings alone.
  commitsResumed: "warn",
  logUnavailable: "error",
  webhookRejected: "warn",
  webhookDuplicateDiffers: "warn",
  adminRefused: "warn",
  requestFailed: "error",
  warning: "warn",
});

/** How loud an event is; a task that stops for an error is one, and what is lost by a failure is worth a warning. */
export function severityOf(event: ObservedEvent): Severity {
  if (event.type === "recordSkipped" && event.error !== null) return "warn";
  return event.type === "taskStopped" && event.error !== null ? "error" : SEVERITIES[event.type];
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
