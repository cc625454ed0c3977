/**
 * What `<app>-migration` says, a topic of the log that an app was moved to: that the move was begun, and, in the commit that brings the positions, that it has ended. An app is refused in between:
 * it would begin with part of its records and state.
 */
import { DecodeError, DefinitionError } from "../../base/errors.ts";
import type { Log, TopicSpec } from "../../log/log.ts";
import { RecordCursor } from "../../record/cursor.ts";

/** One record of the topic. */
export interface MoveNote {
  readonly version: 1;
  /** That of the mark in the log that is left behind. */
  readonly id: string;
  readonly phase: "begun" | "ended";
  /** Wall clock, ms. */
  readonly at: number;
  /** By topic and partition: where the first record that is moved comes to lie. */
  readonly bases: Readonly<Record<string, readonly number[]>>;
}

const CHUNK_BYTES = 65_536;

/** The topic, which nobody but moves writes to. */
export function moveTopic(app: string): TopicSpec {
  return { name: `${app}-migration`, partitions: 1, retention: "forever", internal: true };
}

/** The value of a record of the topic. */
export function encodeNote(note: MoveNote): string {
  return JSON.stringify(note);
}

/** The last note of a log; null: no app of this name was ever moved to it. */
export async function readNote(log: Log, app: string): Promise<MoveNote | null> {
  const topic = moveTopic(app).name;
  if (log.partitionsOf(topic) === null) return null;
  const [at] = await log.describe([topic]);
  const cursor = new RecordCursor();
  let arrived = Promise.withResolvers<void>();
  const reader = log.reader({ topic, partition: 0 }, at!.start, () => arrived.resolve());
  let last: string | null = null;
  try {
    while (reader.position < at!.end) {
      arrived = Promise.withResolvers();
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) {
        if (reader.position < at!.end) await arrived.promise;
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) last = cursor.valueText();
    }
  } finally {
    reader.close();
  }
  return last === null ? null : decodeNote(last, topic);
}

/** Throws DefinitionError `CONFIG_INVALID` where a move to this log was begun and has not ended. */
export async function checkMoveEnded(log: Log, app: string): Promise<void> {
  // Logs that hold state are what apps are moved from.
  if (log.capabilities.holdsState) return;
  const note = await readNote(log, app);
  if (note === null || note.phase === "ended") return;
  throw new DefinitionError(
    `Cannot start "${app}": moving it to this log (${log.name}) was begun ${
      new Date(note.at).toISOString()
    } and has not ended, so that part of its records and state is missing: ` +
      `end it by millrace migrate <file> --to ${log.name}, in its directory. To begin without what the other log has, delete topic "${
        moveTopic(app).name
      }" and those that were moved`,
    { code: "CONFIG_INVALID", details: { app, id: note.id } },
  );
}

function decodeNote(text: string, topic: string): MoveNote {
  const note = JSON.parse(text) as MoveNote;
  if (note.version === 1) return note;
  throw new DecodeError("CODEC_FAILED", `Cannot read topic "${topic}": its last record has version ${String(note.version)}, this version reads 1`);
}
