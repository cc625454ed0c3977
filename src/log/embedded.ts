/**
 * The embedded log: topics, positions, ids and the state of the app in one SQLite file, so that one transaction is the whole commit.
 * One process, one thread, one member a group. Records are kept as the sealed batches they came in.
 *
 * What is committed is visible at once and durable with the next flush of the device, which runs off the thread and is shared.
 * A flush that fails breaks the log: every call is refused until it is opened anew.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { DefinitionError, InvariantError, isStreamError } from "../base/errors.ts";
import type { StreamError } from "../base/errors.ts";
import { BatchEncoder } from "../record/encoder.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Disk, DiskLock } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Database } from "../sqlite/database.ts";
import { openDatabase } from "../sqlite/open.ts";
import type { OpenDatabaseOptions } from "../sqlite/open.ts";
import { checkAppend, contentChecksum, encodeRecords } from "./append-check.ts";
import { AppendQueue } from "./append-queue.ts";
import type { AppendCall } from "./append-queue.ts";
import { EmbeddedCopies } from "./embedded-copy.ts";
import { EmbeddedMember } from "./embedded-group.ts";
import { loadTopics, saveTopics } from "./embedded-topics.ts";
import { TailCache } from "./embedded-partition.ts";
import type { EmbeddedPartition, EmbeddedTopic } from "./embedded-partition.ts";
import { EmbeddedReader } from "./embedded-reader.ts";
import { settleRestore } from "./embedded-restore.ts";
import { LOG_PATH, openTables } from "./embedded-tables.ts";
import type { Tables } from "./embedded-tables.ts";
import { LogTransaction } from "./embedded-transaction.ts";
import { broken, closed, failed, fenced, listenerFailed, named, place, quiet, topicUnknown } from "./failure.ts";
import type { Warn } from "./failure.ts";
import { checkTime, firstAt } from "./first-at.ts";
import { FlushGate } from "./flush-gate.ts";
import { Housekeeping } from "./housekeeping.ts";
import type {
  Append,
  AppendReceipt,
  AssignmentListener,
  CommitReceipt,
  CommittedPosition,
  CommitUnit,
  Log,
  LogCapabilities,
  LogCopy,
  Membership,
  PartitionInfo,
  PartitionReader,
  TopicSpec,
} from "./log.ts";
import { checkTopicSpecs } from "./topic-check.ts";

/** Options of {@linkcode embeddedLog}. */
export interface EmbeddedLogOptions {
  /** The file, below the root of the disk. @default "millrace.db" */
  readonly path?: string;
  /** How SQLite is opened, and what the lock file tells other processes. */
  readonly database?: OpenDatabaseOptions;
  /** Bytes of records that may wait in `append` for the device; beyond, `LOG_BUSY`. @default 64 MiB */
  readonly appendBytesMax?: number;
  /** Bytes of the newest batches that are kept in memory for readers. @default 8 MiB */
  readonly tailBytesMax?: number;
  /** How the log speaks: records lost to retention before a group read them, listeners that failed. */
  readonly onWarning?: Warn;
}

const NAME = "embedded";
const defaults = Object.freeze({ path: LOG_PATH, appendBytesMax: 64 * 1024 * 1024, tailBytesMax: 8 * 1024 * 1024 });
/** Encoders of appends that are kept for the next ones, and how large one may have become. */
const ENCODERS_MAX = 16;
const ENCODER_BYTES_MAX = 1024 * 1024;
/** What a search for a time reads before others have their turn. */
const SEARCH_BYTES = 4 * 1024 * 1024;

/**
 * Opens the log in a file of the disk; makes it when there is none.
 *
 * Throws `StoreError`: `DISK_LOCKED` while another process has it, `STORE_NEWER` for a file of a later version, `STORE_CORRUPT`.
 */
export async function embeddedLog(runtime: Runtime, disk: Disk, options: EmbeddedLogOptions = {}): Promise<Log> {
  const { path = defaults.path } = options;
  let lock: DiskLock | null = null;
  let database: Database | null = null;
  try {
    lock = disk.lock(`${path}.lock`, options.database?.facts);
    settleRestore(disk, path);
    database = await openDatabase(runtime, disk, path, { ...options.database, lock });
    const tables = openTables(NAME, path, database);
    const log = new EmbeddedLog({ runtime, disk, path, database, tables }, options);
    await log.flush();
    return log;
  } catch (thrown) {
    database?.close();
    lock?.release();
    throw named(NAME, `open "${path}"`, thrown);
  }
}

/** An open log's file. */
interface LogFile {
  readonly runtime: Runtime;
  readonly disk: Disk;
  readonly path: string;
  readonly database: Database;
  readonly tables: Tables;
}

