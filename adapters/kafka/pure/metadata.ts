/** Where brokers are and who leads which partition, as a broker said when last asked. */
import type { TopicPartition } from "../../../src/record/record.ts";
import { place } from "../../../src/log/failure.ts";
import type { TopicFacts } from "../client.ts";
import { kafkaFailure } from "../failure.ts";
import { withCodes } from "./answer.ts";
import { metadataV12 } from "./platformatic.ts";
import type { Connection } from "./platformatic.ts";

/** Who leads a partition. */
export interface Leader {
  readonly broker: number;
  readonly leaderEpoch: number;
  /** UUID of the partition's topic: one that is made anew under an old name has another. */
  readonly topicId: string;
}

/** A topic in memory: the leaders of its partitions, null where there is none, or the code of an error. */
type Leaders = readonly (Leader | null)[] | number;

type Ask = <T>(call: (connection: Connection) => Promise<T>) => Promise<T>;

const UNKNOWN_TOPIC = 3;
const LEADER_NOT_AVAILABLE = 5;

/** What is known of a cluster. */
export class Metadata {
  readonly #ask: Ask;
  readonly #addresses = new Map<number, string>();
  readonly #leaders = new Map<string, Leaders>();
  #controller: number | null = null;
  /** Topics that somebody waits for, to be asked for together. */
  #wanted = new Set<string>();
  #asking: Promise<unknown> | null = null;

  /** `ask` sends a request to any broker. */
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The broker to ask for changes of topics; null: nobody knows. */
  get controller(): number | null {
    return this.#controller;
  }

  /** `host:port` of a broker. */
  addressOf(broker: number): string | null {
    return this.#addresses.get(broker) ?? null;
  }

  /** Those of all brokers. */
  addresses(): Iterable<string> {
    return this.#addresses.values();
  }

  /** Where a broker is, by another answer. */
  place(broker: number, host: string, port: number): void {
    this.#addresses.set(broker, host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  }

  /** Who leads a partition. */
  async leader(at: TopicPartition): Promise<Leader> {
    const known = this.#leaders.get(at.topic);
    const leader = typeof known === "object" ? known[at.partition] : null;
    if (leader) return leader;
    await this.#refresh(at.topic);
    // Another call may have found meanwhile that this answer is old already.
    const found = this.#leaders.get(at.topic) ?? LEADER_NOT_AVAILABLE;
    const code = typeof found === "number" ? found : found[at.partition] === null ? LEADER_NOT_AVAILABLE : UNKNOWN_TOPIC;
    const now = typeof found === "number" ? null : found[at.partition];
    if (now) return now;
    throw kafkaFailure(code, `find the leader of ${place(at)}`);
  }

  /** Those of `names` that exist, asked for now; null: all but Kafka's own. */
  async topics(names: readonly string[] | null): Promise<readonly (TopicFacts & { readonly isComplete: boolean })[]> {
    const answer = await this.#update(names);
    const facts: (TopicFacts & { readonly isComplete: boolean })[] = [];
    for (const topic of answer.topics) {
      if (topic.errorCode === UNKNOWN_TOPIC || (names === null && topic.isInternal)) continue;
      if (topic.errorCode !== 0) throw kafkaFailure(topic.errorCode, `ask for topic "${topic.name}"`);
      const isComplete = topic.partitions.every((partition) => partition.errorCode === 0 && partition.leaderId >= 0);
      facts.push({ name: topic.name ?? "", partitions: topic.partitions.length, isComplete });
    }
    return facts;
  }

  /** The leaders of a topic are to be asked for again. */
  forget(topic: string): void {
    this.#leaders.delete(topic);
  }

  /** A broker is gone: so is what it led, for now. */
  forgetBroker(broker: number): void {
    for (const [topic, leaders] of this.#leaders) {
      if (typeof leaders === "object" && leaders.some((leader) => leader?.broker === broker)) this.#leaders.delete(topic);
    }
    if (this.#controller === broker) this.#controller = null;
  }

  /** Asks for a topic, together with others that are wanted in the same moment. */
  #refresh(topic: string): Promise<unknown> {
    this.#wanted.add(topic);
    this.#asking ??= Promise.resolve().then(() => {
      const names = [...this.#wanted];
      this.#wanted.clear();
      this.#asking = null;
      return this.#update(names);
    });
    return this.#asking;
  }

  async #update(names: readonly string[] | null): Promise<metadataV12.MetadataResponse> {
    const answer = await this.#ask((connection) => withCodes(metadataV12.api.async(connection, names === null ? null : [...names], false, false)));
    for (const broker of answer.brokers) this.place(broker.nodeId, broker.host, broker.port);
    this.#controller = answer.controllerId < 0 ? null : answer.controllerId;
    for (const topic of answer.topics) if (topic.name) this.#leaders.set(topic.name, topic.errorCode === 0 ? leadersOf(topic) : topic.errorCode);
    return answer;
  }
}

function leadersOf({ topicId, partitions }: metadataV12.MetadataResponseTopic): Leaders {
  const leaders: (Leader | null)[] = partitions.map(() => null);
  for (const { partitionIndex, leaderId, leaderEpoch } of partitions) {
    leaders[partitionIndex] = leaderId < 0 ? null : { broker: leaderId, leaderEpoch, topicId };
  }
  return leaders;
}
