/** A worker reduced to its commits, for tests of rebalances: what it says can be compared with the positions in the end. */
import type { Log, Membership } from "../../src/log/log.ts";
import { output, unit } from "../../src/testing/conformance/log-subject.ts";

/** Counts up on each partition it owns: each commit says `partition:count` and moves the position by one. What it has not committed before `revoked` is done is dropped. */
export class CountingWorker {
  readonly #log: Log;
  readonly #join: () => Promise<Membership>;
  readonly #source: string;
  readonly #target: string;
  readonly #group: string;
  readonly #next = new Map<number, number>();
  readonly #waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  #membership: Membership | null = null;
  #commits = 0;
  /** Counts what was told of partitions: an answer that comes after the next of it is not used. */
  #told = 0;
  #isStopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(log: Log, group: string, source: string, target: string, index: number) {
    this.#log = log;
    this.#source = source;
    this.#target = target;
    this.#group = group;
    this.#join = () =>
      log.join(group, [source], {
        assigned: async (partitions) => {
          this.#told++;
          const positions = new Map((await log.committed(this.#group, partitions)).map(({ partition, position }) => [partition, position]));
          for (const { partition } of partitions) this.#next.set(partition, positions.get(partition) ?? 0);
        },
        // Worker 1 hands back in the middle of a commit; the others end it first.
        revoked: async () => {
          this.#told++;
          this.#next.clear();
          if (index !== 1) await this.#loop.catch(() => {});
        },
        lost: () => {
          this.#told++;
          this.#next.clear();
        },
      });
  }

  async start(): Promise<void> {
    this.#membership = await this.#join();
    void this.#run();
  }

  /** Waits for so many commits of this worker. */
  until(count: number): Promise<void> {
    if (this.#commits >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#membership!.leave();
    await this.#loop.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#loop = this.#commit();
      try {
        await this.#loop;
      } catch {
        // Refused or failed: what is committed tells where to go on.
        await this.#again();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #again(): Promise<void> {
    const told = this.#told;
    const owned = [...this.#next.keys()].map((partition) => ({ topic: this.#source, partition }));
    const positions = new Map((await this.#log.committed(this.#group, owned)).map(({ partition, position }) => [partition, position]));
    if (told === this.#told) { for (const { partition } of owned) this.#next.set(partition, positions.get(partition) ?? 0); }
  }

  async #commit(): Promise<void> {
    const counts = [...this.#next];
    if (counts.length === 0 || this.#membership === null) return;
    const positions = counts.map(([partition, count]) => ({ topic: this.#source, partition, position: count + 1 }));
    await this.#log.commit(
      unit(this.#membership, { positions, outputs: [output(this.#target, 0, ...counts.map(([partition, count]) => `${partition}:${count}`))] }),
      () => {},
    );
    for (const [partition, count] of counts) if (this.#next.get(partition) === count) this.#next.set(partition, count + 1);
    this.#commits++;
    for (const waiter of this.#waiters) if (this.#commits >= waiter.count) waiter.resolve();
  }
}
