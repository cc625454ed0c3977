/**
 * The client of pure TypeScript: Kafka's protocol by this package, over the connections of another one. Runs on Node, Bun and Deno.
 *
 * @module
 */
import type { AssignmentListener, CommittedPosition, OutputBatch, PartitionInfo, PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { ClientSettings, GroupMember, KafkaClient, NewTopic, TopicFacts, Transaction } from "../client.ts";
import { createTopics, deleteRecords, describeTopics, listOffsets, listTopics, searchTime } from "./admin.ts";
import { openCluster } from "./cluster.ts";
import { checkCompression } from "./compression.ts";
import { openFetcher } from "./fetcher.ts";
import { openGroups } from "./group.ts";
import { identityOf } from "./member.ts";
import { commitPositions, fetchPositions } from "./positions.ts";
import { IdempotentProducer } from "./producer.ts";
import { TransactionalProducer } from "./transactions.ts";

/**
 * Connects, and takes the transactional id over from whoever had it before: an open transaction of theirs is ended first. Rejects when no broker answers within `settings.timeoutMs`, or one
 * refuses.
 */
export async function openPureClient(settings: ClientSettings): Promise<KafkaClient> {
  checkCompression(settings.compression);
  const cluster = await openCluster(settings);
  const transactions = new TransactionalProducer(cluster);
  try {
    await transactions.settle();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return new PureClient(cluster, transactions);
}

class PureClient implements KafkaClient {
  readonly #cluster: Awaited<ReturnType<typeof openCluster>>;
  readonly #transactions: TransactionalProducer;
  readonly #producer: IdempotentProducer;
  readonly #fetcher: ReturnType<typeof openFetcher>;
  readonly #groups: ReturnType<typeof openGroups>;

  constructor(cluster: Awaited<ReturnType<typeof openCluster>>, transactions: TransactionalProducer) {
    this.#cluster = cluster;
    this.#transactions = transactions;
    this.#producer = new IdempotentProducer(cluster);
    this.#fetcher = openFetcher(cluster);
    this.#groups = openGroups(cluster);
  }

  async probe(): Promise<void> {
    await this.#cluster.topics([]);
  }

  topics(names: readonly string[] | null): Promise<readonly TopicFacts[]> {
    return listTopics(this.#cluster, names);
  }

  createTopics(topics: readonly NewTopic[]): Promise<void> {
    return createTopics(this.#cluster, topics);
  }

  topicConfigs(names: readonly string[], keys: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    return describeTopics(this.#cluster, names, keys);
  }

  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionInfo[]> {
    return listOffsets(this.#cluster, partitions);
  }

  search(at: TopicPartition, timestamp: number): Promise<{ readonly position: number; readonly end: number }> {
    return searchTime(this.#cluster, at, timestamp);
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    await this.#transactions.settle();
    return await fetchPositions(this.#cluster, group, partitions);
  }

  deleteRecords(below: readonly CommittedPosition[]): Promise<void> {
    return deleteRecords(this.#cluster, below);
  }

  produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]> {
    return this.#producer.produce(batches);
  }

  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<GroupMember> {
    return this.#groups.join(group, topics, listener);
  }

  reader(partition: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    return this.#fetcher.reader(partition, position, onArrival);
  }

  async commitPositions(member: GroupMember, positions: readonly CommittedPosition[]): Promise<void> {
    const identity = identityOf(member);
    await this.#transactions.settle();
    await commitPositions(this.#cluster, identity, positions);
  }

  transact(transaction: Transaction): Promise<readonly number[]> {
    return this.#transactions.transact(transaction);
  }

  flush(): Promise<void> {
    return this.#producer.flush();
  }

  async close(): Promise<void> {
    // Members and readers first: what becomes of their requests then is nobody's matter.
    await Promise.all([this.#groups.close(), this.#fetcher.close()]);
    await this.#cluster.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
