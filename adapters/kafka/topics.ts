/** The topics of a cluster, as the log knows them: made where missing, checked where they are there. */
import { isStreamError } from "../../src/base/errors.ts";
import { place, topicUnknown } from "../../src/log/failure.ts";
import type { TopicSpec } from "../../src/log/log.ts";
import { checkTopicSpecs } from "../../src/log/topic-check.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { KafkaClient, NewTopic } from "./client.ts";
import { kafkaCodeOf } from "./failure.ts";
import type { Warn } from "./kafka-membership.ts";
import { checkedConfigs, checkTopicConfig, newTopicOf, plainTopic } from "./topic-config.ts";

/** `INVALID_CONFIG`, `POLICY_VIOLATION`: the cluster does not take a setting. */
const REFUSED_CONFIG: readonly number[] = [40, 44];

/** Known topics and their numbers of partitions. */
export class Topics {
  readonly #client: KafkaClient;
  readonly #warn: Warn;
  readonly #replicationFactor: number;
  readonly #partitions = new Map<string, number>();
  readonly #internal = new Set<string>();

  constructor(client: KafkaClient, warn: Warn, replicationFactor: number) {
    this.#client = client;
    this.#warn = warn;
    this.#replicationFactor = replicationFactor;
  }

  /** Learns of `names`; null: of all topics. */
  async learn(names: readonly string[] | null): Promise<void> {
    for (const { name, partitions } of await this.#client.topics(names)) this.#partitions.set(name, partitions);
  }

  partitionsOf(topic: string): number | null {
    return this.#partitions.get(topic) ?? null;
  }

  /** Whether an app made the topic for itself. */
  isInternal(topic: string): boolean {
    return this.#internal.has(topic);
  }

  /** All partitions of a known topic. Throws `LOG_TOPIC_UNKNOWN`. */
  all(topic: string, call: string): TopicPartition[] {
    const partitions = this.#partitions.get(topic);
    if (partitions === undefined) throw topicUnknown("kafka", call, { topic, partition: 0 }, null);
    return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  }

  /** Throws `LOG_TOPIC_UNKNOWN` for a partition that is not known. */
  check(at: TopicPartition, call: string): void {
    const partitions = this.#partitions.get(at.topic);
    if (partitions === undefined || !(at.partition >= 0 && at.partition < partitions)) {
      throw topicUnknown("kafka", `${call} ${place(at)}`, at, partitions ?? null);
    }
  }

  /** Makes what is missing, checks what is there (L10). */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    const names = [...new Set(specs.map(({ name }) => name))];
    for (const { name, internal } of specs) if (internal) this.#internal.add(name);
    const isThere = await this.#checked(specs, names);
    await this.#checkConfigs(specs.filter(({ name, internal }) => internal && isThere(name)));
    const missing = new Map(specs.filter(({ name }) => !isThere(name)).map((spec) => [spec.name, newTopicOf(spec, this.#replicationFactor)]));
    if (missing.size > 0) {
      await this.#create([...missing.values()]);
      // Another may have made them at the same time, with other numbers.
      await this.#checked(specs, names);
    }
    for (const { name, partitions } of specs) this.#partitions.set(name, partitions);
  }

  async #checked(specs: readonly TopicSpec[], names: readonly string[]): Promise<(name: string) => boolean> {
    // Names that no cluster takes are found before they are asked for.
    checkTopicSpecs("kafka", specs, () => null);
    const existing = new Map((await this.#client.topics(names)).map(({ name, partitions }) => [name, partitions]));
    checkTopicSpecs("kafka", specs, (topic) => existing.get(topic) ?? null);
    return (name) => existing.has(name);
  }

  async #checkConfigs(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return;
    let configs: ReadonlyMap<string, Readonly<Record<string, string>>>;
    try {
      configs = await this.#client.topicConfigs(specs.map(({ name }) => name), checkedConfigs);
    } catch (error) {
      if (!isStreamError(error) || error.code !== "CONFIG_INVALID") throw error;
      this.#warn("[kafka] Settings of the app's own topics cannot be checked: this user may not read them (DescribeConfigs)", error);
      return;
    }
    for (const spec of specs) {
      const warning = checkTopicConfig(spec, configs.get(spec.name) ?? {});
      if (warning !== null) this.#warn(warning, null);
    }
  }

  async #create(topics: readonly NewTopic[]): Promise<void> {
    try {
      await this.#client.createTopics(topics);
    } catch (error) {
      if (!REFUSED_CONFIG.includes(kafkaCodeOf(error) ?? 0)) throw error;
      await this.#client.createTopics(topics.map(plainTopic));
      this.#warn(
        "[kafka] The cluster did not take some settings of new topics; they were made with its own for segments, record sizes and bounds of timestamps",
        error,
      );
    }
  }
}
