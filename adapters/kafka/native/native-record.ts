/** Records in both directions: batches handed to librdkafka one by one, and what it gives made batches again. */
import { DecodeError } from "../../../src/base/errors.ts";
import type { OutputBatch } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import type { HeaderField } from "../../../src/record/record.ts";
import type { NativeCalls } from "./native-calls.ts";
import { codeOf, NativeCode } from "./native-failure.ts";
import type { NativeHeader, NativeMessage, NativeProducer } from "./confluent.ts";

/** librdkafka takes bytes whose memory is none for a null header. */
const NULL_BYTES = new Uint8Array(new ArrayBuffer(0));
/** What is said of a topic or partition that librdkafka has not heard of. */
const NOT_SEEN: readonly (number | null)[] = [NativeCode.unknownPartition, NativeCode.unknownTopic];

/**
 * Hands all records of a batch to a producer, each with `opaque` (undefined: without); a promise where that takes longer. Throws what the producer throws, having handed over those before;
 * DecodeError `TIMESTAMP_INVALID` for a timestamp of 0.
 */
export function handOver(calls: NativeCalls, producer: NativeProducer, cursor: RecordCursor, batch: OutputBatch, opaque: unknown): Promise<void> | null {
  try {
    produceBatch(producer, cursor, batch, opaque);
    return null;
  } catch (error) {
    if (!NOT_SEEN.includes(codeOf(error))) throw error;
  }
  // The topic or partition may be newer than what librdkafka knows of. It refused the first record, so nothing was handed over.
  const { topic } = batch;
  return calls.call<unknown>(`look for topic "${topic}"`, (done) => producer.getMetadata({ topic, timeout: calls.timeoutMs }, done))
    .then(() => produceBatch(producer, cursor, batch, opaque));
}

function produceBatch(producer: NativeProducer, cursor: RecordCursor, { topic, partition, encoder }: OutputBatch, opaque: unknown): void {
  const bytes = encoder.seal(0);
  cursor.open(bytes, 0, bytes.length, 0);
  while (cursor.next()) {
    if (cursor.timestamp === 0) throw timestampRefused(topic, partition);
    const headers = cursor.headerCount === 0 ? undefined : cursor.headers().map(nativeHeader);
    producer.produce(topic, partition, cursor.valueBytes(), cursor.keyBytes(), cursor.timestamp, opaque, headers);
  }
}

/** Throws DecodeError `TIMESTAMP_INVALID` where a record cannot be written as it is. */
export function checkTimestamps(cursor: RecordCursor, { topic, partition, encoder }: OutputBatch): void {
  const bytes = encoder.seal(0);
  cursor.open(bytes, 0, bytes.length, 0);
  while (cursor.next()) if (cursor.timestamp === 0) throw timestampRefused(topic, partition);
}

/** The headers of a record that was read. A null value comes as an empty one: librdkafka's door to JavaScript does not tell them apart. */
export function headersOf({ headers }: NativeMessage): HeaderField[] | null {
  if (headers === undefined || headers.length === 0) return null;
  return headers.map((header) => {
    const [name] = Object.keys(header);
    // Set as a plain field, this name became the prototype.
    if (name === undefined) return { name: "__proto__", value: Object.getPrototypeOf(header) as Uint8Array };
    return { name, value: header[name]! };
  });
}

function nativeHeader({ name, value }: HeaderField): NativeHeader {
  // Empty text has memory, empty bytes may have none.
  return { [name]: value === null ? NULL_BYTES : value.length === 0 ? "" : value };
}

function timestampRefused(topic: string, partition: number): DecodeError {
  return new DecodeError(
    "TIMESTAMP_INVALID",
    `[kafka] Cannot write to "${topic}" partition ${partition}: a record's timestamp is 0, which librdkafka takes for now; use another timestamp or the other client`,
    { details: { topic, partition } },
  );
}
