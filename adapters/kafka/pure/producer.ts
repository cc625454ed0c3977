/**
 * Appends outside of transactions, idempotent: a batch that is sent again, because its answer was lost, is written once.
 *
 * Each partition has at most one batch under way, and counts its records under the producer identity it began with. A partition in trouble takes a new identity and counts from 0; the
 * others go on.
 */
import { backoffMs } from "../../../src/base/backoff.ts";
import { place } from "../../../src/log/failure.ts";
import type { OutputBatch } from "../../../src/log/log.ts";
import { isRetriable, kafkaCodeOf, kafkaFailure, lostConnection } from "../failure.ts";
import type { Cluster } from "./cluster.ts";
import { compressBatches } from "./compression.ts";
import { partsOf, writeParts } from "./partition-writes.ts";
import type { Part, Written } from "./partition-writes.ts";
import { initProducerIdV4 } from "./platformatic.ts";

/** Sequence numbers go on at 0 after 2^31 - 1. */
export const SEQUENCES = 0x8000_0000;

/** Who counts the records. */
export interface Producer {
  readonly id: number;
  readonly epoch: number;
}

/** An encoder on its way. */
interface Pending {
  readonly batch: OutputBatch;
  readonly deadline: number;
  readonly done: (answer: number | Error) => void;
  /** Sealed by the first attempt, and again under a new identity; null: not sealed. */
  parts: readonly Part[] | null;
  /** The part under way. */
  index: number;
  /** Records of the parts before it. */
  writtenRecords: number;
  attempts: number;
  /** Where the first record lies. */
  position: number;
  /** Whether an attempt at this part has gone without an answer. */
  isUncertain: boolean;
}

interface Line {
  readonly waiting: Pending[];
  isBusy: boolean;
  producer: Producer | null;
  /** Of the next record. */
  sequence: number;
}

const PAUSE_FIRST_MS = 10;
const PAUSE_MAX_MS = 500;
/** The broker refuses the identity or its count: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID. */
const LOST_COUNT: readonly (number | null)[] = [45, 47, 49, 59];
/** Answers that leave open whether the batch is in: REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND, and none at all. */
const UNCERTAIN: readonly (number | null)[] = [7, 20, null];

