/** A log that only reads, from batches in memory, and forgets what is committed: what the engine costs by itself. */
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { Chunk, Payload } from "../../src/record/record.ts";
import type { AssignmentListener, Log, Membership, TopicSpec } from "../../src/log/log.ts";

/** Batches of one partition, `batchRecords` records each. */
export function batchesOf(values: readonly Payload[], keys: readonly string[], timestamps: readonly number[], batchRecords: number): Chunk[] {
  const encoder = new BatchEncoder();
  const chunks: Chunk[] = [];
  for (let from = 0; from < values.length; from += batchRecords) {
    encoder.reset();
    const to = Math.min(values.length, from + batchRecords);
    for (let i = from; i < to; i++) encoder.append(timestamps[i]!, keys[i]!, values[i]!, null);
    const bytes = encoder.seal(from).slice();
    chunks.push({ bytes, start: 0, end: bytes.length, nextPosition: to });
  }
  return chunks;
}

/** Reads `chunks` from the one partition of `topic`; counts what is committed. */
export function nullLog(topic: string, chunks: readonly Chunk[]): Log & { readonly written: { records: number } } {
  const partitions = new Map<string, number>();
  const written = { records: 0 };
  const end = chunks.at(-1)?.nextPosition ?? 0;
  return {
    name: "null",
    written,
    capabilities: { holdsState: false, durable: false, rebalances: false, deduplicates: false },
    database: null,
    trouble: null,
    ensureTopics: async (specs: readonly TopicSpec[]) => specs.forEach(({ name, partitions: count }) => partitions.set(name, count)),
    partitionsOf: (name) => partitions.get(name) ?? null,
    describe: async (topics) => topics.map((name) => ({ topic: name, partition: 0, start: 0, end: name === topic ? end : 0 })),
    positionAt: async () => 0,
    append: async () => [],
    join: async (group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> => {
      const assigned = topics.map((name) => ({ topic: name, partition: 0 }));
      await listener.assigned(assigned);
      return { group, memberId: "bench", assigned, leave: async () => {} };
    },
    committed: async () => [],
    reader: ({ topic: name, partition }) => {
      let next = 0;
      return {
        topic: name,
        partition,
        get position() {
          return next === 0 ? 0 : chunks[next - 1]!.nextPosition;
        },
        end: name === topic ? end : 0,
        take: () => name === topic && next < chunks.length ? chunks[next++]! : null,
        seek: () => {},
        close: () => {},
      };
    },
    commit: ({ outputs }) => {
      for (const { encoder } of outputs) written.records += encoder.count;
      return { durable: null };
    },
    flush: async () => {},
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
