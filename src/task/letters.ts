/** Dead and late letters: records that did not go through, with what is needed to see why and to put them back. */
import { isStreamError, messageOf } from "../base/errors.ts";
import type { HeaderField } from "../record/record.ts";

/** Where and how a record failed. */
export interface FailedAt {
  readonly step: string;
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  /** Event time of the record, ms since the epoch. */
  readonly timestamp: number;
}

const STACK_CHARACTERS_MAX = 4_000;

/** The headers of a dead letter, beside the record's own. `mr-` names are the engine's. */
export function deadLetterHeaders(error: unknown, attempts: number, at: FailedAt, original: readonly HeaderField[]): HeaderField[] {
  const name = error instanceof Error ? error.name : "Error";
  const message = messageOf(error);
  const cause = isStreamError(error) && error.code === "HANDLER_FAILED" ? error.cause : error;
  const headers: HeaderField[] = [
    ...withoutOwn(original),
    ...place(at),
    { name: "mr-attempts", value: String(attempts) },
    { name: "mr-error", value: name },
    { name: "mr-message", value: message },
    { name: "mr-fingerprint", value: fingerprint(`${at.step}\n${name}\n${message.replace(/\d+/g, "0")}`) },
  ];
  if (isStreamError(error)) headers.push({ name: "mr-code", value: error.code });
  if (cause instanceof Error && cause.stack !== undefined) headers.push({ name: "mr-stack", value: cause.stack.slice(0, STACK_CHARACTERS_MAX) });
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
    ...place(at),
    { name: "mr-lateness-ms", value: String(latenessMs) },
    { name: "mr-missed", value: JSON.stringify(missed) },
  ];
}

function place(at: FailedAt): HeaderField[] {
  return [
    { name: "mr-step", value: at.step },
    { name: "mr-topic", value: at.topic },
    { name: "mr-partition", value: String(at.partition) },
    { name: "mr-position", value: String(at.position) },
    { name: "mr-timestamp", value: String(at.timestamp) },
  ];
}

/** A record that fails again keeps its own headers, not those of the first letter. */
function withoutOwn(headers: readonly HeaderField[]): readonly HeaderField[] {
  return headers.filter(({ name }) => !name.startsWith("mr-"));
}

/** FNV-1a, 32 bits: the same failure at the same step gives the same eight digits. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