/** The idempotent producer of a client. */
export class IdempotentProducer {
  readonly #cluster: Cluster;
  readonly #lines = new Map<string, Line>();
  readonly #underWay = new Set<Promise<unknown>>();
  #ready: Line[] = [];
  #producer: Promise<Producer> | null = null;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Appends; the answer has, in order, the position of each batch's first record, -1 where the broker does not tell any more, or the error. An empty batch is at 0. */
  async produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]> {
    const answers = Promise.all(batches.map((batch) => this.#enqueue(batch)));
    this.#underWay.add(answers);
    try {
      return await answers;
    } finally {
      this.#underWay.delete(answers);
    }
  }

  /** Resolves once appends under way are answered. */
  async flush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #enqueue(batch: OutputBatch): Promise<number | Error> {
    if (batch.encoder.count === 0) return Promise.resolve(0);
    const { runtime, timeoutMs } = this.#cluster.settings;
    const key = `${batch.topic} ${batch.partition}`;
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, line = { waiting: [], isBusy: false, producer: null, sequence: 0 });
    const waiting = line.waiting;
    const { promise, resolve } = Promise.withResolvers<number | Error>();
    const deadline = runtime.monotonic() + timeoutMs;
    waiting.push({ batch, deadline, done: resolve, parts: null, index: 0, writtenRecords: 0, attempts: 0, position: -1, isUncertain: false });
    this.#advance(line);
    return promise;
  }

  /** Sends what a line has next, together with that of other lines that are ready in the same moment. */
  #advance(line: Line): void {
    if (line.isBusy) return;
    const now = this.#cluster.settings.runtime.monotonic();
    while (line.waiting.length > 0 && line.waiting[0]!.deadline < now) {
      const { batch, done } = line.waiting.shift()!;
      done(lostConnection(`append to ${place(batch)}`, new Error("appends before it took too long")));
    }
    if (line.waiting.length === 0) return;
    line.isBusy = true;
    this.#ready.push(line);
    if (this.#ready.length === 1) void Promise.resolve().then(() => this.#send());
  }

  async #send(): Promise<void> {
    const lines = this.#ready;
    this.#ready = [];
    try {
      this.#producer ??= this.#init();
      const producer = await this.#producer;
      const byPart = new Map<Part, Line>(lines.map((line) => [this.#nextPart(line, producer), line]));
      await writeParts(this.#cluster, null, [...byPart.keys()], (part, written) => this.#answered(byPart.get(part)!, written));
    } catch (error) {
      this.#producer = null;
      for (const line of lines) this.#finish(line, error as Error);
    }
  }

  #nextPart(line: Line, producer: Producer): Part {
    const head = line.waiting[0]!;
    if (line.producer === null) {
      line.producer = producer;
      line.sequence = 0;
      head.parts = null;
    }
    if (head.parts === null) {
      // The encoder numbers all its batches; those already written count backwards from the line's next number.
      const sequence = (line.sequence + SEQUENCES - head.writtenRecords) % SEQUENCES;
      const sealed = head.batch.encoder.seal(0, { id: line.producer.id, epoch: line.producer.epoch, sequence, transactional: false });
      head.parts = partsOf(head.batch, sealed, (batch) => compressBatches(batch, this.#cluster.settings.compression));
    }
    return head.parts[head.index]!;
  }

  #answered(line: Line, written: Written): void {
    const head = line.waiting[0]!;
    if (typeof written !== "number") return this.#failed(line, head, written);
    if (head.index === 0) head.position = written;
    const part = head.parts![head.index]!;
    line.sequence = (line.sequence + part.records) % SEQUENCES;
    head.writtenRecords += part.records;
    head.isUncertain = false;
    head.index++;
    if (head.index === head.parts!.length) return this.#finish(line, head.position);
    line.isBusy = false;
    this.#advance(line);
  }

  #failed(line: Line, head: Pending, error: Error): void {
    const { runtime } = this.#cluster.settings;
    const code = kafkaCodeOf(error);
    const hasLostCount = LOST_COUNT.includes(code);
    if (hasLostCount) this.#forget(line);
    if (UNCERTAIN.includes(code) && isRetriable(error)) head.isUncertain = true;
    head.attempts++;
    const pauseMs = 1 +
      backoffMs({ attempt: head.attempts, firstMs: PAUSE_FIRST_MS, maxMs: PAUSE_MAX_MS, random: () => (runtime.randomBytes(1)[0] ?? 0) / 256 });
    const mayRepeat = hasLostCount ? !head.isUncertain : isRetriable(error);
    if (!mayRepeat || runtime.monotonic() + pauseMs > head.deadline) return this.#finish(line, error);
    this.#cluster.pause(pauseMs).then(
      () => {
        line.isBusy = false;
        this.#advance(line);
      },
      (closed: unknown) => this.#finish(line, closed as Error),
    );
  }

  #finish(line: Line, answer: number | Error): void {
    const head = line.waiting.shift()!;
    // Whether the count includes it nobody knows.
    if (typeof answer !== "number" && head.isUncertain) this.#forget(line);
    head.done(answer);
    line.isBusy = false;
    this.#advance(line);
  }

  /** The line begins anew under another identity. */
  #forget(line: Line): void {
    line.producer = null;
    this.#producer = null;
  }

  #init(): Promise<Producer> {
    const what = "begin to append";
    return this.#cluster.retry(what, () => initProducer(this.#cluster, null, what));
  }
}

/** Asks for a producer's identity; with a transactional id, predecessors under it are fenced and their open transaction ended. */
export async function initProducer(cluster: Cluster, transactionalId: string | null, what: string): Promise<Producer> {
  const broker = transactionalId === null ? null : await cluster.coordinator("transaction", transactionalId);
  const call = initProducerIdV4.api.async;
  const answer = await cluster.request("control", broker, (connection) => call(connection, transactionalId, cluster.settings.transactionTimeoutMs, -1n, -1), {
    what,
  });
  if (answer.errorCode !== 0) throw kafkaFailure(answer.errorCode, what);
  return { id: Number(answer.producerId), epoch: answer.producerEpoch };
}
