/** Topics of the embedded log: what it knows when it opens, and how they are made and changed. */
import type { TopicPartition } from "../record/record.ts";
import { EmbeddedPartition } from "./embedded-partition.ts";
import type { EmbeddedTopic } from "./embedded-partition.ts";
import type { PartitionRow, Tables, TopicRow } from "./embedded-tables.ts";
import type { TopicSpec } from "./log.ts";

/** All topics, with where their partitions begin and end and how large they are. */
export function loadTopics(tables: Tables): EmbeddedTopic[] {
  const rows = Map.groupBy(tables.partitions(), ({ topic }) => topic);
  return tables.topics().map((topic) => ({ ...topic, partitions: (rows.get(topic.id) ?? []).map((row) => load(tables, topic, row)) }));
}

function load(tables: Tables, topic: TopicRow, row: PartitionRow): EmbeddedPartition {
  // Retention may have deleted the last batch: then the end is where it counted to.
  const batches = tables.batches(row.id);
  const end = Math.max(row.countedTo, batches.lastNext() ?? 0);
  const partition = new EmbeddedPartition(row.id, { topic: topic.name, partition: row.number }, batches, row.start, end);
  if (topic.retention !== "forever" && row.countedTo > 0) partition.bytes = row.bytes + batches.bytesFrom(row.countedTo);
  if (topic.retention === "compact") partition.dirtyBytes = batches.bytesFrom(row.cleanTo);
  return partition;
}

/** Makes the topics that are not `known`, gives the others their settings; the topics as they are then. Within a transaction, after which they count. */
export function saveTopics(tables: Tables, specs: readonly TopicSpec[], known: ReadonlyMap<string, EmbeddedTopic>): Iterable<EmbeddedTopic> {
  const saved = new Map<string, EmbeddedTopic>();
  for (const { name, partitions, retention, internal } of specs) {
    const topic = saved.get(name) ?? known.get(name);
    if (topic === undefined) {
      const id = tables.addTopic(name, retention, internal);
      const all = Array.from({ length: partitions }, (_, partition) => add(tables, id, { topic: name, partition }));
      saved.set(name, { id, name, retention, internal, partitions: all });
    } else {
      tables.changeTopic(topic.id, retention, internal);
      saved.set(name, { ...topic, retention, internal });
    }
  }
  return saved.values();
}

function add(tables: Tables, topic: number, at: TopicPartition): EmbeddedPartition {
  const id = tables.addPartition(topic, at.partition);
  return new EmbeddedPartition(id, at, tables.batches(id), 0, 0);
}
