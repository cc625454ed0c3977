/** Whether the cluster answers: asked now and then, so that an app with nothing to do says so, too. */
import { messageOf } from "../../src/base/errors.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import type { KafkaClient } from "./client.ts";

const INTERVAL_MS = 5_000;
/** Once a question was not answered. */
const AGAIN_MS = 1_000;
/** A broker that is restarted while another takes over is no trouble. */
const SILENT_AFTER_MS = 3_000;

/** Asks a cluster whether it is there. */
export class Presence {
  readonly #client: Pick<KafkaClient, "probe">;
  readonly #runtime: Pick<Runtime, "monotonic" | "setTimer">;
  #timer: Timer;
  #answeredAt: number;
  #failure: string | null = null;
  #isStopped = false;

  constructor(client: Pick<KafkaClient, "probe">, runtime: Pick<Runtime, "monotonic" | "setTimer">) {
    this.#client = client;
    this.#runtime = runtime;
    this.#answeredAt = runtime.monotonic();
    this.#timer = this.#askAfter(INTERVAL_MS);
  }

  /** Why no broker answers; null: one does, or has a moment ago. */
  get trouble(): string | null {
    return this.#failure !== null && this.#runtime.monotonic() - this.#answeredAt >= SILENT_AFTER_MS ? this.#failure : null;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer.cancel();
  }

  #askAfter(delayMs: number): Timer {
    return this.#runtime.setTimer(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    try {
      await this.#client.probe();
      this.#failure = null;
      this.#answeredAt = this.#runtime.monotonic();
    } catch (error) {
      this.#failure = messageOf(error);
    }
    if (!this.#isStopped) this.#timer = this.#askAfter(this.#failure === null ? INTERVAL_MS : AGAIN_MS);
  }
}
