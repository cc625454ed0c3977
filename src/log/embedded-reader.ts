/** Reads one partition of the embedded log: the newest batches from memory, older ones from SQLite. */
import type { Chunk } from "../record/record.ts";
import { Arrival } from "./arrival.ts";
import type { EmbeddedPartition } from "./embedded-partition.ts";
import { named, place, positionOutOfRange } from "./failure.ts";
import type { PartitionReader } from "./log.ts";
import { batchesFrom, indexAt, joinBatches } from "./stored-batch.ts";

/** What a reader needs of its log. */
export interface EmbeddedReaderHost {
  readonly name: string;
  /** Throws unless the log can be used. */
  checkUsable(call: string): void;
}

/** Sees what is committed. What a commit then makes of it can only become durable after it. */
export class EmbeddedReader implements PartitionReader {
  readonly topic: string;
  readonly partition: number;
  readonly #host: EmbeddedReaderHost;
  readonly #of: EmbeddedPartition;
  readonly #arrival: Arrival;
  readonly #onClose: () => void;
  #position: number;
  /** The position is the first of a batch, as after every chunk. */
  #isAtBatch = false;
  #isClosed = false;

  constructor(host: EmbeddedReaderHost, of: EmbeddedPartition, position: number, onArrival: () => void, onClose: () => void) {
    this.topic = of.topic;
    this.partition = of.partition;
    this.#host = host;
    this.#of = of;
    this.#position = position;
    this.#arrival = new Arrival(onArrival);
    this.#onClose = onClose;
    of.arrivals.add(this.#arrival);
  }

  get position(): number {
    return this.#position;
  }

  get end(): number {
    return this.#of.end;
  }

  take(bytesMax: number): Chunk | null {
    this.#host.checkUsable("read");
    const { start, end } = this.#of;
    const position = this.#position;
    if (this.#isClosed) return null;
    if (position < start || position > end) throw positionOutOfRange(this.#host.name, this, position, start, end);
    if (position === end) return null;
    const chunk = this.#takeTail(bytesMax) ?? this.#takeStored(bytesMax);
    if (chunk === null) return null;
    this.#position = chunk.nextPosition;
    this.#isAtBatch = true;
    return chunk;
  }

  seek(position: number): void {
    this.#host.checkUsable("seek");
    this.#position = position;
    this.#isAtBatch = false;
  }

  close(): void {
    this.#isClosed = true;
    this.#arrival.close();
    this.#of.arrivals.delete(this.#arrival);
    this.#onClose();
  }

  #takeTail(bytesMax: number): Chunk | null {
    const { tail } = this.#of;
    const first = tail[0];
    if (first === undefined || this.#position < first.base) return null;
    return joinBatches(batchesFrom(tail, indexAt(tail, this.#position), bytesMax));
  }

  #takeStored(bytesMax: number): Chunk | null {
    const { batches: stored, end } = this.#of;
    try {
      const base = this.#isAtBatch ? this.#position : stored.baseAt(this.#position);
      const batches = stored.read(base, end, bytesMax);
      return batches.length === 0 ? null : joinBatches(batches);
    } catch (thrown) {
      throw named(this.#host.name, `read ${place(this)}`, thrown);
    }
  }
}
