/**
 * Dead and late letters: records that did not go through, with what is needed to see why and to put them back.
 *
 * Key and value are those of the record where it failed. Its own headers are kept; those that begin with `mr-` are the engine's:
 *
 * - `mr-step`, `mr-topic`, `mr-partition`, `mr-position`, `mr-timestamp` (event time, ms): where it failed. `mr-topic` is `step:<name>` for the result of a step.
 * - `mr-origin`: the source that it stems from; `mr-at`: when it was given up, wall clock, ms; `mr-trace`: the trace id of its `traceparent`.
 * - `mr-fingerprint`: eight digits, the same for failures of one kind at one step.
 * - Dead: `mr-attempts`, `mr-error` (class), `mr-code`, `mr-message`, `mr-stack`, `mr-state` (JSON: what the stores of its task have for its key).
 * - Late: `mr-lateness-ms`, `mr-missed` (JSON: the windows it missed).
 * - Of a result, or a late letter: `mr-key`, its key as steps see it, in MessagePack.
 */
import { isStreamError, messageOf } from "../base/errors.ts";
import { headerText } from "../record/headers.ts";
import type { HeaderField } from "../record/record.ts";
import { packValue } from "../record/value-bytes.ts";

/** Where and when a record failed. */
export interface FailedAt {
  readonly step: string;
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  /** Event time of the record, ms since the epoch. */
  readonly timestamp: number;
  /** The source it stems from. */
  readonly origin: string;
  /** Wall clock, ms. */
  readonly at: number;
  /** As steps see it; undefined: the bytes of the letter say it. */
  readonly key?: unknown;
}

/** The windows that a late record missed. */
export const MISSED_HEADER = "mr-missed";

const STACK_CHARACTERS_MAX = 4_000;
const MESSAGE_CHARACTERS_MAX = 4_000;
const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** The headers of a dead letter, beside the record's own. `state`: JSON; null: there is none. */
export function deadLetterHeaders(error: unknown, attempts: number, at: FailedAt, state: string | null, original: readonly HeaderField[]): HeaderField[] {
  // What the user threw is of more use than what it was wrapped in.
  const cause = isStreamError(error) && error.code === "HANDLER_FAILED" && error.cause !== undefined ? error.cause : error;
  const name = cause instanceof Error ? cause.name : "Error";
  const message = messageOf(error);
  const headers: HeaderField[] = [
    ...withoutOwn(original),
    ...place(at, original),
    { name: "mr-attempts", value: String(attempts) },
    { name: "mr-error", value: name },
    { name: "mr-message", value: message.slice(0, MESSAGE_CHARACTERS_MAX) },
    { name: "mr-fingerprint", value: fingerprint(`${at.step}\n${name}\n${withoutParticulars(message)}`) },
  ];
  const code = isStreamError(error) ? error.code : codeOf(cause);
  if (code !== null) headers.push({ name: "mr-code", value: code });
  if (cause instanceof Error && cause.stack !== undefined) headers.push({ name: "mr-stack", value: cause.stack.slice(0, STACK_CHARACTERS_MAX) });
  if (state !== null) headers.push({ name: "mr-state", value: state });
  return headers;
}

/** The headers of a late letter. */
export function lateHeaders(
  latenessMs: number,
  missed: readonly { readonly start: number; readonly end: number }[],
  at: FailedAt,
  original: readonly HeaderField[],
): HeaderField[] {
  return [
    ...withoutOwn(original),
    ...place(at, original),
    { name: "mr-fingerprint", value: fingerprint(`${at.step}\nlate`) },
    { name: "mr-lateness-ms", value: String(latenessMs) },
    { name: MISSED_HEADER, value: JSON.stringify(missed) },
  ];
}

function place(at: FailedAt, original: readonly HeaderField[]): HeaderField[] {
  const trace = TRACE_PARENT.exec(headerText(original.findLast(({ name }) => name.toLowerCase() === "traceparent")?.value ?? null))?.[1];
  return [
    { name: "mr-step", value: at.step },
    { name: "mr-topic", value: at.topic },
    { name: "mr-partition", value: String(at.partition) },
    { name: "mr-position", value: String(at.position) },
    { name: "mr-timestamp", value: String(at.timestamp) },
    { name: "mr-origin", value: at.origin },
    { name: "mr-at", value: String(at.at) },
    // Packed into a shared buffer.
    ...(at.key === undefined ? [] : [{ name: "mr-key", value: packValue(at.key).slice() }]),
    ...(trace === undefined ? [] : [{ name: "mr-trace", value: trace }]),
  ];
}

/** A record that fails again keeps its own headers, not those of the first letter. */
function withoutOwn(headers: readonly HeaderField[]): readonly HeaderField[] {
  return headers.filter(({ name }) => !name.startsWith("mr-"));
}

/** Codes of the platform's errors, such as ECONNREFUSED. */
function codeOf(error: unknown): string | null {
  const code = typeof error === "object" && error !== null ? (error as { readonly code?: unknown }).code : undefined;
  return typeof code === "string" && code.length <= 100 ? code : null;
}

/** What differs between failures of one kind: numbers, ids, and what stands in quotes. */
function withoutParticulars(message: string): string {
  return message
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "''")
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-fA-F]{12,}\b/g, "#")
    .replace(/\d+/g, "0");
}

/** FNV-1a, 32 bits: the same failure at the same step gives the same eight digits. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
