/**
 * Appends outside of transactions, by an idempotent producer. librdkafka cuts what it is handed into batches of its own: records of one append lie together and in order, and a batch as small
 * as its own limit nearly always goes as one; a larger one, or one that a slow loop hands over late, may be taken in part when the broker refuses the rest.
 */
import { DefinitionError, ExternalError, isStreamError } from "../../../src/base/errors.ts";
import type { OutputBatch } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import type { ClientSettings } from "../client.ts";
import { closedFailure } from "../failure.ts";
import type { Confluent, DeliveryReport, NativeError, NativeProducer } from "./confluent.ts";
import type { NativeCalls } from "./native-calls.ts";
import { appenderConfig } from "./native-config.ts";
import { codeOf, NativeCode, nativeFailure } from "./native-failure.ts";
import { checkTimestamps, handOver } from "./native-record.ts";

/** A batch under way. */
interface Pending {
  left: number;
  /** Lowest position so far. */
  position: number;
  error: NativeError | null;
  readonly what: string;
  readonly settle: (answer: number | Error) => void;
}

/** Appends batches. */
export class NativeAppender {
  readonly #confluent: Confluent;
  readonly #calls: NativeCalls;
  readonly #settings: ClientSettings;
  readonly #cursor = new RecordCursor();
  readonly #underWay: Set<Promise<unknown>> = new Set();
  readonly #pending: Set<Pending> = new Set();
  #producer: Promise<NativeProducer> | null = null;
  /** The producer is lost: librdkafka can no longer say what the broker has. */
  #isSpent = false;

  constructor(confluent: Confluent, calls: NativeCalls, settings: ClientSettings) {
    this.#confluent = confluent;
    this.#calls = calls;
    this.#settings = settings;
  }

  /** In order, the position of each batch's first record or its error. */
  async produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]> {
    const producer = await this.#ready();
    const answers = Promise.all(batches.map((batch) => this.#append(producer, batch)));
    this.#underWay.add(answers);
    try {
      return await answers;
    } finally {
      this.#underWay.delete(answers);
    }
  }

  /** Resolves once what is under way is answered. */
  async flush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async close(): Promise<void> {
    const producer = await this.#producer?.catch(() => null);
    if (producer != null) await disconnect(producer, this.#settings.timeoutMs);
    for (const pending of [...this.#pending]) pending.settle(closedFailure("append"));
  }

  async #ready(): Promise<NativeProducer> {
    if (this.#isSpent && this.#producer !== null) {
      const spent = this.#producer;
      this.#producer = null;
      this.#isSpent = false;
      void spent.then((producer) => disconnect(producer, 0));
    }
    const opening = this.#producer ??= this.#open();
    try {
      return await opening;
    } catch (error) {
      if (this.#producer === opening) this.#producer = null;
      throw error;
    }
  }

  async #open(): Promise<NativeProducer> {
    const { timeoutMs, warn } = this.#settings;
    const producer = new this.#confluent.Producer(appenderConfig(this.#settings));
    producer.on("event.error", (error) => this.#calls.isClosed || warn(`[kafka] Producer of appends: ${error.message}`, error));
    producer.on("delivery-report", (error, report) => this.#report(error, report));
    await this.#calls.call("connect", (done) => producer.connect({ timeout: timeoutMs, allTopics: false }, done));
    producer.setPollInBackground(true);
    return producer;
  }

  async #append(producer: NativeProducer, batch: OutputBatch): Promise<number | Error> {
    const what = `append to "${batch.topic}" partition ${batch.partition}`;
    const { count } = batch.encoder;
    if (count === 0) return new DefinitionError(`[kafka] Cannot ${what}: there are no records`);
    const { promise, resolve } = Promise.withResolvers<number | Error>();
    const settle = (answer: number | Error): void => {
      this.#pending.delete(pending);
      resolve(answer);
    };
    const pending: Pending = { left: count, position: Number.POSITIVE_INFINITY, error: null, what, settle };
    this.#pending.add(pending);
    try {
      checkTimestamps(this.#cursor, batch);
      const handed = handOver(this.#calls, producer, this.#cursor, batch, pending);
      if (handed !== null) await handed;
    } catch (error) {
      settle(this.#failure(error, what));
    }
    return await promise;
  }

  #report(error: NativeError | null, { offset, opaque }: DeliveryReport): void {
    const pending = opaque as Pending;
    if (error) pending.error ??= error;
    else if (offset < pending.position) pending.position = offset;
    if (--pending.left === 0) pending.settle(pending.error === null ? pending.position : this.#failure(pending.error, pending.what));
  }

  #failure(thrown: unknown, what: string): Error {
    if (isStreamError(thrown)) return thrown;
    const code = codeOf(thrown);
    if (code === NativeCode.fatal || (thrown as NativeError).isFatal === true) this.#isSpent = true;
    if (this.#calls.isClosed) return closedFailure(what);
    if (code === NativeCode.queueFull) return new ExternalError("LOG_BUSY", `[kafka] Cannot ${what}: too much is under way`, { retryAfterMs: 100 });
    return nativeFailure(thrown, what);
  }
}

function disconnect(producer: NativeProducer, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => producer.disconnect(timeoutMs, () => resolve()));
}
