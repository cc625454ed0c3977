/** Topics and what is in them: made, described, cut at their beginning. */
import type { CommittedPosition, PartitionInfo } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { place } from "../../../src/log/failure.ts";
import type { NewTopic, TopicFacts } from "../client.ts";
import { kafkaFailure, needsRefresh } from "../failure.ts";
import { withCodes } from "./answer.ts";
import { byTopic } from "./by-topic.ts";
import { requestTimeoutMs } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { createTopicsV7, deleteRecordsV2, describeConfigsV4, listOffsetsV7 } from "./platformatic.ts";

const EARLIEST = -2n;
const LATEST = -1n;
const ANY_REPLICA = -1;
const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
/** Of the kinds of resources that have settings. */
const TOPIC = 2 as const;
const UNKNOWN_TOPIC_OR_PARTITION = 3;
const LEADER_NOT_AVAILABLE = 5;
const TOPIC_ALREADY_EXISTS = 36;

/** Partition counts of those of `names` that exist; null: of all topics but Kafka's own. */
export async function listTopics(cluster: Cluster, names: readonly string[] | null): Promise<readonly TopicFacts[]> {
  if (names !== null && names.length === 0) return [];
  const found = await cluster.retry("ask for topics", () => cluster.topics(names));
  return found.map(({ name, partitions }) => ({ name, partitions }));
}

/** Makes topics, those that exist left as they are; resolves once all of them have leaders. */
export async function createTopics(cluster: Cluster, topics: readonly NewTopic[]): Promise<void> {
  if (topics.length === 0) return;
  let left = topics.map(({ name, partitions, replicationFactor, configs }) => ({
    name,
    numPartitions: partitions,
    replicationFactor,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }));
  const timeoutMs = requestTimeoutMs(cluster.settings);
  await cluster.retry("create topics", async () => {
    const ask = createTopicsV7.api.async;
    const answer = await cluster.request("control", cluster.controller(), (connection) => withCodes(ask(connection, left, timeoutMs, false)), {
      what: "create topics",
    });
    const errors = answer.topics.flatMap(({ name, errorCode, errorMessage }) => {
      if (errorCode === 0 || errorCode === TOPIC_ALREADY_EXISTS) return [];
      return [{ name, error: kafkaFailure(errorCode, `create topic "${name}"`, errorMessage === null ? undefined : new Error(errorMessage)) }];
    });
    left = left.filter(({ name }) => errors.some((one) => one.name === name));
    if (errors[0] === undefined) return;
    if (errors.some(({ error }) => needsRefresh(error))) await cluster.topics([]);
    throw (errors.find(({ error }) => !needsRefresh(error)) ?? errors[0]).error;
  });
  const names = topics.map(({ name }) => name);
  await cluster.retry("wait for new topics", async () => {
    const found = await cluster.topics(names);
    for (const name of names) {
      if (!found.some((topic) => topic.name === name && topic.isComplete)) throw kafkaFailure(LEADER_NOT_AVAILABLE, `wait for topic "${name}"`);
    }
  });
}

/** The values of `keys` for those of the topics that exist. */
export async function describeTopics(
  cluster: Cluster,
  names: readonly string[],
  keys: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const configs = new Map<string, Readonly<Record<string, string>>>();
  if (names.length === 0) return configs;
  const resources = names.map((resourceName) => ({ resourceType: TOPIC, resourceName, configurationKeys: [...keys] }));
  const what = "ask for the settings of topics";
  await cluster.retry(what, async () => {
    const answer = await cluster.request("control", null, (connection) => withCodes(describeConfigsV4.api.async(connection, resources)), { what });
    for (const { resourceName, errorCode, errorMessage, configs: found } of answer.results) {
      if (errorCode === UNKNOWN_TOPIC_OR_PARTITION) continue;
      if (errorCode !== 0) {
        throw kafkaFailure(errorCode, `ask for the settings of topic "${resourceName}"`, errorMessage === null ? undefined : new Error(errorMessage));
      }
      configs.set(resourceName, Object.fromEntries(found.flatMap(({ name, value }) => typeof value === "string" ? [[name, value]] : [])));
    }
  });
  return configs;
}

