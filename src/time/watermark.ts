/**
 * How far event time is: per partition, per task, and over the tasks that write an internal topic. A clock never goes back, and `-Infinity` is a clock that
 * has seen nothing.
 *
 * Nothing here knows of wall clocks or of records: who uses a clock says which records were processed and which partitions are idle, and keeps the numbers
 * in its checkpoint.
 */

/** The clock of an input partition: the largest timestamp among its processed records, this one included, minus the delay. */
export class PartitionClock {
  /** ms; -Infinity before the first record. */
  watermark: number;
  /** An idle partition holds no task back. A record, or a carried clock, that moves it ends that. */
  isIdle: boolean = false;
  readonly #delayMs: number;

  /** `watermark`: as it was checkpointed. */
  constructor(delayMs: number, watermark: number = -Infinity) {
    this.#delayMs = delayMs;
    this.watermark = watermark;
  }

  /** A record was processed. Rejected and skipped ones are not told. */
  observe(timestamp: number): void {
    this.isIdle = false;
    const watermark = timestamp - this.#delayMs;
    if (watermark > this.watermark) this.watermark = watermark;
  }

  /** The clock of an internal topic's partition is what its writers carried; it has their delays in it. */
  carry(watermark: number): void {
    this.isIdle = false;
    if (watermark > this.watermark) this.watermark = watermark;
  }
}

/** The clock of a task: the least of its partitions that are not idle. */
export class TaskClock {
  /** ms; never goes back, also not when an idle partition with an old clock wakes up. */
  watermark: number;
  readonly #partitions: readonly PartitionClock[];

  /** `watermark`: as it was checkpointed. */
  constructor(partitions: readonly PartitionClock[], watermark: number = -Infinity) {
    this.#partitions = partitions;
    this.watermark = watermark;
  }

  /** Whether all partitions are idle: then time goes on by {@linkcode TaskClock.advanceIdle} alone. */
  get isIdle(): boolean {
    for (const partition of this.#partitions) if (!partition.isIdle) return false;
    return true;
  }

  /** Looks at the partitions again and returns the clock. */
  update(): number {
    let least = Infinity;
    for (const partition of this.#partitions) if (!partition.isIdle && partition.watermark < least) least = partition.watermark;
    if (least > this.watermark && least < Infinity) this.watermark = least;
    return this.watermark;
  }

  /** All partitions are idle and so much time (ms) has passed beyond their time-out since the last call. */
  advanceIdle(elapsedMs: number): number {
    let largest = this.watermark;
    for (const partition of this.#partitions) if (partition.watermark > largest) largest = partition.watermark;
    this.watermark = largest + Math.max(0, elapsedMs);
    return this.watermark;
  }
}

/** The clocks that the writers of an internal topic's partition carried: the partition's is the least of them. */
export class WriterClocks {
  readonly #clocks = new Map<string, number>();

  /** All tasks that write; one that has not spoken holds the partition at -Infinity. */
  constructor(writers: Iterable<string>) {
    for (const writer of writers) this.#clocks.set(writer, -Infinity);
  }

  /** A writer said how far it is; returns the least. Old news and strangers change nothing. */
  hear(writer: string, watermark: number): number {
    const before = this.#clocks.get(writer);
    if (before !== undefined && watermark > before) this.#clocks.set(writer, watermark);
    let least = Infinity;
    for (const clock of this.#clocks.values()) if (clock < least) least = clock;
    return least;
  }
}
