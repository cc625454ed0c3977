/**
 * Deletes the done records of an app's own topics: time would go by event times, and a replay's are over at once. Never holds up a commit, never more than one request at a time, and nothing
 * happens without commits.
 */
import { isStreamError } from "../../src/base/errors.ts";
import type { CommittedPosition } from "../../src/log/log.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { KafkaClient } from "./client.ts";
import type { Warn } from "./kafka-membership.ts";

/** How often a topic is purged at most. */
const INTERVAL_MS = 30_000;

interface PurgedTopic {
  /** Committed, and not purged yet. */
  readonly positions: Map<number, number>;
  /** By the monotonic clock. */
  dueAt: number;
  isRefused: boolean;
}

/** The topics whose done records go. */
export class Purge {
  readonly #client: Pick<KafkaClient, "deleteRecords">;
  readonly #runtime: Pick<Runtime, "monotonic">;
  readonly #warn: Warn;
  readonly #topics = new Map<string, PurgedTopic>();
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(client: Pick<KafkaClient, "deleteRecords">, runtime: Pick<Runtime, "monotonic">, warn: Warn) {
    this.#client = client;
    this.#runtime = runtime;
    this.#warn = warn;
  }

  /** From here on the topic is purged. */
  add(topic: string): void {
    if (!this.#topics.has(topic)) this.#topics.set(topic, { positions: new Map(), dueAt: this.#runtime.monotonic() + INTERVAL_MS, isRefused: false });
  }

  /** Positions were committed: what is below them is done. */
  committed(positions: readonly CommittedPosition[]): void {
    if (this.#topics.size === 0) return;
    for (const { topic, partition, position } of positions) this.#topics.get(topic)?.positions.set(partition, position);
    if (this.#running !== null || this.#isStopped) return;
    const now = this.#runtime.monotonic();
    const due = [...this.#topics].filter(([, topic]) => topic.dueAt <= now && topic.positions.size > 0 && !topic.isRefused);
    if (due.length > 0) this.#running = this.#purge(due, now).finally(() => this.#running = null);
  }

  /** Begins no more; fulfils when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #purge(due: readonly (readonly [name: string, topic: PurgedTopic])[], now: number): Promise<void> {
    for (const [name, topic] of due) {
      const below = [...topic.positions].map(([partition, position]) => ({ topic: name, partition, position })).filter(({ position }) => position > 0);
      topic.positions.clear();
      topic.dueAt = now + INTERVAL_MS;
      try {
        if (below.length > 0) await this.#client.deleteRecords(below);
      } catch (error) {
        if (this.#isStopped) return;
        // Not asked again where it is a matter of rights.
        topic.isRefused = isStreamError(error) && error.domain === "user";
        this.#warn(`[kafka] Done records of topic "${name}" could not be deleted${topic.isRefused ? ": they stay" : ", and are tried again"}`, error);
      }
    }
  }
}
