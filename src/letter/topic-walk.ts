/** Goes through the records of a topic's one partition, up to an end that was asked for before, on any log. */
import { ExternalError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import type { Runtime } from "../runtime/runtime.ts";

const CHUNK_BYTES = 1_048_576;
/** A log that gives nothing for so long cannot be reached. */
const SILENCE_MAX_MS = 30_000;

/** From the first position to the one behind the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A log and the clock to wait by. */
export interface WalkHost {
  readonly log: Pick<Log, "reader" | "describe" | "partitionsOf" | "name">;
  readonly runtime: Pick<Runtime, "setTimer" | "yield">;
}

/** What a topic holds; nothing where it does not exist. */
export async function spanOf({ log }: Pick<WalkHost, "log">, topic: string): Promise<Span> {
  if (log.partitionsOf(topic) === null) return { start: 0, end: 0 };
  const [info] = await log.describe([topic]);
  return { start: info?.start ?? 0, end: info?.end ?? 0 };
}

/**
 * Shows each record between two positions; `visit` keeps nothing of the cursor; it ends the walk by giving false, and is waited for when it gives a promise. Rejects with `LOG_UNAVAILABLE` when the log stops giving records,
 * with `LOG_POSITION_OUT_OF_RANGE` when the first of them are taken away meanwhile.
 */
export async function walk(
  { log, runtime }: WalkHost,
  topic: string,
  { start, end }: Span,
  visit: (cursor: RecordCursor) => false | void | Promise<void>,
): Promise<void> {
  if (start >= end) return;
  let wake: () => void = () => {};
  const reader = log.reader({ topic, partition: 0 }, start, () => wake());
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  try {
    while (reader.position < end) {
      const arrival = new Promise<void>((resolve) => wake = resolve);
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) {
        if (reader.position < end) await within(runtime, arrival, log.name, topic, reader.position, end);
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) {
        if (cursor.position >= end) return;
        const more = visit(cursor);
        if (more === false) return;
        if (more !== undefined) await more;
      }
      await runtime.yield();
    }
  } finally {
    reader.close();
  }
}

async function within(runtime: WalkHost["runtime"], arrival: Promise<void>, log: string, topic: string, position: number, end: number): Promise<void> {
  const silence = Promise.withResolvers<never>();
  const timer = runtime.setTimer(() => {
    const message = `[${log}] Cannot read ${topic}-0 on from position ${position} to ${end}: nothing came for ${SILENCE_MAX_MS / 1_000} s; try again`;
    silence.reject(new ExternalError("LOG_UNAVAILABLE", message, { retryAfterMs: 1_000 }));
  }, SILENCE_MAX_MS);
  try {
    await Promise.race([arrival, silence.promise]);
  } finally {
    timer.cancel();
  }
}
