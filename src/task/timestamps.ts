/** The event time of records, and whether it can be one. */
import { unreachable } from "../base/assert.ts";
import { isThenable } from "../base/awaitable.ts";
import { DecodeError } from "../base/errors.ts";
import { RecordView } from "../record/meta.ts";
import { judgeTimestamp, type TimestampVerdict } from "../time/lateness.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { Input } from "./input.ts";

/** A timestamp further ahead of the wall clock than this does not move event time. */
const AHEAD_MAX_MS = 86_400_000;

/** Whether a timestamp may move event time; false for one whose record is left out. `now`: wall clock, ms. Throws `TIMESTAMP_INVALID` for one that is refused. */
export function isUsable(topic: TopicDefinition, timestamp: number, now: number): boolean {
  const verdict = verdictOn(topic, timestamp, now);
  switch (verdict) {
    case "usable":
      return true;
    case "negative":
      return false;
    case "unusable":
      throw new DecodeError("TIMESTAMP_INVALID", `Cannot use the timestamp of a record of "${topic.name}": it is ${timestamp}, wanted whole milliseconds`);
    case "ahead":
      throw new DecodeError(
        "TIMESTAMP_INVALID",
        `Cannot use the timestamp of a record of "${topic.name}": it is ${timestamp}, more than a day ahead of the wall clock`,
      );
    default:
      return unreachable(verdict);
  }
}

/** The timestamp of the record at the head, which is not to be worked on yet; null where it cannot be told, or is none. */
export function timestampAhead({ topic, cursor, partition }: Input, now: number): number | null {
  let timestamp: number = cursor.timestamp;
  if (topic.timestamp !== null) {
    try {
      const bytes = cursor.valueBytes();
      const value = bytes === null ? undefined : topic.value.decode(bytes);
      if (isThenable(value)) {
        value.then(undefined, () => {});
        return null;
      }
      const view = new RecordView(topic.name, partition, topic.key.decode).at(cursor);
      const given = value === undefined ? timestamp : topic.timestamp(value, view);
      timestamp = given instanceof Date ? given.getTime() : given;
    } catch {
      return null; // It fails again in its turn, and then by its policy.
    }
  }
  return verdictOn(topic, timestamp, now) === "usable" ? timestamp : null;
}

function verdictOn(topic: TopicDefinition, timestamp: number, now: number): TimestampVerdict {
  return judgeTimestamp(timestamp, now, { takesNegative: topic.negativeTimestamps, aheadMaxMs: AHEAD_MAX_MS });
}
