/**
 * Kafka as a `Log`: what both clients share. Checks come first, so that most faults cost no request; then one transaction a commit, or, where nothing is written, the positions alone.
 */
import { assert } from "../../src/base/assert.ts";
import { ExternalError, InvariantError, isStreamError, messageOf } from "../../src/base/errors.ts";
import { checkAppend } from "../../src/log/append-check.ts";
import { checkTime } from "../../src/log/first-at.ts";
import { fenced, place } from "../../src/log/failure.ts";
import type {
  Append,
  AppendReceipt,
  AssignmentListener,
  CommitReceipt,
  CommittedPosition,
  CommitUnit,
  Log,
  LogCapabilities,
  Membership,
  OutputBatch,
  PartitionInfo,
  PartitionReader,
  TopicSpec,
} from "../../src/log/log.ts";
import type { Chunk, TopicPartition } from "../../src/record/record.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { AppendQueue } from "./append-queue.ts";
import type { GroupMember, KafkaClient } from "./client.ts";
import { closedFailure } from "./failure.ts";
import { KafkaMembership } from "./kafka-membership.ts";
import type { Warn } from "./kafka-membership.ts";
import { Presence } from "./presence.ts";
import { Purge } from "./purge.ts";
import { isPurged } from "./topic-config.ts";
import { TimeSearch } from "./time-search.ts";
import { Topics } from "./topics.ts";

/** What a log is made of. */
export interface KafkaLogOptions {
  readonly runtime: Runtime;
  /** Hears what no call can say. */
  readonly warn: Warn;
  /** For topics that are made; -1: the cluster's default. @default -1 */
  readonly replicationFactor?: number;
  /** What may wait for the brokers, in bytes; then `LOG_BUSY`. @default 64 MiB */
  readonly appendBytesMax?: number;
}

const APPEND_BYTES_MAX = 67_108_864;
/** `close` gives members so long to leave; sessions end by themselves. */
const LEAVE_MS = 3_000;
/** So long a client may take for its connections; a library that never answers must not keep the app. */
const CLOSE_MS = 10_000;
/** What a commit may fail with under its own code: for the rest `LOG_COMMIT_FAILED` says that nothing of it is in. */
const OWN_CODES: readonly string[] = ["LOG_COMMIT_FAILED", "LOG_TOPIC_UNKNOWN", "RECORD_TOO_LARGE", "LOG_CLOSED", "FENCED", "INVARIANT"];

/** Opens a log on a client, and knows the cluster's topics then. The log closes the client. */
export async function kafkaLog(client: KafkaClient, options: KafkaLogOptions): Promise<Log> {
  const topics = new Topics(client, options.warn, options.replicationFactor ?? -1);
  await topics.learn(null);
  return new KafkaLog(client, topics, options);
}

