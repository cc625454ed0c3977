/**
 * Fetches for all readers of a cluster: each leader has its own loop. See {@linkcode LeaderLoop}.
 *
 * Whatever goes wrong with one partition (its leader moved, a broker is gone) takes the reader out of its loop, until its leader is found again; only what trying again cannot mend is told to it.
 */
import { backoffMs } from "../../../src/base/backoff.ts";
import { isStreamError, messageOf } from "../../../src/base/errors.ts";
import { place, positionOutOfRange } from "../../../src/log/failure.ts";
import type { PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { isRetriable, kafkaCodeOf, kafkaFailure, needsRefresh } from "../failure.ts";
import type { Cluster, Leader } from "./cluster.ts";
import { LeaderLoop } from "./leader-loop.ts";
import type { LoopHost } from "./leader-loop.ts";
import { PureReader } from "./partition-reader.ts";
import type { ReaderHost } from "./partition-reader.ts";
import { listOffsetsV7 } from "./platformatic.ts";

/** All readers of a cluster. */
export interface Fetcher {
  /** Reads a partition from `position` on. */
  reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader;
  /** Nothing is fetched or told any more. */
  close(): Promise<void>;
}

const PAUSE_FIRST_MS = 10;
const PAUSE_MAX_MS = 1_000;
const UNKNOWN_SERVER_ERROR = -1;
const OFFSET_OUT_OF_RANGE = 1;
const OFFSET_NOT_AVAILABLE = 78;
const EARLIEST = -2n;
const LATEST = -1n;
const READ_UNCOMMITTED = 0;

/** Readers over the connections of a cluster. */
export function openFetcher(cluster: Cluster): Fetcher {
  return new PureFetcher(cluster);
}

class PureFetcher implements Fetcher, ReaderHost, LoopHost {
  readonly cluster: Cluster;
  readonly #loops = new Map<number, LeaderLoop>();
  /** With the loop they are in; null while their leader is being found, or after that has failed. */
  readonly #readers = new Map<PureReader, LeaderLoop | null>();
  readonly #placing = new Set<PureReader>();
  /** How often a reader lost its leader since its last answer. */
  readonly #attempts = new Map<PureReader, number>();
  /** Brokers that were told of as lost, and topics as without a leader. */
  readonly #lost = new Set<number>();
  readonly #leaderless = new Set<string>();
  #isClosed = false;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  get isClosed(): boolean {
    return this.#isClosed || this.cluster.isClosed;
  }

  get prefetchBytes(): number {
    return this.cluster.settings.prefetchBytes;
  }

  reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    const reader = new PureReader(at, position, onArrival, this);
    this.#readers.set(reader, null);
    void this.#place(reader);
    return reader;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const reader of [...this.#readers.keys()]) reader.close();
    this.#readers.clear();
    this.#loops.clear();
    return Promise.resolve();
  }

  wants(reader: PureReader): void {
    const loop = this.#readers.get(reader);
    if (loop) loop.wake();
    else void this.#place(reader);
  }

  closed(reader: PureReader): void {
    this.#readers.get(reader)?.remove(reader);
    this.#readers.delete(reader);
    this.#attempts.delete(reader);
  }

  answered(broker: number, reader: PureReader): void {
    this.#attempts.delete(reader);
    this.#lost.delete(broker);
    this.#leaderless.delete(reader.topic);
  }

  refused(reader: PureReader, code: number): void {
    if (code === OFFSET_OUT_OF_RANGE) return void this.#tellRange(reader);
    this.#again(reader, kafkaFailure(code, `read ${place(reader)}`));
  }

  failed(broker: number, readers: readonly PureReader[], error: unknown): void {
    if (this.isClosed) return;
    if (!this.#lost.has(broker)) {
      this.#lost.add(broker);
      this.cluster.settings.warn(`[kafka] Cannot fetch from broker ${broker}, trying again: ${messageOf(error)}`, error);
    }
    for (const reader of readers) this.#again(reader, error);
  }

  /** Finds the leader anew, after a pause; or tells the reader, where that is in vain. */
  #again(reader: PureReader, error: unknown): void {
    if (!this.#readers.has(reader)) return;
    this.#readers.get(reader)?.remove(reader);
    this.#readers.set(reader, null);
    if (needsRefresh(error)) this.cluster.forgetLeaders(reader.topic);
    // A broker that does not know what is wrong with it may be well again a moment later.
    const isPassing = isRetriable(error) || needsRefresh(error) || kafkaCodeOf(error) === UNKNOWN_SERVER_ERROR;
    if (!isPassing) return this.#give(reader, error);
    void this.#place(reader);
  }

  /** Puts a reader into the loop of its partition's leader. */
  async #place(reader: PureReader): Promise<void> {
    if (this.#placing.has(reader)) return;
    this.#placing.add(reader);
    try {
      await this.#find(reader);
    } finally {
      this.#placing.delete(reader);
    }
  }

  async #find(reader: PureReader): Promise<void> {
    const { runtime, timeoutMs, warn } = this.cluster.settings;
    const from = runtime.monotonic();
    for (;;) {
      const attempts = this.#attempts.get(reader) ?? 0;
      this.#attempts.set(reader, attempts + 1);
      try {
        if (attempts > 0) {
          await this.cluster.pause(1 + backoffMs({ attempt: attempts, firstMs: PAUSE_FIRST_MS, maxMs: PAUSE_MAX_MS, random: () => this.#random() }));
        }
        if (!this.#readers.has(reader)) return;
        const leader = await this.cluster.leader(reader);
        if (this.#readers.has(reader)) this.#enter(reader, leader);
        return;
      } catch (error) {
        if (this.isClosed || !this.#readers.has(reader)) return;
        if (needsRefresh(error)) this.cluster.forgetLeaders(reader.topic);
        const tookMs = runtime.monotonic() - from;
        // A topic that was just made is not known to all brokers at once.
        if (!isRetriable(error) && !(needsRefresh(error) && tookMs < timeoutMs)) return this.#give(reader, error);
        if (tookMs > PAUSE_MAX_MS && this.#lost.size === 0 && !this.#leaderless.has(reader.topic)) {
          this.#leaderless.add(reader.topic);
          warn(`[kafka] Cannot find the leader of ${place(reader)}, trying again: ${messageOf(error)}`, error);
        }
      }
    }
  }

  #enter(reader: PureReader, leader: Leader): void {
    let loop = this.#loops.get(leader.broker);
    if (loop === undefined) this.#loops.set(leader.broker, loop = new LeaderLoop(leader.broker, this));
    this.#readers.set(reader, loop);
    loop.add(reader, leader);
  }

  /** Says where the partition begins and ends (L11). */
  async #tellRange(reader: PureReader): Promise<void> {
    const { fetchPosition: position, generation } = reader;
    // Until it is known, nothing more is asked for.
    reader.isRequested = true;
    try {
      const start = await this.#offset(reader, EARLIEST);
      const end = await this.#offset(reader, LATEST);
      if (generation !== reader.generation) return;
      // Retention and a new leader move both: what was out of range a moment ago may be in it.
      if (position >= start && position <= end) this.#again(reader, kafkaFailure(OFFSET_NOT_AVAILABLE, `read ${place(reader)}`));
      else reader.fail(positionOutOfRange("kafka", reader, position, start, end));
    } catch (error) {
      if (generation === reader.generation && !this.isClosed) this.#again(reader, error);
    }
  }

  async #offset(at: TopicPartition, timestamp: bigint): Promise<number> {
    const leader = await this.cluster.leader(at);
    const partition = { partitionIndex: at.partition, currentLeaderEpoch: leader.leaderEpoch, timestamp };
    const topics = [{ name: at.topic, partitions: [partition] }];
    const what = `ask for the ${timestamp === EARLIEST ? "start" : "end"} of ${place(at)}`;
    const answer = await this.cluster.request("control", leader.broker, (connection) => listOffsetsV7.api.async(connection, -1, READ_UNCOMMITTED, topics), {
      what,
    });
    return Number(answer.topics[0]?.partitions[0]?.offset ?? -1);
  }

  #give(reader: PureReader, error: unknown): void {
    reader.fail(isStreamError(error) ? error : kafkaFailure(UNKNOWN_SERVER_ERROR, `read ${place(reader)}`, error));
  }

  #random(): number {
    return (this.cluster.settings.runtime.randomBytes(1)[0] ?? 0) / 256;
  }
}
