/**
 * The search for a moment in a partition (L14). A broker's own answer counts aborted records and ends of transactions in, and those carry the time they were written at: in a topic of event
 * times it may point far before the first record that is meant. So what lies there is read.
 */
import { isStreamError } from "../../src/base/errors.ts";
import { named, place } from "../../src/log/failure.ts";
import { firstAt } from "../../src/log/first-at.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { KafkaClient } from "./client.ts";
import { closedFailure, lostConnection } from "./failure.ts";

/** What `take` gives at once. */
const CHUNK_BYTES = 1_048_576;
/** A broker that gives nothing for so long is away. */
const SILENCE_MS = 30_000;
/** Retention may take away what was about to be read. */
const TRIES_MAX = 5;

/** The searches of one log. */
export class TimeSearch {
  readonly #client: KafkaClient;
  readonly #runtime: Runtime;
  readonly #cuts = new Set<(error: unknown) => void>();
  #isClosed = false;

  constructor(client: KafkaClient, runtime: Runtime) {
    this.#client = client;
    this.#runtime = runtime;
  }

  /** See `positionAt` of the `Log` contract. */
  async find(at: TopicPartition, timestamp: number): Promise<number> {
    const call = `look for a time in ${place(at)}`;
    for (let tries = 1;; tries++) {
      const { position, end } = await this.#client.search(at, timestamp);
      if (this.#isClosed) throw closedFailure(call);
      if (position >= end) return end;
      try {
        return await this.#read({ topic: at.topic, partition: at.partition }, position, end, timestamp, call);
      } catch (error) {
        const isGone = isStreamError(error) && error.code === "LOG_POSITION_OUT_OF_RANGE";
        if (!isGone || tries === TRIES_MAX) throw named("kafka", call, error);
      }
    }
  }

  /** Searches under way reject with `LOG_CLOSED`. */
  close(): void {
    this.#isClosed = true;
    for (const cut of [...this.#cuts]) cut(closedFailure("finish the search for a time"));
  }

  async #read(at: TopicPartition, position: number, end: number, timestamp: number, call: string): Promise<number> {
    let arrived = Promise.withResolvers<void>();
    const cut = (error: unknown): void => arrived.reject(error);
    const reader = this.#client.reader(at, position, () => arrived.resolve());
    this.#cuts.add(cut);
    try {
      for (;;) {
        const from = reader.position;
        const chunk = reader.take(CHUNK_BYTES);
        const found = chunk === null ? null : firstAt(chunk.bytes, chunk.start, chunk.end, from, timestamp);
        if (found !== null) return found;
        if (reader.position >= end) return end;
        if (chunk !== null) continue;
        const late = this.#runtime.setTimer(() => cut(lostConnection(call, new Error(`no answer within ${SILENCE_MS} ms`))), SILENCE_MS);
        await arrived.promise.finally(() => late.cancel());
        arrived = Promise.withResolvers();
      }
    } finally {
      this.#cuts.delete(cut);
      reader.close();
    }
  }
}
