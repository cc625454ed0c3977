/** A partition of the embedded log as it stands in memory, what a transaction adds to it, and the newest batches of all partitions that are read. */
import type { TopicPartition } from "../record/record.ts";
import type { Arrival } from "./arrival.ts";
import type { BatchTable } from "./batch-table.ts";
import type { Retention } from "./log.ts";
import type { StoredBatch } from "./stored-batch.ts";

/** A topic, as committed. */
export interface EmbeddedTopic {
  readonly id: number;
  readonly name: string;
  readonly retention: Retention;
  readonly internal: boolean;
  readonly partitions: readonly EmbeddedPartition[];
}

/** Start, end and size as of the last committed transaction. */
export class EmbeddedPartition implements TopicPartition {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
  readonly batches: BatchTable;
  /** First kept position. */
  start: number;
  /** Position after the last record. */
  end: number;
  /** Bytes of all batches; null until retention needs it. */
  bytes: number | null = null;
  /** Bytes written since the last compaction, as far as they were counted: a topic that becomes compact later begins at its opening. */
  dirtyBytes = 0;
  readonly arrivals: Set<Arrival> = new Set();
  /** The newest batches without a gap up to `end`, or none. */
  tail: StoredBatch[] = [];

  constructor(id: number, at: TopicPartition, batches: BatchTable, start: number, end: number) {
    this.id = id;
    this.batches = batches;
    this.topic = at.topic;
    this.partition = at.partition;
    this.start = start;
    this.end = end;
  }
}

/** What a transaction does to one partition; in force once it is committed. */
export interface PartitionChange {
  start: number;
  end: number;
  bytes: number | null;
  dirtyBytes: number;
  /** Whether records were added. */
  hasArrived: boolean;
  /** The batches added, where somebody reads. */
  readonly batches: StoredBatch[];
}

/** Holds the tails of partitions within one bound; those written longest ago shrink first. */
export class TailCache {
  readonly #bytesMax: number;
  /** Bytes of each tail; the order is that of writing. */
  readonly #sizes = new Map<EmbeddedPartition, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The batches go behind what is there; they begin where it ends. */
  add(partition: EmbeddedPartition, batches: readonly StoredBatch[]): void {
    let size = this.#sizes.get(partition) ?? 0;
    for (const batch of batches) {
      partition.tail.push(batch);
      size += batch.bytes.length;
      this.#bytes += batch.bytes.length;
    }
    this.#sizes.delete(partition);
    this.#sizes.set(partition, size);
    while (this.#bytes > this.#bytesMax) this.#shrink();
  }

  /** Records were added that are not at hand: the tail would have a gap. */
  clear(partition: EmbeddedPartition): void {
    if (partition.tail.length === 0) return;
    this.#bytes -= this.#sizes.get(partition) ?? 0;
    this.#sizes.delete(partition);
    partition.tail = [];
  }

  /** Drops the older half of one tail: halves, so that the cost of moving the rest is constant a batch. */
  #shrink(): void {
    const [partition, size] = this.#sizes.entries().next().value!;
    const count = Math.ceil(partition.tail.length / 2);
    let dropped = 0;
    for (let i = 0; i < count; i++) dropped += partition.tail[i]!.bytes.length;
    partition.tail = partition.tail.slice(count);
    this.#bytes -= dropped;
    if (partition.tail.length === 0) this.#sizes.delete(partition);
    else this.#sizes.set(partition, size - dropped);
  }
}
