/**
 * The way of webhooks with ids into a log that does not know ids by itself: by way of `<app>-<topic>-ingest`, partitioned by the id, whose task keeps the ids and forwards the first record of each
 * to its topic, in its commit.
 *
 * - **I1** Of the records of one id, received less than its time after the first, exactly one is forwarded, with key, value, timestamp and headers as they were.
 * - **I2** What a task decides follows from the records of its partition alone: time is when requests were received, so that a restart decides the same.
 * - **I3** An id is given up {@linkcode SLACK_MS} after its time, when a record of the partition was received then: servers whose clocks differ by less disagree about nothing.
 */
import { DecodeError, DefinitionError } from "../../base/errors.ts";
import type { Append } from "../../log/log.ts";
import { headerText } from "../../record/headers.ts";
import { textKeys } from "../../record/key.ts";
import { type RecordMeta, RecordView } from "../../record/meta.ts";
import { partitionFor } from "../../record/partitioner.ts";
import type { HeaderField, Payload } from "../../record/record.ts";
import { packRow, unpackRow } from "../../state/row-bytes.ts";
import type { StoredRow, StoreSpec } from "../../state/storage.ts";
import { madeTopic } from "../../stream/topic.ts";
import type { TopicDefinition, TopologyNode } from "../../topology/node.ts";
import { partitionCounts, type Topology } from "../../topology/topology.ts";
import type { IdempotencyId } from "../host.ts";
import type { WebhookDefinition } from "./webhook.ts";

/** How much longer than its time an id is kept. Servers whose clocks differ by more refuse each other's signatures. */
export const SLACK_MS = 600_000;

/** The timestamp of the record, how long its id is kept, and the checksum of its content, as text between spaces. */
const INGEST_HEADER = "mr-ingest";
/** The key of the record; none: it has none. */
const KEY_HEADER = "mr-ingest-key";
/** The ids of one time to keep lie in about so many buckets: a bucket is the least that is given up at once. */
const BUCKETS = 64;
/** The width of buckets of ids that came from another log: nobody knows any more for how long they were to be kept. */
const MOVED_BUCKET_MS = 60_000;

/** What becomes of a repeated id with another content. */
export type DifferingListener = (webhook: string, idempotencyId: string) => void;

/** A topology with what its webhooks need on a log that does not deduplicate. */
export interface IngestTopology {
  readonly topology: Topology;
  /** The topics of ids, by the name of the topic they lead to. */
  readonly topics: ReadonlyMap<string, TopicDefinition>;
}

/** Adds a topic of ids, and the step behind it, for each topic that webhooks with ids lead to. Throws `DefinitionError` where a name is taken. */
export function withIngestTopics(
  topology: Topology,
  webhooks: readonly { readonly definition: WebhookDefinition; readonly topic: TopicDefinition }[],
  partitionsOf: (topic: string) => number | null,
  onDiffers: DifferingListener,
): IngestTopology {
  const targets = new Set(webhooks.filter(({ definition }) => mayHaveIds(definition)).map(({ topic }) => topic));
  const counts = partitionCounts(topology, partitionsOf);
  const topics = new Map<string, TopicDefinition>();
  const subTopologies = [...topology.subTopologies];
  for (const target of targets) {
    // By app: the records of a topic of an app's own are deleted once it has them.
    const name = `${topology.app}-${target.name}-ingest`;
    const isTaken = topology.topics.some((topic) => topic.name === name) ||
      subTopologies.some(({ nodes }) => nodes.some((node) => node.name === stepName(name)));
    if (isTaken) {
      throw new DefinitionError(
        `Cannot keep the ids of webhooks for topic "${target.name}": there is a topic "${name}" or a step "${stepName(name)}" already, wanted both names free`,
      );
    }
    // It may have been made when the topic had another number of partitions: any will do.
    const partitions = partitionsOf(name) ?? counts.get(target.name) ?? 1;
    const topic = ingestTopic(name, partitions);
    topics.set(target.name, topic);
    const nodes = ingestNodes(topic, target, onDiffers);
    subTopologies.push({ name, reads: [topic], writes: [target], nodes });
  }
  return { topology: { ...topology, topics: [...topology.topics, ...topics.values()], subTopologies }, topics };
}

/** The append that leads to `append` by way of a topic of ids, unless its id was there before. */
export function ingestAppend(topic: TopicDefinition, append: Append, id: IdempotencyId, receivedAt: number): Append {
  const key = JSON.stringify([id.scope, id.value]);
  const records = append.records.map((record) => {
    const own: HeaderField[] = [{ name: INGEST_HEADER, value: `${record.timestamp} ${id.keepMs} ${id.checksum}` }];
    if (record.key !== null) own.push({ name: KEY_HEADER, value: record.key });
    // The log keeps records by their timestamp: that of the event may be years ago.
    return { key, value: record.value, timestamp: receivedAt, headers: [...(record.headers ?? []), ...own] };
  });
  return { topic: topic.name, partition: partitionFor(key, topic.partitions ?? 1), records };
}

function stepName(topic: string): string {
  return `${topic}-firsts`;
}

function mayHaveIds({ idempotencyKey, scheme }: WebhookDefinition): boolean {
  return idempotencyKey !== null || (scheme !== null && scheme.idHeader !== null);
}

/** Values are bytes that nobody looks into. Its dead letters, records that no webhook wrote, are its own. */
function ingestTopic(name: string, partitions: number): TopicDefinition {
  const asTheyAre = { encode: (value: unknown) => value as Payload, decode: (bytes: Uint8Array) => bytes };
  return { ...madeTopic({ name, key: textKeys, origin: name, isInternal: true, partitions }), value: asTheyAre };
}

