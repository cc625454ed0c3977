/** The topics beside a source that hold what did not go through. */
import { textKeys } from "../record/key.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import type { TopicDefinition } from "../topology/node.ts";

const RETENTION_MS = 30 * 86_400_000;

/** `<origin>-dlq` holds original bytes, `<origin>-late` values as the step saw them, as MessagePack. Both are kept 30 days. */
export function letterTopic(origin: string, kind: "dlq" | "late"): TopicDefinition {
  return {
    name: `${origin}-${kind}`,
    isInternal: false,
    partitions: 1,
    retention: { ageMs: RETENTION_MS },
    key: textKeys,
    value: { encode: packValue, decode: unpackValue },
    keyOf: null,
    timestamp: null,
    lateArrivalDeadlineMs: Infinity,
    watermarkDelayMs: 0,
    idleTimeoutMs: null,
    negativeTimestamps: true,
    policy: null,
    carriesClock: false,
    // Letters of old events are kept as long as those of new ones.
    takesAppendTime: true,
    origin: `${origin}-${kind}`,
  };
}
