/** Topics, ends and committed positions of a cluster, by a handle that does nothing else, so that no failure of a producer takes it along. */
import type { CommittedPosition, PartitionInfo } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { ClientSettings, NewTopic, TopicFacts } from "../client.ts";
import { kafkaFailure, lostConnection } from "../failure.ts";
import type { Confluent, NativeAdmin, NativeCallback, NativeMetadata, NativePart, NativeProducer, NativeTopic } from "./confluent.ts";
import type { NativeCalls } from "./native-calls.ts";
import { baseConfig } from "./native-config.ts";
import { nativeFailure } from "./native-failure.ts";

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
/** It holds one of the few threads of the pool meanwhile. */
const PROBE_MS = 1_500;
/** While a leader cannot be reached, librdkafka tries to connect for a call to it over and over, without a pause: so none is made for long, nor again before some broker answers. */
const LEADER_CALL_MS = 3_000;
const TOPIC_ALREADY_EXISTS = 36;
const LEADER_NOT_AVAILABLE = 5;
const UNKNOWN_TOPIC = 3;

/** Asks about the cluster, and changes topics. */
export class NativeClusterAdmin {
  readonly #confluent: Confluent;
  readonly #calls: NativeCalls;
  readonly #timeoutMs: number;
  readonly #handle: NativeProducer;
  readonly #admin: NativeAdmin;
  #probing: Promise<void> | null = null;
  /** The last call to a leader failed. */
  #isAway = false;
  #leaderCalls: Promise<unknown> = Promise.resolve();

  private constructor(confluent: Confluent, calls: NativeCalls, timeoutMs: number, handle: NativeProducer) {
    this.#confluent = confluent;
    this.#calls = calls;
    this.#timeoutMs = timeoutMs;
    this.#handle = handle;
    this.#admin = confluent.AdminClient.createFrom(handle);
  }

  /** Rejects when no broker answers. */
  static async open(confluent: Confluent, calls: NativeCalls, settings: ClientSettings): Promise<NativeClusterAdmin> {
    const handle = new confluent.Producer(baseConfig(settings));
    handle.on("event.error", (error) => settings.warn(`[kafka] ${error.message}`, error));
    const options = { timeout: settings.timeoutMs, allTopics: false };
    await calls.call(`connect to ${settings.brokers.join(", ")}`, (done) => handle.connect(options, done));
    return new NativeClusterAdmin(confluent, calls, settings.timeoutMs, handle);
  }

