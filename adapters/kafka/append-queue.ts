/**
 * Appends on their way to Kafka: what waits for a partition shares one batch, and what waits for several partitions one call of the client. A partition has one batch under way at a time,
 * which keeps the order; a partition that is slow holds up no other.
 *
 * An entry never lies in two batches, for a batch is what Kafka takes or refuses as a whole. A shared batch that the broker refuses is sent again entry by entry, so that only the bad one
 * fails.
 */
import { DecodeError, ExternalError, isStreamError } from "../../src/base/errors.ts";
import { encodeRecords } from "../../src/log/append-check.ts";
import type { Append, AppendReceipt, OutputBatch } from "../../src/log/log.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { TopicPartition } from "../../src/record/record.ts";

/** What the queue needs. */
export interface AppendQueueHost {
  /** Fulfils in a later macrotask. */
  yield(): Promise<void>;
  /** As `KafkaClient.produce`. */
  produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]>;
}

/** Entries share a batch up to about this: half of what brokers take by default. */
const SHARED_BYTES_MAX = 524_288;
/** No entry is split, whatever its size: the broker judges. */
const BATCH_BYTES_MAX = 0x3fff_ffff;
/** What an entry counts besides its records. */
const ENTRY_BYTES = 64;
/** A refused caller comes again. */
const RETRY_AFTER_MS = 100;
/** Encoders kept for the next batches, and the largest worth keeping. */
const SPARE_MAX = 16;
const SPARE_BYTES_MAX = 2 * SHARED_BYTES_MAX;

/** One entry, or one batch that is sealed by others. */
interface Waiting {
  readonly records: Append | OutputBatch;
  readonly bytes: number;
  /** Shares its batch with none. */
  isAlone: boolean;
  resolve(position: number): void;
  reject(error: unknown): void;
}

/** What waits for one partition. */
interface Lane extends TopicPartition {
  readonly waiting: Waiting[];
  isBusy: boolean;
}

/** A batch under way. */
interface Sent {
  readonly lane: Lane;
  readonly batch: OutputBatch;
  readonly entries: readonly Waiting[];
  readonly isShared: boolean;
}

/** Appends that wait, and those under way. */
export class AppendQueue {
  readonly #host: AppendQueueHost;
  readonly #bytesMax: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #ready = new Set<Lane>();
  readonly #unanswered = new Set<Promise<unknown>>();
  readonly #spare: BatchEncoder[] = [];
  #bytes = 0;
  #isGathering = false;

  constructor(host: AppendQueueHost, bytesMax: number) {
    this.#host = host;
    this.#bytesMax = bytesMax;
  }

