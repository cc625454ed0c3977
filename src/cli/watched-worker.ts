/**
 * One worker as its parent sees it: started, watched, ended when it hangs, started again when it died.
 *
 * It counts as hanging when it has said nothing for `stuckAfterMs` of time that the watcher itself has seen go by: a machine that slept is no reason to end anything.
 */
import type { ProcessEnd, SpawnedProcess } from "../runtime/processes.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { ParentMessage, WorkerMessage } from "./messages.ts";

/** What became of a worker. */
export type WorkerNews =
  /** It died or was ended, and starts again after the pause. */
  | { readonly type: "workerRestarts"; readonly worker: number; readonly processId: number; readonly reason: string; readonly pauseMs: number }
  /** It failed and said why; it is started again, or not, as the next news says. */
  | { readonly type: "workerFailed"; readonly worker: number; readonly text: string }
  /** It has ended for good; `isSaid`: why, it has said itself. */
  | {
    readonly type: "workerEnded";
    readonly worker: number;
    readonly processId: number;
    readonly exitCode: number;
    readonly reason: string;
    readonly isSaid: boolean;
  };

/** What a watched worker is made of. */
export interface WatchedWorkerOptions {
  readonly runtime: Pick<Runtime, "monotonic" | "setTimer">;
  /** From 0. */
  readonly index: number;
  readonly stuckAfterMs: number;
  readonly spawn: (onMessage: (message: string) => void) => SpawnedProcess;
  readonly onNews: (news: WorkerNews) => void;
}

const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 10_000;
/** After so long without trouble the next pause is the first one again. */
const HEALTHY_MS = 60_000;
/** Loading a program may keep the loop from turning: a worker has at least so long before it stands. */
const START_MS = 30_000;
/** Between two looks at most. */
const LOOK_MS = 1_000;

/** A worker and whoever takes its place. */
export class WatchedWorker {
  readonly #options: WatchedWorkerOptions;
  #process: SpawnedProcess | null = null;
  /** Monotonic ms at which the process of now stood; null: not yet. */
  #standsSince: number | null = null;
  #hasEverStood = false;
  #silentMs = 0;
  #lookedAt = 0;
  #restarts = 0;
  /** Why it was ended from here. */
  #endedFor: string | null = null;
  #isStopping = false;
  #hasEnded = false;
  #timer: Timer | null = null;

  constructor(options: WatchedWorkerOptions) {
    this.#options = options;
  }

  /** Starts it. */
  start(): void {
    this.#standsSince = null;
    this.#endedFor = null;
    this.#silentMs = 0;
    this.#lookedAt = this.#options.runtime.monotonic();
    const process = this.#options.spawn((text) => this.#hear(process, JSON.parse(text) as WorkerMessage));
    this.#process = process;
    void process.ended.then((end) => this.#ended(process, end));
    this.#lookLater();
  }

  /** Has it drain and end; it is not started again, nor watched any more. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#timer?.cancel();
    if (this.#process === null) this.#finish(0, 0, "stopped", true);
    else this.#send({ type: "stop" });
  }

  /** Ends it at once, when it has not ended yet. */
  kill(reason: string): void {
    this.#endedFor = reason;
    this.#process?.kill();
  }

  /** Whether it has ended for good. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  #send(message: ParentMessage): void {
    this.#process?.send(JSON.stringify(message));
  }

  #hear(process: SpawnedProcess, message: WorkerMessage): void {
    if (process !== this.#process) return;
    this.#silentMs = 0;
    if (message.type === "started") {
      this.#standsSince = this.#options.runtime.monotonic();
      this.#hasEverStood = true;
    } else if (message.type === "failed") {
      this.#options.onNews({ type: "workerFailed", worker: this.#options.index, text: message.text });
      this.#send({ type: "heard" });
    }
  }

  #lookLater(): void {
    this.#timer = this.#options.runtime.setTimer(() => this.#look(), this.#lookMs);
  }

  get #lookMs(): number {
    return Math.min(LOOK_MS, this.#options.stuckAfterMs / 4);
  }

  #look(): void {
    const now = this.#options.runtime.monotonic();
    this.#silentMs += Math.min(now - this.#lookedAt, 2 * this.#lookMs);
    this.#lookedAt = now;
    const { stuckAfterMs } = this.#options;
    const limitMs = this.#standsSince === null ? Math.max(stuckAfterMs, START_MS) : stuckAfterMs;
    if (this.#silentMs < limitMs) return this.#lookLater();
    this.kill(`its loop has not turned for ${limitMs / 1_000} s`);
  }

  #ended({ processId }: SpawnedProcess, { code, signal, failure }: ProcessEnd): void {
    this.#process = null;
    this.#timer?.cancel();
    const { runtime, index, onNews } = this.#options;
    const reason = this.#endedFor ??
      (failure !== null ? `it could not be started: ${failure}` : code !== null ? `it ended with exit code ${code}` : `${signal} ended it`);
    // Node and the others use 1 for what nobody caught, and print it.
    const isSaid = this.#endedFor === null && failure === null && (code === 0 || code === 1 || code === 2);
    if (this.#isStopping) {
      // Nothing was in hand yet: any end is one in order.
      const isInOrder = code === 0 || (this.#standsSince === null && this.#endedFor === null && code === null);
      return this.#finish(processId, isInOrder ? 0 : code ?? 1, reason, isInOrder || isSaid);
    }
    // It ended by itself, is wrong by definition, or failed in sight of whoever started it: another try would end alike.
    if (code === 0 || code === 2 || failure !== null || (code !== null && !this.#hasEverStood)) return this.#finish(processId, code ?? 1, reason, isSaid);
    if (this.#standsSince !== null && runtime.monotonic() - this.#standsSince >= HEALTHY_MS) this.#restarts = 0;
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** this.#restarts++);
    onNews({ type: "workerRestarts", worker: index, processId, reason, pauseMs });
    this.#timer = runtime.setTimer(() => this.start(), pauseMs);
  }

  #finish(processId: number, exitCode: number, reason: string, isSaid: boolean): void {
    this.#hasEnded = true;
    this.#options.onNews({ type: "workerEnded", worker: this.#options.index, processId, exitCode, reason, isSaid });
  }
}
