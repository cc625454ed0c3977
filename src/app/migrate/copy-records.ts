/** Copies the records of partitions, in order, from one log to another; whoever was cut off goes on where the other log ends. */
import { ExternalError, InvariantError } from "../../base/errors.ts";
import type { Log, PartitionInfo, PartitionReader } from "../../log/log.ts";
import { RecordCursor } from "../../record/cursor.ts";
import type { NewRecord, Payload, TopicPartition } from "../../record/record.ts";
import { placeOf, type SurveyedPartition } from "./survey.ts";

/** What is copied. */
export interface CopyOptions {
  readonly source: Log;
  readonly target: Log;
  readonly partitions: readonly SurveyedPartition[];
  /** What puts the records of a topic right; null: they stay as they are. */
  readonly rewrite: (topic: string) => ((record: NewRecord) => NewRecord) | null;
  /** Told how many records more are there. */
  readonly onCopied: (records: number) => void;
}

/** One append's: what brokers take by default is twice as much. */
const CHUNK_BYTES = 524_288;
const PARTITIONS_AT_ONCE = 8;

/** Copies what is missing. Rejects with `LOG_TOPIC_MISMATCH` or `LOG_APPEND_REJECTED` where others have written to the target. */
export async function copyRecords(options: CopyOptions): Promise<void> {
  const { target, partitions } = options;
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  const ends = new Map((await target.describe(topics)).map((info) => [placeOf(info), info]));
  const waiting = [...partitions];
  // Each takes the next: what fails in one ends the others before their next partition.
  let isFailed = false;
  const copyOn = async (): Promise<void> => {
    for (let partition = waiting.shift(); partition !== undefined && !isFailed; partition = waiting.shift()) {
      await copyPartition(options, partition, ends.get(placeOf(partition))!);
    }
  };
  const copying = Array.from({ length: PARTITIONS_AT_ONCE }, () =>
    copyOn().catch((error) => {
      isFailed = true;
      throw error;
    }));
  const failed = (await Promise.allSettled(copying)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}

async function copyPartition({ source, target, rewrite, onCopied }: CopyOptions, of: SurveyedPartition, info: PartitionInfo): Promise<void> {
  const { topic, partition, positions } = of;
  const total = positions.count, put = rewrite(topic) ?? ((record) => record);
  let copied = info.end - positions.base;
  if (copied < 0 || copied > total) throw foreign(of, `it ends at ${info.end}, and what moves lies from ${positions.base} to ${positions.base + total}`);
  if (copied > 0 && info.start < info.end) await checkLast(source, target, of, info.end - 1, put);
  onCopied(copied);
  if (copied === total) return;
  const reader = source.reader({ topic, partition }, positions.old(copied), () => {});
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  try {
    while (copied < total) {
      const records = take(reader, cursor, CHUNK_BYTES)?.map(put) ?? null;
      if (records === null) throw new InvariantError(`Cannot copy "${topic}" partition ${partition}: it ends after ${copied} records, wanted ${total}`);
      if (records.length === 0) continue;
      const [receipt] = await target.append([{ topic, partition, records }]);
      if (receipt!.position !== positions.base + copied) {
        throw foreign(of, `records were put at position ${receipt!.position}, wanted ${positions.base + copied}`);
      }
      copied += records.length;
      onCopied(records.length);
    }
  } finally {
    reader.close();
  }
}

/** What a cut move has left is the beginning of what moves. */
async function checkLast(source: Log, target: Log, of: SurveyedPartition, position: number, put: (record: NewRecord) => NewRecord): Promise<void> {
  const old = of.positions.old(position - of.positions.base);
  const wanted = put((await recordAt(source, of, old))!), found = await recordAt(target, of, position);
  if (found === null || (isSame(wanted.key, found.key) && isSame(wanted.value, found.value))) return;
  throw foreign(of, `the record at position ${position} is another than the one at ${old} that was moved there`);
}

/** null: it is not there any more. */
async function recordAt(log: Log, { topic, partition }: TopicPartition, position: number): Promise<NewRecord | null> {
  let arrived = Promise.withResolvers<void>();
  const reader = log.reader({ topic, partition }, position, () => arrived.resolve());
  try {
    for (;;) {
      arrived = Promise.withResolvers();
      const found = take(reader, new RecordCursor({ cutBatch: "refuse" }), 1)?.[0];
      if (found !== undefined) return found;
      if (reader.end !== null && reader.position >= reader.end) return null;
      await arrived.promise;
    }
  } finally {
    reader.close();
  }
}

/** The records of the next chunk; null where nothing is at hand. */
function take(reader: PartitionReader, cursor: RecordCursor, bytesMax: number): NewRecord[] | null {
  const position = reader.position;
  const chunk = reader.take(bytesMax);
  if (chunk === null) return null;
  const records: NewRecord[] = [];
  cursor.open(chunk.bytes, chunk.start, chunk.end, position);
  while (cursor.next()) {
    const headers = cursor.headerCount === 0 ? null : cursor.headers();
    records.push({ key: cursor.keyBytes(), value: cursor.valueBytes(), timestamp: cursor.timestamp, headers });
  }
  return records;
}

function isSame(left: Payload | null, right: Payload | null): boolean {
  if (left === null || right === null) return left === right;
  const a = bytesOf(left), b = bytesOf(right);
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function bytesOf(payload: Payload): Uint8Array {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

function foreign({ topic, partition }: TopicPartition, why: string): ExternalError {
  return new ExternalError(
    "LOG_TOPIC_MISMATCH",
    `Cannot move records to "${topic}" partition ${partition}: others have written there: ${why}. Stop them, delete the topics of the move, and run it again from its beginning, after millrace migrate <file> --undo`,
    { details: { topic, partition } },
  );
}