  /** Resolves when a broker answers. */
  probe(): Promise<void> {
    this.#probing ??= this.#calls.call<unknown>("reach a broker", (done) => this.#handle.getMetadata({ timeout: PROBE_MS, allTopics: false }, done))
      .then(() => undefined).finally(() => this.#probing = null);
    return this.#probing;
  }

  /** Partition counts of those that exist. */
  topics(names: readonly string[] | null): Promise<readonly TopicFacts[]> {
    const what = "ask for topics";
    return this.#calls.retry(what, async () => {
      if (names === null) {
        const { topics } = await this.#calls.call<NativeMetadata>(
          what,
          (done) => this.#handle.getMetadata({ timeout: this.#timeoutMs, allTopics: true }, done),
        );
        return topics.filter(({ name }) => !name.startsWith("__")).map(({ name, partitions }) => ({ name, partitions: partitions.length }));
      }
      const found = (await this.#describe(names)).filter((topic) => codeOfPart(topic) !== UNKNOWN_TOPIC);
      found.forEach((topic) => refuseFailed(topic, `ask for topic "${topic.name}"`));
      return found.map(({ name, partitions }) => ({ name, partitions: partitions.length }));
    });
  }

  /** One that exists is no error. */
  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    await Promise.all(topics.map((topic) => this.#create(topic)));
    await this.#calls.retry("make topics", async () => {
      for (const topic of await this.#describe(topics.map(({ name }) => name))) {
        const what = `make topic "${topic.name}"`;
        // A broker may hear of a new topic a little later than another.
        if (codeOfPart(topic) === UNKNOWN_TOPIC) throw kafkaFailure(LEADER_NOT_AVAILABLE, what);
        refuseFailed(topic, what);
        if (topic.partitions.some(({ leader }) => leader === undefined || leader.id < 0)) throw kafkaFailure(LEADER_NOT_AVAILABLE, what);
      }
    });
  }

  /** First kept positions and high watermarks. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionInfo[]> {
    const { EARLIEST, LATEST } = this.#confluent.OffsetSpec;
    return this.#calls.retry("ask for the ends of partitions", async () => {
      const [starts, ends] = await Promise.all([this.#bounds(partitions, EARLIEST), this.#bounds(partitions, LATEST)]);
      return partitions.map((at) => ({ topic: at.topic, partition: at.partition, start: starts.get(keyOf(at))!, end: ends.get(keyOf(at))! }));
    });
  }

  /** High watermarks. */
  ends(partitions: readonly TopicPartition[]): Promise<readonly number[]> {
    return this.#calls.retry("ask for the ends of partitions", async () => {
      const ends = await this.#bounds(partitions, this.#confluent.OffsetSpec.LATEST);
      return partitions.map((at) => ends.get(keyOf(at))!);
    });
  }

  /** Where the broker finds a time; the end first, so that nothing that comes meanwhile lies below it. */
  search(at: TopicPartition, timestamp: number): Promise<{ readonly position: number; readonly end: number }> {
    const { OffsetSpec } = this.#confluent;
    return this.#calls.retry("look for a time", async () => {
      const end = (await this.#offsets([at], OffsetSpec.LATEST, READ_COMMITTED)).get(keyOf(at))!;
      // Numbers below 0 have meanings of their own.
      const position = (await this.#offsets([at], timestamp < 0 ? OffsetSpec.EARLIEST : new OffsetSpec(timestamp), READ_COMMITTED)).get(keyOf(at))!;
      return { position: position < 0 ? end : position, end };
    });
  }

  /** Deletes below the positions. */
  async deleteRecords(below: readonly CommittedPosition[]): Promise<void> {
    if (below.length === 0) return;
    const what = "delete records";
    const asked = below.map(({ topic, partition, position }) => ({ topic, partition, offset: position }));
    await this.#calls.retry(what, async () => {
      const options = { timeout: this.#leaderCallMs, operationTimeout: this.#leaderCallMs };
      const parts = await this.#atLeader(what, (done: Parameters<NativeAdmin["deleteRecords"]>[2]) => this.#admin.deleteRecords(asked, options, done));
      if (parts.some((part) => codeOfPart(part) !== 0)) await this.#describe(parts.map(({ topic }) => topic)).catch(() => []);
      parts.forEach((part) => refuseFailed(part, `${what} of "${part.topic}" partition ${part.partition}`));
    });
  }

  /** The client's calls must be closed already. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#handle.disconnect(0, () => resolve()));
  }

  async #create({ name, partitions, replicationFactor, configs }: NewTopic): Promise<void> {
    const what = `make topic "${name}"`;
    const topic = { topic: name, num_partitions: partitions, replication_factor: replicationFactor, config: configs };
    await this.#calls.retry(what, async () => {
      try {
        await this.#calls.raw(what, (done) => this.#admin.createTopic(topic, this.#timeoutMs, done));
      } catch (error) {
        if (codeOfPart({ error: error as NativePart["error"] & object }) !== TOPIC_ALREADY_EXISTS) throw nativeFailure(error, what);
      }
    });
  }

  get #leaderCallMs(): number {
    return Math.min(this.#timeoutMs, LEADER_CALL_MS);
  }

  /** One at a time: those behind the first that fails ask whether anybody is there before they try. */
  #atLeader<T extends readonly NativePart[]>(what: string, call: (done: NativeCallback<T>) => unknown): Promise<T> {
    const turn = this.#leaderCalls.then(async () => {
      if (this.#isAway) await this.probe();
      this.#isAway = true;
      const answer = await this.#calls.call(what, call);
      this.#isAway = answer.length === 0 || answer.some((part) => codeOfPart(part) !== 0);
      // Out of time it may answer without an error, and with nothing.
      if (answer.length === 0) throw lostConnection(what, null);
      return answer;
    });
    this.#leaderCalls = turn.catch(() => {});
    return turn;
  }

  #describe(names: readonly string[]): Promise<readonly NativeTopic[]> {
    if (names.length === 0) return Promise.resolve([]);
    const options = { timeout: this.#timeoutMs };
    return this.#calls.call("ask for topics", (done) => this.#admin.describeTopics([...new Set(names)], options, done));
  }

  /** Starts or ends. The client says -1001, and no error, of a partition whose leader it is about to look for: taken for a position, reading would begin there. */
  async #bounds(partitions: readonly TopicPartition[], spec: unknown): Promise<ReadonlyMap<string, number>> {
    const bounds = await this.#offsets(partitions, spec);
    if ([...bounds.values()].some((offset) => offset < 0)) throw kafkaFailure(LEADER_NOT_AVAILABLE, "ask for the ends of partitions");
    return bounds;
  }

  async #offsets(partitions: readonly TopicPartition[], spec: unknown, isolationLevel: number = READ_UNCOMMITTED): Promise<ReadonlyMap<string, number>> {
    if (partitions.length === 0) return new Map();
    const what = "ask for the ends of partitions";
    const asked = distinct(partitions).map((at) => ({ ...at, offset: spec }));
    const options = { timeout: this.#leaderCallMs, isolationLevel };
    const answers = await this.#atLeader(what, (done: Parameters<NativeAdmin["listOffsets"]>[2]) => this.#admin.listOffsets(asked, options, done));
    // It would ask by the leaders it knows for ever: a broker that was started again is a leader of another epoch.
    if (answers.some((at) => codeOfPart(at) !== 0)) await this.#describe(partitions.map(({ topic }) => topic)).catch(() => []);
    return new Map(answers.map((at) => {
      refuseFailed(at, `ask for the ends of "${at.topic}" partition ${at.partition}`);
      return [keyOf(at), at.offset];
    }));
  }
}

function distinct(partitions: readonly TopicPartition[]): TopicPartition[] {
  return [...new Map(partitions.map((at) => [keyOf(at), { topic: at.topic, partition: at.partition }])).values()];
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function codeOfPart({ error }: NativePart): number {
  return error?.code ?? 0;
}

function refuseFailed(part: NativePart, what: string): void {
  if (codeOfPart(part) !== 0) throw nativeFailure(part.error, what);
}
