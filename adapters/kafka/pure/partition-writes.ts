/**
 * Writes sealed record batches to the leaders of their partitions: one Produce request a leader carries one batch for each of many partitions.
 */
import { Buffer } from "node:buffer";
import { isStreamError } from "../../../src/base/errors.ts";
import type { StreamError } from "../../../src/base/errors.ts";
import { batchSize, recordCount, setBasePosition } from "../../../src/record/batch.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { place } from "../../../src/log/failure.ts";
import { kafkaFailure, lostConnection, needsRefresh } from "../failure.ts";
import { requestTimeoutMs } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { Writer } from "./platformatic.ts";
import type { Connection, Reader } from "./platformatic.ts";

/** One record batch on its way. */
export interface Part extends TopicPartition {
  /** Sealed, and compressed where it is to be. */
  readonly bytes: Uint8Array;
  readonly records: number;
}

/** The position of the first record, -1 where only the broker knows, or why it was not written or nobody knows whether it was. */
export type Written = number | StreamError;

const PRODUCE = 0;
const PRODUCE_VERSION = 9;
const ALL_IN_SYNC = -1;
/** Brokers take 100 MB; more than one request of a size keeps both sides busy. */
const REQUEST_BYTES_MAX = 8_388_608;
const DUPLICATE_SEQUENCE_NUMBER = 46;
const UNKNOWN_TOPIC_OR_PARTITION = 3;
const NOT_LEADER_OR_FOLLOWER = 6;

/** What one partition answered. */
interface PartitionAnswer extends TopicPartition {
  readonly code: number;
  readonly position: number;
  readonly message: string | null;
}

/** The batches of sealed bytes, as parts. */
export function partsOf(at: TopicPartition, sealed: Uint8Array, compress: (batch: Uint8Array) => Uint8Array): readonly Part[] {
  const parts: Part[] = [];
  for (let start = 0; start < sealed.length;) {
    const size = batchSize(sealed, start);
    // The leader gives positions, and takes no batch that has one.
    setBasePosition(sealed, start, 0);
    parts.push({ topic: at.topic, partition: at.partition, bytes: compress(sealed.subarray(start, start + size)), records: recordCount(sealed, start) });
    start += size;
  }
  return parts;
}

/**
 * Writes parts, at most one a partition, and calls `done` once for each. Leaders that are not known any more are forgotten; nothing is tried again.
 */
export async function writeParts(
  cluster: Cluster,
  transactionalId: string | null,
  parts: readonly Part[],
  done: (part: Part, written: Written) => void,
): Promise<void> {
  const byBroker = new Map<number, Part[]>();
  const found = await Promise.all(parts.map((part) => cluster.leader(part).catch((error: unknown) => asFailure(part, error))));
  found.forEach((leader, index) => {
    const part = parts[index]!;
    if (isStreamError(leader)) return done(part, leader);
    const others = byBroker.get(leader.broker);
    if (others === undefined) byBroker.set(leader.broker, [part]);
    else others.push(part);
  });
  await Promise.all([...byBroker].flatMap(([broker, mine]) => requestsOf(mine).map((request) => writeTo(cluster, broker, transactionalId, request, done))));
}

async function writeTo(
  cluster: Cluster,
  broker: number,
  transactionalId: string | null,
  parts: readonly Part[],
  done: (part: Part, written: Written) => void,
): Promise<void> {
  let answers: readonly PartitionAnswer[];
  try {
    answers = await cluster.request("produce", broker, (connection) => produce(connection, transactionalId, requestTimeoutMs(cluster.settings), parts), {
      what: parts.length === 1 ? `append to ${place(parts[0]!)}` : `append to ${parts.length} partitions`,
    });
  } catch (error) {
    for (const part of parts) done(part, asFailure(part, error));
    return;
  }
  const byName = new Map(answers.map((answer) => [`${answer.topic} ${answer.partition}`, answer]));
  for (const part of parts) {
    const answer = byName.get(`${part.topic} ${part.partition}`);
    const written = answer === undefined
      ? lostConnection(`append to ${place(part)}`, new Error("the answer leaves the partition out"))
      : writtenOf(part, answer);
    if (typeof written !== "number" && needsRefresh(written)) cluster.forgetLeaders(part.topic);
    done(part, written);
  }
}

/** Parts of one leader, in requests that are not too large. */
function requestsOf(parts: readonly Part[]): readonly (readonly Part[])[] {
  const requests: Part[][] = [];
  let room = 0;
  for (const part of parts) {
    if (part.bytes.length > room) {
      requests.push([]);
      room = REQUEST_BYTES_MAX;
    }
    requests.at(-1)!.push(part);
    room -= part.bytes.length;
  }
  return requests;
}

function writtenOf(part: Part, { code, position, message }: PartitionAnswer): Written {
  if (code === 0) return position;
  if (code === DUPLICATE_SEQUENCE_NUMBER) return -1;
  // A leader that does not know its partition is no leader any more; whether the topic is there, metadata will tell.
  const meant = code === UNKNOWN_TOPIC_OR_PARTITION ? NOT_LEADER_OR_FOLLOWER : code;
  return kafkaFailure(meant, `append to ${place(part)}`, message === null ? undefined : new Error(message));
}

function asFailure(part: Part, error: unknown): StreamError {
  return isStreamError(error) ? error : lostConnection(`append to ${place(part)}`, error);
}

function produce(connection: Connection, transactionalId: string | null, timeoutMs: number, parts: readonly Part[]): Promise<readonly PartitionAnswer[]> {
  return new Promise((resolve, reject) => {
    connection.send(PRODUCE, PRODUCE_VERSION, () => requestOf(transactionalId, timeoutMs, parts), answersOf, true, true, (error, answers) => {
      if (error !== null) reject(error);
      else resolve(answers ?? []);
    });
  });
}

/** The bytes of records are copied once, when the request is put together. */
function requestOf(transactionalId: string | null, timeoutMs: number, parts: readonly Part[]): Writer {
  const byTopic = new Map<string, Part[]>();
  for (const part of parts) {
    const others = byTopic.get(part.topic);
    if (others === undefined) byTopic.set(part.topic, [part]);
    else others.push(part);
  }
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ALL_IN_SYNC)
    .appendInt32(timeoutMs)
    .appendArray([...byTopic], (topics, [topic, partitions]) => {
      topics.appendString(topic).appendArray(partitions, (writer, { partition, bytes }) => {
        writer.appendInt32(partition).appendUnsignedVarInt(bytes.length + 1).append(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      });
    })
    .appendTaggedFields();
}

function answersOf(_correlationId: number, _apiKey: number, _apiVersion: number, reader: Reader): readonly PartitionAnswer[] {
  const answers: PartitionAnswer[] = [];
  reader.readArray(() => {
    const topic = reader.readString();
    reader.readArray(() => {
      const partition = reader.readInt32();
      const code = reader.readInt16();
      const position = Number(reader.readInt64());
      reader.skip(16);
      const faults = reader.readArray(() => {
        reader.skip(4);
        return reader.readNullableString();
      });
      answers.push({ topic, partition, code, position, message: reader.readNullableString() ?? faults.find((fault) => fault !== null) ?? null });
    });
  });
  return answers;
}
