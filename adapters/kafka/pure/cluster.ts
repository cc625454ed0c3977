/**
 * One Kafka cluster, as the rest of `pure/` sees it: requests to brokers by their number, who leads a partition, who coordinates a group, and trying again.
 */
import { backoffMs } from "../../../src/base/backoff.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { Timer } from "../../../src/runtime/runtime.ts";
import type { ClientSettings, TopicFacts } from "../client.ts";
import { closedFailure, isRetriable, kafkaCodeOf, kafkaFailure, lostConnection } from "../failure.ts";
import { answerFailure } from "./answer.ts";
import { Connections } from "./connections.ts";
import type { Lane } from "./connections.ts";
import { Metadata } from "./metadata.ts";
import type { Leader } from "./metadata.ts";
import { findCoordinatorV4 } from "./platformatic.ts";
import type { Connection } from "./platformatic.ts";
import { checkVersions } from "./versions.ts";

export type { Lane } from "./connections.ts";
export type { Leader } from "./metadata.ts";

/** How a request is made. */
export interface RequestOptions {
  /** An answer that takes longer is a lost connection. @default a third of the settings' `timeoutMs`, at least a second; see {@linkcode requestTimeoutMs} */
  readonly timeoutMs?: number;
  /** What could not be done, for errors: `fetch from broker 1`. */
  readonly what?: string;
}

/** Requests to one cluster. */
export interface Cluster {
  readonly settings: ClientSettings;
  readonly isClosed: boolean;
  /**
   * Sends one request to a broker (null: any that answers) and gives the answer. Rejects with errors of `failure.ts`: what the broker said, or a lost connection, also when the answer took
   * too long; then the connection is cut, and what is known of leaders and coordinators on that broker forgotten.
   */
  request<T>(lane: Lane, broker: number | null, call: (connection: Connection) => Promise<T>, options?: RequestOptions): Promise<T>;
  /** Who leads a partition, from memory or by a request. Rejects with `LOG_TOPIC_UNKNOWN`, or a retriable error while there is no leader. */
  leader(at: TopicPartition): Promise<Leader>;
  /** What is known of leaders of a topic is no longer true. */
  forgetLeaders(topic: string): void;
  /** The topics among `names` that exist, asked for anew; all have leaders, where `isComplete`. null: all topics but Kafka's own. */
  topics(names: readonly string[] | null): Promise<readonly (TopicFacts & { readonly isComplete: boolean })[]>;
  /** The broker to ask for changes of topics; null: any. */
  controller(): number | null;
  coordinator(kind: "group" | "transaction", key: string): Promise<number>;
  forgetCoordinator(kind: "group" | "transaction", key: string): void;
  /**
   * Calls `attempt` until it succeeds, fails with an error that is not retriable, or `settings.timeoutMs` is over: then with its last error. Pauses have jitter and grow from 10 to 500 ms.
   */
  retry<T>(what: string, attempt: () => Promise<T>): Promise<T>;
  /** Closes the connections of a lane that nobody needs any more. */
  release(lane: Lane): void;
  /** A pause that `close` ends: it rejects with `LOG_CLOSED` then. */
  pause(delayMs: number): Promise<void>;
}

const PAUSE_FIRST_MS = 10;
const PAUSE_MAX_MS = 500;
const REQUEST_TIMEOUT_MIN_MS = 1_000;

