/**
 * Fetches partitions for readers by one consumer, each partition for one reader. What is assigned changes only between two calls of `consume`, so that no record of before comes after.
 *
 * A partition is opened after a look at its range: librdkafka tells of a position out of range without saying of which partition, and not at all when it has records of others to give. For the
 * same reason ranges are looked at again while a partition gives nothing.
 */
import { isStreamError } from "../../../src/base/errors.ts";
import { place } from "../../../src/log/failure.ts";
import type { PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { Timer } from "../../../src/runtime/runtime.ts";
import type { ClientSettings } from "../client.ts";
import { isRetriable } from "../failure.ts";
import type { Confluent, NativeConsumer, NativeError } from "./confluent.ts";
import type { NativeClusterAdmin } from "./native-admin.ts";
import type { NativeCalls } from "./native-calls.ts";
import { readerConfig } from "./native-config.ts";
import { codeOf, NativeCode, nativeFailure } from "./native-failure.ts";
import { NativeReader } from "./native-reader.ts";
import type { ReaderFeed } from "./native-reader.ts";

/** Records a call: a pause of the event loop of a few milliseconds. */
const CONSUME_COUNT = 500;
const TICK_MS = 1_000;
/** Ranges of partitions that gave nothing are looked at after so many ticks, at their end or not. */
const QUIET_TICKS = 3;
const QUIET_TICKS_AT_END = 30;
/** After so many, with records there and no end seen, a partition is begun anew. */
const STUCK_TICKS = 15;
/** A reader is paused when it has this many times its share and another one is hungry. */
const PAUSE_FACTOR = 2;

/** How a reader stands with librdkafka. */
interface Feeding {
  isAssigned: boolean;
  isPaused: boolean;
  /** Ticks since it gave something. */
  quietTicks: number;
  /** Was given something by the call of `consume` under way. */
  isTouched: boolean;
}

/** What fetchers need of their client. */
export interface FetcherHost {
  readonly confluent: Confluent;
  readonly calls: NativeCalls;
  readonly settings: ClientSettings;
  readonly admin: NativeClusterAdmin;
}

/** One consumer and its readers. */
export class NativeFetcher implements ReaderFeed {
  readonly #calls: NativeCalls;
  readonly #settings: ClientSettings;
  readonly #admin: NativeClusterAdmin;
  readonly #consumer: NativeConsumer;
  readonly #readers: Map<NativeReader, Feeding> = new Map();
  /** By topic and partition. */
  readonly #places: Map<string, NativeReader[]> = new Map();
  /** To be looked at, then to be assigned. */
  readonly #unchecked: Set<NativeReader> = new Set();
  readonly #checked: Set<NativeReader> = new Set();
  /** Assigned partitions whose reader was closed. */
  #removed: TopicPartition[] = [];
  #ready: Promise<void> | null = null;
  #isChecking = false;
  #isConsuming = false;
  /** librdkafka may hold records. */
  #isFilled = false;
  #last: NativeReader | null = null;
  #timer: Timer | null = null;

  constructor({ confluent, calls, settings, admin }: FetcherHost, name: string) {
    this.#calls = calls;
    this.#settings = settings;
    this.#admin = admin;
    const consumer = this.#consumer = new confluent.KafkaConsumer(
      { ...readerConfig(settings, name), queue_non_empty_cb: () => this.#fill() },
      { "auto.offset.reset": "error" },
    );
    consumer.setDefaultConsumeTimeout(0);
    consumer.on("event.error", (error) => this.isClosed || settings.warn(`[kafka] Reading: ${error.message}`, error));
    consumer.on("data", (message) => this.#readerOf(message.topic, message.partition)?.add(message));
    consumer.on("partition.eof", ({ topic, partition, offset }) => this.#readerOf(topic, partition)?.ended(offset));
  }

  get isClosed(): boolean {
    return this.#calls.isClosed;
  }

  has({ topic, partition }: TopicPartition): boolean {
    return this.#places.get(topic)?.[partition] !== undefined;
  }

  /** A reader of a partition that this fetcher does not read. */
  open(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    const reader = new NativeReader(at, position, onArrival, this);
    this.#readers.set(reader, { isAssigned: false, isPaused: false, quietTicks: 0, isTouched: false });
    const places = this.#places.get(at.topic) ?? [];
    places[at.partition] = reader;
    this.#places.set(at.topic, places);
    this.#timer ??= this.#settings.runtime.setTimer(() => this.#tick(), TICK_MS);
    this.reopen(reader);
    return reader;
  }

  reopen(reader: NativeReader): void {
    this.#checked.delete(reader);
    this.#unchecked.add(reader);
    void this.#check();
  }

  taken(reader: NativeReader): void {
    const feeding = this.#readers.get(reader);
    if (feeding?.isPaused || this.#isFilled) this.#consume();
  }

  remove(reader: NativeReader): void {
    const feeding = this.#readers.get(reader);
    if (feeding === undefined || this.isClosed) return;
    this.#readers.delete(reader);
    this.#unchecked.delete(reader);
    this.#checked.delete(reader);
    if (this.#last === reader) this.#last = null;
    delete this.#places.get(reader.topic)![reader.partition];
    if (!feeding.isAssigned) return;
    this.#removed.push({ topic: reader.topic, partition: reader.partition });
    this.#consume();
  }

  /** The client's calls must be closed already. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#ready?.catch(() => {});
    if (this.#consumer.isConnected()) await new Promise<void>((resolve) => this.#consumer.disconnect(() => resolve()));
  }

  /** Looks at the ranges of readers that begin, all in one request. */
  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      // Readers that are opened together are looked at together.
      await Promise.resolve();
      while (this.#unchecked.size > 0 && !this.isClosed) {
        const readers = [...this.#unchecked];
        this.#unchecked.clear();
        await this.#checkAll(readers);
      }
    } finally {
      this.#isChecking = false;
    }
    if (!this.isClosed) this.#consume();
  }

  async #checkAll(readers: readonly NativeReader[]): Promise<void> {
    const what = "begin to read";
    try {
      await (this.#ready ??= this.#calls.call(what, (done) => this.#consumer.connect({ timeout: this.#settings.timeoutMs, allTopics: false }, done)).then(
        () => {},
      ));
      const ranges = await this.#admin.offsets(readers);
      readers.forEach((reader, index) => {
        // One that was moved meanwhile is looked at again.
        if (!this.#unchecked.has(reader) && this.#readers.has(reader) && reader.checkRange(ranges[index]!)) this.#checked.add(reader);
      });
    } catch (thrown) {
      if (this.isClosed) return;
      const error = isStreamError(thrown) ? thrown : nativeFailure(thrown, what);
      if (!this.#consumer.isConnected()) this.#ready = null;
      if (isRetriable(error)) {
        this.#settings.warn(error.message, error);
        readers.forEach((reader) => this.#readers.has(reader) && this.#unchecked.add(reader));
        await this.#calls.pause(what, TICK_MS).catch(() => {});
      } else if (readers.length > 1) {
        // One partition that is gone must not stop the others.
        for (const reader of readers) await this.#checkAll([reader]);
      } else readers.forEach((reader) => this.#readers.has(reader) && reader.fail(error));
    }
  }

  #fill(): void {
    this.#isFilled = true;
    this.#consume();
  }

  /** Tells librdkafka what is to be read, and takes what it has, if any reader wants more. */
  #consume(): void {
    if (this.#isConsuming || this.isClosed || !this.#consumer.isConnected()) return;
    this.#assign();
    if (!this.#isFilled || !this.#isHungry()) return;
    this.#isConsuming = true;
    this.#consumer.consume(CONSUME_COUNT, (error, messages) => {
      this.#isConsuming = false;
      if (this.isClosed) return;
      // Never to false: what was told of in the meantime may have come too late for this call.
      if (messages !== undefined && messages.length >= CONSUME_COUNT) this.#isFilled = true;
      this.#settle();
      if (error) this.#complain(error);
      this.#consume();
    });
    // Whatever comes from here on is news.
    this.#isFilled = false;
  }

  #assign(): void {
    const gone = this.#removed;
    this.#removed = [];
    const resumed: TopicPartition[] = [];
    const begun: { topic: string; partition: number; offset: number }[] = [];
    for (const reader of this.#checked) {
      const feeding = this.#readers.get(reader)!;
      const at = { topic: reader.topic, partition: reader.partition };
      if (feeding.isAssigned) gone.push(at);
      if (feeding.isPaused) resumed.push(at);
      begun.push({ ...at, offset: reader.fetchPosition });
      Object.assign(feeding, { isAssigned: true, isPaused: false, quietTicks: 0 });
      reader.fed();
    }
    this.#checked.clear();
    for (const [reader, feeding] of this.#readers) {
      if (!feeding.isPaused || reader.queuedBytes >= this.#settings.prefetchBytes) continue;
      feeding.isPaused = false;
      resumed.push({ topic: reader.topic, partition: reader.partition });
    }
    try {
      if (resumed.length > 0) this.#consumer.resume(resumed);
      if (gone.length > 0) this.#consumer.incrementalUnassign(gone);
      if (begun.length > 0) this.#consumer.incrementalAssign(begun);
    } catch (error) {
      const failure = nativeFailure(error, "begin to read");
      for (const { topic, partition } of begun) this.#readerOf(topic, partition)?.fail(failure);
    }
  }

  #isHungry(): boolean {
    for (const [reader, { isAssigned }] of this.#readers) if (isAssigned && !reader.isDone && reader.queuedBytes < this.#settings.prefetchBytes) return true;
    return false;
  }

  #settle(): void {
    const full: TopicPartition[] = [];
    for (const [reader, feeding] of this.#readers) {
      if (!feeding.isTouched) continue;
      feeding.isTouched = false;
      feeding.quietTicks = 0;
      reader.settle(this.#endOf(reader));
      if (feeding.isPaused || reader.queuedBytes < PAUSE_FACTOR * this.#settings.prefetchBytes) continue;
      feeding.isPaused = true;
      full.push({ topic: reader.topic, partition: reader.partition });
    }
    // What librdkafka has fetched of a paused partition is lost, so nothing is paused unless others wait behind it.
    if (full.length === 0) return;
    if (this.#isHungry()) this.#consumer.pause(full);
    else for (const at of full) this.#readers.get(this.#readerOf(at.topic, at.partition)!)!.isPaused = false;
  }

  #endOf({ topic, partition }: NativeReader): number | null {
    try {
      return this.#consumer.getWatermarkOffsets(topic, partition).highOffset;
    } catch {
      return null;
    }
  }

  #readerOf(topic: string, partition: number): NativeReader | null {
    let reader = this.#last;
    if (reader === null || reader.partition !== partition || reader.topic !== topic) {
      reader = this.#places.get(topic)?.[partition] ?? null;
      if (reader === null) return null;
      this.#last = reader;
    }
    const feeding = this.#readers.get(reader)!;
    feeding.isTouched = true;
    return reader;
  }

  #complain(thrown: NativeError): void {
    const code = codeOf(thrown);
    if (code === NativeCode.timedOut) return;
    const failure = nativeFailure(thrown, "read");
    // Of which partition this is, nobody says.
    if (failure.code === "LOG_POSITION_OUT_OF_RANGE" || failure.code === "LOG_TOPIC_UNKNOWN") void this.#look((reader) => !reader.isDone);
    else this.#settings.warn(failure.message, failure);
  }

  #tick(): void {
    if (this.isClosed) return;
    for (const feeding of this.#readers.values()) feeding.quietTicks++;
    this.#fill();
    void this.#look((reader, { quietTicks, isAssigned, isPaused }) =>
      isAssigned && !isPaused && !reader.isDone && reader.queuedBytes < this.#settings.prefetchBytes &&
      quietTicks % (reader.isAtEnd ? QUIET_TICKS_AT_END : QUIET_TICKS) === 0
    );
    this.#timer = this.#settings.runtime.setTimer(() => this.#tick(), TICK_MS);
  }

  /** Looks at ranges again. */
  async #look(isMeant: (reader: NativeReader, feeding: Feeding) => boolean): Promise<void> {
    const readers = [...this.#readers].filter(([reader, feeding]) => isMeant(reader, feeding)).map(([reader]) => reader);
    if (readers.length === 0) return;
    const positions = readers.map(({ fetchPosition }) => fetchPosition);
    try {
      const ranges = await this.#admin.offsets(readers);
      readers.forEach((reader, index) => {
        const feeding = this.#readers.get(reader);
        if (feeding === undefined || reader.isDone || reader.fetchPosition !== positions[index] || !reader.checkRange(ranges[index]!)) return;
        const isStuck = !reader.isAtEnd && feeding.quietTicks >= STUCK_TICKS && ranges[index]!.end > reader.fetchPosition;
        if (!isStuck) return;
        this.#settings.warn(`[kafka] Reading ${place(reader)} was stuck at position ${reader.fetchPosition}: it is begun anew`, null);
        this.#checked.add(reader);
      });
      this.#fill();
    } catch (error) {
      if (!this.isClosed) this.#settings.warn("[kafka] Cannot ask for the ranges of partitions that are read", error);
    }
  }
}
