/** What an embedded app has that is to be moved: looked at as a whole before anything is written elsewhere. */
import { ExternalError, StoreError } from "../../base/errors.ts";
import { EmbeddedContents } from "../../log/embedded-contents.ts";
import type { Log, TopicSpec } from "../../log/log.ts";
import { RecordCursor } from "../../record/cursor.ts";
import type { TopicPartition } from "../../record/record.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Database } from "../../sqlite/database.ts";
import { StateStorage, type StoredSpace } from "../../state/storage.ts";
import { clockStore, formerNames, pendingStore, unpackPending } from "../../task/pending.ts";
import type { SubTopology, Topology } from "../../topology/topology.ts";
import { PositionMap } from "./position-map.ts";

/** A partition whose records move. */
export interface SurveyedPartition extends TopicPartition {
  /** Of the first record that moves: what is below was done, and is the app's own business. */
  readonly from: number;
  readonly end: number;
  /** As record batches. */
  readonly bytes: number;
  /** The position of the group, as it was; null: none. */
  readonly committed: number | null;
  readonly positions: PositionMap;
}

/** A store of one task. */
export interface SurveyedSpace extends StoredSpace {
  readonly rows: number;
}

/** What moves. */
export interface Survey {
  readonly topics: readonly TopicSpec[];
  readonly partitions: readonly SurveyedPartition[];
  /** By the id of the task: `orders/0`. */
  readonly tasks: ReadonlyMap<string, readonly SurveyedSpace[]>;
  /** Ids of webhooks that have not expired. */
  readonly ids: number;
  /** Stores with rows that no step of the app keeps any more: they stay behind. */
  readonly left: readonly SurveyedSpace[];
  /** Groups that are not the app's: their positions stay behind. */
  readonly otherGroups: readonly string[];
}

const CHUNK_BYTES = 4_194_304;
const PAGE_ROWS = 1_024;

/** Looks at everything. Throws `LOG_POSITION_OUT_OF_RANGE` where the app stands at records that were deleted, `STORE_INCOMPATIBLE` where it was changed and has not run since. */
export async function surveyOf(log: Log, database: Database, topology: Topology, runtime: Runtime): Promise<Survey> {
  const contents = new EmbeddedContents(database);
  const topics = contents.topics();
  const read = new Set(topology.subTopologies.flatMap((sub) => sub.reads.map(({ name }) => name)));
  const at = topics.flatMap(({ name, partitions }) => Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })));
  const committed = new Map((await log.committed(topology.app, at)).map((one) => [placeOf(one), one.position]));
  const partitions: SurveyedPartition[] = [];
  for (const { topic, partition, start, end } of await log.describe(topics.map(({ name }) => name))) {
    const spec = topics.find(({ name }) => name === topic)!;
    const position = committed.get(placeOf({ topic, partition })) ?? null;
    if (position !== null && position < start && read.has(topic)) throw lost({ topic, partition }, position, start);
    // As on Kafka, where the app deletes them.
    const isDone = spec.internal && typeof spec.retention === "object" && position !== null;
    partitions.push(await surveyPartition(log, runtime, { topic, partition, from: isDone ? Math.max(start, position) : start, end, committed: position }));
  }
  const { tasks, left } = surveyState(new StateStorage(database), topology, log);
  const ids = contents.countIds(runtime.now());
  return { topics, partitions, tasks, ids, left, otherGroups: contents.groups().filter((group) => group !== topology.app) };
}

/** `topic/partition`. */
export function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** How many tasks a sub-topology has. */
function taskCount(sub: SubTopology, partitionsOf: (topic: string) => number | null): number {
  return Math.max(...sub.reads.map(({ name }) => partitionsOf(name) ?? 1));
}

async function surveyPartition(log: Log, runtime: Runtime, of: Omit<SurveyedPartition, "bytes" | "positions">): Promise<SurveyedPartition> {
  const positions = new PositionMap();
  let bytes = 0;
  const reader = log.reader(of, of.from, () => {});
  const cursor = new RecordCursor({ cutBatch: "refuse" });
  try {
    for (;;) {
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) return { ...of, bytes, positions };
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) positions.add(cursor.position);
      bytes += chunk.end - chunk.start;
      await runtime.yield();
    }
  } finally {
    reader.close();
  }
}

function surveyState(storage: StateStorage, { subTopologies }: Topology, log: Log): Pick<Survey, "tasks" | "left"> {
  const spaces = storage.spaces().map((space): SurveyedSpace => ({ ...space, rows: storage.countRows(space.id) }));
  const tasks = new Map<string, SurveyedSpace[]>();
  const left = new Set(spaces.filter(({ rows }) => rows > 0));
  for (const sub of subTopologies) {
    const names = new Set(sub.nodes.flatMap(({ stores }) => stores.map(({ name }) => name)));
    const count = taskCount(sub, (topic) => log.partitionsOf(topic));
    for (let partition = 0; partition < count; partition++) {
      const own = spaces.filter((space) => space.partition === partition && (names.has(space.store) || space.store.startsWith(`${sub.name}#`)));
      for (const space of own) left.delete(space);
      tasks.set(`${sub.name}/${partition}`, own);
    }
  }
  checkAdopted(storage, spaces, subTopologies);
  return { tasks, left: [...left] };
}

/** Steps that were parted or joined otherwise take over what is pending when they start, and only then is it theirs. */
function checkAdopted(storage: StateStorage, spaces: readonly SurveyedSpace[], subTopologies: readonly SubTopology[]): void {
  const current = subTopologies.map(({ name }) => name), read = subTopologies.flatMap((sub) => sub.reads.map(({ name }) => name));
  const entrances = new Set([...read, ...subTopologies.flatMap(({ nodes }) => nodes.flatMap(({ name }) => [`step:${name}`, `into:${name}`]))]);
  const former = formerNames(spaces.map(({ store }) => store), read, current);
  const clocks = new Set(former.map((name) => clockStore(name).name)), pending = new Set(former.map((name) => pendingStore(name).name));
  const isPending = (space: SurveyedSpace): boolean =>
    [...storage.pages(space.id, PAGE_ROWS)].some((page) => page.some(({ value }) => entrances.has(unpackPending(value).entrance)));
  const found = spaces.find((space) => space.rows > 0 && (clocks.has(space.store) || (pending.has(space.store) && isPending(space))));
  if (found === undefined) return;
  throw new StoreError(
    "STORE_INCOMPATIBLE",
    `Cannot move the app: its steps are connected otherwise than when it ran last, and "${found.store}" is still as it was then: run it once more on the embedded log, stop it, then move it`,
    { details: { store: found.store } },
  );
}

function lost(at: TopicPartition, position: number, start: number): ExternalError {
  return new ExternalError(
    "LOG_POSITION_OUT_OF_RANGE",
    `Cannot move the app: it stands at position ${position} of "${at.topic}" partition ${at.partition}, of which records below ${start} were deleted. ` +
      "It would not start here either: decide there where it goes on, then move it",
    { details: { ...at, position, start } },
  );
}
