/** A broker's content by Millrace's own log. */
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { StreamError } from "../../src/base/errors.ts";
import type { Append, Log } from "../../src/log/log.ts";
import { partitionFor } from "../../src/record/partitioner.ts";
import type { NewRecord } from "../../src/record/record.ts";
import { tempDirectory } from "../shim/temp.ts";
import type { NewLine, Records } from "./records.ts";
import { readPartition } from "../shim/read-partition.ts";

/** Appended in one call. */
const BATCH_RECORDS = 1_000;

/** Opens a log of its own. */
export async function ownRecords(brokers: string): Promise<Records> {
  const runtime = await hostRuntime();
  const directory = tempDirectory();
  const opened = await kafka({ brokers: [brokers] }).open({ app: "records", runtime, directory: directory.path, report: () => undefined });
  const { log } = opened;
  const made = new Map<string, number>();
  return {
    name: "Millrace's own log",
    create: async (partitions, topics) => {
      await log.ensureTopics(topics.map((name) => ({ name, partitions, retention: "forever", internal: false })));
      for (const name of topics) made.set(name, partitions);
    },
    load: (topic) => {
      let waiting: NewLine[] = [];
      return {
        write: async (lines) => {
          waiting.push(...lines);
          while (waiting.length >= BATCH_RECORDS) await append(log, topic, made.get(topic)!, waiting.splice(0, BATCH_RECORDS));
        },
        end: async () => {
          for (; waiting.length > 0; waiting = waiting.slice(BATCH_RECORDS)) await append(log, topic, made.get(topic)!, waiting.slice(0, BATCH_RECORDS));
          await log.flush();
        },
      };
    },
    dump: async (topic, onRecord) => {
      await log.ensureTopics([{ name: topic, partitions: made.get(topic)!, retention: "forever", internal: false }]);
      for (const { partition, start } of await log.describe([topic])) {
        await readPartition(
          log,
          { topic, partition },
          start,
          (cursor) => onRecord({ partition, position: cursor.position, key: cursor.keyText() ?? "", value: cursor.valueText() ?? "" }),
        );
      }
    },
    standings: async (group, topic) => {
      const ends = await log.describe([topic]);
      const committed = new Map((await log.committed(group, ends)).map(({ partition, position }) => [partition, position]));
      return ends.map(({ partition, end }) => ({ partition, committed: committed.get(partition) ?? -1, end }));
    },
    close: async () => {
      await log.close();
      opened.database?.close();
      directory.remove();
    },
  };
}

/** A batch that may be in although its call failed is written again: a reader of the topic sees what is in. */
async function append(log: Log, topic: string, partitions: number, lines: readonly NewLine[]): Promise<void> {
  const records = new Map<number, NewRecord[]>();
  for (const { at, key, value, partition } of lines) {
    const number = partition ?? partitionFor(key, partitions);
    const list = records.get(number);
    const record: NewRecord = { key, value, timestamp: at, headers: [] };
    if (list === undefined) records.set(number, [record]);
    else list.push(record);
  }
  const appends: Append[] = [...records].map(([partition, list]) => ({ topic, partition, records: list }));
  for (const one of appends) {
    for (let tries = 1;; tries++) {
      try {
        await log.append([one]);
        break;
      } catch (error) {
        if (tries === 10 || (error instanceof StreamError && error.code === "LOG_CLOSED")) throw error;
      }
    }
  }
}