  /** Adds checked entries of about `bytes` in all. Fulfils once all are acknowledged; rejects with the first failure, or at once with `LOG_BUSY` when too much waits already. */
  append(appends: readonly Append[], bytes: number): Promise<readonly AppendReceipt[]> {
    if (bytes > this.#bytesMax) throw tooLarge(bytes, this.#bytesMax);
    if (this.#bytes + bytes > this.#bytesMax) throw busy(this.#bytes, this.#bytesMax);
    const share = bytes / Math.max(1, appends.length);
    return this.#all(appends.map(async (append) => {
      const position = await this.#add(append, append, share, false);
      return { topic: append.topic, partition: append.partition, position, duplicate: false, differs: false };
    }));
  }

  /** Sends batches in their turn with appends to the same partitions. Fulfils once all are acknowledged. */
  produce(batches: readonly OutputBatch[]): Promise<readonly number[]> {
    return this.#all(batches.map((batch) => this.#add(batch, batch, batch.encoder.sizeBytes, true)));
  }

  /** Fulfils when everything so far is answered, well or badly. */
  async settled(): Promise<void> {
    await Promise.all(this.#unanswered);
  }

  /** Waits for all before it tells of a failure: who hears of it may send the same again. */
  async #all<T>(answers: readonly Promise<T>[]): Promise<T[]> {
    const settled = await Promise.allSettled(answers);
    const failed = settled.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return settled.map((each) => (each as PromiseFulfilledResult<T>).value);
  }

  #add(at: TopicPartition, records: Append | OutputBatch, recordBytes: number, isAlone: boolean): Promise<number> {
    const answer = Promise.withResolvers<number>();
    const bytes = recordBytes + ENTRY_BYTES;
    const lane = this.#laneOf(at);
    lane.waiting.push({ records, bytes, isAlone, resolve: answer.resolve, reject: answer.reject });
    this.#bytes += bytes;
    const settled = answer.promise.then(() => {}, () => {}).then(() => {
      this.#bytes -= bytes;
      this.#unanswered.delete(settled);
    });
    this.#unanswered.add(settled);
    if (!lane.isBusy) this.#offer(lane);
    return answer.promise;
  }

  #laneOf({ topic, partition }: TopicPartition): Lane {
    const name = `${topic}\n${partition}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) this.#lanes.set(name, lane = { topic, partition, waiting: [], isBusy: false });
    return lane;
  }

  #offer(lane: Lane): void {
    this.#ready.add(lane);
    if (this.#isGathering) return;
    this.#isGathering = true;
    void this.#gather();
  }

  /** What comes in the same turn of the event loop goes together. */
  async #gather(): Promise<void> {
    await this.#host.yield();
    this.#isGathering = false;
    const sent = [...this.#ready].map((lane) => this.#take(lane));
    this.#ready.clear();
    await this.#send(sent);
  }

  async #send(sent: readonly Sent[]): Promise<void> {
    let answers: readonly (number | Error)[];
    try {
      answers = await this.#host.produce(sent.map(({ batch }) => batch));
    } catch (thrown) {
      answers = sent.map(() => thrown as Error);
    }
    sent.forEach((one, index) => this.#settle(one, answers[index]!));
  }

  #take(lane: Lane): Sent {
    lane.isBusy = true;
    const first = lane.waiting[0]!;
    if ("encoder" in first.records) {
      return { lane, batch: first.records, entries: lane.waiting.splice(0, 1), isShared: false };
    }
    let bytes = first.bytes;
    let count = 1;
    while (!first.isAlone && count < lane.waiting.length) {
      const next = lane.waiting[count]!;
      bytes += next.bytes;
      if (next.isAlone || bytes > SHARED_BYTES_MAX) break;
      count++;
    }
    const entries = lane.waiting.splice(0, count);
    const encoder = this.#spare.pop() ?? new BatchEncoder({ batchBytesMax: BATCH_BYTES_MAX });
    for (const { records } of entries) encodeRecords(encoder, (records as Append).records);
    return { lane, batch: { topic: lane.topic, partition: lane.partition, encoder }, entries, isShared: true };
  }

  #settle({ lane, batch, entries, isShared }: Sent, answer: number | Error): void {
    if (typeof answer === "number") {
      let position = answer;
      for (const { records, resolve } of entries) {
        resolve(position);
        if (isShared) position += (records as Append).records.length;
      }
    } else if (entries.length > 1 && isOfContent(answer)) {
      for (const entry of entries) entry.isAlone = true;
      lane.waiting.unshift(...entries);
    } else {
      for (const { reject } of entries) reject(answer);
    }
    if (isShared) this.#keep(batch.encoder);
    lane.isBusy = false;
    if (lane.waiting.length > 0) this.#offer(lane);
    else this.#lanes.delete(`${lane.topic}\n${lane.partition}`);
  }

  #keep(encoder: BatchEncoder): void {
    if (this.#spare.length >= SPARE_MAX || encoder.sizeBytes > SPARE_BYTES_MAX) return;
    encoder.reset();
    this.#spare.push(encoder);
  }
}

/** Whether the broker refused what was in the batch, so that its other entries may do better. */
function isOfContent(error: Error): boolean {
  return isStreamError(error) && (error.domain === "data" || error.code === "OPTION_INVALID");
}

function tooLarge(bytes: number, bytesMax: number): Error {
  return new DecodeError("RECORD_TOO_LARGE", `[kafka] Cannot append: the records have about ${bytes} bytes, more than the ${bytesMax} that may wait`);
}

function busy(bytes: number, bytesMax: number): Error {
  const message = `[kafka] Cannot append: records of about ${bytes} bytes wait for the brokers, ${bytesMax} is the most`;
  return new ExternalError("LOG_BUSY", message, { retryAfterMs: RETRY_AFTER_MS });
}
