/** The errors of the home-grown logs, in one wording: the log's name first (L12), then what, where, the current and the wanted value. */
import { DefinitionError, ExternalError, FencedError, HandlerError, InvariantError, isStreamError, messageOf, StoreError } from "../base/errors.ts";
import type { StreamError } from "../base/errors.ts";
import type { TopicPartition } from "../record/record.ts";

/** How a log speaks of what is no error of a call. */
export type Warn = (message: string, details: Readonly<Record<string, unknown>>) => void;

/** A way to speak that never fails its speaker. */
export function quiet(warn: Warn | undefined): Warn {
  return (message, details) => {
    try {
      warn?.(message, details);
    } catch {
      // What the hearer makes of a warning is none of the log's business, and there is nobody else to tell.
    }
  };
}

/** `"orders" partition 3`. */
export function place(at: TopicPartition): string {
  return `"${at.topic}" partition ${at.partition}`;
}

/** After `close` every call is this. */
export function closed(log: string, call: string): StreamError {
  return new ExternalError("LOG_CLOSED", `[${log}] Cannot ${call}: the log was closed`);
}

/** `partitions` is null where the topic is unknown, else how many it has. */
export function topicUnknown(log: string, call: string, at: TopicPartition, partitions: number | null): StreamError {
  const why = partitions === null
    ? `topic "${at.topic}" is unknown: name it in ensureTopics first`
    : `topic "${at.topic}" has no partition ${at.partition}, only 0 to ${partitions - 1}`;
  return new DefinitionError(`[${log}] Cannot ${call}: ${why}`, { code: "LOG_TOPIC_UNKNOWN", details: { ...pick(at) } });
}

/** A position below the first kept one, or beyond the end (L11). */
export function positionOutOfRange(log: string, at: TopicPartition, position: number, start: number, end: number): StreamError {
  const why = position < start ? "the log keeps nothing below" : "the log ends at";
  return new ExternalError(
    "LOG_POSITION_OUT_OF_RANGE",
    `[${log}] Cannot read ${place(at)} from position ${position}: ${why} ${position < start ? start : end}`,
    { details: { ...pick(at), position, start, end } },
  );
}

/** The membership does not own what it commits (L7). */
export function fenced(log: string, group: string, memberId: string, why: string): StreamError {
  return new FencedError(`[${log}] Cannot commit for group "${group}": member "${memberId}" ${why}`, { details: { group, memberId } });
}

/** The listener of a member failed in `assigned` while it joined: its own error, if it is one of Millrace. */
export function listenerFailed(log: string, group: string, thrown: unknown): StreamError {
  if (isStreamError(thrown)) return thrown;
  return new HandlerError("HANDLER_FAILED", `[${log}] Cannot join group "${group}": its listener failed in assigned: ${messageOf(thrown)}`, { cause: thrown });
}

/** Retention went over records that a group had not read. */
export function lossWarning(log: string, group: string, at: TopicPartition, position: number, start: number): Readonly<Parameters<Warn>> {
  const message = `[${log}] Retention dropped records of ${place(at)} from position ${position} up to ${start} before group "${group}" read them`;
  return [message, { group, ...pick(at), position, start }];
}

/** Something of the log's own failed under a commit or append: errors of Millrace keep their code in the details, bugs of Millrace come through. */
export function failed(code: "LOG_COMMIT_FAILED" | "LOG_APPEND_REJECTED", log: string, call: string, cause: unknown): StreamError {
  if (isStreamError(cause) && cause.domain === "internal") return cause;
  const details = isStreamError(cause) ? { code: cause.code, ...cause.details } : {};
  return new ExternalError(code, `[${log}] Cannot ${call}: ${messageOf(cause)}`, { cause, details });
}

/** An error of the store below, under its own code, with the log's name in front. */
export function named(log: string, call: string, thrown: unknown): StreamError {
  if (!isStreamError(thrown)) return new InvariantError(`[${log}] Cannot ${call}: ${messageOf(thrown)}`, { cause: thrown });
  if (thrown.domain === "internal" || thrown.message.startsWith(`[${log}]`)) return thrown;
  return new StoreError(thrown.code, `[${log}] Cannot ${call}: ${thrown.message}`, { cause: thrown, details: thrown.details });
}

/** The device refused a flush: what is in the file is not known, so nothing goes on until it is read again (D5). */
export function broken(log: string, call: string, cause: unknown): StreamError {
  return new StoreError("DISK_FAILED", `[${log}] Cannot ${call}: a flush of the device failed (${messageOf(cause)}); reopen the log`, { cause });
}

function pick(at: TopicPartition): TopicPartition {
  return { topic: at.topic, partition: at.partition };
}
