/**
 * Kafka's Fetch request and its answer, read over the answer's own bytes: no copy of records, no object for one. Without fetch sessions: each request names all it wants.
 */
import { Buffer } from "node:buffer";
import { fromHex, readInt16, readInt32, readInt64, toHex, writeInt32, writeInt64 } from "../../../src/base/bytes.ts";
import { DecodeError } from "../../../src/base/errors.ts";
import type { AbortedTransaction } from "./aborted.ts";
import { Writer } from "./platformatic.ts";
import type { Connection, ResponseParser } from "./platformatic.ts";

/** A partition to fetch from. */
export interface FetchPartition {
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly position: number;
}

/** What to fetch. */
export interface FetchRequest {
  /** How long the broker may wait for the first record. */
  readonly maxWaitMs: number;
  /** Of the whole answer, about. */
  readonly bytesMax: number;
  /** Of each partition, about; the first batch comes whole in any case. */
  readonly partitionBytesMax: number;
  /** By topic id, 32 hexadecimal digits. Each partition once. */
  readonly topics: ReadonlyMap<string, readonly FetchPartition[]>;
}

/** What a broker says of one partition. */
export interface PartitionAnswer {
  /** 32 hexadecimal digits. */
  readonly topicId: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Below it no transaction is under way: the end of a `read_committed` reader. */
  readonly stableEnd: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Where its batches begin in the answer. */
  readonly start: number;
  readonly end: number;
}

/** What a broker answers. */
export interface FetchAnswer {
  readonly errorCode: number;
  readonly bytes: Uint8Array;
  readonly partitions: readonly PartitionAnswer[];
}

const FETCH = 1;
/** The first with topic ids; later ones bring nothing that a consumer needs. */
const VERSION = 13;
const READ_COMMITTED = 1;
const NO_SESSION_EPOCH = -1;
const REQUEST_BYTES = 25;
const TOPIC_BYTES = 22;
const PARTITION_BYTES = 33;

/** Sends a Fetch. */
export function fetchRecords(connection: Connection, request: FetchRequest): Promise<FetchAnswer> {
  return new Promise((resolve, reject) => {
    const writer = (): Writer => Writer.create().append(fetchBytes(request));
    connection.send(FETCH, VERSION, writer, parse, true, true, (error, answer) => error ? reject(error) : resolve(answer!));
  });
}

/** The request's body. */
export function fetchBytes({ maxWaitMs, bytesMax, partitionBytesMax, topics }: FetchRequest): Buffer {
  let size = REQUEST_BYTES + 5;
  for (const partitions of topics.values()) size += TOPIC_BYTES + PARTITION_BYTES * partitions.length;
  const bytes = Buffer.alloc(size);
  writeInt32(bytes, 0, -1); // No replica.
  writeInt32(bytes, 4, maxWaitMs);
  writeInt32(bytes, 8, 1);
  writeInt32(bytes, 12, bytesMax);
  bytes[16] = READ_COMMITTED;
  writeInt32(bytes, 17, 0);
  writeInt32(bytes, 21, NO_SESSION_EPOCH);
  let at = writeCount(bytes, REQUEST_BYTES, topics.size);
  for (const [topicId, partitions] of topics) {
    bytes.set(fromHex(topicId)!, at);
    at = writeCount(bytes, at + 16, partitions.length);
    for (const { partition, leaderEpoch, position } of partitions) {
      writeInt32(bytes, at, partition);
      writeInt32(bytes, at + 4, leaderEpoch);
      writeInt64(bytes, at + 8, position);
      writeInt32(bytes, at + 16, -1); // The epoch of what was fetched last: for replicas.
      writeInt64(bytes, at + 20, -1); // The first kept position: for replicas.
      writeInt32(bytes, at + 28, partitionBytesMax);
      at += PARTITION_BYTES;
    }
    at++; // No tagged fields.
  }
  bytes[at] = 1; // Nothing to forget.
  bytes[at + 1] = 1; // No rack.
  return bytes.subarray(0, at + 3);
}

/** The answer behind its header. Throws DecodeError `RECORD_CORRUPT` where it is cut off. */
export function parseFetch(bytes: Uint8Array): FetchAnswer {
  const scan = new Scan(bytes);
  scan.at = 4; // Throttling is the broker's own matter: it lets the connection wait.
  const errorCode = scan.int16();
  scan.at += 4;
  const partitions: PartitionAnswer[] = [];
  for (let topics = scan.unsigned() - 1; topics > 0; topics--) {
    const topicId = toHex(bytes.subarray(scan.at, scan.at += 16));
    for (let count = scan.unsigned() - 1; count > 0; count--) partitions.push(partitionAnswer(scan, topicId));
    scan.tags();
  }
  return { errorCode, bytes, partitions };
}

function partitionAnswer(scan: Scan, topicId: string): PartitionAnswer {
  const partition = scan.int32();
  const errorCode = scan.int16();
  scan.at += 8; // The high watermark: transactions under way end beyond what is ours.
  const stableEnd = scan.int64();
  scan.at += 8; // The first kept position.
  const aborted: AbortedTransaction[] = [];
  for (let count = scan.unsigned() - 1; count > 0; count--) {
    aborted.push({ producerId: scan.int64(), firstPosition: scan.int64() });
    scan.tags();
  }
  scan.at += 4; // Another replica to read from.
  const length = scan.unsigned() - 1;
  const start = scan.at;
  const end = start + Math.max(0, length);
  scan.check(end);
  scan.at = end;
  scan.tags();
  return { topicId, partition, errorCode, stableEnd, aborted, start, end };
}

const parse: ResponseParser<FetchAnswer> = (_correlationId, _apiKey, _apiVersion, reader) => {
  // A Buffer's views are Buffers, which cost several times as much to make: one a key and one a value.
  const { buffer, byteOffset, byteLength } = reader.buffer.buffer;
  return parseFetch(new Uint8Array(buffer, byteOffset, byteLength));
};

/** A count as compact arrays have it. */
function writeCount(bytes: Uint8Array, start: number, count: number): number {
  let rest = count + 1;
  let at = start;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads one field after the other. */
class Scan {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  check(end: number): void {
    if (end > this.#bytes.length) throw new DecodeError("RECORD_CORRUPT", `[kafka] Fetch answer of ${this.#bytes.length} bytes: byte ${end} is missing`);
  }

  int16(): number {
    this.check(this.at += 2);
    return readInt16(this.#bytes, this.at - 2);
  }

  int32(): number {
    this.check(this.at += 4);
    return readInt32(this.#bytes, this.at - 4);
  }

  int64(): number {
    this.check(this.at += 8);
    return readInt64(this.#bytes, this.at - 8);
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      this.check(this.at + 1);
      const byte = this.#bytes[this.at++]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  /** Goes over tagged fields. */
  tags(): void {
    for (let count = this.unsigned(); count > 0; count--) {
      this.unsigned();
      const length = this.unsigned();
      this.check(this.at += length);
    }
  }
}
