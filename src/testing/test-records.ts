/** What a test reads: records of a topic, late letters and dead letters, decoded. */
import type { Log } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import { headerText, toHeaders } from "../record/headers.ts";
import { anyKeys } from "../record/key.ts";
import type { HeaderField } from "../record/record.ts";
import { unpackValue } from "../record/value-bytes.ts";
import { CLOCK_ONLY_HEADER } from "../task/carried-clock.ts";
import type { TopicDefinition } from "../topology/node.ts";

/** A record that came out. */
export interface TestRecord<out K, out V> {
  readonly key: K;
  /** undefined for a tombstone. */
  readonly value: V;
  /** Event time, ms since the epoch. */
  readonly timestamp: number;
  readonly headers: Headers;
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

/** A record that came after its window had closed, as the step saw it. */
export interface LateTestRecord<out K> extends TestRecord<K, unknown> {
  readonly step: string;
  readonly latenessMs: number;
  /** The windows that had closed. */
  readonly missed: readonly { readonly start: number; readonly end: number }[];
}

/** A record that was given up. */
export interface DeadLetter extends TestRecord<unknown, unknown> {
  /** As it lay in its source; null for a tombstone. */
  readonly bytes: Uint8Array | null;
  readonly step: string;
  readonly attempts: number;
  /** What the last try threw. `code` is that of an error of the engine. */
  readonly error: { readonly name: string; readonly message: string; readonly code: string | null };
  /** Where it was: a topic, or `step:` and a name for the result of a step. */
  readonly from: { readonly topic: string; readonly partition: number; readonly position: number };
}

/** A record as it lies in the log. */
export interface RawRecord {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderField[];
}

const CHUNK_BYTES = 1_048_576;

/** Reads a topic on from where it was read to before. */
export class TopicReader {
  readonly #topic: string;
  readonly #positions = new Map<number, number>();

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** What is there beyond what was taken before, partition by partition; clocks without a record are left out. */
  async take(log: Log): Promise<RawRecord[]> {
    const records: RawRecord[] = [];
    if (log.partitionsOf(this.#topic) === null) return records;
    for (const { partition, start } of await log.describe([this.#topic])) this.#take(log, partition, start, records);
    return records;
  }

  #take(log: Log, partition: number, start: number, records: RawRecord[]): void {
    const topic = this.#topic;
    // What retention took before it was read is gone.
    let position = Math.max(start, this.#positions.get(partition) ?? 0);
    const reader = log.reader({ topic, partition }, position, () => {});
    const cursor = new RecordCursor();
    for (let chunk = reader.take(CHUNK_BYTES); chunk !== null; chunk = reader.take(CHUNK_BYTES)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) {
        const headers = cursor.headerCount === 0 ? [] : cursor.headers();
        if (headers.some(({ name }) => name === CLOCK_ONLY_HEADER)) continue;
        records.push({
          topic,
          partition,
          position: cursor.position,
          timestamp: cursor.timestamp,
          key: cursor.keyBytes()?.slice() ?? null,
          value: cursor.valueBytes()?.slice() ?? null,
          headers,
        });
      }
      position = chunk.nextPosition;
    }
    reader.close();
    this.#positions.set(partition, position);
  }
}

/** The record as its topic reads it. */
export async function testRecordOf<K, V>(topic: TopicDefinition, record: RawRecord): Promise<TestRecord<K, V>> {
  const value = record.value === null ? undefined : await topic.value.decode(record.value);
  return { ...placeOf(record), key: decodeKey(topic, record.key) as K, value: value as V, headers: toHeaders(record.headers) };
}

/** A record of a `-late` topic. */
export function lateRecordOf<K>(record: RawRecord): LateTestRecord<K> {
  const { headers, key, value } = record;
  return {
    ...placeOf(record),
    key: (key === null ? null : anyKeys.decode!(key)) as K,
    value: value === null ? undefined : unpackValue(value),
    headers: toHeaders(headers),
    step: textOf(headers, "mr-step") ?? "",
    latenessMs: Number(textOf(headers, "mr-lateness-ms")),
    missed: JSON.parse(textOf(headers, "mr-missed") ?? "[]") as LateTestRecord<K>["missed"],
  };
}

/** A record of a `-dlq` topic; its value is decoded as its source does, or stays bytes where that fails. */
export async function deadLetterOf(record: RawRecord, findTopic: (name: string) => TopicDefinition | undefined): Promise<DeadLetter> {
  const { headers, key, value } = record;
  const from = textOf(headers, "mr-topic") ?? "";
  const topic = findTopic(from);
  return {
    ...placeOf(record),
    key: topic === undefined ? key === null ? null : anyKeys.decode!(key) : tried(() => decodeKey(topic, key), key),
    value: value === null ? undefined : await triedLater(() => topic === undefined ? unpackValue(value) : topic.value.decode(value), value),
    bytes: value,
    headers: toHeaders(headers),
    step: textOf(headers, "mr-step") ?? "",
    attempts: Number(textOf(headers, "mr-attempts")),
    error: { name: textOf(headers, "mr-error") ?? "", message: textOf(headers, "mr-message") ?? "", code: textOf(headers, "mr-code") },
    from: { topic: from, partition: Number(textOf(headers, "mr-partition")), position: Number(textOf(headers, "mr-position")) },
  };
}

function placeOf({ topic, partition, position, timestamp }: RawRecord): Pick<RawRecord, "topic" | "partition" | "position" | "timestamp"> {
  return { topic, partition, position, timestamp };
}

function decodeKey(topic: TopicDefinition, key: Uint8Array | null): unknown {
  if (key === null) return null;
  return topic.key.decode === null ? headerText(key) : topic.key.decode(key);
}

/** The engine's headers come last. */
function textOf(headers: readonly HeaderField[], name: string): string | null {
  const field = headers.findLast((candidate) => candidate.name === name);
  return field === undefined ? null : headerText(field.value);
}

function tried(decode: () => unknown, otherwise: unknown): unknown {
  try {
    return decode();
  } catch {
    return otherwise;
  }
}

async function triedLater(decode: () => unknown, otherwise: unknown): Promise<unknown> {
  try {
    return await decode();
  } catch {
    return otherwise;
  }
}
