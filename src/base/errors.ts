/**
 * The errors of Millrace: few classes, chosen by what the reader must do, each with a code from one frozen table.
 *
 * Texts say what, where, the current and the wanted value: `Cannot open "app.db": process 4711 holds it`.
 *
 * @module
 */

/** Whose matter an error is. */
export type ErrorDomain = "user" | "data" | "external" | "control" | "internal";

/** Every code with its meaning and remedy. A code is never reused; `docs/reference/errors.md` is made from this table. */
export const errorCodes = {
  DEFINITION_INVALID: "A definition is wrong: mend each fault that the message lists, then start again.",
  DURATION_INVALID: 'A duration is not understood: write milliseconds or text such as "1h 30m", largest unit first.',
  OPTION_INVALID: "An option has a value that cannot work: the message names the option and what it takes.",
  CODEC_FAILED: "Bytes or a value do not fit their codec: the record goes by its error policy.",
  RECORD_CORRUPT: "A record batch is damaged: its checksum or its lengths do not fit.",
  RECORD_TOO_LARGE: "A record is larger than its log takes: make it smaller or raise the limit.",
  SCHEMA_MISMATCH: "A value does not fit its schema: the issues are in the details.",
  TIMESTAMP_INVALID: "An event time is not a whole number of milliseconds, or lies too far ahead of the wall clock.",
  KEY_MISSING: "A keyed operator got a record without a key.",
  HANDLER_FAILED: "A function of yours threw: the cause holds its error.",
  HANDLER_TERMINAL: "A function of yours gave a record up by terminal(): no retry follows.",
  HANDLER_RETRY_LATER: "A function of yours asked for another try later.",
  DISK_FAILED: "The disk refused an operation: see the cause; a full or broken disk needs you.",
  DISK_LOCKED: "Another live process holds these files: stop it, or use another directory.",
  STORE_CORRUPT: "A page of a state file fails its checksum: restore the file from a backup or remove it.",
  STORE_NEWER: "State was written by a newer version: upgrade, or use another directory.",
  STORE_INCOMPATIBLE: "The stores of the topology changed incompatibly: rename the step or migrate the store.",
  TOPOLOGY_INCOMPATIBLE: "This version of the app cannot run beside its workers that run: the message says why; stop them, then start it with acceptChange.",
  STORE_FULL: "State cannot grow: the disk or the memory is full.",
  SQLITE_FAILED: "SQLite refused a statement: see the message.",
  LOG_APPEND_REJECTED: "The log did not take records.",
  LOG_TOPIC_UNKNOWN: "A topic does not exist in this log.",
  LOG_TOPIC_MISMATCH: "A topic exists with other settings, such as another number of partitions.",
  LOG_POSITION_OUT_OF_RANGE: "A position is no longer, or not yet, in the log.",
  LOG_COMMIT_FAILED: "A commit failed as a whole: nothing of it is in.",
  LOG_CLOSED: "The log was used after it was closed.",
  LOG_UNAVAILABLE: "The log cannot be reached, or cannot do this for now: see the message and the cause.",
  LOG_BUSY: "The log takes no more for now: try again after the time given.",
  FENCED: "This worker no longer owns the partition: its work was dropped.",
  PARTITION_ABSENT: "The state of a partition is not at this worker: ask the one that owns it, or try again once it is restored here.",
  ADMIN_FAILED: "A running app could not be asked, or refused what was asked of its admin pages: the message says why and what helps.",
  CONFIG_INVALID: "A setting from the environment or the command line is wrong.",
  RUNTIME_UNSUPPORTED: "This runtime cannot do what was asked: the message names the way round.",
  INVARIANT: "A bug in Millrace: please report it with the message.",
} as const;
Object.freeze(errorCodes);

/** One of the codes of {@linkcode errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** What an error carries besides its message. Never a secret. */
export interface ErrorInfo {
  /** Facts for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The error behind it. */
  readonly cause?: unknown;
  /** Try again after so many milliseconds. */
  readonly retryAfterMs?: number;
}

/** The base of all errors Millrace throws. Test with {@linkcode isStreamError}, not `instanceof`: two copies of the package may meet. */
export class StreamError extends Error {
  /** One of {@linkcode errorCodes}. */
  readonly code: ErrorCode;
  /** Whose matter it is. */
  readonly domain: ErrorDomain;
  /** Facts for programs. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Try again after so many milliseconds; null: nobody knows. */
  readonly retryAfterMs: number | null;
  /** The mark that {@linkcode isStreamError} looks for. */
  readonly "~millrace": "error" = "error";

  /** Of a code and its domain. */
  constructor(code: ErrorCode, domain: ErrorDomain, message: string, info: ErrorInfo = {}) {
    super(message, info.cause === undefined ? undefined : { cause: info.cause });
    this.code = code;
    this.domain = domain;
    this.details = info.details ?? {};
    this.retryAfterMs = info.retryAfterMs ?? null;
  }
}

/** A topology, resolver or option is wrong, found at definition or start; all faults are in one error. */
export class DefinitionError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "DefinitionError";
  /** One sentence a fault. */
  readonly faults: readonly string[];
  /** Of a message, or of several faults. @default code "DEFINITION_INVALID" */
  constructor(message: string, options: { readonly faults?: readonly string[]; readonly code?: ErrorCode } & ErrorInfo = {}) {
    super(options.code ?? "DEFINITION_INVALID", "user", message, options);
    this.faults = options.faults ?? [message];
  }
}

/** Bytes or schema do not fit: the record goes by its error policy. */
export class DecodeError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "DecodeError";
  /** Of one of the codes. */
  constructor(code: ErrorCode, message: string, info?: ErrorInfo) {
    super(code, "data", message, info);
  }
}

/** A function of the user threw. */
export class HandlerError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "HandlerError";
  /** Of one of the codes. */
  constructor(code: ErrorCode, message: string, info?: ErrorInfo) {
    super(code, "user", message, info);
  }
}

/** Something outside (log, network, disk) failed; trying again may help. */
export class ExternalError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "ExternalError";
  /** Of one of the codes. */
  constructor(code: ErrorCode, message: string, info?: ErrorInfo) {
    super(code, "external", message, info);
  }
}

/** This worker no longer owns the partition: work is dropped without a sound. */
export class FencedError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "FencedError";
  /** Of a message. */
  constructor(message: string, info?: ErrorInfo) {
    super("FENCED", "control", message, info);
  }
}

/** State is unreadable, newer, locked or full: the task stops. */
export class StoreError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "StoreError";
  /** Of one of the codes. */
  constructor(code: ErrorCode, message: string, info?: ErrorInfo) {
    super(code, "external", message, info);
  }
}

/** A bug in Millrace: the worker stops. */
export class InvariantError extends StreamError {
  /** The name of the class, also where code was made smaller. */
  override readonly name = "InvariantError";
  /** Of a message. */
  constructor(message: string, info?: ErrorInfo) {
    super("INVARIANT", "internal", message, info);
  }
}

/** Whether a value is an error of Millrace, from whichever copy of the package. */
export function isStreamError(value: unknown): value is StreamError {
  return typeof value === "object" && value !== null && (value as { readonly "~millrace"?: unknown })["~millrace"] === "error";
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
