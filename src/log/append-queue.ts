/**
 * Group commit: appends of one macrotask, and those that come while a flush of the device runs, share one transaction and one flush.
 * Bounded: what waits for durability counts, until it is answered.
 */
import { DecodeError, ExternalError } from "../base/errors.ts";
import type { FlushGate } from "./flush-gate.ts";
import type { Append, AppendReceipt } from "./log.ts";

/** One call of `append`. */
export interface AppendCall {
  readonly appends: readonly Append[];
  /** About how large its records are. */
  readonly bytes: number;
}

/** What the queue needs of its log. */
export interface AppendQueueHost {
  readonly name: string;
  readonly gate: FlushGate;
  /** Fulfils in a later macrotask. */
  yield(): Promise<void>;
  /** Writes the calls in one transaction and gives the receipts of each; throws when none of them is in. */
  write(calls: readonly AppendCall[]): readonly (readonly AppendReceipt[])[];
}

interface WaitingCall extends AppendCall {
  readonly answer: PromiseWithResolvers<readonly AppendReceipt[]>;
}

/** A transaction holds the thread while it runs: about so many bytes, then the rest goes in the next one. */
const TRANSACTION_BYTES_MAX = 4 * 1024 * 1024;
/** What an empty call counts. */
const CALL_BYTES = 64;
/** A refused caller comes again after some flushes. */
const RETRY_AFTER_MS = 100;

/** Calls of `append` that wait. */
export class AppendQueue {
  readonly #host: AppendQueueHost;
  readonly #bytesMax: number;
  readonly #unanswered = new Set<Promise<unknown>>();
  #waiting: WaitingCall[] = [];
  #bytes = 0;
  #isDraining = false;

  constructor(host: AppendQueueHost, bytesMax: number) {
    this.#host = host;
    this.#bytesMax = bytesMax;
  }

  /** Fulfils once the records are durable. Rejects with `LOG_BUSY` when too much waits already. */
  add(call: AppendCall): Promise<readonly AppendReceipt[]> {
    const bytes = call.bytes + CALL_BYTES;
    if (bytes > this.#bytesMax) throw this.#tooLarge(bytes);
    if (this.#bytes + bytes > this.#bytesMax) throw this.#busy();
    const answer = Promise.withResolvers<readonly AppendReceipt[]>();
    this.#waiting.push({ ...call, answer });
    this.#bytes += bytes;
    const settled = answer.promise.then(() => {}, () => {}).then(() => {
      this.#bytes -= bytes;
      this.#unanswered.delete(settled);
    });
    this.#unanswered.add(settled);
    if (!this.#isDraining) void this.#drain();
    return answer.promise;
  }

  /** Fulfils when all calls so far are answered, well or badly. */
  async settled(): Promise<void> {
    await Promise.all(this.#unanswered);
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      await this.#host.yield();
      while (this.#waiting.length > 0) {
        await this.#host.gate.running;
        const calls = this.#takeCalls();
        this.#write(calls);
        if (this.#waiting.length > 0) await this.#host.yield();
      }
    } catch (thrown) {
      for (const { answer } of this.#waiting.splice(0)) answer.reject(thrown);
    } finally {
      this.#isDraining = false;
    }
  }

  #takeCalls(): WaitingCall[] {
    let bytes = 0;
    let count = 0;
    do bytes += this.#waiting[count++]!.bytes; while (count < this.#waiting.length && bytes < TRANSACTION_BYTES_MAX);
    return this.#waiting.splice(0, count);
  }

  #write(calls: readonly WaitingCall[]): void {
    let receipts: readonly (readonly AppendReceipt[])[];
    try {
      receipts = this.#host.write(calls);
    } catch (thrown) {
      for (const { answer } of calls) answer.reject(thrown);
      return;
    }
    this.#host.gate.durable().then(
      () => calls.forEach(({ answer }, index) => answer.resolve(receipts[index]!)),
      (thrown) => calls.forEach(({ answer }) => answer.reject(thrown)),
    );
  }

  #tooLarge(bytes: number): Error {
    const message = `[${this.#host.name}] Cannot append: the records have about ${bytes} bytes, more than appendBytesMax ${this.#bytesMax}`;
    return new DecodeError("RECORD_TOO_LARGE", message);
  }

  #busy(): Error {
    const message = `[${this.#host.name}] Cannot append: records of ${this.#bytes} bytes wait for the device, appendBytesMax is ${this.#bytesMax}`;
    return new ExternalError("LOG_BUSY", message, { retryAfterMs: RETRY_AFTER_MS });
  }
}
