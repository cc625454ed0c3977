/**
 * Writes events as lines, for people or for tools. It writes no control characters that came in from outside, no secret it was told, and never more than a
 * few lines a second of one kind.
 */
import type { Runtime } from "../runtime/runtime.ts";
import { type ErrorFacts, type ObservedEvent, type ObservedEventType, type Observer, type RecordPlace, type Severity, severityOf } from "./events.ts";

/** Options of {@linkcode logger}. */
export interface LoggerOptions {
  readonly runtime: Pick<Runtime, "now" | "monotonic" | "print">;
  /** Sentences for people, or one JSON object a line for tools. @default "text" */
  readonly format?: "text" | "json";
  /** What is quieter is left out. @default "info" */
  readonly level?: Severity;
  /** Texts that are never written, such as tokens that errors of others could quote. Those below four characters are left alone. */
  readonly secrets?: readonly string[];
  /** Lines a second of one kind; the rest is counted and told with the next line. @default 20 */
  readonly linesPerSecondMax?: number;
}

const ORDER: readonly Severity[] = ["debug", "info", "warn", "error"];
const LINES_PER_SECOND_MAX = 20;
const SECRET_LENGTH_MIN = 4;
const TEXT_LENGTH_MAX = 2_000;

interface Meter {
  second: number;
  lines: number;
  leftOut: number;
}

/** An observer that prints: info to the output, warnings and errors to the error stream. */
export function logger(options: LoggerOptions): Observer {
  const { runtime, format = "text", level = "info", secrets = [], linesPerSecondMax = LINES_PER_SECOND_MAX } = options;
  const quietest = ORDER.indexOf(level);
  const hidden = secrets.filter((secret) => secret.length >= SECRET_LENGTH_MIN);
  const meters = new Map<ObservedEventType, Meter>();
  return (event) => {
    const severity = severityOf(event);
    if (ORDER.indexOf(severity) < quietest) return;
    const leftOut = takeTurn(meters, event.type, Math.floor(runtime.monotonic() / 1_000), linesPerSecondMax);
    if (leftOut < 0) return;
    const time = new Date(runtime.now()).toISOString();
    const line = format === "json" ? jsonLine(time, severity, event, leftOut, hidden) : textLine(time, severity, event, leftOut, hidden);
    runtime.print(line, severity === "info" || severity === "debug" ? "out" : "error");
  };
}

/** How many lines of the kind were left out since the last one; -1 when this one is left out as well. */
function takeTurn(meters: Map<ObservedEventType, Meter>, type: ObservedEventType, second: number, linesMax: number): number {
  let meter = meters.get(type);
  if (meter === undefined) {
    meter = { second, lines: 0, leftOut: 0 };
    meters.set(type, meter);
  }
  if (meter.second !== second) {
    meter.second = second;
    meter.lines = 0;
  }
  if (meter.lines >= linesMax) {
    meter.leftOut++;
    return -1;
  }
  meter.lines++;
  const { leftOut } = meter;
  meter.leftOut = 0;
  return leftOut;
}

function jsonLine(time: string, level: Severity, event: ObservedEvent, leftOut: number, secrets: readonly string[]): string {
  const { type, ...fields } = event;
  const line = { time, level, event: type, ...fields, ...(leftOut > 0 ? { leftOut } : {}) };
  return JSON.stringify(line, (_name, value: unknown) => (typeof value === "string" ? redacted(value, secrets) : value));
}

function textLine(time: string, level: Severity, event: ObservedEvent, leftOut: number, secrets: readonly string[]): string {
  const more = leftOut > 0 ? ` (${leftOut} more like it were left out)` : "";
  return `${time} ${level.toUpperCase().padEnd(5)} ${printable(redacted(describe(event), secrets))}${more}`;
}

function redacted(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) shown = shown.replaceAll(secret, "[secret]");
  return shown.length <= TEXT_LENGTH_MAX ? shown : `${shown.slice(0, TEXT_LENGTH_MAX)}…`;
}