/** Opens a cluster once one of its brokers answers; rejects when none does within `settings.timeoutMs`. */
export async function openCluster(settings: ClientSettings): Promise<Cluster & { close(): Promise<void> }> {
  const cluster = new PureCluster(settings);
  try {
    const what = `reach ${settings.brokers.join(", ")}`;
    await cluster.retry(what, () => cluster.request("control", null, checkVersions, { what }));
    await cluster.retry(what, () => cluster.topics([]));
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

/** How long a request may take where nothing else is said: short enough that a call can try more than once. */
export function requestTimeoutMs(settings: ClientSettings): number {
  return Math.max(REQUEST_TIMEOUT_MIN_MS, Math.floor(settings.timeoutMs / 3));
}

class PureCluster implements Cluster {
  readonly settings: ClientSettings;
  readonly #connections: Connections;
  readonly #metadata: Metadata;
  readonly #coordinators = new Map<string, number>();
  readonly #pauses = new Set<() => void>();
  /** Addresses that gave no answer when last asked. */
  readonly #silent = new Set<string>();
  #isClosed = false;

  constructor(settings: ClientSettings) {
    this.settings = settings;
    this.#connections = new Connections(settings);
    this.#metadata = new Metadata((call) => this.request("control", null, call, { what: "ask for metadata" }));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async request<T>(lane: Lane, broker: number | null, call: (connection: Connection) => Promise<T>, options: RequestOptions = {}): Promise<T> {
    const what = options.what ?? (broker === null ? "ask a broker" : `ask broker ${broker}`);
    if (this.#isClosed) throw closedFailure(what);
    let address: string | null = null;
    try {
      address = broker === null ? await this.#anyAddress(lane) : await this.#addressOf(broker, what);
      const connection = await this.#connections.to(lane, address);
      const answer = await this.#answered(connection, call, what, options.timeoutMs ?? requestTimeoutMs(this.settings));
      this.#silent.delete(address);
      return answer;
    } catch (error) {
      if (this.#isClosed) throw closedFailure(what);
      const failure = answerFailure(what, error);
      if (kafkaCodeOf(failure) === null) {
        if (address !== null) this.#silent.add(address);
        if (broker !== null) this.#forgetBroker(broker);
      }
      throw failure;
    }
  }

  leader(at: TopicPartition): Promise<Leader> {
    return this.#metadata.leader(at);
  }

  forgetLeaders(topic: string): void {
    this.#metadata.forget(topic);
  }

  topics(names: readonly string[] | null): Promise<readonly (TopicFacts & { readonly isComplete: boolean })[]> {
    return this.#metadata.topics(names);
  }

  controller(): number | null {
    return this.#metadata.controller;
  }

  async coordinator(kind: "group" | "transaction", key: string): Promise<number> {
    const known = this.#coordinators.get(`${kind} ${key}`);
    if (known !== undefined) return known;
    const what = `find the coordinator of ${kind} "${key}"`;
    const answer = await this.request("control", null, (connection) => findCoordinatorV4.api.async(connection, kind === "group" ? 0 : 1, [key]), { what });
    const found = answer.coordinators[0];
    if (found === undefined) throw kafkaFailure(15, what);
    this.#metadata.place(found.nodeId, found.host, found.port);
    this.#coordinators.set(`${kind} ${key}`, found.nodeId);
    return found.nodeId;
  }

  forgetCoordinator(kind: "group" | "transaction", key: string): void {
    this.#coordinators.delete(`${kind} ${key}`);
  }

  async retry<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const { runtime, timeoutMs } = this.settings;
    const deadline = runtime.monotonic() + timeoutMs;
    for (let attempts = 1;; attempts++) {
      if (this.#isClosed) throw closedFailure(what);
      try {
        return await attempt();
      } catch (error) {
        if (this.#isClosed) throw closedFailure(what);
        if (!isRetriable(error)) throw error;
        const delayMs = 1 +
          backoffMs({ attempt: attempts, firstMs: PAUSE_FIRST_MS, maxMs: PAUSE_MAX_MS, random: () => (runtime.randomBytes(1)[0] ?? 0) / 256 });
        if (runtime.monotonic() + delayMs > deadline) throw error;
        await this.pause(delayMs);
      }
    }
  }

  release(lane: Lane): void {
    this.#connections.release(lane);
  }

  pause(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.reject(closedFailure("wait"));
    return new Promise((resolve, reject) => {
      const timer: Timer = this.settings.runtime.setTimer(() => {
        this.#pauses.delete(end);
        resolve();
      }, delayMs);
      const end = (): void => {
        timer.cancel();
        reject(closedFailure("wait"));
      };
      this.#pauses.add(end);
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#connections.close();
    for (const end of this.#pauses) end();
    this.#pauses.clear();
    return Promise.resolve();
  }

  /** The answer of a call on a connection, or what became of it. */
  async #answered<T>(connection: Connection, call: (connection: Connection) => Promise<T>, what: string, timeoutMs: number): Promise<T> {
    let timer: Timer | null = null;
    const late = new Promise<never>((_, reject) => {
      timer = this.settings.runtime.setTimer(() => {
        reject(lostConnection(what, new Error(`no answer within ${Math.round(timeoutMs)} ms`)));
        this.#connections.giveUp(connection);
      }, timeoutMs);
    });
    try {
      return await Promise.race([call(connection), late]);
    } finally {
      (timer as Timer | null)?.cancel();
    }
  }

  async #addressOf(broker: number, what: string): Promise<string> {
    const known = this.#metadata.addressOf(broker);
    if (known !== null) return known;
    await this.#metadata.topics([]);
    const found = this.#metadata.addressOf(broker);
    if (found === null) throw lostConnection(what, new Error(`the cluster has no broker ${broker}`));
    return found;
  }

  /** Any broker to which there is a connection, or else can be made; those that gave no answer last time come last. */
  async #anyAddress(lane: Lane): Promise<string> {
    const rank = (address: string): number => (this.#silent.has(address) ? 2 : 0) - Number(this.#connections.has(lane, address));
    const addresses = [...new Set([...this.#metadata.addresses(), ...this.settings.brokers])].sort((left, right) => rank(left) - rank(right));
    let last: unknown = null;
    for (const address of addresses) {
      try {
        await this.#connections.to(lane, address);
        return address;
      } catch (error) {
        if (!isRetriable(error)) throw error;
        this.#silent.add(address);
        last = error;
      }
    }
    throw last;
  }

  #forgetBroker(broker: number): void {
    this.#metadata.forgetBroker(broker);
    for (const [key, coordinator] of this.#coordinators) if (coordinator === broker) this.#coordinators.delete(key);
  }
}
