/**
 * What lies in `<app>-retry`: records that are tried again out of turn, because their policy blocks nothing or because an operator replays their letter. The task that owns the partition they come
 * from reads them, so that they reach this app alone, not whoever else reads the source.
 *
 * A record of source partition `p` lies in partition `p % count`; its header `mr-retry` says where it enters and how often it was tried. Its own timestamp is in there too: logs count ages by that of
 * the record, which is when it was put here.
 */
import { DecodeError } from "../base/errors.ts";
import type { Append } from "../log/log.ts";
import type { HeaderField, NewRecord, Payload } from "../record/record.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import { type LetterId } from "./audit.ts";
import { retryTopicName } from "./own-topics.ts";

/** The header of each record of the topic. */
export const RETRY_HEADER = "mr-retry";

/** Where and how a record enters again. */
export interface RetryNote {
  /** Where it failed: an input's topic; `step:<name>`, behind a step whose result it is; `into:<name>`, a step that found it late. */
  readonly entrance: string;
  /** The number of its task. */
  readonly partition: number;
  /** In the input; -1 for others. */
  readonly position: number;
  /** Event time, ms; null: the earliest that is not late where it enters. */
  readonly timestamp: number | null;
  /** Of a late letter at its own time: the windows it missed, which alone it enters. */
  readonly missed: readonly { readonly start: number; readonly end: number }[] | null;
  /** For `step:` and `into:`: its key as steps see it. */
  readonly key: unknown;
  /** Tries so far. */
  readonly attempts: number;
  /** Wall clock of the next try, ms; 0: at once. */
  readonly dueAt: number;
  /** Wall clock of its first try, ms. */
  readonly arrivedAt: number;
  /** Wall clock from which its budget counts, ms; null: from when it is taken. */
  readonly budgetFrom: number | null;
  /** Set for a replay: taken once for each run. */
  readonly replay: { readonly letter: LetterId; readonly run: number } | null;
}

const VERSION = 1;

/** The record for the topic; `headers` are the record's own. */
export function retryRecord(note: RetryNote, key: Payload | null, value: Payload | null, headers: readonly HeaderField[], now: number): NewRecord {
  return { key, value, timestamp: now, headers: [...headers.filter(({ name }) => !name.startsWith("mr-")), retryHeader(note)] };
}

/** The append of a record to be tried again; `partitions`: of the topic. */
export function retryAppend(app: string, partitions: number, note: RetryNote, record: NewRecord): Append {
  return { topic: retryTopicName(app), partition: note.partition % partitions, records: [record] };
}

/** The header that says where a record enters. */
export function retryHeader({ entrance, partition, position, timestamp, key, attempts, dueAt, arrivedAt, budgetFrom, replay, missed }: RetryNote): HeaderField {
  const letter = replay === null ? null : [replay.letter.topic, replay.letter.position, replay.run];
  // Packed into a shared buffer.
  return {
    name: RETRY_HEADER,
    value: packValue([VERSION, entrance, partition, position, timestamp, key, attempts, dueAt, arrivedAt, letter, missed, budgetFrom]).slice(),
  };
}

/** Reads the header. Throws `DecodeError` for one of another version. */
export function readRetry(bytes: Uint8Array): RetryNote {
  const row = unpackValue(bytes);
  if (!Array.isArray(row) || row[0] !== VERSION) throw new DecodeError("CODEC_FAILED", `Cannot read header ${RETRY_HEADER}: wanted version ${VERSION}`);
  const [, entrance, partition, position, timestamp, key, attempts, dueAt, arrivedAt, letter, missed, budgetFrom] = row as [
    number,
    string,
    number,
    number,
    number | null,
    unknown,
    number,
    number,
    number,
    readonly [string, number, number] | null,
    RetryNote["missed"],
    number | null,
  ];
  const isSound = typeof entrance === "string" && [partition, position, attempts].every(Number.isSafeInteger) &&
    [dueAt, arrivedAt, timestamp ?? 0].every(Number.isFinite);
  if (!isSound) throw new DecodeError("CODEC_FAILED", `Cannot read header ${RETRY_HEADER}: it lacks what it should say`);
  const replay = letter === null ? null : { letter: { topic: letter[0], position: letter[1] }, run: letter[2] };
  return { entrance, partition, position, timestamp, key, attempts, dueAt, arrivedAt, budgetFrom, replay, missed };
}
