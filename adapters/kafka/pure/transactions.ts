/**
 * The transactional producer of a client: one commit at a time, each as one transaction of Kafka.
 *
 * Nothing of a transaction is sent before the end of the one before is known. Where it is not, because the answer was lost or because something failed, the producer asks for a new epoch
 * first: that fences whatever is still on its way, and ends what was left open.
 */
import { ExternalError, FencedError, isStreamError, messageOf } from "../../../src/base/errors.ts";
import type { StreamError } from "../../../src/base/errors.ts";
import type { CommittedPosition, OutputBatch } from "../../../src/log/log.ts";
import type { Transaction } from "../client.ts";
import { isRetriable, kafkaCodeOf, kafkaFailure, needsRefresh } from "../failure.ts";
import { withCodes } from "./answer.ts";
import { byTopic } from "./by-topic.ts";
import type { Cluster } from "./cluster.ts";
import { compressBatches } from "./compression.ts";
import { identityOf } from "./member.ts";
import type { CommitIdentity } from "./member.ts";
import { partsOf, writeParts } from "./partition-writes.ts";
import type { Part } from "./partition-writes.ts";
import { initProducer, SEQUENCES } from "./producer.ts";
import { offsetsOf } from "./positions.ts";
import type { Producer } from "./producer.ts";
import { addOffsetsToTxnV3, addPartitionsToTxnV3, endTxnV3, txnOffsetCommitV3 } from "./platformatic.ts";
import type { Connection } from "./platformatic.ts";

const CONCURRENT_TRANSACTIONS = 51;
/** Another partition of the request was refused: that one's code says why. */
const OPERATION_NOT_ATTEMPTED = 55;
/** Answers that mean: another holds the transactional id, or the coordinator ended the transaction for taking too long. INVALID_PRODUCER_EPOCH, PRODUCER_FENCED. */
const PRODUCER_FENCED: readonly (number | null)[] = [47, 90];
/** What comes through as it is; all else is `LOG_COMMIT_FAILED`. */
const OWN_CODES: readonly string[] = ["FENCED", "LOG_TOPIC_UNKNOWN", "RECORD_TOO_LARGE", "LOG_CLOSED", "LOG_COMMIT_FAILED", "INVARIANT"];
/** Markers of the transaction before are written within a few milliseconds. */
const BUSY_PAUSE_FIRST_MS = 2;
const BUSY_PAUSE_MAX_MS = 20;

/** Parts of one partition, in order, and the place of each one's batch in the transaction. */
interface Line {
  readonly key: string;
  readonly parts: { readonly part: Part; readonly index: number }[];
  sequence: number;
}

