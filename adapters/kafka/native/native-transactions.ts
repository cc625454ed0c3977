/**
 * Commits as transactions, one at a time, by one transactional producer. A producer that failed for good, or whose transaction's end is not known, is given up; the next one, under the same
 * transactional id, makes the broker end what it left.
 */
import { ExternalError, isStreamError } from "../../../src/base/errors.ts";
import type { StreamError } from "../../../src/base/errors.ts";
import type { CommittedPosition, OutputBatch } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import type { ClientSettings, Transaction } from "../client.ts";
import { closedFailure } from "../failure.ts";
import type { Confluent, NativeCallback, NativeError, NativeProducer } from "./confluent.ts";
import type { NativeClusterAdmin } from "./native-admin.ts";
import type { NativeCalls } from "./native-calls.ts";
import { transactionConfig } from "./native-config.ts";
import { codeOf, NativeCode, nativeFailure } from "./native-failure.ts";
import type { MemberHold, NativeMember } from "./native-member.ts";
import { handOver } from "./native-record.ts";

const WHAT = "commit";
const RETRY_PAUSE_MS = 10;
/** What comes through as it is; all else is `LOG_COMMIT_FAILED`. */
const OWN_CODES: readonly string[] = ["FENCED", "LOG_TOPIC_UNKNOWN", "RECORD_TOO_LARGE", "TIMESTAMP_INVALID", "LOG_CLOSED", "LOG_COMMIT_FAILED", "INVARIANT"];
/** What becomes of records whose transaction had failed already. */
const PURGED: readonly (number | null)[] = [NativeCode.purgedInQueue, NativeCode.purgedInFlight];

/** Runs transactions. */
export class NativeTransactions {
  readonly #confluent: Confluent;
  readonly #calls: NativeCalls;
  readonly #settings: ClientSettings;
  readonly #admin: NativeClusterAdmin;
  readonly #cursor = new RecordCursor();
  readonly #givenUp: Map<NativeProducer, Promise<void>> = new Map();
  #producer: NativeProducer | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** The first record of the transaction under way that failed. */
  #refusal: { readonly error: NativeError; readonly what: string } | null = null;

  constructor(confluent: Confluent, calls: NativeCalls, settings: ClientSettings, admin: NativeClusterAdmin) {
    this.#confluent = confluent;
    this.#calls = calls;
    this.#settings = settings;
    this.#admin = admin;
  }

  /** Ends what a predecessor of the same transactional id, or a producer that was given up, has left open. */
  settle(): Promise<void> {
    return this.#producer === null ? this.#inTurn(async () => void await this.#ready()) : Promise.resolve();
  }

