/** Topics that the engine writes for itself: letters of a source, and those of the whole app. */
import { textKeys } from "../record/key.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { auditTopicName, retryTopicName } from "./own-topics.ts";

const RETENTION_MS = 30 * 86_400_000;

/** `<origin>-dlq` holds original bytes, `<origin>-late` values as the step saw them, as MessagePack. Both are kept 30 days. */
export function letterTopic(origin: string, kind: "dlq" | "late"): TopicDefinition {
  // Letters of old events are kept as long as those of new ones.
  return { ...plainTopic(`${origin}-${kind}`), retention: { ageMs: RETENTION_MS }, takesAppendTime: true };
}

/** `<app>-retry`, for its writers. */
export function retryTopic(app: string): TopicDefinition {
  return { ...plainTopic(retryTopicName(app)), isInternal: true };
}

/** `<app>-audit`, for its writers. */
export function auditTopic(app: string): TopicDefinition {
  return plainTopic(auditTopicName(app));
}

function plainTopic(name: string): TopicDefinition {
  return {
    name,
    isInternal: false,
    partitions: 1,
    retention: "forever",
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
    origin: name,
  };
}