function ingestNodes(topic: TopicDefinition, target: TopicDefinition, onDiffers: DifferingListener): TopologyNode[] {
  const common = { stores: [], policy: null, clockDelayMs: null, concurrency: 1 };
  const source: TopologyNode = {
    ...common,
    kind: "source",
    name: topic.name,
    inputs: [],
    reads: topic,
    writes: null,
    build: (_context, next) => ({ push: next }),
  };
  const stores = idStores(topic.name);
  const step: TopologyNode = {
    ...common,
    kind: "first of each id",
    name: stepName(topic.name),
    inputs: [source],
    reads: null,
    writes: target,
    stores,
    build: firstsStep(target, stores, onDiffers),
  };
  return [source, step];
}

/** The stores of a topic of ids. */
export function storesOfIds(topic: TopicDefinition): readonly StoreSpec[] {
  return idStores(topic.name);
}

/** What the task of a topic of ids has to know of an id that was seen before, on another log: a row for each of {@linkcode storesOfIds}, in their order. `partition` is the task's. */
export function rowsOfId(
  topic: TopicDefinition,
  { scope, value, checksum, expiresAt }: Pick<IdempotencyId, "scope" | "value" | "checksum"> & { readonly expiresAt: number },
): { readonly partition: number; readonly rows: readonly StoredRow[] } {
  const key = JSON.stringify([scope, value]);
  const [ids, expiries] = idStores(topic.name);
  return {
    partition: partitionFor(key, topic.partitions ?? 1),
    rows: [
      { time: 0, key, value: ids.pack([expiresAt, checksum] satisfies KnownId).slice() },
      { time: bucketOf(expiresAt, BUCKETS * MOVED_BUCKET_MS), key, value: expiries.pack([]).slice() },
    ],
  };
}

/** What is known of an id: until when it is one, and the checksum of its first content. */
type KnownId = readonly [expiresAt: number, checksum: number];

/** Of ids by key, and of their keys by about when they expire. */
function idStores(topic: string): readonly [ids: StoreSpec, expiries: StoreSpec] {
  return [
    { name: `${topic}#ids`, fingerprint: "webhook ids", pack: packRow, unpack: unpackRow },
    { name: `${topic}#expiries`, fingerprint: "webhook id expiries", pack: packRow, unpack: unpackRow },
  ];
}

function firstsStep(target: TopicDefinition, [idSpec, expirySpec]: readonly [StoreSpec, StoreSpec], onDiffers: DifferingListener): TopologyNode["build"] {
  return (context) => {
    const output = context.output(target);
    const ids = context.store(idSpec), expiries = context.store(expirySpec);
    return {
      push: (value, meta) => {
        context.enter();
        const { id, key, timestamp, keepMs, checksum, headers } = readIngest(meta);
        const receivedAt = meta.timestamp;
        const known = ids.get(0, id) as KnownId | undefined;
        if (known !== undefined && receivedAt < known[0]) {
          context.skipped("webhook id seen before");
          if (known[1] !== checksum) sayDiffering(id, onDiffers);
          return;
        }
        const expiresAt = receivedAt + keepMs;
        ids.set(0, id, [expiresAt, checksum] satisfies KnownId);
        expiries.set(bucketOf(expiresAt, keepMs), id, []);
        context.emit(output, key, (value ?? null) as Payload | null, timestamp, headers);
      },
      timed: {
        dueAt: () => expiries.nextTime + SLACK_MS,
        fire: (budget) => {
          while (expiries.nextTime + SLACK_MS <= context.clock.safe) {
            const time = expiries.nextTime;
            const isDone = expiries.drain(time, (id) => {
              budget.left--;
              const known = ids.get(0, id) as KnownId | undefined;
              // It may have come again since.
              if (known !== undefined && known[0] <= time) ids.set(0, id, undefined);
              return budget.left > 0;
            });
            if (!isDone) return false;
          }
          return true;
        },
      },
    };
  };
}

function bucketOf(expiresAt: number, keepMs: number): number {
  const widthMs = Math.max(1, Math.ceil(keepMs / BUCKETS));
  return Math.ceil(expiresAt / widthMs) * widthMs;
}

function sayDiffering(id: string, onDiffers: DifferingListener): void {
  const [scope, value] = JSON.parse(id) as readonly [scope: string, value: string];
  onDiffers(scope, value);
}

/** What lies in a topic of ids. */
interface IngestRecord {
  readonly id: string;
  readonly key: Payload | null;
  readonly timestamp: number;
  readonly keepMs: number;
  readonly checksum: number;
  readonly headers: readonly HeaderField[];
}

function readIngest(meta: RecordMeta): IngestRecord {
  const id = meta.key;
  const fields = meta instanceof RecordView ? meta.fields ?? [] : [];
  let key: Payload | null = null;
  let numbers: readonly number[] = [];
  const headers: HeaderField[] = [];
  for (const field of fields) {
    if (field.name === INGEST_HEADER) numbers = headerText(field.value).split(" ").map(Number);
    else if (field.name === KEY_HEADER) key = field.value;
    else headers.push(field);
  }
  const [timestamp, keepMs, checksum] = numbers;
  if (typeof id === "string" && isNumber(timestamp) && isNumber(keepMs) && isNumber(checksum)) return { id, key, timestamp, keepMs, checksum, headers };
  throw new DecodeError(
    "CODEC_FAILED",
    `Cannot forward the record at position ${meta.position} of "${meta.topic}" partition ${meta.partition}: no webhook wrote it, wanted a key and the header "${INGEST_HEADER}"`,
  );
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}
