/** Calls of librdkafka as promises: each is answered, runs into its time-out, or is cut off by `close()`. */
import { closedFailure, isRetriable, lostConnection } from "../failure.ts";
import type { Runtime, Timer } from "../../../src/runtime/runtime.ts";
import type { NativeCallback } from "./confluent.ts";
import { nativeFailure } from "./native-failure.ts";

/** librdkafka keeps its own time-outs; ours only catch what it forgets. */
const SLACK_MS = 2_000;
const PAUSE_MIN_MS = 5;
const PAUSE_MAX_MS = 250;

/** The calls under way of one client. */
export class NativeCalls {
  readonly timeoutMs: number;
  readonly #runtime: Runtime;
  /** Cut off by `close()`. */
  readonly #pending: Set<(error: Error) => void> = new Set();
  /** Calls that librdkafka has not answered, cut off or not. */
  #unanswered = 0;
  #onDrained: (() => void) | null = null;
  #isClosed = false;

  constructor(runtime: Runtime, timeoutMs: number) {
    this.#runtime = runtime;
    this.timeoutMs = timeoutMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Rejects with what librdkafka answers, as it is: who calls needs its flags. */
  raw<T>(what: string, call: (done: NativeCallback<T>) => unknown): Promise<T> {
    return this.wait(what, this.timeoutMs + SLACK_MS, (resolve, reject) => {
      this.#unanswered++;
      const answered = (): void => {
        if (--this.#unanswered === 0) this.#onDrained?.();
      };
      try {
        call((error, value) => {
          answered();
          if (error) reject(error);
          else resolve(value);
        });
      } catch (error) {
        answered();
        reject(error);
      }
    });
  }

  /** Rejects with a StreamError. */
  async call<T>(what: string, call: (done: NativeCallback<T>) => unknown): Promise<T> {
    try {
      return await this.raw(what, call);
    } catch (error) {
      throw nativeFailure(error, what);
    }
  }

  /** Tries until it succeeds, fails for good, or the time is over. */
  async retry<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const deadline = this.#runtime.monotonic() + this.timeoutMs;
    for (let pauseMs = PAUSE_MIN_MS;; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
      try {
        return await attempt();
      } catch (error) {
        if (!isRetriable(error) || this.#runtime.monotonic() + pauseMs > deadline) throw error;
      }
      await this.pause(what, pauseMs);
    }
  }

  /** Resolves after a time; rejects when the client is closed. */
  pause(what: string, delayMs: number): Promise<void> {
    return this.wait(what, Number.POSITIVE_INFINITY, (resolve) => this.#runtime.setTimer(resolve, delayMs));
  }

  /** A promise that runs into a time-out, and is cut off by `close()`. */
  wait<T>(what: string, timeoutMs: number, begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => Timer | void): Promise<T> {
    if (this.#isClosed) return Promise.reject(closedFailure(what));
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        if (!this.#pending.delete(cut)) return;
        timer?.cancel();
        own?.cancel();
        act();
      };
      const cut = (error: unknown): void => settle(() => reject(error));
      this.#pending.add(cut);
      const late = (): void => cut(lostConnection(what, new Error(`no answer within ${timeoutMs} ms`)));
      const timer = timeoutMs === Number.POSITIVE_INFINITY ? null : this.#runtime.setTimer(late, timeoutMs);
      let own: Timer | void = undefined;
      own = begin((value) => settle(() => resolve(value)), cut);
    });
  }

  /** What is under way rejects with `LOG_CLOSED`, and so does what comes. Resolves once librdkafka has answered all the same: what it works for must not be taken away before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const cut of [...this.#pending]) cut(closedFailure("finish a call"));
    if (this.#unanswered > 0) await new Promise<void>((resolve) => this.#onDrained = resolve);
  }
}