/** One transactional id. */
export class TransactionalProducer {
  readonly #cluster: Cluster;
  readonly #id: string;
  /** Next sequence number by partition, under this producer. */
  readonly #sequences = new Map<string, number>();
  /** null: the end of the last transaction is not known, or it failed. */
  #producer: Producer | null = null;
  /** The transaction under way and those that wait. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#id = cluster.settings.transactionalId;
  }

  /** Resolves once nothing is in doubt: what a predecessor or a failed commit left open is ended, either way. */
  settle(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#init();
    });
  }

  /** See `KafkaClient.transact`. */
  transact(transaction: Transaction): Promise<readonly number[]> {
    const batches = transaction.batches.filter((batch) => batch.encoder.count > 0);
    if (batches.length === 0 && transaction.positions.length === 0) return Promise.resolve(transaction.batches.map(() => 0));
    const identity = identityOf(transaction.member);
    return this.#inTurn(async () => {
      const producer = await this.#init().catch((error: unknown) => {
        throw commitFailure(error, "none");
      });
      const ends = await this.#run(producer, identity, transaction.positions, batches);
      return transaction.batches.map((batch) => ends.get(batch) ?? 0);
    });
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(act);
    this.#tail = run.catch(() => {});
    return run;
  }

  async #init(): Promise<Producer> {
    if (this.#producer !== null) return this.#producer;
    this.#sequences.clear();
    const what = `begin transactions of "${this.#id}"`;
    this.#producer = await this.#ask(what, () => initProducer(this.#cluster, this.#id, what));
    return this.#producer;
  }

  async #run(
    producer: Producer,
    identity: CommitIdentity,
    positions: readonly CommittedPosition[],
    batches: readonly OutputBatch[],
  ): Promise<ReadonlyMap<OutputBatch, number>> {
    const ends = new Map<OutputBatch, number>();
    const lines = this.#seal(producer, batches);
    // Both are awaited to their end: what is still on its way must not come after the end of the transaction.
    const [written, committed] = await Promise.allSettled([this.#write(producer, batches, lines, ends), this.#commitPositions(producer, identity, positions)]);
    const error = written.status === "rejected" ? written.reason : committed.status === "rejected" ? committed.reason : null;
    if (error !== null) {
      await this.#abort(producer, [written, committed]);
      throw commitFailure(error, "none");
    }
    await this.#commit(producer);
    for (const { key, sequence } of lines) this.#sequences.set(key, sequence);
    return ends;
  }

  /** Seals the batches, with the numbers that follow those of the last transaction. */
  #seal(producer: Producer, batches: readonly OutputBatch[]): readonly Line[] {
    const { compression } = this.#cluster.settings;
    const lines = new Map<string, Line>();
    batches.forEach((batch, index) => {
      const key = `${batch.topic} ${batch.partition}`;
      let line = lines.get(key);
      if (line === undefined) lines.set(key, line = { key, parts: [], sequence: this.#sequences.get(key) ?? 0 });
      const sealed = batch.encoder.seal(0, { id: producer.id, epoch: producer.epoch, sequence: line.sequence, transactional: true });
      for (const part of partsOf(batch, sealed, (bytes) => compressBatches(bytes, compression))) {
        line.parts.push({ part, index });
        line.sequence = (line.sequence + part.records) % SEQUENCES;
      }
    });
    return [...lines.values()];
  }

  async #write(producer: Producer, batches: readonly OutputBatch[], lines: readonly Line[], ends: Map<OutputBatch, number>): Promise<void> {
    if (lines.length === 0) return;
    const what = `commit to ${lines.length} partitions`;
    const topics = byTopic(batches).map(([name, some]) => ({ name, partitions: [...new Set(some.map(({ partition }) => partition))] }));
    const request = { transactionalId: this.#id, producerId: BigInt(producer.id), producerEpoch: producer.epoch, verifyOnly: false, topics };
    await this.#ask(what, async () => {
      const answer = await this.#toCoordinator(what, (connection) => withCodes(addPartitionsToTxnV3.api.async(connection, [request])));
      const codes = answer.resultsByTransaction.flatMap(({ topicResults }) => topicResults).flatMap(({ name, resultsByPartition }) =>
        resultsByPartition.map(({ partitionIndex, partitionErrorCode }) => ({
          code: partitionErrorCode,
          at: `commit to "${name}" partition ${partitionIndex}`,
        }))
      );
      check(codes);
    });
    for (let round = 0; lines.some(({ parts }) => parts.length > round); round++) {
      const batchOf = new Map<Part, OutputBatch>();
      for (const { parts } of lines) if (parts.length > round) batchOf.set(parts[round]!.part, batches[parts[round]!.index]!);
      await this.#writeRound(what, batchOf, ends);
    }
  }

  /** One part of each partition, the same bytes again until all are answered. */
  async #writeRound(what: string, batchOf: ReadonlyMap<Part, OutputBatch>, ends: Map<OutputBatch, number>): Promise<void> {
    let left = [...batchOf.keys()];
    await this.#cluster.retry(what, async () => {
      const errors = new Map<Part, StreamError>();
      await writeParts(this.#cluster, this.#id, left, (part, written) => {
        if (typeof written !== "number") errors.set(part, written);
        else if (written >= 0) ends.set(batchOf.get(part)!, written + part.records);
      });
      left = left.filter((part) => errors.has(part));
      const all = [...errors.values()];
      const error = all.find((one) => !isRetriable(one)) ?? all[0];
      if (error !== undefined) throw error;
    });
  }

  async #commitPositions(
    producer: Producer,
    { group, memberId, generationId, instanceId }: CommitIdentity,
    positions: readonly CommittedPosition[],
  ): Promise<void> {
    if (positions.length === 0) return;
    const what = `commit positions of group "${group}"`;
    const id = BigInt(producer.id);
    const { epoch } = producer;
    await this.#ask(what, () => this.#toCoordinator(what, (connection) => addOffsetsToTxnV3.api.async(connection, this.#id, id, epoch, group)));
    await this.#cluster.retry(what, async () => {
      const broker = await this.#cluster.coordinator("group", group);
      try {
        const answer = await this.#cluster.request(
          "control",
          broker,
          (connection) =>
            withCodes(txnOffsetCommitV3.api.async(connection, this.#id, group, id, epoch, generationId, memberId, instanceId, offsetsOf(positions))),
          { what },
        );
        check(answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => ({ code: errorCode, at: what }))));
      } catch (error) {
        if (needsRefresh(error)) this.#cluster.forgetCoordinator("group", group);
        throw error;
      }
    });
  }

  /** Commits; where nobody knows whether it happened, the error says so and the next one begins by finding out. */
  async #commit(producer: Producer): Promise<void> {
    let isUncertain = false;
    try {
      await this.#end(producer, true, () => {
        isUncertain = true;
      });
    } catch (error) {
      this.#producer = null;
      throw commitFailure(error, isUncertain ? "unknown" : "none");
    }
  }

  /** Ends a transaction that failed, so that readers need not wait for it. */
  async #abort(producer: Producer, results: readonly PromiseSettledResult<unknown>[]): Promise<void> {
    this.#producer = null;
    const errors = results.flatMap((result) => result.status === "rejected" ? [result.reason as unknown] : []);
    // Who is fenced has nothing to end, and who gets no answer would wait for another one: the next epoch ends the transaction.
    if (errors.some((error) => PRODUCER_FENCED.includes(kafkaCodeOf(error)) || isRetriable(error)) || this.#cluster.isClosed) return;
    try {
      await this.#end(producer, false, () => {});
    } catch (error) {
      this.#cluster.settings.warn(`[kafka] A transaction that failed was not aborted, which the next one will do: ${messageOf(error)}`, error);
    }
  }

  /** Says that the transaction is over; the same may be said again while the epoch is the same. */
  #end(producer: Producer, isCommit: boolean, uncertain: () => void): Promise<void> {
    const what = isCommit ? "commit" : "abort";
    return this.#ask(what, async () => {
      try {
        await this.#toCoordinator(what, (connection) => endTxnV3.api.async(connection, this.#id, BigInt(producer.id), producer.epoch, isCommit));
      } catch (error) {
        // A coordinator that moves or fails to replicate may have done it all the same.
        if (isRetriable(error)) uncertain();
        throw error;
      }
    });
  }

  async #toCoordinator<T>(what: string, call: (connection: Connection) => Promise<T>): Promise<T> {
    const broker = await this.#cluster.coordinator("transaction", this.#id);
    return await this.#cluster.request("control", broker, call, { what });
  }

  /** Asks the coordinator until it has an answer: short pauses while it is busy with the transaction before, longer ones while it is away. */
  #ask<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const { runtime, timeoutMs } = this.#cluster.settings;
    const deadline = runtime.monotonic() + timeoutMs;
    return this.#cluster.retry(what, async () => {
      for (let pauseMs = BUSY_PAUSE_FIRST_MS;; pauseMs = Math.min(2 * pauseMs, BUSY_PAUSE_MAX_MS)) {
        try {
          return await attempt();
        } catch (error) {
          if (needsRefresh(error)) this.#cluster.forgetCoordinator("transaction", this.#id);
          if (kafkaCodeOf(error) !== CONCURRENT_TRANSACTIONS || runtime.monotonic() + pauseMs > deadline) throw error;
          await this.#cluster.pause(pauseMs);
        }
      }
    });
  }
}

