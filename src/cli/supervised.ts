/** The worker's side of supervision: it says that it lives, hears when it is to stop, and leaves it to the parent to say why it failed. */
import type { ParentProcess } from "../runtime/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ParentMessage, Told, WorkerMessage } from "./messages.ts";

/** How long the parent has to take over a message; after that the worker prints it itself. */
const HEARD_WITHIN_MS = 5_000;
/** How long a worker whose parent has died has to drain. */
const ORPHAN_MS = 15_000;

/** A worker's tie to the parent that watches it. */
export class Supervised {
  readonly told: Told;
  readonly processId: number;
  /** Aborted when it is to stop: it was told so, or the parent has died. */
  readonly signal: AbortSignal;
  /** Fulfils when the parent has died and a drain has had its time. */
  readonly overdue: Promise<void>;
  readonly #parent: ParentProcess;
  readonly #runtime: Runtime;
  #isClosed = false;
  #onHeard: () => void = () => {};

  constructor(parent: ParentProcess, runtime: Runtime) {
    const stopping = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#parent = parent;
    this.#runtime = runtime;
    this.told = JSON.parse(parent.told) as Told;
    this.processId = parent.processId;
    this.signal = stopping.signal;
    this.overdue = promise;
    parent.listen({
      onMessage: (text) => {
        const message = JSON.parse(text) as ParentMessage;
        if (message.type === "stop") stopping.abort();
        else this.#onHeard();
      },
      onClosed: () => {
        this.#isClosed = true;
        this.#onHeard();
        stopping.abort();
        runtime.setTimer(resolve, ORPHAN_MS);
      },
    });
  }

  /** Says that it lives. */
  tick(): void {
    this.#send({ type: "tick" });
  }

  /** Says that everything stands. */
  started(): void {
    this.#send({ type: "started" });
  }

  /** Hands over why it failed; false when nobody took it. */
  async failed(text: string, exitCode: number): Promise<boolean> {
    if (this.#isClosed) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#onHeard = () => resolve(!this.#isClosed);
    const timer = this.#runtime.setTimer(() => resolve(false), HEARD_WITHIN_MS);
    this.#send({ type: "failed", text, exitCode });
    const isHeard = await promise;
    timer.cancel();
    return isHeard;
  }

  #send(message: WorkerMessage): void {
    this.#parent.send(JSON.stringify(message));
  }
}
