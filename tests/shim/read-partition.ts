/** Reads a partition up to its end as a reader knows it, on logs that answer later too. */
import type { Log } from "../../src/log/log.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import type { TopicPartition } from "../../src/record/record.ts";

const TAKE_BYTES = 1_048_576;
/** An empty partition has no arrival, only an answer. */
const LOOK_AGAIN_MS = 50;

/** Calls `onRecord` with a cursor at each record from `start` on. */
export async function readPartition(log: Log, at: TopicPartition, start: number, onRecord: (cursor: RecordCursor) => void): Promise<void> {
  let wake: () => void = () => undefined;
  const reader = log.reader(at, start, () => wake());
  const cursor = new RecordCursor();
  try {
    for (;;) {
      const arrival = new Promise<void>((resolve) => (wake = resolve));
      const from = reader.position;
      const chunk = reader.take(TAKE_BYTES);
      if (chunk === null) {
        if (reader.end !== null && reader.position >= reader.end) return;
        await Promise.race([arrival, new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))]);
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, from);
      while (cursor.next()) onRecord(cursor);
    }
  } finally {
    reader.close();
  }
}
