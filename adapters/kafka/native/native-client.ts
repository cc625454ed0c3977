/**
 * A `KafkaClient` over librdkafka, for Node. It is slower than the other one by what making a JavaScript object of each record costs; what speaks for it is librdkafka's own: logins, networks and
 * brokers that it has seen more of.
 *
 * What it cannot do: write a record with the timestamp 0; tell a header of null from one that is empty; give the broker's id of a member.
 */
import { toHex } from "../../../src/base/bytes.ts";
import type { AssignmentListener, CommittedPosition, OutputBatch, PartitionInfo, PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { ClientSettings, GroupMember, KafkaClient, NewTopic, TopicFacts, Transaction } from "../client.ts";
import { closedFailure } from "../failure.ts";
import { loadConfluent } from "./confluent.ts";
import { NativeClusterAdmin } from "./native-admin.ts";
import { NativeAppender } from "./native-appender.ts";
import { NativeCalls } from "./native-calls.ts";
import { NativeFetcher } from "./native-fetcher.ts";
import type { FetcherHost } from "./native-fetcher.ts";
import { topicConfigs } from "./native-gaps.ts";
import { NativeMember } from "./native-member.ts";
import { NativePositions } from "./native-positions.ts";
import { NativeTransactions } from "./native-transactions.ts";

const SAME_WARNING_MS = 30_000;
const WARNINGS_MAX = 100;

/** Rejects with `RUNTIME_UNSUPPORTED` where the package cannot be loaded, and when no broker answers. */
export async function openNativeClient(given: ClientSettings): Promise<KafkaClient> {
  const confluent = await loadConfluent();
  const settings = { ...given, warn: seldom(given) };
  const calls = new NativeCalls(settings.runtime, settings.timeoutMs);
  const admin = await NativeClusterAdmin.open(confluent, calls, settings);
  const client = new NativeClient({ confluent, calls, settings, admin });
  try {
    await client.open();
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** librdkafka says several times a second, for each of its connections, that a broker is away. */
function seldom({ runtime, warn }: ClientSettings): ClientSettings["warn"] {
  const said = new Map<string, number>();
  return (message, error) => {
    const now = runtime.monotonic();
    if (now < (said.get(message) ?? Number.NEGATIVE_INFINITY) + SAME_WARNING_MS) return;
    if (said.size >= WARNINGS_MAX) said.clear();
    said.set(message, now);
    warn(message, error);
  };
}

class NativeClient implements KafkaClient {
  readonly #host: FetcherHost;
  readonly #members: Set<NativeMember> = new Set();
  readonly #fetchers: NativeFetcher[] = [];
  readonly #positions: NativePositions;
  readonly #appender: NativeAppender;
  readonly #transactions: NativeTransactions;
  #closing: Promise<void> | null = null;

  constructor(host: FetcherHost) {
    const { confluent, calls, settings, admin } = host;
    this.#host = host;
    this.#positions = new NativePositions(confluent, calls, settings);
    this.#appender = new NativeAppender(confluent, calls, settings);
    this.#transactions = new NativeTransactions(confluent, calls, settings, admin);
  }

  open(): Promise<void> {
    return this.#transactions.settle();
  }

  probe(): Promise<void> {
    return this.#host.admin.probe();
  }

  topics(names: readonly string[] | null): Promise<readonly TopicFacts[]> {
    return this.#host.admin.topics(names);
  }

  createTopics(topics: readonly NewTopic[]): Promise<void> {
    return this.#host.admin.createTopics(topics);
  }

  topicConfigs(names: readonly string[], keys: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    const { calls, settings } = this.#host;
    return calls.isClosed ? Promise.reject(closedFailure("ask for settings of topics")) : topicConfigs(settings, names, keys);
  }

  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionInfo[]> {
    return this.#host.admin.offsets(partitions);
  }

  search(at: TopicPartition, timestamp: number): Promise<{ readonly position: number; readonly end: number }> {
    return this.#host.admin.search(at, timestamp);
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    await this.#transactions.settle();
    return await this.#positions.committed(group, partitions);
  }

  deleteRecords(below: readonly CommittedPosition[]): Promise<void> {
    return this.#host.admin.deleteRecords(below);
  }

  produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]> {
    return this.#appender.produce(batches);
  }

  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<GroupMember> {
    const { confluent, calls, settings } = this.#host;
    return NativeMember.join({ confluent, calls, settings, members: this.#members }, group, topics, listener);
  }

  reader(partition: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    if (this.#host.calls.isClosed) throw closedFailure("read");
    // A consumer has one position a partition: readers of the same one get consumers of their own.
    let fetcher = this.#fetchers.find((one) => !one.has(partition));
    if (fetcher === undefined) {
      const { runtime, clientId } = this.#host.settings;
      this.#fetchers.push(fetcher = new NativeFetcher(this.#host, `${clientId}-reads-${toHex(runtime.randomBytes(8))}`));
    }
    return fetcher.open(partition, position, onArrival);
  }

  commitPositions(member: GroupMember, positions: readonly CommittedPosition[]): Promise<void> {
    return (member as NativeMember).commit(positions);
  }

  transact(transaction: Transaction): Promise<readonly number[]> {
    return this.#transactions.transact(transaction.member as NativeMember, transaction);
  }

  flush(): Promise<void> {
    return this.#host.calls.isClosed ? Promise.reject(closedFailure("flush")) : this.#appender.flush();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#host.calls.close();
    await this.#transactions.close();
    await Promise.all([
      ...[...this.#members].map((member) => member.close()),
      ...this.#fetchers.map((fetcher) => fetcher.close()),
      this.#positions.close(),
      this.#appender.close(),
    ]);
    await this.#host.admin.close();
  }
}