/** A text as one line, with nothing in it that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** An event as a sentence. */
export function describe(event: ObservedEvent): string {
  switch (event.type) {
    case "appStarted":
      return `App "${event.app}" started on ${event.runtime} with ${event.tasks} tasks`;
    case "appStopped":
      return `App "${event.app}" stopped: ${event.reason}`;
    case "listening":
      return `Listening on ${event.url}${event.isLoopback ? "" : ", open to other machines"}`;
    case "taskRestoring":
      return `Task ${event.task} is being restored: ${event.restoredRecords} records, ${event.recordsPerSecond} a second, ${event.leftRecords} to come, about ${
        Math.ceil(event.leftMs / 1_000)
      } s left`;
    case "storeMigrated":
      return `Store "${event.store}" of task ${event.task} was migrated in ${
        Math.round(event.durationMs)
      } ms, ${event.rows} rows, from "${event.from}" to "${event.to}"`;
    case "taskStarted":
      return `Task ${event.task} started after ${Math.round(event.durationMs)} ms, ${event.restoredRecords} records restored`;
    case "taskStopped":
      return `Task ${event.task} stopped: ${event.reason}${event.error === null ? "" : `: ${errorText(event.error)}`}`;
    case "taskStuck":
      return `Task ${event.task} has not moved for ${event.ageMs} ms${event.step === null ? "" : `, in step "${event.step}"`}${
        event.record === null ? "" : `, at ${place(event.record)}`
      }`;
    case "partitionsChanged":
      return `Partitions assigned: ${event.assigned.join(", ") || "none"}; revoked: ${event.revoked.join(", ") || "none"}`;
    case "orderDone":
      return `Partition ${event.topic}-${event.partition} of task ${event.task}: ${event.order} done${
        event.position === null ? "" : `, reading goes on at ${event.position}`
      }`;
    case "recordSkipped":
      return `Record ${place(event.record)} skipped in step "${event.step}": ${event.reason}`;
    case "recordLate":
      return `Record ${place(event.record)} is ${event.latenessMs} ms late for step "${event.step}"`;
    case "recordDeadLettered":
      return `Record ${place(event.record)} went to "${event.topic}" after ${event.attempts} attempts in step "${event.step}": ${errorText(event.error)}`;
    case "retryScheduled":
      return `Record ${place(event.record)} failed in step "${event.step}", attempt ${event.attempt}, next in ${event.delayMs} ms: ${errorText(event.error)}`;
    case "commitFailed":
      return `Commit of ${event.tasks.join(", ")} failed${again(event.retryAfterMs)}: ${errorText(event.error)}`;
    case "commitsResumed":
      return `Commits of ${event.tasks.join(", ")} work again, after ${event.failures} that failed`;
    case "logUnavailable":
      return `Log "${event.log}" cannot be reached${again(event.retryAfterMs)}: ${errorText(event.error)}`;
    case "webhookRejected":
      return `Webhook ${event.webhook} answered ${event.status}: ${event.reason}`;
    case "webhookDuplicateDiffers":
      return `Webhook ${event.webhook} got id "${event.idempotencyId}" again with another body: the first one stays`;
    case "adminRefused":
      return `Admin request from ${event.remoteAddress ?? "an unknown address"} answered ${event.status}: ${event.reason}`;
    case "requestFailed":
      return `Request to ${event.route} answered ${event.status}: ${errorText(event.error)}`;
    case "warning":
      return event.error === null ? event.message : `${event.message}: ${errorText(event.error)}`;
  }
}

function place({ topic, partition, position }: RecordPlace): string {
  return `${topic}-${partition}@${position}`;
}

function again(retryAfterMs: number | null): string {
  return retryAfterMs === null ? "" : `, next try in ${retryAfterMs} ms`;
}

function errorText({ name, code, message, cause }: ErrorFacts): string {
  const because = cause === null || message.includes(cause.message) ? "" : `, because of ${errorText(cause)}`;
  return `${code === null || code === undefined ? name : `${name} ${code}`}: ${message}${because}`;
}