class KafkaLog implements Log {
  readonly name = "kafka";
  readonly capabilities: LogCapabilities = { holdsState: false, durable: true, rebalances: true, deduplicates: false };
  readonly database = null;
  readonly #client: KafkaClient;
  readonly #runtime: Runtime;
  readonly #warn: Warn;
  readonly #topics: Topics;
  readonly #queue: AppendQueue;
  readonly #purge: Purge;
  readonly #presence: Presence;
  readonly #search: TimeSearch;
  readonly #members = new Set<KafkaMembership>();
  /** The last commit: one at a time, for a producer has one transaction. */
  #commits: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(client: KafkaClient, topics: Topics, { runtime, warn, appendBytesMax = APPEND_BYTES_MAX }: KafkaLogOptions) {
    this.#client = client;
    this.#runtime = runtime;
    this.#warn = warn;
    this.#topics = topics;
    this.#queue = new AppendQueue({ yield: () => runtime.yield(), produce: (batches) => client.produce(batches) }, appendBytesMax);
    this.#purge = new Purge(client, runtime, warn);
    this.#presence = new Presence(client, runtime);
    this.#search = new TimeSearch(client, runtime);
  }

  get trouble(): string | null {
    if (this.#presence.trouble !== null) return this.#presence.trouble;
    for (const { member } of this.#members) if (member !== null && member.trouble !== null) return member.trouble;
    return null;
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkOpen("ensure topics");
    await this.#topics.ensure(specs);
    for (const spec of specs) if (isPurged(spec)) this.#purge.add(spec.name);
  }

  partitionsOf(topic: string): number | null {
    this.#checkOpen("tell partitions");
    return this.#topics.partitionsOf(topic);
  }

  async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    this.#checkOpen("describe topics");
    const partitions = topics.flatMap((topic) => this.#topics.all(topic, "describe topics"));
    return partitions.length === 0 ? [] : inOrder(partitions, await this.#client.offsets(partitions));
  }

  async positionAt(at: TopicPartition, timestamp: number): Promise<number> {
    this.#checkOpen("look for a time");
    this.#topics.check(at, "look for a time in");
    checkTime(this.name, at, timestamp);
    return await this.#search.find(at, timestamp);
  }

  async append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    this.#checkOpen("append");
    // All checks come first: a call with one bad entry adds nothing.
    let bytes = 0;
    for (const append of appends) {
      this.#topics.check(append, "append to");
      if (append.id !== undefined && append.id !== null) {
        throw new ExternalError(
          "LOG_APPEND_REJECTED",
          `[kafka] Cannot append to ${place(append)}: it has an id, and Kafka does not know which ids it has seen`,
        );
      }
      bytes += checkAppend(this.name, append);
    }
    if (appends.some(({ records }) => records.length === 0)) return await this.#appendSome(appends, bytes);
    return await this.#queue.append(appends, bytes);
  }

  /** Entries without records lie at the end. */
  async #appendSome(appends: readonly Append[], bytes: number): Promise<readonly AppendReceipt[]> {
    const receipts = await this.#queue.append(appends.filter(({ records }) => records.length > 0), bytes);
    const ends = await this.#client.offsets(appends.filter(({ records }) => records.length === 0));
    let next = 0;
    return appends.map(({ topic, partition, records }) => {
      if (records.length > 0) return receipts[next++]!;
      const position = ends.find((at) => at.topic === topic && at.partition === partition)?.end ?? 0;
      return { topic, partition, position, duplicate: false, differs: false };
    });
  }

  async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    const call = `join group "${group}"`;
    this.#checkOpen(call);
    for (const topic of topics) this.#topics.all(topic, call);
    const member = await KafkaMembership.join({ client: this.#client, warn: this.#warn }, group, [...new Set(topics)], listener);
    if (this.#closing !== null) {
      await member.dissolve();
      throw closedFailure(call);
    }
    for (const old of this.#members) if (old.member === null) this.#members.delete(old);
    this.#members.add(member);
    return member;
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    this.#checkOpen("read committed positions");
    for (const at of partitions) this.#topics.check(at, "read the committed position of");
    return partitions.length === 0 ? [] : inOrder(partitions, await this.#client.committed(group, partitions));
  }

  reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    this.#checkOpen(`read ${place(at)}`);
    this.#topics.check(at, "read");
    return new KafkaReader(this.#client.reader({ topic: at.topic, partition: at.partition }, position, onArrival), () => this.#checkOpen(`read ${place(at)}`));
  }

  async commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): Promise<CommitReceipt> {
    const call = `commit for group "${unit.membership.group}"`;
    this.#checkOpen(call);
    this.#checkOwner(unit);
    const { assigned } = unit.membership;
    for (const batch of [...unit.outputs, ...unit.changelog, ...unit.positions]) this.#topics.check(batch, `${call}, which concerns`);
    const commit = this.#commits.then(() => this.#commit(unit, assigned, call));
    this.#commits = commit.catch(() => {});
    const changelogPositions = await commit;
    this.#purge.committed(unit.positions);
    try {
      apply(changelogPositions);
    } catch (thrown) {
      if (isStreamError(thrown)) throw thrown;
      throw new InvariantError(`[kafka] Commit of group "${unit.membership.group}" has happened, but local state did not follow`, { cause: thrown });
    }
    return { durable: null };
  }

  async flush(): Promise<void> {
    this.#checkOpen("flush");
    await this.#queue.settled();
    await this.#client.flush();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#search.close();
    this.#presence.stop();
    await this.#queue.settled();
    await this.#commits;
    await this.#within(LEAVE_MS, Promise.all([this.#purge.stop(), ...[...this.#members].map((member) => member.dissolve())]));
    if (!await this.#within(CLOSE_MS, this.#client.close())) {
      this.#warn(`[kafka] The client did not close within ${CLOSE_MS} ms, and is left to itself`, null);
    }
  }

  /** Whether something was done in time. */
  async #within(limitMs: number, work: Promise<unknown>): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = this.#runtime.setTimer(() => late.resolve(false), limitMs);
    try {
      return await Promise.race([late.promise, work.then(() => true)]);
    } finally {
      timer.cancel();
    }
  }

  /** Resolves, once it has happened, with the positions after the changelog's records. */
  async #commit(
    { membership, positions, outputs, changelog, guarantee = "exactly-once" }: CommitUnit,
    assigned: readonly TopicPartition[],
    call: string,
  ): Promise<readonly CommittedPosition[]> {
    memberOf(membership, assigned);
    // What reads internal topics counts what is in them: their records are never there without their positions.
    const isApart = ({ topic }: OutputBatch): boolean => guarantee === "at-least-once" && !this.#topics.isInternal(topic);
    const written = outputs.filter(hasRecords);
    const apart = written.filter(isApart), together = written.filter((batch) => !isApart(batch));
    const logged = changelog.filter(hasRecords);
    try {
      if (apart.length > 0) await this.#queue.produce(apart);
      const batches = [...together, ...logged];
      const member = memberOf(membership, assigned);
      if (batches.length === 0) {
        if (positions.length > 0) await this.#client.commitPositions(member, positions);
        return [];
      }
      const ends = await this.#client.transact({ member, positions, batches });
      const before = batches.length - logged.length;
      return logged.map(({ topic, partition }, index) => ({ topic, partition, position: ends[before + index]! }));
    } catch (error) {
      throw commitFailure(call, error);
    }
  }

  #checkOwner({ membership, positions }: CommitUnit): void {
    const { group, memberId } = membership;
    if (!(membership instanceof KafkaMembership) || membership.member === null) throw fenced(this.name, group, memberId, "is not in the group");
    for (const at of positions) {
      assert(Number.isSafeInteger(at.position) && at.position >= 0, `L6: position ${at.position} of ${place(at)} is a whole number`);
      if (!membership.owns(at)) throw fenced(this.name, group, memberId, `does not own ${place(at)}`);
    }
  }

  #checkOpen(call: string): void {
    if (this.#closing !== null) throw closedFailure(call);
  }
}

