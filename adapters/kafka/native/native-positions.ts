/**
 * Committed positions of groups, each asked for by a consumer of the group's name that never joins. The admin's call for it would ask for any group, but ends the process when a coordinator
 * answers with an error, as one does after each restart.
 */
import type { CommittedPosition } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { ClientSettings } from "../client.ts";
import { lostConnection } from "../failure.ts";
import type { Confluent, NativeConsumer, NativePartition } from "./confluent.ts";
import type { NativeCalls } from "./native-calls.ts";
import { memberConfig } from "./native-config.ts";

/** Asks for committed positions. */
export class NativePositions {
  readonly #confluent: Confluent;
  readonly #calls: NativeCalls;
  readonly #settings: ClientSettings;
  readonly #consumers: Map<string, Promise<NativeConsumer>> = new Map();

  constructor(confluent: Confluent, calls: NativeCalls, settings: ClientSettings) {
    this.#confluent = confluent;
    this.#calls = calls;
    this.#settings = settings;
  }

  /** Waits out transactions that move a position. Partitions without a position are left out. */
  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    if (partitions.length === 0) return [];
    const what = `ask for the committed positions of group "${group}"`;
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition }));
    const { timeoutMs } = this.#settings;
    return await this.#calls.retry(what, async () => {
      const consumer = await this.#consumer(group);
      const answers = await this.#calls.call<readonly (NativePartition | Error)[]>(what, (done) => consumer.committed(asked, timeoutMs, done));
      const known: CommittedPosition[] = [];
      for (const at of answers) {
        // What is wrong with a partition comes as an error in its place, without a number.
        if (!("topic" in at)) throw lostConnection(what, at);
        if (at.offset !== undefined && at.offset >= 0) known.push({ topic: at.topic, partition: at.partition, position: at.offset });
      }
      return known;
    });
  }

  /** The client's calls must be closed already. */
  async close(): Promise<void> {
    await Promise.all([...this.#consumers.values()].map(async (opening) => {
      const consumer = await opening.catch(() => null);
      if (consumer?.isConnected()) await new Promise<void>((resolve) => consumer.disconnect(() => resolve()));
    }));
  }

  async #consumer(group: string): Promise<NativeConsumer> {
    const opening = this.#consumers.get(group) ?? this.#open(group);
    this.#consumers.set(group, opening);
    try {
      return await opening;
    } catch (error) {
      this.#consumers.delete(group);
      throw error;
    }
  }

  async #open(group: string): Promise<NativeConsumer> {
    const { warn, timeoutMs } = this.#settings;
    const consumer = new this.#confluent.KafkaConsumer(memberConfig(this.#settings, group, null));
    consumer.on("event.error", (error) => this.#calls.isClosed || warn(`[kafka] Positions of group "${group}": ${error.message}`, error));
    await this.#calls.call("connect", (done) => consumer.connect({ timeout: timeoutMs, allTopics: false }, done));
    return consumer;
  }
}
