/** One partition as it is read: records in order made batches again, as many as are fetched ahead. */
import { Arrival } from "../../../src/log/arrival.ts";
import { positionOutOfRange } from "../../../src/log/failure.ts";
import type { PartitionInfo, PartitionReader } from "../../../src/log/log.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import type { Chunk, TopicPartition } from "../../../src/record/record.ts";
import { closedFailure } from "../failure.ts";
import type { NativeMessage } from "./confluent.ts";
import { headersOf } from "./native-record.ts";

/** Runs are sealed at about this size, so that a chunk of few bytes is one. */
const RUN_BYTES = 65_536;

/** What fetches for a reader. */
export interface ReaderFeed {
  /** After `close()` of the client. */
  readonly isClosed: boolean;
  /** The reader begins anew at its position. */
  reopen(reader: NativeReader): void;
  /** Records were taken. */
  taken(reader: NativeReader): void;
  remove(reader: NativeReader): void;
}

/** Batches without a gap between their positions. */
interface Run {
  readonly bytes: Uint8Array;
  nextPosition: number;
}

/** {@linkcode PartitionReader} fed by librdkafka. */
export class NativeReader implements PartitionReader {
  readonly topic: string;
  readonly partition: number;
  readonly #feed: ReaderFeed;
  readonly #arrival: Arrival;
  readonly #encoder: BatchEncoder = new BatchEncoder({ initialBytes: RUN_BYTES });
  #position: number;
  #end: number | null = null;
  #runs: Run[] = [];
  #queuedBytes = 0;
  #failure: Error | null = null;
  #isClosed = false;
  /** Of the run in the making. */
  #runPosition = 0;
  /** What is fetched next. */
  #fetchPosition: number;
  /** The fetch has seen the end, and nothing since. */
  #isAtEnd = false;
  /** Whether what comes belongs to what was asked for last. */
  #isFed = false;

  constructor(at: TopicPartition, position: number, onArrival: () => void, feed: ReaderFeed) {
    this.topic = at.topic;
    this.partition = at.partition;
    this.#position = position;
    this.#fetchPosition = position;
    this.#feed = feed;
    this.#arrival = new Arrival(onArrival);
  }

  get position(): number {
    return this.#position;
  }

  get end(): number | null {
    return this.#end;
  }

  /** What the fetch goes on with. */
  get fetchPosition(): number {
    return this.#fetchPosition;
  }

  /** Fetched and not taken. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Nothing more is to be fetched. */
  get isDone(): boolean {
    return this.#isClosed || this.#failure !== null;
  }

  take(bytesMax: number): Chunk | null {
    if (this.#isClosed || this.#feed.isClosed) throw closedFailure("read");
    let run = this.#runs[0];
    if (run === undefined) {
      if (this.#failure !== null) throw this.#failure;
      return null;
    }
    let size = run.bytes.length;
    let count = 1;
    for (; count < this.#runs.length; count++) {
      const next: Run = this.#runs[count]!;
      if (size + next.bytes.length > bytesMax) break;
      run = next;
      size += next.bytes.length;
    }
    const taken = this.#runs.splice(0, count);
    const bytes = count === 1 ? run.bytes : concatBytes(taken.map((each) => each.bytes));
    this.#queuedBytes -= size;
    this.#position = run.nextPosition;
    this.#feed.taken(this);
    return { bytes, start: 0, end: size, nextPosition: run.nextPosition };
  }

  seek(position: number): void {
    if (this.#isClosed || this.#feed.isClosed) throw closedFailure("seek");
    this.#isFed = false;
    this.#runs = [];
    this.#queuedBytes = 0;
    this.#encoder.reset();
    this.#failure = null;
    this.#isAtEnd = false;
    this.#position = this.#fetchPosition = position;
    this.#feed.reopen(this);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isFed = false;
    this.#runs = [];
    this.#arrival.close();
    this.#feed.remove(this);
  }

  /** What comes from now on is what follows the position. */
  fed(): void {
    this.#isFed = true;
  }

  /** Takes a record; {@linkcode NativeReader.settle} shows it. */
  add(message: NativeMessage): void {
    const { offset } = message;
    if (!this.#isFed || offset < this.#fetchPosition) return;
    // A gap: records that compaction or an abort took, or the end of a transaction.
    if (offset !== this.#fetchPosition || this.#encoder.sizeBytes >= RUN_BYTES) this.#seal();
    try {
      if (this.#encoder.count === 0) this.#runPosition = offset;
      this.#encoder.append(message.timestamp, message.key, message.value, headersOf(message));
    } catch (error) {
      return this.fail(error as Error);
    }
    this.#fetchPosition = offset + 1;
    this.#isAtEnd = false;
  }

  /** Nothing readable lies between what was fetched and `position`, the end. */
  ended(position: number): void {
    if (!this.#isFed || position < this.#fetchPosition) return;
    this.#seal();
    this.#isAtEnd = true;
    this.#end = this.#fetchPosition = position;
    // Ends of transactions are positions too: they must not look like records that wait.
    if (this.#runs.length === 0) this.#position = position;
    else this.#runs.at(-1)!.nextPosition = position;
    this.#arrival.notify();
  }

  /** Shows what was added. `end` is what the broker says, readable or not. */
  settle(end: number | null): void {
    if (!this.#isFed) return;
    this.#seal();
    if (!this.#isAtEnd) this.#end = Math.max(this.#fetchPosition, end ?? 0);
    this.#arrival.notify();
  }

  /** Reading stops, once what was fetched is taken. */
  fail(error: Error): void {
    this.#seal();
    this.#failure = error;
    this.#isFed = false;
    this.#arrival.notify();
  }

  /** Reading stops where the position to be fetched is not kept any more, or not there. */
  checkRange({ start, end }: PartitionInfo): boolean {
    if (this.#fetchPosition >= start && this.#fetchPosition <= end) return true;
    this.fail(positionOutOfRange("kafka", this, this.#fetchPosition, start, end));
    return false;
  }

  #seal(): void {
    if (this.#encoder.count === 0) return;
    const bytes = this.#encoder.seal(this.#runPosition).slice();
    this.#runs.push({ bytes, nextPosition: this.#fetchPosition });
    this.#queuedBytes += bytes.length;
    this.#encoder.reset();
  }
}
