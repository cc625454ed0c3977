/**
 * Brings the state of a task up to date before it begins: from what the database has of its changelog, or from nothing.
 *
 * The end is asked for after the committed positions were read and those are stable, and counts transactions under way: reading committed records until that end is passed sees every
 * commit that the positions stand for.
 */
import { isStreamError } from "../base/errors.ts";
import type { Log, PartitionInfo } from "../log/log.ts";
import type { ObservedEvent } from "../observe/events.ts";
import { RecordCursor } from "../record/cursor.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { ChangelogReader } from "../state/changelog.ts";
import type { StateStorage } from "../state/storage.ts";

/** What is restored, and with what. */
export interface RestoreOptions {
  /** The task, for people. */
  readonly task: string;
  /** Start and end of the partition of its changelog. */
  readonly changelog: PartitionInfo;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly storage: StateStorage;
  /** Whether an app still writes a changelog, where `changelog` is of an app that was parted otherwise; null: it is the task's own. */
  readonly isCurrent?: ((topic: string) => boolean) | null;
  readonly report: (event: ObservedEvent) => void;
  /** False once nobody waits for the task any more. */
  readonly isWanted: () => boolean;
  /** Calls back when `isWanted` may have changed, until the returned function is called. */
  readonly onChange: (fn: () => void) => () => void;
}

const CHUNK_BYTES = 1_048_576;
const REPORT_MS = 1_000;
/** A changelog forgets that a row is gone after 7 days: what is older than this cannot be brought up to date. */
const CHECKPOINT_AGE_MAX_MS = 6 * 86_400_000;

/** Restores; the number of records read, or null when it is not wanted any more. */
export async function restoreState(options: RestoreOptions): Promise<number | null> {
  const { changelog: { topic, partition, start }, log, storage, report, task } = options;
  try {
    return await readOn(options, usableCheckpoint(options));
  } catch (error) {
    // What was found wrong is to be found again, whenever this is tried again.
    if (isStreamError(error) && (error.code === "STORE_INCOMPATIBLE" || error.code === "STORE_CORRUPT")) {
      storage.transaction(() => storage.forget(topic, partition));
    }
    if (!isStreamError(error) || error.code !== "LOG_POSITION_OUT_OF_RANGE") throw error;
    // Records below the checkpoint's position were deleted: what is here cannot be brought up to date.
    report({ type: "warning", message: `The state of ${task} is built again from the start of its changelog: ${error.message}`, error: null });
    storage.transaction(() => storage.forget(topic, partition));
    const [now] = (await log.describe([topic])).filter((at) => at.partition === partition);
    return await readOn({ ...options, changelog: { ...options.changelog, start: now?.start ?? start } }, null);
  }
}

/** The position to go on from; null: the database has nothing that can be built on. */
function usableCheckpoint({ changelog: { topic, partition, start, end }, storage, runtime, report, task }: RestoreOptions): number | null {
  const checkpoint = storage.checkpoint(topic, partition);
  if (checkpoint === null) return null;
  const { position, savedAt } = checkpoint;
  const why = position > end
    ? `it is at position ${position} of its changelog, which ends at ${end}`
    : position < start
    ? `it is at position ${position} of its changelog, which begins at ${start}`
    : position < end && runtime.now() - savedAt > CHECKPOINT_AGE_MAX_MS
    ? "it was used too long ago"
    : null;
  if (why === null) return position;
  report({ type: "warning", message: `The state of ${task} on this disk is built again from its changelog: ${why}`, error: null });
  storage.transaction(() => storage.forget(topic, partition));
  return null;
}

async function readOn(options: RestoreOptions, from: number | null): Promise<number | null> {
  const { changelog: { topic, partition, start, end }, log, runtime, storage, isWanted, report, task } = options;
  const first = from ?? start;
  if (first >= end) return 0;
  let wake: () => void = () => {};
  const reader = log.reader({ topic, partition }, first, () => wake());
  const off = options.onChange(() => wake());
  const rows = new ChangelogReader(storage, topic, partition, options.isCurrent ?? null);
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  const startedAt = runtime.monotonic();
  let restored = 0, reportedAt = startedAt;
  try {
    while (reader.position < end) {
      if (!isWanted()) return null;
      const arrival = new Promise<void>((resolve) => wake = resolve);
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) {
        if (reader.position >= end) break;
        await arrival;
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      storage.transaction(() => {
        for (; cursor.next(); restored++) rows.apply(cursor);
        storage.saveCheckpoint(topic, partition, { position: chunk.nextPosition, savedAt: runtime.now() });
      });
      const now = runtime.monotonic();
      if (now - reportedAt >= REPORT_MS) {
        reportedAt = now;
        const seconds = (now - startedAt) / 1_000;
        const left = Math.max(0, end - reader.position), perSecond = (reader.position - first) / seconds;
        report({
          type: "taskRestoring",
          task,
          restoredRecords: restored,
          leftRecords: left,
          recordsPerSecond: Math.round(restored / seconds),
          leftMs: Math.ceil(left / perSecond * 1_000),
        });
      }
      await runtime.yield();
    }
    rows.end();
    storage.transaction(() => storage.saveCheckpoint(topic, partition, { position: Math.max(reader.position, end), savedAt: runtime.now() }));
    return restored;
  } finally {
    off();
    reader.close();
  }
}
