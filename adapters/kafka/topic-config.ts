/** How topics of Millrace are set up on Kafka, and what of an existing one cannot work. */
import { DefinitionError } from "../../src/base/errors.ts";
import type { TopicSpec } from "../../src/log/log.ts";
import type { NewTopic } from "./client.ts";

/** The largest record batch, as what is appended may be; clusters that are rented out take no more. */
const MESSAGE_BYTES_MAX = 8_388_608;
/** Where old records go soon, Kafka's segments of a gigabyte would keep them. */
const SEGMENT_BYTES = 52_428_800;
const SEGMENT_BYTES_MAX = 1_073_741_824;
/** Kafka's default, and the least that rented clusters take. */
const SEGMENT_MS_MAX = 604_800_000;
const SEGMENT_MS_MIN = 14_400_000;
/** A deletion stays so long in a compacted topic, for readers that are behind. */
const TOMBSTONE_MS = 604_800_000;
/** `Long.MAX_VALUE`. */
const ENDLESS = "9223372036854775807";

/** What works without, where a cluster does not take it: an old one does not know it, a rented one has bounds. */
const niceToHave: ReadonlySet<string> = new Set([
  "max.message.bytes",
  "message.timestamp.before.max.ms",
  "message.timestamp.after.max.ms",
  "segment.bytes",
  "segment.ms",
  "delete.retention.ms",
]);

/** The settings that {@linkcode checkTopicConfig} looks at. */
export const checkedConfigs: readonly string[] = ["cleanup.policy", "retention.ms", "delete.retention.ms"];

/** Whether done records are deleted by us: time and size would delete what nobody has read yet. */
export function isPurged(spec: TopicSpec): boolean {
  return spec.internal && typeof spec.retention === "object";
}

/** How a topic is made. `replicationFactor` -1 is the cluster's default. */
export function newTopicOf(spec: TopicSpec, replicationFactor: number): NewTopic {
  const configs: Record<string, string> = {
    "cleanup.policy": spec.retention === "compact" ? "compact" : "delete",
    // Ages count from records' times: of letters, of old events too, from when they were written.
    "message.timestamp.type": spec.takesAppendTime === true ? "LogAppendTime" : "CreateTime",
    // Event times may lie anywhere; since 4.0 Kafka refuses what is more than an hour ahead.
    "message.timestamp.before.max.ms": ENDLESS,
    "message.timestamp.after.max.ms": ENDLESS,
    "max.message.bytes": String(MESSAGE_BYTES_MAX),
    ...retentionConfigs(spec),
  };
  return { name: spec.name, partitions: spec.partitions, replicationFactor, configs };
}

/** The same topic with nothing but what must be. */
export function plainTopic(topic: NewTopic): NewTopic {
  return { ...topic, configs: Object.fromEntries(Object.entries(topic.configs).filter(([key]) => !niceToHave.has(key))) };
}

function retentionConfigs(spec: TopicSpec): Readonly<Record<string, string>> {
  const { retention } = spec;
  if (retention === "compact") return { "delete.retention.ms": String(TOMBSTONE_MS), "segment.bytes": String(SEGMENT_BYTES) };
  if (retention === "forever") return { "retention.ms": "-1", "retention.bytes": "-1" };
  if (isPurged(spec)) return { "retention.ms": "-1", "retention.bytes": "-1", "segment.bytes": String(SEGMENT_BYTES) };
  const { ageMs = Infinity, bytes = Infinity } = retention;
  return {
    "retention.ms": Number.isFinite(ageMs) ? String(Math.ceil(ageMs)) : "-1",
    "retention.bytes": Number.isFinite(bytes) ? String(Math.ceil(bytes)) : "-1",
    // Only whole segments go, and the newest only once all of it is old.
    "segment.ms": String(clamp(ageMs / 2, SEGMENT_MS_MIN, SEGMENT_MS_MAX)),
    "segment.bytes": String(clamp(bytes / 4, SEGMENT_BYTES, SEGMENT_BYTES_MAX)),
  };
}

/**
 * Looks at an internal topic that was there before. Throws `LOG_TOPIC_MISMATCH` where state would be lost: a changelog that is not compacted. Gives a warning where records may go before
 * they are read; null where all is well.
 */
export function checkTopicConfig(spec: TopicSpec, configs: Readonly<Record<string, string>>): string | null {
  if (!spec.internal) return null;
  const policy = configs["cleanup.policy"];
  if (spec.retention === "compact" && policy !== undefined && policy !== "compact") {
    const fault = `topic "${spec.name}" has cleanup.policy=${policy}, wanted compact: state that is not compacted would be lost with its oldest records`;
    throw new DefinitionError(`[kafka] Cannot ensure topics: ${fault}`, {
      code: "LOG_TOPIC_MISMATCH",
      details: { topic: spec.name, current: policy, wanted: "compact" },
    });
  }
  const tombstones = configs["delete.retention.ms"];
  if (spec.retention === "compact" && tombstones !== undefined && Number(tombstones) < TOMBSTONE_MS) {
    return `[kafka] Topic "${spec.name}" has delete.retention.ms=${tombstones}, wanted ${TOMBSTONE_MS}: a worker whose directory has not been used for longer finds rows in it that are gone: ` +
      "give it an empty one then";
  }
  const age = configs["retention.ms"];
  if (!isPurged(spec) || age === undefined || age === "-1") return null;
  return `[kafka] Topic "${spec.name}" has retention.ms=${age}, wanted -1: records older than that by their event time may go before they are processed`;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, Math.floor(value)));
}
