/** Reads one partition from what the fetcher puts into its queue. */
import { Arrival } from "../../../src/log/arrival.ts";
import { place } from "../../../src/log/failure.ts";
import type { PartitionReader } from "../../../src/log/log.ts";
import { basePosition, batchSize, compressionOf, lastDelta } from "../../../src/record/batch.ts";
import type { Chunk, TopicPartition } from "../../../src/record/record.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { closedFailure } from "../failure.ts";
import { visibleRuns } from "./aborted.ts";
import { decompressBatch } from "./compression.ts";
import type { PartitionAnswer } from "./fetch-protocol.ts";

/** What a reader tells its fetcher. */
export interface ReaderHost {
  readonly isClosed: boolean;
  /** Most bytes to fetch ahead, about. */
  readonly prefetchBytes: number;
  /** The reader takes more, or from elsewhere. */
  wants(reader: PureReader): void;
  closed(reader: PureReader): void;
}

/** Batches at hand, of one fetch answer. */
interface Queued {
  bytes: Uint8Array;
  start: number;
  end: number;
  /** Where reading goes on behind it. */
  nextPosition: number;
  /** Bytes that stay in memory as long as it is queued. */
  held: number;
}

/** How much more than its own queue a reader may keep in memory, through answers it shares with other partitions. */
const HELD_FACTOR = 4;

/** A reader and its queue. */
export class PureReader implements PartitionReader {
  readonly topic: string;
  readonly partition: number;
  /** Where the next fetch begins. */
  fetchPosition: number;
  /** Grows with each seek and each change of leader: answers to what was asked for before are of no use. */
  generation = 0;
  /** A fetch of this generation is under way. */
  isRequested = false;
  readonly #host: ReaderHost;
  readonly #arrival: Arrival;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #heldBytes = 0;
  #position: number;
  #end: number | null = null;
  #failure: Error | null = null;
  #isClosed = false;

  constructor(at: TopicPartition, position: number, onArrival: () => void, host: ReaderHost) {
    this.topic = at.topic;
    this.partition = at.partition;
    this.fetchPosition = position;
    this.#position = position;
    this.#host = host;
    this.#arrival = new Arrival(onArrival);
  }

  get position(): number {
    return this.#position;
  }

  get end(): number | null {
    return this.#end;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether a fetch for it makes sense. */
  get isWanting(): boolean {
    return !this.#isClosed && !this.isRequested && this.#failure === null && this.#queuedBytes < this.#host.prefetchBytes;
  }

  take(bytesMax: number): Chunk | null {
    if (this.#host.isClosed) throw closedFailure(`read ${place(this)}`);
    if (this.#isClosed) return null;
    const head = this.#queue[0];
    if (head === undefined) {
      if (this.#failure !== null) throw this.#failure;
      return null;
    }
    const chunk = compressionOf(head.bytes, head.start) === 0 ? takePlain(head, bytesMax) : takeCompressed(head, bytesMax);
    this.#queuedBytes -= chunk.takenBytes;
    if (head.start === head.end) {
      this.#queue.shift();
      this.#heldBytes -= head.held;
    }
    this.#position = chunk.nextPosition;
    if (this.isWanting) this.#host.wants(this);
    return chunk;
  }

  seek(position: number): void {
    if (this.#host.isClosed) throw closedFailure(`seek in ${place(this)}`);
    if (this.#isClosed) return;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#heldBytes = 0;
    this.#failure = null;
    this.#position = position;
    this.fetchPosition = position;
    this.disown();
    this.#host.wants(this);
  }

  /** What was asked for is not waited for any more. */
  disown(): void {
    this.generation++;
    this.isRequested = false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#arrival.close();
    this.#queue = [];
    this.#host.closed(this);
  }

  /** Takes the batches of an answer to a fetch from `fetchPosition`. Gives whether there were any. */
  deliver(answer: PartitionAnswer, bytes: Uint8Array): boolean {
    const { runs, nextPosition } = visibleRuns(bytes, answer.start, answer.end, answer.aborted, this.fetchPosition);
    const isNews = nextPosition !== this.fetchPosition || answer.stableEnd !== this.#end;
    for (const { start, end, nextPosition: next } of runs) this.#enqueue(bytes, start, end, next);
    this.fetchPosition = nextPosition;
    const last = this.#queue[this.#queue.length - 1];
    // Nobody waits for what is left out.
    if (last === undefined) this.#position = nextPosition;
    else last.nextPosition = nextPosition;
    this.#end = answer.stableEnd;
    if (isNews) this.#arrival.notify();
    return answer.end > answer.start;
  }

  /** What is at hand can be read; then `take` throws this, until a seek. */
  fail(failure: Error): void {
    this.#failure = failure;
    this.#arrival.notify();
  }

  #enqueue(answer: Uint8Array, start: number, end: number, nextPosition: number): void {
    const size = end - start;
    let held = this.#queue.at(-1)?.bytes === answer ? 0 : answer.length;
    this.#queuedBytes += size;
    // A few bytes that nobody takes must not keep large answers of other partitions in memory.
    const isShared = size < answer.length / 2 && this.#heldBytes + held > HELD_FACTOR * this.#host.prefetchBytes;
    if (isShared) held = size;
    this.#heldBytes += held;
    if (isShared) this.#queue.push({ bytes: answer.slice(start, end), start: 0, end: size, nextPosition, held });
    else this.#queue.push({ bytes: answer, start, end, nextPosition, held });
  }
}

interface Taken extends Chunk {
  /** Out of the queue. */
  readonly takenBytes: number;
}

/** Batches up to the first compressed one, where they lie. */
function takePlain(from: Queued, bytesMax: number): Taken {
  const { bytes, start } = from;
  let next = from.nextPosition;
  let end = start;
  while (end < from.end) {
    const size = batchSize(bytes, end);
    if (end > start && (end + size - start > bytesMax || compressionOf(bytes, end) !== 0)) break;
    next = basePosition(bytes, end) + lastDelta(bytes, end) + 1;
    end += size;
  }
  from.start = end;
  return { bytes, start, end, nextPosition: end === from.end ? from.nextPosition : next, takenBytes: end - start };
}

/** Compressed batches, in bytes of their own. */
function takeCompressed(from: Queued, bytesMax: number): Taken {
  const { bytes, start } = from;
  const parts: Uint8Array[] = [];
  let next = from.nextPosition;
  let end = start;
  let length = 0;
  while (end < from.end) {
    const size = batchSize(bytes, end);
    // How large it becomes is guessed from those before it.
    if (end > start && (length + size * (length / (end - start)) > bytesMax || compressionOf(bytes, end) === 0)) break;
    // A batch that is damaged is told of when it is the first.
    const part = end === start ? decompressBatch(bytes, end, size) : decompressIfWhole(bytes, end, size);
    if (part === null) break;
    parts.push(part);
    length += part.length;
    next = basePosition(bytes, end) + lastDelta(bytes, end) + 1;
    end += size;
  }
  from.start = end;
  const plain = parts.length === 1 ? parts[0]! : concatBytes(parts);
  return { bytes: plain, start: 0, end: length, nextPosition: end === from.end ? from.nextPosition : next, takenBytes: end - start };
}

function decompressIfWhole(bytes: Uint8Array, start: number, size: number): Uint8Array | null {
  try {
    return decompressBatch(bytes, start, size);
  } catch {
    return null;
  }
}
