/** For the leader of a group: how many partitions topics have, and when one has another number than the shares were made for. */
import type { Timer } from "../../../src/runtime/runtime.ts";
import type { Cluster } from "./cluster.ts";

const INTERVAL_MS = 30_000;
/** While a topic is missing: it may just have been made. */
const MISSING_INTERVAL_MS = 1_000;
const MISSING_PAUSE_MS = 50;
const MISSING_ATTEMPTS = 5;

/** Looks every 30 s, every second while a topic is missing, until `stop()`. */
export class PartitionWatch {
  readonly #cluster: Cluster;
  readonly #counts: ReadonlyMap<string, number>;
  readonly #tell: () => void;
  #timer: Timer | null = null;
  #isStopped = false;

  /** `counts` are the partitions of each topic; 0 for one that does not exist. */
  constructor(cluster: Cluster, counts: ReadonlyMap<string, number>, tell: () => void) {
    this.#cluster = cluster;
    this.#counts = counts;
    this.#tell = tell;
  }

  start(): void {
    const intervalMs = isMissing(this.#counts) ? MISSING_INTERVAL_MS : INTERVAL_MS;
    this.#timer = this.#cluster.settings.runtime.setTimer(() => void this.#look(), intervalMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    try {
      const now = await partitionCounts(this.#cluster, [...this.#counts.keys()]);
      if (this.#isStopped) return;
      if ([...this.#counts].some(([topic, count]) => now.get(topic) !== count)) return this.#tell();
    } catch {
      // Whether topics have changed can wait until somebody answers.
    }
    if (!this.#isStopped) this.start();
  }
}

/** How many partitions topics have at the moment; 0 for those that do not exist. A broker hears of new topics a little later than others: what is missing is asked for again. */
export async function settledCounts(cluster: Cluster, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  for (let attempt = 1;; attempt++) {
    const counts = await partitionCounts(cluster, topics);
    if (attempt === MISSING_ATTEMPTS || !isMissing(counts)) return counts;
    await cluster.pause(MISSING_PAUSE_MS);
  }
}

async function partitionCounts(cluster: Cluster, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map(topics.map((topic) => [topic, 0]));
  if (topics.length > 0) { for (const { name, partitions } of await cluster.topics(topics)) counts.set(name, partitions); }
  return counts;
}

function isMissing(counts: ReadonlyMap<string, number>): boolean {
  return [...counts.values()].includes(0);
}
