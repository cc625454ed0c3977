/** Reads the log of a simulated run, and says what does not hold. */
import type { Log } from "../../src/log/log.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { headerText } from "../../src/record/headers.ts";
import type { HeaderField } from "../../src/record/record.ts";
import type { LoggedInput } from "./model.ts";
import type { Value } from "./world.ts";

/** Something that must hold and does not. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Throws unless `holds`. */
export function must(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}

/** A record as it lies in the log. */
export interface Logged {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderField[];
}

const decoder = new TextDecoder();

/** All records of a topic, clocks without a record included; their positions have no gaps. */
export function readTopic(log: Log, topic: string): Logged[] {
  const records: Logged[] = [];
  for (let partition = 0; partition < (log.partitionsOf(topic) ?? 0); partition++) {
    const reader = log.reader({ topic, partition }, 0, () => {});
    const cursor = new RecordCursor();
    let next = 0;
    for (let chunk = reader.take(1_048_576); chunk !== null; chunk = reader.take(1_048_576)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, next);
      while (cursor.next()) {
        must(cursor.position === next, () => `positions of ${topic}/${partition} go from ${next - 1} to ${cursor.position}`);
        next++;
        const value = cursor.valueBytes()?.slice() ?? null;
        records.push({
          topic,
          partition,
          position: cursor.position,
          timestamp: cursor.timestamp,
          key: cursor.keyText(),
          value,
          headers: cursor.headerCount === 0 ? [] : cursor.headers(),
        });
      }
    }
    reader.close();
  }
  return records;
}

/** The input as it lies in the log. */
export function readInput(log: Log, topic: string): LoggedInput[] {
  return readTopic(log, topic).map(({ partition, position, timestamp, key, value: bytes, headers }) => {
    const value = bytes === null ? null : valueOf(bytes);
    const id = value?.id ?? textOf(headers, "id");
    return { topic, partition, position, key, value, bytes, timestamp: value?.at ?? timestamp, id };
  });
}

function valueOf(bytes: Uint8Array): Value | null {
  try {
    return JSON.parse(decoder.decode(bytes)) as Value;
  } catch {
    return null; // Bytes that were made bad.
  }
}

/** The header of a record as text; empty where there is none. */
export function textOf(headers: readonly HeaderField[], name: string): string {
  const field = headers.findLast((candidate) => candidate.name === name);
  return field === undefined ? "" : headerText(field.value);
}
