/** From a value to a record of its topic: how everything outside of tasks enters the log. */
import type { Append } from "../log/log.ts";
import { fromHeaders } from "../record/headers.ts";
import { partitionFor } from "../record/partitioner.ts";
import type { HeaderField, NewRecord } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { SendOptions } from "../stream/topic.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { DefinitionError } from "../base/errors.ts";

const utf8 = new TextEncoder();

/** The append of one value; undefined is a tombstone. Throws `DecodeError` when the value does not fit the topic. */
export async function appendOf(
  runtime: Pick<Runtime, "now" | "randomBytes">,
  topic: TopicDefinition,
  partitions: number,
  value: unknown,
  options: SendOptions<unknown> & { readonly fields?: readonly HeaderField[] },
): Promise<Append> {
  const payload = value === undefined ? null : topic.value.encode(value);
  const needsValue = payload !== null && (topic.timestamp !== null && options.timestamp === undefined || topic.keyOf !== null && options.key === undefined);
  // Key and timestamp are functions of what comes out of the schema, not of what goes in.
  const decoded = needsValue ? await topic.value.decode(typeof payload === "string" ? utf8.encode(payload) : payload) : undefined;
  const key = options.key !== undefined ? options.key : decoded !== undefined && topic.keyOf !== null ? topic.keyOf(decoded) : null;
  const keyPayload = key === null || key === undefined ? null : topic.key.encode(key);
  const partition = options.partition ??
    (partitions === 1 ? 0 : keyPayload === null ? runtime.randomBytes(1)[0]! % partitions : partitionFor(keyPayload, partitions));
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
    throw new DefinitionError(`Cannot send to partition ${partition} of topic "${topic.name}": it has ${partitions}`, { code: "OPTION_INVALID" });
  }
  const headers = options.headers === undefined ? [] : fromHeaders(options.headers);
  const place = { topic: topic.name, partition, position: -1, key, headers: new Headers() };
  const record: NewRecord = {
    key: keyPayload,
    value: payload,
    timestamp: timestampOf(topic, decoded, options.timestamp, runtime.now(), place),
    headers: [...headers, ...(options.fields ?? [])],
  };
  return { topic: topic.name, partition, records: [record] };
}

/** A timestamp that cannot be used does not keep a record out: its topic's policy speaks when it is read. */
function timestampOf(
  topic: TopicDefinition,
  value: unknown,
  given: Date | number | undefined,
  now: number,
  place: Omit<Parameters<NonNullable<TopicDefinition["timestamp"]>>[1], "timestamp">,
): number {
  const instant = given ?? (topic.timestamp !== null && value !== undefined ? tryTimestamp(() => topic.timestamp!(value, { ...place, timestamp: now })) : now);
  const timestamp = instant instanceof Date ? instant.getTime() : instant;
  return Number.isSafeInteger(timestamp) ? timestamp : now;
}

function tryTimestamp(read: () => Date | number): number | Date {
  try {
    return read();
  } catch {
    return NaN;
  }
}