class EmbeddedLog implements Log {
  readonly name = NAME;
  readonly capabilities: LogCapabilities = { holdsState: true, durable: true, rebalances: false, deduplicates: true };
  readonly database: Database;
  readonly #runtime: Runtime;
  readonly #warn: Warn;
  readonly #tables: Tables;
  readonly #gate: FlushGate;
  readonly #queue: AppendQueue;
  readonly #tails: TailCache;
  readonly #housekeeping: Housekeeping;
  readonly #topics = new Map<string, EmbeddedTopic>();
  readonly #partitions = new Map<number, EmbeddedPartition>();
  readonly #members = new Map<string, EmbeddedMember>();
  readonly #readers = new Set<EmbeddedReader>();
  readonly #scratch = new BatchEncoder();
  readonly #encoders: BatchEncoder[] = [];
  readonly #copies: EmbeddedCopies;
  #failure: { readonly cause: unknown } | null = null;
  #closing: Promise<void> | null = null;

  constructor({ runtime, disk, path, database, tables }: LogFile, options: EmbeddedLogOptions) {
    this.#runtime = runtime;
    this.database = database;
    this.#tables = tables;
    this.#warn = quiet(options.onWarning);
    this.#gate = new FlushGate(() => database.flush(), (cause) => this.#break(cause));
    // What a process that died had not flushed may be in the file; nobody may build on it before it is durable.
    this.#gate.wrote();
    this.#copies = new EmbeddedCopies({ name: NAME, runtime, disk, database, path, durable: () => this.#gate.durable() });
    this.#tails = new TailCache(options.tailBytesMax ?? defaults.tailBytesMax);
    for (const topic of loadTopics(tables)) this.#know(topic);
    this.#housekeeping = new Housekeeping({ name: NAME, topics: () => this.#topics.values(), groupsReading: (topic) => this.#groupsReading(topic) }, runtime);
    const queueHost = { name: NAME, gate: this.#gate, yield: () => runtime.yield(), write: (calls: readonly AppendCall[]) => this.#writeCalls(calls) };
    this.#queue = new AppendQueue(queueHost, options.appendBytesMax ?? defaults.appendBytesMax);
  }

  get trouble(): string | null {
    return this.#failure === null ? null : broken(NAME, "go on", this.#failure.cause).message;
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#checkUsable("ensure topics");
    checkTopicSpecs(NAME, specs, (topic) => this.partitionsOf(topic));
    const changed = specs.filter((spec) => this.#isChanged(spec));
    if (changed.length === 0) return;
    const topics = this.#transact("LOG_COMMIT_FAILED", "ensure topics", () => saveTopics(this.#tables, changed, this.#topics));
    for (const topic of topics) this.#know(topic);
    await this.#gate.durable();
  }

  partitionsOf(topic: string): number | null {
    this.#checkUsable("tell partitions");
    return this.#topics.get(topic)?.partitions.length ?? null;
  }

  async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    this.#checkUsable("describe topics");
    return topics.flatMap((topic) => this.#topic(topic, "describe").partitions.map(({ partition, start, end }) => ({ topic, partition, start, end })));
  }

  async positionAt(at: TopicPartition, timestamp: number): Promise<number> {
    const call = `look for a time in ${place(at)}`;
    this.#checkUsable(call);
    const of = this.#partition(at, call);
    checkTime(NAME, at, timestamp);
    // Housekeeping may take batches away between two bites: those behind them follow.
    for (let next = of.start; next < of.end;) {
      const batches = this.#read(call, () => of.batches.read(next, of.end, SEARCH_BYTES));
      for (const { bytes } of batches) {
        const position = this.#read(call, () => firstAt(bytes, 0, bytes.length, of.start, timestamp));
        if (position !== null) return position;
      }
      next = batches.at(-1)?.next ?? of.end;
      await this.#runtime.yield();
      this.#checkUsable(call);
    }
    return of.end;
  }

  async append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    this.#checkUsable("append");
    let bytes = 0;
    for (const append of appends) {
      this.#partition(append, "append");
      bytes += checkAppend(NAME, append);
    }
    return await this.#queue.add({ appends, bytes });
  }

  async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    const call = `join group "${group}"`;
    this.#checkUsable(call);
    const assigned = [...new Set(topics)].sort().flatMap((topic) => this.#topic(topic, call).partitions.map(({ partition }) => ({ topic, partition })));
    const other = this.#members.get(group);
    if (other !== undefined) {
      const message = `[${NAME}] Cannot ${call}: member "${other.memberId}" of this process has it, and this log takes one member a group; more need Kafka`;
      throw new DefinitionError(message, { code: "OPTION_INVALID", details: { group, memberId: other.memberId } });
    }
    const { id, generation } = this.#transact("LOG_COMMIT_FAILED", call, () => this.#tables.nextGeneration(group));
    const host = { warn: this.#warn, left: (gone: EmbeddedMember) => this.#members.get(group) === gone && this.#members.delete(group) };
    const member = new EmbeddedMember(host, listener, { group, groupId: id, generation, assigned });
    this.#members.set(group, member);
    try {
      await member.begin();
    } catch (thrown) {
      throw listenerFailed(NAME, group, thrown);
    }
    return member;
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
    this.#checkUsable("read committed positions");
    return partitions.flatMap(({ topic, partition }) => {
      const { id } = this.#partition({ topic, partition }, "read committed positions");
      const position = this.#read("read committed positions", () => this.#tables.position(group, id));
      return position === null ? [] : [{ topic, partition, position }];
    });
  }

  reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
    this.#checkUsable("read");
    const host = { name: NAME, checkUsable: (call: string) => this.#checkUsable(call) };
    const reader = new EmbeddedReader(host, this.#partition(at, "read"), position, onArrival, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  commit(unit: CommitUnit, apply: (changelogPositions: readonly CommittedPosition[]) => void): CommitReceipt {
    this.#checkUsable("commit");
    const member = this.#checkOwner(unit.membership, unit.positions);
    const positions = unit.positions.map((at) => ({ of: this.#partition(at, "commit"), position: at.position }));
    const outputs = unit.outputs.map((output) => ({ of: this.#partition(output, "commit"), encoder: output.encoder }));
    const changelog = unit.changelog.map((output) => ({ of: this.#partition(output, "commit"), encoder: output.encoder }));
    let thrownByApply: unknown = null;
    const body = (transaction: LogTransaction): void => {
      for (const { of, encoder } of outputs) transaction.write(of, encoder);
      const changelogPositions = changelog.map(({ of, encoder }) => {
        transaction.write(of, encoder);
        return { topic: of.topic, partition: of.partition, position: transaction.of(of).end };
      });
      for (const { of, position } of positions) this.#tables.setPosition(member.groupId, of.id, position);
      try {
        apply(changelogPositions);
      } catch (thrown) {
        thrownByApply = thrown;
        throw thrown;
      }
      assert(this.database.inTransaction, "L4: apply leaves the log's transaction open");
      this.#housekeeping.bite(transaction);
    };
    this.#transact("LOG_COMMIT_FAILED", `commit for group "${member.group}"`, body, (thrown) => thrown === thrownByApply);
    return { durable: this.#gate.durable() };
  }

  async flush(): Promise<void> {
    this.#checkUsable("flush");
    await this.#queue.settled();
    await this.#gate.durable();
  }

  async copy(signal?: AbortSignal): Promise<LogCopy> {
    this.#checkUsable("copy");
    return await this.#copies.take(signal ?? null);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // A step later, so that `#closing` is set and nothing joins the queue any more.
    await Promise.resolve();
    await this.#copies.close();
    await this.#queue.settled();
    for (const member of [...this.#members.values()]) member.drop();
    for (const reader of [...this.#readers]) reader.close();
    try {
      if (this.#failure === null) await this.#gate.durable();
    } finally {
      this.#read("close", () => this.database.close());
    }
  }

  /** Runs `body` in a transaction and puts in force what it changed; a throw undoes all. `comesThrough` tells which throws are not ours to wrap. */
  #transact<T>(
    code: "LOG_COMMIT_FAILED" | "LOG_APPEND_REJECTED",
    call: string,
    body: (transaction: LogTransaction) => T,
    comesThrough: (thrown: unknown) => boolean = () => false,
  ): T {
    // Before anything is begun: a rollback here would undo somebody else's transaction.
    if (this.database.inTransaction) throw new InvariantError(`[${NAME}] Cannot ${call}: a transaction is open on the log's database`);
    const transaction = new LogTransaction(this.#tables, this.#runtime.now());
    let result: T;
    try {
      this.#tables.begin();
      result = body(transaction);
      this.#tables.commit();
    } catch (thrown) {
      this.#rollback();
      if (!this.database.isTrusted) this.#break(thrown);
      if (isStreamError(thrown) && comesThrough(thrown)) throw thrown;
      throw failed(code, NAME, call, thrown);
    }
    this.#gate.wrote();
    transaction.publish(this.#tails, this.#warn);
    return result;
  }

  /** SQLite has rolled back by itself after some errors. */
  #rollback(): void {
    this.#housekeeping.rolledBack();
    try {
      if (this.database.inTransaction) this.#tables.rollback();
    } catch (thrown) {
      this.#break(thrown);
    }
  }

  /** Readers are told, as of records: whoever only waits for them would never hear of it. */
  #break(cause: unknown): StreamError {
    this.#failure ??= { cause };
    for (const partition of this.#partitions.values()) for (const arrival of partition.arrivals) arrival.notify();
    return broken(NAME, "go on", cause);
  }

  #isChanged({ name, retention, internal }: TopicSpec): boolean {
    const topic = this.#topics.get(name);
    return topic === undefined || JSON.stringify(topic.retention) !== JSON.stringify(retention) || topic.internal !== internal;
  }

  #know(topic: EmbeddedTopic): void {
    this.#topics.set(topic.name, topic);
    for (const partition of topic.partitions) this.#partitions.set(partition.id, partition);
  }

  /** Writes appends of many callers in one transaction: one run of batches a partition. */
  #writeCalls(calls: readonly AppendCall[]): AppendReceipt[][] {
    if (this.#failure !== null) throw broken(NAME, "append", this.#failure.cause);
    return this.#transact("LOG_APPEND_REJECTED", "append", (transaction) => {
      const encoders = new Map<EmbeddedPartition, BatchEncoder>();
      const receipts = calls.map(({ appends }) => appends.map((append) => this.#add(append, transaction, encoders)));
      for (const [partition, encoder] of encoders) {
        transaction.write(partition, encoder);
        this.#keepEncoder(encoder);
      }
      this.#housekeeping.bite(transaction);
      return receipts;
    });
  }

  #add(append: Append, transaction: LogTransaction, encoders: Map<EmbeddedPartition, BatchEncoder>): AppendReceipt {
    const partition = this.#partition(append, "append");
    const id = append.id ?? null;
    const checksum = id === null ? 0 : (id.checksum ?? contentChecksum(this.#scratch, append.records));
    const first = id === null ? null : this.#tables.id(id.scope, id.value);
    if (first !== null && first.expires > transaction.now) {
      const of = this.#partitions.get(first.partition)!;
      const differs = (id?.checksum === undefined && of !== partition) || first.checksum !== checksum;
      return { topic: of.topic, partition: of.partition, position: first.position, duplicate: true, differs };
    }

    let encoder = encoders.get(partition);
    if (encoder === undefined) {
      encoder = this.#encoders.pop() ?? new BatchEncoder();
      encoders.set(partition, encoder);
    }
    const position = transaction.of(partition).end + encoder.count;
    encodeRecords(encoder, append.records);
    if (id !== null) this.#tables.setId(id.scope, id.value, { partition: partition.id, position, checksum, expires: transaction.now + id.keepMs });
    return { topic: append.topic, partition: append.partition, position, duplicate: false, differs: false };
  }

  /** Buffers are used again, but a large one is not kept for a rare large append. */
  #keepEncoder(encoder: BatchEncoder): void {
    if (this.#encoders.length === ENCODERS_MAX || encoder.sizeBytes > ENCODER_BYTES_MAX) return;
    encoder.reset();
    this.#encoders.push(encoder);
  }

  #checkOwner(membership: Membership, positions: readonly CommittedPosition[]): EmbeddedMember {
    const member = this.#members.get(membership.group);
    if (member === undefined || member !== membership) throw fenced(NAME, membership.group, membership.memberId, "is not in the group");
    for (const at of positions) {
      assert(Number.isSafeInteger(at.position) && at.position >= 0, `L6: position ${at.position} of ${place(at)} is a whole number`);
      // Who is in owns every partition of its topics.
      if (!member.topics.has(at.topic)) throw fenced(NAME, member.group, member.memberId, `does not own ${place(at)}`);
    }
    return member;
  }

  #groupsReading(topic: string): string[] {
    return [...this.#members.values()].filter(({ topics }) => topics.has(topic)).map(({ group }) => group);
  }

  #read<T>(call: string, read: () => T): T {
    try {
      return read();
    } catch (thrown) {
      throw named(NAME, call, thrown);
    }
  }

  #topic(name: string, call: string): EmbeddedTopic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw topicUnknown(NAME, call, { topic: name, partition: 0 }, null);
    return topic;
  }

  #partition(at: TopicPartition, call: string): EmbeddedPartition {
    const topic = this.#topic(at.topic, call);
    const partition = topic.partitions[at.partition];
    if (partition === undefined) throw topicUnknown(NAME, call, at, topic.partitions.length);
    return partition;
  }

  #checkUsable(call: string): void {
    if (this.#closing !== null) throw closed(NAME, call);
    if (this.#failure !== null) throw broken(NAME, call, this.#failure.cause);
  }
}