/** First kept position and high watermark of each partition, in order. */
export async function listOffsets(cluster: Cluster, partitions: readonly TopicPartition[]): Promise<readonly PartitionInfo[]> {
  const [starts, ends] = await Promise.all([EARLIEST, LATEST].map((time) => offsetsAt(cluster, partitions, time, READ_UNCOMMITTED))) as [number[], number[]];
  return partitions.map(({ topic, partition }, index) => ({ topic, partition, start: starts[index]!, end: ends[index]! }));
}

/** Where the broker finds the first record at or after a time, aborted ones and ends of transactions among them; the end first, so that nothing that comes meanwhile lies below it. */
export async function searchTime(cluster: Cluster, at: TopicPartition, timestamp: number): Promise<{ readonly position: number; readonly end: number }> {
  const end = (await offsetsAt(cluster, [at], LATEST, READ_COMMITTED))[0]!;
  // Numbers below 0 have meanings of their own.
  const position = (await offsetsAt(cluster, [at], timestamp < 0 ? EARLIEST : BigInt(timestamp), READ_COMMITTED))[0]!;
  return { position: position < 0 ? end : position, end };
}

/** Deletes what lies below the positions. */
export async function deleteRecords(cluster: Cluster, below: readonly CommittedPosition[]): Promise<void> {
  const timeoutMs = requestTimeoutMs(cluster.settings);
  await onLeaders(cluster, "delete records", below, async (broker, some) => {
    const topics = byTopic(some).map(([name, mine]) => ({
      name,
      partitions: mine.map(({ partition, position }) => ({ partitionIndex: partition, offset: BigInt(position) })),
    }));
    const ask = deleteRecordsV2.api.async;
    const answer = await cluster.request("control", broker, (connection) => withCodes(ask(connection, topics, timeoutMs)), { what: "delete records" });
    return answer.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, errorCode }) => ({ topic: name, partition: partitionIndex, code: errorCode }))
    );
  });
}

async function offsetsAt(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  timestamp: bigint,
  isolation: typeof READ_UNCOMMITTED | typeof READ_COMMITTED,
): Promise<readonly number[]> {
  const offsets = new Map<string, number>();
  await onLeaders(cluster, "read the ends", partitions, async (broker, some) => {
    const topics = byTopic(some).map(([name, mine]) => ({
      name,
      partitions: mine.map(({ partition }) => ({ partitionIndex: partition, currentLeaderEpoch: -1, timestamp })),
    }));
    const ask = listOffsetsV7.api.async;
    const answer = await cluster.request("control", broker, (connection) => withCodes(ask(connection, ANY_REPLICA, isolation, topics)), {
      what: "read the ends",
    });
    return answer.topics.flatMap(({ name, partitions: found }) =>
      found.map(({ partitionIndex, errorCode, offset }) => {
        offsets.set(`${name} ${partitionIndex}`, Number(offset));
        return { topic: name, partition: partitionIndex, code: errorCode };
      })
    );
  });
  return partitions.map(({ topic, partition }) => offsets.get(`${topic} ${partition}`) ?? 0);
}

/** Asks each leader for its partitions; all are asked again after an error that another try may help. */
async function onLeaders<T extends TopicPartition>(
  cluster: Cluster,
  what: string,
  things: readonly T[],
  ask: (broker: number, some: readonly T[]) => Promise<readonly (TopicPartition & { readonly code: number })[]>,
): Promise<void> {
  await cluster.retry(what, async () => {
    const leaders = await Promise.all(things.map((thing) => cluster.leader(thing)));
    const brokers = new Map<number, T[]>();
    things.forEach((thing, index) => {
      const { broker } = leaders[index]!;
      const others = brokers.get(broker);
      if (others === undefined) brokers.set(broker, [thing]);
      else others.push(thing);
    });
    const answers = await Promise.all([...brokers].map(([broker, some]) => ask(broker, some)));
    const errors = answers.flat().flatMap(({ topic, partition, code }) => {
      if (code === 0) return [];
      const error = kafkaFailure(code, `${what} of ${place({ topic, partition })}`);
      if (needsRefresh(error)) cluster.forgetLeaders(topic);
      return [error];
    });
    const error = errors.find((one) => !needsRefresh(one)) ?? errors[0];
    if (error !== undefined) throw error;
  });
}
