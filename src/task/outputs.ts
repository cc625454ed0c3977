/**
 * Output records of one worker: first staged a record at a time, so that a record that fails leaves nothing behind, then encoded into the batches of the next commit.
 */
import { assert } from "../base/assert.ts";
import type { OutputBatch } from "../log/log.ts";
import { BatchEncoder } from "../record/encoder.ts";
import { partitionFor } from "../record/partitioner.ts";
import type { HeaderField, Payload } from "../record/record.ts";
import type { Output, TopicDefinition } from "../topology/node.ts";

/** A record that is said but not yet part of the commit. */
export interface StagedRecord {
  readonly output: TopicOutput;
  /** -1: by the key. */
  readonly partition: number;
  readonly key: Payload | null;
  readonly value: Payload | null;
  readonly timestamp: number;
  readonly headers: readonly HeaderField[] | null;
}

type MutableRecord = { -readonly [P in keyof StagedRecord]: StagedRecord[P] };

/** The batches of one topic. */
export class TopicOutput implements Output {
  readonly definition: TopicDefinition;
  readonly partitions: number;
  readonly encoders: (BatchEncoder | null)[];
  #turn = 0;

  constructor(definition: TopicDefinition, partitions: number) {
    this.definition = definition;
    this.partitions = partitions;
    this.encoders = new Array<BatchEncoder | null>(partitions).fill(null);
  }

  /** Where a record of this key goes; records without a key take turns. */
  partitionOf(key: Payload | null): number {
    if (this.partitions === 1) return 0;
    if (key !== null) return partitionFor(key, this.partitions);
    this.#turn = (this.#turn + 1) % this.partitions;
    return this.#turn;
  }

  encoder(partition: number): BatchEncoder {
    return this.encoders[partition] ??= new BatchEncoder();
  }
}

/** The outputs of a worker between two commits. */
export class Outputs {
  readonly #topics = new Map<string, TopicOutput>();
  readonly #partitionsOf: (topic: string) => number;
  /** Reused objects, of which the first `#count` are staged: most records stage one, and none is kept. */
  readonly #staged: MutableRecord[] = [];
  #count = 0;

  constructor(partitionsOf: (topic: string) => number) {
    this.#partitionsOf = partitionsOf;
  }

  topic(definition: TopicDefinition): TopicOutput {
    let output = this.#topics.get(definition.name);
    if (output === undefined) {
      output = new TopicOutput(definition, this.#partitionsOf(definition.name));
      this.#topics.set(definition.name, output);
    }
    return output;
  }

  stage(output: TopicOutput, key: Payload | null, value: Payload | null, timestamp: number, headers: readonly HeaderField[] | null, partition = -1): void {
    const at = this.#count++;
    const record = this.#staged[at];
    if (record === undefined) {
      this.#staged.push({ output, partition, key, value, timestamp, headers });
      return;
    }
    record.output = output;
    record.partition = partition;
    record.key = key;
    record.value = value;
    record.timestamp = timestamp;
    record.headers = headers;
  }

  /** The record at work failed: what it said is unsaid. */
  unstage(): void {
    this.#count = 0;
  }

  /** Takes what was staged out, for its record is not done. */
  takeStaged(): StagedRecord[] {
    const taken = this.#staged.slice(0, this.#count).map((record) => ({ ...record }));
    this.#count = 0;
    return taken;
  }

  /** The record at work is done: what it said is part of the next commit. `stamp` may add headers. */
  settle(stamp: Stamp | null): void {
    const count = this.#count;
    for (let i = 0; i < count; i++) this.write(this.#staged[i]!, stamp);
    this.#count = 0;
  }

  write(record: StagedRecord, stamp: Stamp | null): void {
    const { output, key, value, timestamp } = record;
    const partition = record.partition >= 0 ? record.partition : output.partitionOf(key);
    assert(partition < output.partitions, `partition ${partition} of "${output.definition.name}" exists`);
    const headers = stamp !== null && output.definition.carriesClock ? stamp.stamp(output, partition, record.headers) : record.headers;
    output.encoder(partition).append(timestamp, key, value, headers);
  }

  /** Bytes that the next commit writes. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const output of this.#topics.values()) for (const encoder of output.encoders) bytes += encoder?.sizeBytes ?? 0;
    return bytes;
  }

  /** What the next commit writes. */
  batches(): OutputBatch[] {
    const batches: OutputBatch[] = [];
    for (const [topic, output] of this.#topics) {
      output.encoders.forEach((encoder, partition) => {
        if (encoder !== null && encoder.count > 0) batches.push({ topic, partition, encoder });
      });
    }
    return batches;
  }

  /** The commit has happened, or nothing of it will: empty again. */
  reset(): void {
    this.#count = 0;
    for (const output of this.#topics.values()) for (const encoder of output.encoders) encoder?.reset();
  }
}

/** Adds the writer's clock to records of internal topics. */
export interface Stamp {
  stamp(output: TopicOutput, partition: number, headers: readonly HeaderField[] | null): readonly HeaderField[] | null;
}
