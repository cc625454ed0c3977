/** Keeps a member's session alive, and tells when it is not: by what the coordinator answers, and by the clock. */
import type { Timer } from "../../../src/runtime/runtime.ts";
import { needsRefresh } from "../failure.ts";
import type { Cluster } from "./cluster.ts";
import { groupCodes, heartbeat } from "./group-protocol.ts";
import type { Identity } from "./group-protocol.ts";

/** What a heartbeat can tell: the group shares out anew; the member is none any more (`memberId` gone or not); another has its instance id; the session is over by the clock. */
export type Pulse = "rebalance" | "unknown" | "generation" | "fenced" | "expired";

const INTERVAL_MAX_MS = 3_000;
const RETRY_MS = 100;

/**
 * Heartbeats of one generation, from `start()` until `stop()`: each third of the session time-out, at most every 3 s. They go on while a rebalance is under way: whoever hands back keeps its
 * session by them.
 */
export class Heartbeat {
  readonly #cluster: Cluster;
  readonly #who: Identity;
  readonly #tell: (pulse: Pulse) => void;
  /** When the last heartbeat that was answered well was sent: from then on the coordinator counts at the earliest. */
  #aliveAt: number;
  #timer: Timer | null = null;
  #isAsking = false;
  #isStopped = false;

  constructor(cluster: Cluster, who: Identity, tell: (pulse: Pulse) => void) {
    this.#cluster = cluster;
    this.#who = who;
    this.#tell = tell;
    this.#aliveAt = cluster.settings.runtime.monotonic();
  }

  /** Whether the coordinator may have given the member up by now. Also right when no timer fired for long, as after a pause of the process. */
  get isExpired(): boolean {
    return this.#leftMs() <= 0;
  }

  start(): void {
    // The first at once: how long the answer of the coordinator lay about before it was read, nobody knows.
    void this.#beat();
    this.#arm(this.#intervalMs());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #intervalMs(): number {
    return Math.min(INTERVAL_MAX_MS, this.#cluster.settings.sessionTimeoutMs / 3);
  }

  #leftMs(): number {
    const { runtime, sessionTimeoutMs } = this.#cluster.settings;
    return this.#aliveAt + sessionTimeoutMs - runtime.monotonic();
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#cluster.settings.runtime.setTimer(() => {
      if (this.isExpired) return this.#end("expired");
      this.#arm(this.#intervalMs());
      void this.#beat();
    }, Math.max(0, Math.min(delayMs, this.#leftMs() + 1)));
  }

  async #beat(): Promise<void> {
    if (this.#isAsking || this.#isStopped) return;
    this.#isAsking = true;
    const { settings } = this.#cluster;
    const { group } = this.#who;
    const sentAt = settings.runtime.monotonic();
    let code: number = -1;
    try {
      const coordinator = await this.#cluster.coordinator("group", group);
      const options = { timeoutMs: settings.sessionTimeoutMs, what: `send a heartbeat for group "${group}"` };
      code = await this.#cluster.request("control", coordinator, (connection) => heartbeat(connection, this.#who), options);
    } catch (error) {
      if (needsRefresh(error)) this.#cluster.forgetCoordinator("group", group);
    }
    this.#isAsking = false;
    if (!this.#isStopped && !this.#cluster.isClosed) this.#hear(code, sentAt);
  }

  #hear(code: number, sentAt: number): void {
    switch (code) {
      case groupCodes.NONE:
      case groupCodes.REBALANCE_IN_PROGRESS:
        this.#aliveAt = sentAt;
        if (this.isExpired) this.#end("expired");
        else if (code !== groupCodes.NONE) this.#tell("rebalance");
        return;
      case groupCodes.UNKNOWN_MEMBER_ID:
        return this.#end("unknown");
      case groupCodes.ILLEGAL_GENERATION:
        return this.#end("generation");
      case groupCodes.FENCED_INSTANCE_ID:
        return this.#end("fenced");
      case groupCodes.NOT_COORDINATOR:
      case groupCodes.COORDINATOR_NOT_AVAILABLE:
        this.#cluster.forgetCoordinator("group", this.#who.group);
    }
    // Time runs: the next one comes sooner, and when it is over, that is told.
    this.#arm(RETRY_MS);
  }

  #end(pulse: Pulse): void {
    this.stop();
    this.#tell(pulse);
  }
}