  /** `positions` and `batches` become true together; resolves with the position after the last record of each batch, or a lower one. */
  transact(member: NativeMember, transaction: Transaction): Promise<readonly number[]> {
    return this.#inTurn(() => this.#transact(member, transaction));
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    if (this.#producer !== null) this.#giveUp(this.#producer);
    await Promise.all(this.#givenUp.values());
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(run, run);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #ready(): Promise<NativeProducer> {
    if (this.#producer !== null) return this.#producer;
    const { timeoutMs, warn, transactionalId } = this.#settings;
    const what = `begin transactions as "${transactionalId}"`;
    const producer = new this.#confluent.Producer(transactionConfig(this.#settings));
    producer.on("event.error", (error) => this.#calls.isClosed || warn(`[kafka] Producer of transactions: ${error.message}`, error));
    producer.on("delivery-report", (error, { topic, partition }) => {
      if (error && !PURGED.includes(codeOf(error))) this.#refusal ??= { error, what: `write to "${topic}" partition ${partition}` };
    });
    try {
      await this.#calls.call(what, (done) => producer.connect({ timeout: timeoutMs, allTopics: false }, done));
      producer.setPollInBackground(true);
      await this.#again(what, (done) => producer.initTransactions(timeoutMs, done));
    } catch (error) {
      this.#giveUp(producer);
      throw nativeFailure(error, what);
    }
    return this.#producer = producer;
  }

  async #transact(member: NativeMember, { positions, batches }: Transaction): Promise<readonly number[]> {
    const producer = await this.#ready();
    const hold = member.hold(positions);
    let isEnding = false;
    try {
      this.#refusal = null;
      await this.#calls.raw(WHAT, (done) => producer.beginTransaction(done));
      for (const batch of batches) await handOver(this.#calls, producer, this.#cursor, batch, undefined);
      await this.#send(producer, hold, positions);
      hold.check();
      isEnding = true;
      const [ends] = await Promise.all([this.#ends(batches), this.#again(WHAT, (done) => producer.commitTransaction(this.#settings.timeoutMs, done))]);
      return ends;
    } catch (error) {
      const isOver = (error as NativeError).isFatal === true || (isEnding && (error as NativeError).isTxnRequiresAbort !== true);
      if (!isOver) await this.#abort(producer);
      // After a record that was refused librdkafka would go on with sequence numbers that the broker never saw the end of.
      if (isOver || this.#refusal !== null) this.#giveUp(producer);
      throw this.#failure(error, isOver && isEnding ? "unknown" : "none");
    } finally {
      hold.release();
    }
  }

  /** Records and positions to the brokers, side by side. */
  async #send(producer: NativeProducer, hold: MemberHold, positions: readonly CommittedPosition[]): Promise<void> {
    const { timeoutMs } = this.#settings;
    const sending = [this.#calls.raw(WHAT, (done) => producer.flush(timeoutMs, done))];
    if (positions.length > 0) {
      const offsets = positions.map(({ topic, partition, position }) => ({ topic, partition, offset: position }));
      hold.check();
      const send = hold.using((consumer, done) => producer.sendOffsetsToTransaction(offsets, consumer, timeoutMs, done));
      sending.push(this.#calls.raw(WHAT, send));
    }
    // Both are waited for: one that still ran would be in the way of the abort.
    const failed = (await Promise.allSettled(sending)).find((answer) => answer.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    if (this.#refusal !== null) throw this.#refusal.error;
  }

  /** Ends of the batches' partitions, all their records written: nobody else writes to a changelog, so its end is the position after our last record. */
  async #ends(batches: readonly OutputBatch[]): Promise<readonly number[]> {
    if (batches.length === 0) return [];
    try {
      return await this.#admin.ends(batches);
    } catch {
      // The commit must not fail for this, and any lower bound will do.
      return batches.map(() => 0);
    }
  }

  async #abort(producer: NativeProducer): Promise<void> {
    try {
      await this.#again("abort a commit", (done) => producer.abortTransaction(this.#settings.timeoutMs, done));
    } catch {
      this.#giveUp(producer);
    }
  }

  /** Calls again, while librdkafka says that this goes on with what it began. */
  async #again(what: string, call: (done: NativeCallback<unknown>) => void): Promise<void> {
    const { runtime, timeoutMs } = this.#settings;
    const deadline = runtime.monotonic() + timeoutMs;
    for (;;) {
      try {
        await this.#calls.raw(what, call);
        return;
      } catch (error) {
        // A conflict is with a call that we have given up waiting for.
        if ((error as NativeError).isRetriable !== true || codeOf(error) === NativeCode.conflict || runtime.monotonic() > deadline) throw error;
      }
      await this.#calls.pause(what, RETRY_PAUSE_MS);
    }
  }

  #giveUp(producer: NativeProducer): void {
    if (this.#producer === producer) this.#producer = null;
    // A second `disconnect` is never answered.
    if (!producer.isConnected() || this.#givenUp.has(producer)) return;
    const gone = new Promise<void>((resolve) => producer.disconnect(0, () => resolve())).then(() => void this.#givenUp.delete(producer));
    this.#givenUp.set(producer, gone);
  }

  /** `LOG_COMMIT_FAILED`, or the error itself where that says more. */
  #failure(thrown: unknown, outcome: "none" | "unknown"): StreamError {
    if (this.#calls.isClosed) return closedFailure(WHAT);
    const refusal = isStreamError(thrown) ? null : this.#refusal;
    const failure = refusal === null ? nativeFailure(thrown, WHAT) : nativeFailure(refusal.error, refusal.what);
    if (OWN_CODES.includes(failure.code)) return failure;
    const details = { code: failure.code, ...failure.details, outcome };
    const message = outcome === "none"
      ? failure.message
      : failure.message.replace("[kafka] Cannot", "[kafka] Cannot tell whether a commit has happened: could not");
    return new ExternalError("LOG_COMMIT_FAILED", message, { cause: failure, details });
  }
}
