/** What lies on a broker, written and read beside the app under test. */

/** A record to be written. */
export interface NewLine {
  /** Event time, ms since the epoch. */
  readonly at: number;
  readonly key: string;
  /** Without tabs and line ends. */
  readonly value: string;
  /** null: by the hash of the key. */
  readonly partition: number | null;
}

/** A record as a `read_committed` reader sees it. */
export interface DumpedRecord {
  readonly partition: number;
  readonly position: number;
  readonly key: string;
  readonly value: string;
}

/** Writes records, in order, until it is ended. Rides out a broker that is away. */
export interface Loader {
  /** Queues lines; fulfils when they are taken. */
  write(lines: readonly NewLine[]): Promise<void>;
  /** Fulfils once all are acknowledged. */
  end(): Promise<void>;
}

/** Where a partition stands. */
export interface Standing {
  readonly partition: number;
  /** The group's position; -1: none. */
  readonly committed: number;
  /** The position after the last record. */
  readonly end: number;
}

/** The broker's content. */
export interface Records {
  /** Who reads and writes, for people. */
  readonly name: string;
  /** Makes topics that keep records of any age. */
  create(partitions: number, topics: readonly string[]): Promise<void>;
  /** Starts to write a topic. */
  load(topic: string): Loader;
  /** All that is committed in a topic, as of now; each partition in order. */
  dump(topic: string, onRecord: (record: DumpedRecord) => void): Promise<void>;
  /** Where the partitions of a topic stand. */
  standings(group: string, topic: string): Promise<readonly Standing[]>;
  close(): Promise<void>;
}

/** How long one look at a group's positions holds. */
const LOOK_AGAIN_MS = 250;

/** Waits until a group has committed all of a topic; null, or what is left when it takes longer. */
export async function awaitConsumed(records: Records, group: string, topic: string, timeoutMs: number): Promise<string | null> {
  for (const deadline = performance.now() + timeoutMs;;) {
    const left = (await records.standings(group, topic)).filter(({ committed, end }) => committed < end && end > 0);
    if (left.length === 0) return null;
    if (performance.now() > deadline) {
      return left.map(({ partition, committed, end }) => `partition ${partition} of "${topic}" is at ${committed}, wanted ${end}`).join("; ");
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
