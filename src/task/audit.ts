/**
 * What lies in `<app>-audit`: one record a change, in JSON, so that any program reads it. What has become of a letter is what its entries say, the last one first.
 *
 * The key is what was changed: `orders/0` for a partition, `orders-dlq@17` for a letter.
 */
import { fromBase64, toBase64 } from "../base/bytes.ts";
import { DecodeError } from "../base/errors.ts";
import type { NewRecord } from "../record/record.ts";

/** A letter, by its topic and its position there. */
export interface LetterId {
  /** `<source>-dlq` or `<source>-late`. */
  readonly topic: string;
  readonly position: number;
}

/** What was done. */
export type Change =
  /** A partition, or with `partition` null all of a topic. */
  | { readonly action: "pause" | "resume" | "restart"; readonly topic: string; readonly partition: number | null; readonly reason: string | null }
  | {
    readonly action: "seek";
    readonly topic: string;
    readonly partition: number;
    readonly from: number | null;
    readonly to: number;
    readonly reason: string | null;
  }
  /** A letter was put back to be worked on; `run` counts from 1. */
  | { readonly action: "replay"; readonly letter: LetterId; readonly run: number }
  /** Its task is done with it, whatever became of it: said in the commit in which that is. */
  | { readonly action: "replayed"; readonly letter: LetterId; readonly run: number }
  /** `value` null makes it a tombstone. */
  | { readonly action: "edit"; readonly letter: LetterId; readonly value: Uint8Array | null }
  | { readonly action: "purge"; readonly letter: LetterId };

/** One entry. */
export interface AuditEntry {
  /** Wall clock, ms. */
  readonly at: number;
  /** Who, as they said it; the engine itself is `millrace`. */
  readonly by: string;
  readonly change: Change;
}

const VERSION = 1;

/** The record of an entry. */
export function auditRecord({ at, by, change }: AuditEntry): NewRecord {
  const value = change.action === "edit" ? { ...change, value: change.value === null ? null : toBase64(change.value) } : change;
  return { key: subjectOf(change), value: JSON.stringify({ version: VERSION, at, by, ...value }), timestamp: at, headers: [] };
}

/** Reads a record. Throws `DecodeError` for what is none. */
export function readAudit(value: Uint8Array): AuditEntry {
  let row: Record<string, unknown> | null;
  try {
    row = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value)) as Record<string, unknown> | null;
  } catch (cause) {
    throw new DecodeError("CODEC_FAILED", "Cannot read an audit entry: it is not JSON", { cause });
  }
  const { version, at, by, ...change } = row ?? {};
  if (version !== VERSION) throw new DecodeError("CODEC_FAILED", `Cannot read an audit entry: it has version ${String(version)}, wanted ${VERSION}`);
  if (change["action"] === "edit" && typeof change["value"] === "string") change["value"] = fromBase64(change["value"]);
  return { at: at as number, by: by as string, change: change as unknown as Change };
}

function subjectOf(change: Change): string {
  if ("letter" in change) return letterKey(change.letter);
  return change.partition === null ? change.topic : `${change.topic}/${change.partition}`;
}

/** `orders-dlq@17`. */
export function letterKey({ topic, position }: LetterId): string {
  return `${topic}@${position}`;
}
