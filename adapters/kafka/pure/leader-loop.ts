/**
 * Fetches from one broker for all readers of partitions that it leads.
 *
 * A Fetch is a long poll: the broker keeps it until there is something, and lets whatever comes behind it on the connection wait. A reader that is opened, or has room again, meanwhile must not
 * wait for the poll of others. So there are two lanes: `fetch` polls long, for all that want; who comes to want while it does is fetched for on `poll`, with short waits, until both can go
 * into one long poll again. Each reader is in one request at most, and the next request goes out before anybody has looked at the records of the last.
 */
import type { Cluster, Leader } from "./cluster.ts";
import { fetchRecords } from "./fetch-protocol.ts";
import type { FetchAnswer, FetchPartition, PartitionAnswer } from "./fetch-protocol.ts";
import type { PureReader } from "./partition-reader.ts";

/** Who owns the loops. */
export interface LoopHost {
  readonly cluster: Cluster;
  readonly isClosed: boolean;
  /** A broker has answered for a reader. */
  answered(broker: number, reader: PureReader): void;
  /** A broker will not give what a reader asked for. */
  refused(reader: PureReader, code: number): void;
  /** A broker did not answer. */
  failed(broker: number, readers: readonly PureReader[], error: unknown): void;
}

const LONG_WAIT_MS = 500;
const SHORT_WAIT_MS = 20;
/** An answer that takes this much longer than the broker may wait is lost. */
const SLACK_MS = 10_000;
const PARTITION_BYTES_MAX = 262_144;
const ANSWER_BYTES_MAX = 8_388_608;
const UNKNOWN_TOPIC_ID = 100;

/** A reader in a request. */
interface Asked {
  readonly reader: PureReader;
  readonly generation: number;
}

/** The fetches of one broker. */
export class LeaderLoop {
  readonly #broker: number;
  readonly #host: LoopHost;
  /** In the order in which they are asked for: who got something goes behind the others, for an answer's size is bounded. */
  readonly #readers = new Map<PureReader, Leader>();
  readonly #busy = { fetch: false, poll: false };
  #isWoken = false;

  constructor(broker: number, host: LoopHost) {
    this.#broker = broker;
    this.#host = host;
  }

  add(reader: PureReader, leader: Leader): void {
    this.#readers.set(reader, leader);
    this.wake();
  }

  /** Takes a reader out; what was asked for it is of no use any more. */
  remove(reader: PureReader): void {
    this.#readers.delete(reader);
    reader.disown();
  }

  /** Some reader wants: all that begin to in this moment go into one request. */
  wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    void Promise.resolve().then(() => {
      this.#isWoken = false;
      this.#send();
    });
  }

  #send(): void {
    while (!this.#host.isClosed && !(this.#busy.fetch && this.#busy.poll) && this.#sendOne());
  }

  /** Asks for all that want, on the lane that is free; gives whether anybody did. */
  #sendOne(): boolean {
    const asked = new Map<string, Asked>();
    const topics = new Map<string, FetchPartition[]>();
    let isShared = false;
    for (const [reader, { leaderEpoch, topicId }] of this.#readers) {
      if (!reader.isWanting) continue;
      const id = topicId.replaceAll("-", "");
      const key = `${id} ${reader.partition}`;
      // A broker answers for a partition once, however often it was asked for: a second reader of it waits for its turn.
      if (asked.has(key)) {
        isShared = true;
        continue;
      }
      asked.set(key, { reader, generation: reader.generation });
      reader.isRequested = true;
      const partitions = topics.get(id);
      const partition = { partition: reader.partition, leaderEpoch, position: reader.fetchPosition };
      if (partitions === undefined) topics.set(id, [partition]);
      else partitions.push(partition);
    }
    if (asked.size === 0) return false;
    if (isShared) { for (const { reader } of asked.values()) this.#moveBehind(reader); }
    void this.#fetch(this.#busy.fetch ? "poll" : "fetch", asked, topics);
    return true;
  }

  async #fetch(lane: "fetch" | "poll", asked: Map<string, Asked>, topics: ReadonlyMap<string, FetchPartition[]>): Promise<void> {
    const { cluster } = this.#host;
    const maxWaitMs = lane === "fetch" ? LONG_WAIT_MS : SHORT_WAIT_MS;
    const partitionBytesMax = Math.min(PARTITION_BYTES_MAX, cluster.settings.prefetchBytes);
    const request = { maxWaitMs, bytesMax: ANSWER_BYTES_MAX, partitionBytesMax, topics };
    const options = { timeoutMs: maxWaitMs + SLACK_MS, what: `fetch from broker ${this.#broker}` };
    this.#busy[lane] = true;
    let hasBytes = true;
    try {
      const answer = await cluster.request(lane, this.#broker, (connection) => fetchRecords(connection, request), options);
      this.#busy[lane] = false;
      hasBytes = this.#take(asked, answer);
    } catch (error) {
      this.#busy[lane] = false;
      const readers = [...asked.values()].filter((one) => this.#release(one)).map(({ reader }) => reader);
      this.#host.failed(this.#broker, readers, error);
    }
    // A long poll that brought nothing waits for the short one, so that the next one is for the readers of both.
    if (lane === "poll" || hasBytes || !this.#busy.poll) this.#send();
  }

  /** Hands out an answer; gives whether there was anything in it. */
  #take(asked: Map<string, Asked>, answer: FetchAnswer): boolean {
    let hasBytes = false;
    for (const partition of answer.partitions) {
      const key = `${partition.topicId} ${partition.partition}`;
      const one = asked.get(key);
      if (one === undefined || !asked.delete(key) || !this.#release(one)) continue;
      if (this.#deliver(one.reader, partition, answer.bytes)) hasBytes = true;
    }
    for (const one of asked.values()) if (this.#release(one)) this.#host.refused(one.reader, answer.errorCode === 0 ? UNKNOWN_TOPIC_ID : answer.errorCode);
    return hasBytes;
  }

  #deliver(reader: PureReader, partition: PartitionAnswer, bytes: Uint8Array): boolean {
    if (partition.errorCode !== 0) {
      this.#host.refused(reader, partition.errorCode);
      return false;
    }
    this.#host.answered(this.#broker, reader);
    let hasBytes = true;
    try {
      hasBytes = reader.deliver(partition, bytes);
    } catch (error) {
      reader.fail(error as Error);
    }
    if (hasBytes) this.#moveBehind(reader);
    return hasBytes;
  }

  #moveBehind(reader: PureReader): void {
    const leader = this.#readers.get(reader);
    if (leader === undefined) return;
    this.#readers.delete(reader);
    this.#readers.set(reader, leader);
  }

  /** The request is over for a reader; gives whether its answer is still of use. */
  #release({ reader, generation }: Asked): boolean {
    if (reader.isClosed || reader.generation !== generation) return false;
    reader.isRequested = false;
    return true;
  }
}