/** A client's reader, which a closed log refuses (L12). */
class KafkaReader implements PartitionReader {
  readonly #reader: PartitionReader;
  readonly #checkOpen: () => void;

  constructor(reader: PartitionReader, checkOpen: () => void) {
    this.#reader = reader;
    this.#checkOpen = checkOpen;
  }

  get topic(): string {
    return this.#reader.topic;
  }

  get partition(): number {
    return this.#reader.partition;
  }

  get position(): number {
    return this.#reader.position;
  }

  get end(): number | null {
    return this.#reader.end;
  }

  take(bytesMax: number): Chunk | null {
    this.#checkOpen();
    return this.#reader.take(bytesMax);
  }

  seek(position: number): void {
    this.#checkOpen();
    this.#reader.seek(position);
  }

  close(): void {
    this.#reader.close();
  }
}

function hasRecords(batch: OutputBatch): boolean {
  return batch.encoder.count > 0;
}

/** It was checked before the commit waited for its turn; meanwhile it may have left, or have lost its partitions: also where it owns the same ones again, others had them in between. */
function memberOf(membership: Membership, assigned: readonly TopicPartition[]): GroupMember {
  const member = membership instanceof KafkaMembership ? membership.member : null;
  if (member === null) throw fenced("kafka", membership.group, membership.memberId, "is not in the group");
  if (membership.assigned !== assigned) throw fenced("kafka", membership.group, membership.memberId, "has other partitions than when the commit began");
  return member;
}

/** Clients need not answer in the order they were asked in. */
function inOrder<T extends TopicPartition>(partitions: readonly TopicPartition[], found: readonly T[]): readonly T[] {
  const byName = new Map(found.map((one) => [`${one.topic}\n${one.partition}`, one]));
  return partitions.flatMap(({ topic, partition }) => byName.get(`${topic}\n${partition}`) ?? []);
}

function commitFailure(call: string, error: unknown): unknown {
  if (isStreamError(error) && (OWN_CODES.includes(error.code) || error.domain === "internal")) return error;
  const details = isStreamError(error) ? { ...error.details, code: error.code } : {};
  return new ExternalError("LOG_COMMIT_FAILED", `[kafka] Cannot ${call}: ${messageOf(error).replace(/^\[kafka\] /, "")}`, { cause: error, details });
}
