/** A letter: a record that did not go through, as it lies in `<source>-dlq` or `<source>-late`, read into a value. What its headers mean: `task/letters.ts`. */
import type { RecordCursor } from "../record/cursor.ts";
import { headerText } from "../record/headers.ts";
import { anyKeys } from "../record/key.ts";
import type { HeaderField } from "../record/record.ts";
import { unpackValue } from "../record/value-bytes.ts";

/** Given up, or too late for its windows. */
export type LetterKind = "dead" | "late";

/** What became of a letter: nothing yet; to be taken by its task; taken by it, well or badly; left alone for good. */
export type LetterState = "open" | "queued" | "replayed" | "purged";

/** Where letters of a source lie. */
export interface LetterBoxName {
  readonly kind: LetterKind;
  readonly source: string;
}

/** A letter. */
export interface Letter {
  /** Its position in the topic of letters. */
  readonly id: number;
  readonly kind: LetterKind;
  readonly source: string;
  /** The step it failed in; empty for a record that the engine did not write. */
  readonly step: string;
  /** Where it was: a topic, or `step:` and a name for the result of a step. */
  readonly place: { readonly topic: string; readonly partition: number; readonly position: number };
  /** Event time, ms. */
  readonly timestamp: number;
  /** Wall clock when it was given up, ms. */
  readonly at: number;
  readonly fingerprint: string;
  /** Of its `traceparent`. */
  readonly traceId: string | null;
  /** Tries that failed; 0 for late ones. */
  readonly attempts: number;
  /** null for late ones. */
  readonly error: LetterError | null;
  /** null for dead ones. */
  readonly latenessMs: number | null;
  /** The windows that had closed. */
  readonly missed: readonly { readonly start: number; readonly end: number }[];
  /** What the stores of its task had for its key, JSON; null: that was not kept. */
  readonly stores: string | null;
  /** The letter whose replay failed: `orders-dlq@17`; null for a first failure. */
  readonly replayOf: string | null;
  readonly key: Uint8Array | null;
  /** As steps see it; undefined: the bytes say it. */
  readonly stepKey: unknown;
  readonly value: Uint8Array | null;
  /** Its own, without those of the engine. */
  readonly headers: readonly HeaderField[];
}

/** What the last try threw. */
export interface LetterError {
  /** The class. */
  readonly name: string;
  readonly message: string;
  /** Of the engine's or the platform's errors. */
  readonly code: string | null;
  readonly stack: string | null;
}

/** The topic of a box. */
export function letterTopicName({ kind, source }: LetterBoxName): string {
  return `${source}-${kind === "dead" ? "dlq" : "late"}`;
}

/** The record at the cursor; copies what it keeps. */
export function readLetter({ kind, source }: LetterBoxName, cursor: RecordCursor): Letter {
  const fields = cursor.headers();
  const own: HeaderField[] = [];
  const marks = new Map<string, HeaderField["value"]>();
  // Of two of a name the engine's is the last.
  for (const field of fields) {
    if (field.name.startsWith("mr-")) marks.set(field.name, field.value);
    else own.push(field);
  }
  const text = (name: string): string | null => marks.has(name) ? headerText(marks.get(name)!) : null;
  const number = (name: string, otherwise: number): number => {
    const value = text(name);
    return value !== null && /^-?\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : otherwise;
  };
  const key = cursor.keyBytes()?.slice() ?? null;
  return {
    id: cursor.position,
    kind,
    source,
    step: text("mr-step") ?? "",
    place: { topic: text("mr-topic") ?? "", partition: number("mr-partition", 0), position: number("mr-position", -1) },
    timestamp: number("mr-timestamp", cursor.timestamp),
    at: number("mr-at", cursor.timestamp),
    fingerprint: text("mr-fingerprint") ?? "",
    traceId: text("mr-trace"),
    attempts: number("mr-attempts", 0),
    error: kind === "late" ? null : { name: text("mr-error") ?? "", message: text("mr-message") ?? "", code: text("mr-code"), stack: text("mr-stack") },
    latenessMs: kind === "late" ? number("mr-lateness-ms", 0) : null,
    missed: missedOf(text("mr-missed")),
    stores: text("mr-state"),
    replayOf: text("mr-replay-of"),
    key,
    stepKey: stepKeyOf(marks.get("mr-key") ?? null, key, kind === "late" || (text("mr-topic") ?? "").startsWith("step:")),
    value: cursor.valueBytes()?.slice() ?? null,
    headers: own,
  };
}

function missedOf(json: string | null): Letter["missed"] {
  if (json === null) return [];
  try {
    const windows: unknown = JSON.parse(json);
    return Array.isArray(windows) ? windows as Letter["missed"] : [];
  } catch {
    return [];
  }
}

/** Letters of older versions have it in their bytes alone. */
function stepKeyOf(packed: HeaderField["value"], key: Uint8Array | null, isOfStep: boolean): unknown {
  try {
    if (packed instanceof Uint8Array) return unpackValue(packed);
    if (!isOfStep) return undefined;
    return key === null ? null : anyKeys.decode!(key);
  } catch {
    return null;
  }
}
