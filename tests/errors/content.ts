/** The input of an errors run, written, and its topics, read from outside of the app. */
import type { Append, Log } from "../../src/log/log.ts";
import { headerText } from "../../src/record/headers.ts";
import { CLOCK_ONLY_HEADER } from "../../src/task/carried-clock.ts";
import { readPartition } from "../shim/read-partition.ts";
import { topicsOf } from "./app.ts";
import { type Lane, lanes, PARTITIONS, type Plan } from "./plan.ts";

/** A record as it lies in a topic. */
export interface Lying {
  readonly partition: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: ReadonlyMap<string, string | null>;
}

const BATCH_RECORDS = 500;

/** Makes the sources. */
export async function makeSources(log: Log, name: string): Promise<void> {
  await log.ensureTopics(lanes.map((lane) => ({ name: topicsOf.source(name, lane), partitions: PARTITIONS, retention: "forever", internal: false })));
}

/** Writes records `from` until `to` of the plan, in order, to the partitions that their keys say; those that come by webhook are left out. */
export async function writeRecords(log: Log, name: string, plan: Plan, from: number, to: number): Promise<void> {
  const appends = new Map<string, { readonly topic: string; readonly partition: number; readonly records: Append["records"][number][] }>();
  const write = async (): Promise<void> => {
    await log.append([...appends.values()]);
    appends.clear();
  };
  let count = 0;
  for (let n = from; n < to; n++) {
    if (plan.isSent(n)) continue;
    const record = plan.record(n);
    const { lane, partition, key, fault } = record;
    const topic = topicsOf.source(name, lane);
    const id = `${topic} ${partition}`;
    let append = appends.get(id);
    if (append === undefined) appends.set(id, append = { topic, partition, records: [] });
    append.records.push({
      key: fault.kind === "nullKey" ? null : fault.kind === "badKey" ? new Uint8Array([0xff, 0xfe]) : key,
      value: plan.bytes(record),
      timestamp: plan.startAt + n,
      headers: [{ name: "n", value: String(n) }],
    });
    if (++count % BATCH_RECORDS === 0) await write();
  }
  if (appends.size > 0) await write();
}

/** Lets event time go on beyond all windows that are still open. */
export async function closeWindows(log: Log, name: string, plan: Plan): Promise<void> {
  const records = [{ key: "closing", value: plan.closing(), timestamp: plan.startAt + plan.records }];
  await log.append(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: topicsOf.source(name, "close"), partition, records })));
}

/** The partitions of the sources that the app has not committed to their end; what is left of them. */
export async function leftOver(log: Log, name: string): Promise<readonly string[]> {
  const ends = await log.describe(lanes.map((lane) => topicsOf.source(name, lane)));
  const committed = await log.committed(name, ends);
  return ends.flatMap(({ topic, partition, end }) => {
    const position = committed.find((at) => at.topic === topic && at.partition === partition)?.position ?? -1;
    return position < end && end > 0 ? [`${topic}/${partition} is at ${position}, wanted ${end}`] : [];
  });
}

/** What lies in the topics of a run. */
export interface Content {
  readonly out: (lane: Lane) => readonly Lying[];
  readonly dead: (lane: Lane) => readonly Lying[];
  readonly late: (lane: Lane) => readonly Lying[];
  readonly features: () => readonly Lying[];
}

/** Reads all topics of a run as they are now. */
export async function readContent(log: Log, name: string): Promise<Content> {
  const topics = new Map<string, readonly Lying[]>();
  const names = [topicsOf.features(name), ...lanes.flatMap((lane) => [topicsOf.out(name, lane), topicsOf.dead(name, lane), topicsOf.late(name, lane)])];
  for (const topic of names) topics.set(topic, await readTopic(log, topic));
  return {
    out: (lane) => topics.get(topicsOf.out(name, lane))!,
    dead: (lane) => topics.get(topicsOf.dead(name, lane))!,
    late: (lane) => topics.get(topicsOf.late(name, lane))!,
    features: () => topics.get(topicsOf.features(name))!,
  };
}

async function readTopic(log: Log, topic: string): Promise<readonly Lying[]> {
  const records: Lying[] = [];
  if (log.partitionsOf(topic) === null) return records;
  for (const { partition, start, end } of await log.describe([topic])) {
    if (end === start) continue;
    await readPartition(log, { topic, partition }, start, (cursor) => {
      const headers = new Map(cursor.headers().map(({ name, value }) => [name, headerText(value)]));
      if (headers.has(CLOCK_ONLY_HEADER)) return;
      records.push({ partition, key: cursor.keyBytes()?.slice() ?? null, value: cursor.valueBytes()?.slice() ?? null, headers });
    });
  }
  return records;
}