/** `LOG_COMMIT_FAILED`, or the error itself where that says more. */
function commitFailure(error: unknown, outcome: "none" | "unknown"): StreamError {
  const isOurs = isStreamError(error);
  const details = { ...(isOurs ? { code: error.code, ...error.details } : {}), outcome };
  const why = messageOf(error).replace("[kafka] Cannot ", "could not ");
  if (PRODUCER_FENCED.includes(kafkaCodeOf(error))) {
    return new FencedError(`[kafka] Cannot commit: another took the transactional id, or the transaction took too long: ${why}`, { cause: error, details });
  }
  if (outcome === "unknown") {
    return new ExternalError("LOG_COMMIT_FAILED", `[kafka] Cannot tell whether the commit has happened: ${why}`, { cause: error, details });
  }
  if (isOurs && OWN_CODES.includes(error.code)) return error;
  return new ExternalError("LOG_COMMIT_FAILED", `[kafka] Cannot commit: ${why}`, { cause: error, details });
}

/** Throws the error of the first code that says most. */
function check(codes: readonly { readonly code: number; readonly at: string }[]): void {
  const faults = codes.filter(({ code }) => code !== 0);
  if (faults.length === 0) return;
  const errors = faults.map(({ code, at }) => ({ code, error: kafkaFailure(code, at) }));
  const worst = errors.find(({ code, error }) => code !== OPERATION_NOT_ATTEMPTED && !isRetriable(error)) ??
    errors.find(({ code }) => code !== OPERATION_NOT_ATTEMPTED);
  throw (worst ?? errors[0]!).error;
}
