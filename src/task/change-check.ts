/**
 * Whether a worker may run beside those that run. Each says in `<app>-control`, under one key, what it and those before it do: which topics are read together, what stores are kept as, what lies in
 * the topics of the app's own. Who would do that otherwise is refused before it joins, for it would work on the same partitions from another state.
 *
 * Two that start at once read, say and read again: the one whose record comes later gives way. An accepted start says its own alone, and those that run are not asked.
 */
import { DefinitionError, isStreamError, messageOf } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { versionOf } from "../state/migration.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { Topology } from "../topology/topology.ts";
import { controlTopicName } from "./own-topics.ts";

/** What workers of an app must agree on. */
export interface RunningTopology {
  /** By store: its fingerprint. */
  readonly stores: Readonly<Record<string, string>>;
  /** By store: the name of the steps that run together with its own. */
  readonly places: Readonly<Record<string, string>>;
  /** By topic that is read: the name of the steps that run together behind it. */
  readonly reads: Readonly<Record<string, string>>;
  /** By topic of the app's own: what lies in it, and where that comes from where it matters. */
  readonly forms: Readonly<Record<string, string>>;
}

/** What is checked, and with what. */
export interface ChangeCheckOptions {
  readonly log: Log;
  readonly runtime: Runtime;
  readonly topology: Topology;
  /** Whatever others do, this is what is done from now on: they were stopped. */
  readonly isAccepted: boolean;
}

/** The key of the record. */
export const TOPOLOGY_KEY = "topology";

const VERSION = 1;
const CHUNK_BYTES = 262_144;
const ROUNDS_MAX = 20;

/** What a topology does that others must do, too. */
export function runningTopology({ topics, subTopologies }: Topology): RunningTopology {
  const specs = subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => node.stores));
  const formOf = (topic: TopicDefinition): string => {
    const writers = topic.carriesClock ? subTopologies.filter(({ writes }) => writes.includes(topic)).map(({ name }) => name).sort() : [];
    return [`keys ${topic.key.name}`, ...(topic.form === undefined ? [] : [topic.form]), ...(writers.length === 0 ? [] : [`from ${writers.join(" ")}`])].join(
      ", ",
    );
  };
  return {
    stores: Object.fromEntries(specs.map(({ name, fingerprint }) => [name, fingerprint])),
    places: Object.fromEntries(subTopologies.flatMap(({ name, nodes }) => nodes.flatMap((node) => node.stores.map((store) => [store.name, name])))),
    reads: Object.fromEntries(subTopologies.flatMap(({ name, reads }) => reads.map((topic) => [topic.name, name]))),
    forms: Object.fromEntries(topics.filter(({ isInternal }) => isInternal).map((topic) => [topic.name, formOf(topic)])),
  };
}

/** Why a worker with this topology cannot run beside those that do `running`; empty: it can. */
export function changeFaults(running: RunningTopology, topology: Topology): string[] {
  const own = runningTopology(topology);
  const specs = new Map(topology.subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => node.stores.map((spec) => [spec.name, spec] as const))));
  return [
    ...both(running.reads, own.reads).map(([topic, theirs, ours]) => `topic "${topic}" is read as part of "${theirs}" by them and of "${ours}" by this one`),
    ...both(running.forms, own.forms).map(([topic, theirs, ours]) => `what lies in topic "${topic}" is "${theirs}" for them and "${ours}" for this one`),
    ...movedStores(running, own),
    ...both(running.stores, own.stores).flatMap(([store, theirs]) => storeFault(specs.get(store)!, theirs) ?? []),
  ];
}

/** What both have under a name, and not the same. */
function both(theirs: Readonly<Record<string, string>>, ours: Readonly<Record<string, string>>): (readonly [name: string, theirs: string, ours: string])[] {
  return Object.entries(theirs).flatMap(([name, value]) => Object.hasOwn(ours, name) && ours[name] !== value ? [[name, value, ours[name]!] as const] : []);
}

/** Stores that went from one changelog to another while both are written: nobody could tell which of the two has them. */
function movedStores(running: RunningTopology, own: RunningTopology): string[] {
  const moved = both(running.places, own.places).filter(([, theirs]) => Object.values(own.reads).includes(theirs));
  return moved.map(([store, theirs, ours]) =>
    `store "${store}" is kept behind "${theirs}" by them and behind "${ours}" by this one: give the step another name`
  );
}

/** A store whose version is raised goes over to the new one partition by partition, and workers of the old one leave those alone that have: the state itself tells. */
function storeFault(spec: StoreSpec, kept: string): string | null {
  try {
    spec.migration?.(kept);
    if (spec.migration !== undefined && versionOf(spec.fingerprint) > versionOf(kept)) return null;
  } catch (error) {
    if (!isStreamError(error)) throw error;
    return error.code === "STORE_NEWER" ? null : messageOf(error);
  }
  return `store "${spec.name}" is kept as "${kept}" by them and as "${spec.fingerprint}" by this one: raise its version`;
}

/** Checks, and says what is done from now on. Throws `TOPOLOGY_INCOMPATIBLE` where others do what this one could not run beside. */
export async function checkChange({ log, runtime, topology, isAccepted }: ChangeCheckOptions): Promise<void> {
  const topic = controlTopicName(topology.app);
  const own = runningTopology(topology);
  let newest: RunningTopology | null = null, from = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const read = await readOn(log, topic, from);
    from = read.position;
    newest = read.found.at(-1)?.running ?? newest;
    if (newest !== null) refuse(topology, isAccepted ? movedStores(newest, own) : changeFaults(newest, topology), isAccepted);
    const wanted = newest === null ? own : isAccepted ? { ...own, places: merged(newest, own).places } : merged(newest, own);
    if (newest !== null && isSame(newest, wanted)) return;
    const value = JSON.stringify({ version: VERSION, kind: TOPOLOGY_KEY, ...wanted });
    const say = async (text: string): Promise<number> =>
      (await log.append([{ topic, partition: 0, records: [{ key: TOPOLOGY_KEY, value: text, timestamp: runtime.now() }] }]))[0]!.position;
    const position = await say(value);
    const between = (await readOn(log, topic, from)).found.filter((record) => record.position < position);
    if (between.length === 0 || isAccepted) return;
    // Others came in between: theirs counts.
    from = position + 1;
    newest = between.at(-1)!.running;
    const faults = changeFaults(newest, topology);
    if (faults.length === 0) continue;
    await say(JSON.stringify({ version: VERSION, kind: TOPOLOGY_KEY, ...newest }));
    refuse(topology, faults, false);
  }
  throw new DefinitionError(`Cannot start "${topology.app}": ${ROUNDS_MAX} times others said what they do at the same moment: start it again`, {
    code: "TOPOLOGY_INCOMPATIBLE",
  });
}

function refuse({ app }: Topology, faults: readonly string[], isAccepted: boolean): void {
  if (faults.length === 0) return;
  const ways = isAccepted
    ? "Mend that: it cannot be accepted"
    : `Start the version that runs; or stop all workers of "${app}" and then start this one once with --accept-change, or run({ acceptChange: true })`;
  throw new DefinitionError(
    `Cannot start "${app}" beside its workers that run, or ran last:\n${faults.map((fault) => `- ${fault}`).join("\n")}\n${ways}`,
    { code: "TOPOLOGY_INCOMPATIBLE", faults },
  );
}

function merged(running: RunningTopology, own: RunningTopology): RunningTopology {
  const older = Object.entries(running.stores).filter(([store, theirs]) => versionOf(theirs) > versionOf(own.stores[store] ?? theirs));
  return {
    stores: { ...running.stores, ...own.stores, ...Object.fromEntries(older) },
    places: { ...running.places, ...own.places },
    reads: { ...running.reads, ...own.reads },
    forms: { ...running.forms, ...own.forms },
  };
}

function isSame(left: RunningTopology, right: RunningTopology): boolean {
  const text = ({ stores, places, reads, forms }: RunningTopology): string =>
    JSON.stringify([stores, places, reads, forms].map((part) => Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1)));
  return text(left) === text(right);
}

interface Read {
  readonly position: number;
  readonly found: readonly { readonly position: number; readonly running: RunningTopology }[];
}

/** What is said in the topic from a position to its end. */
async function readOn(log: Log, topic: string, from: number): Promise<Read> {
  const [at] = await log.describe([topic]);
  const { start, end } = at!;
  const first = Math.max(from, start);
  if (first >= end) return { position: first, found: [] };
  let wake: () => void = () => {};
  const reader = log.reader({ topic, partition: 0 }, first, () => wake());
  const cursor = new RecordCursor();
  const found: { position: number; running: RunningTopology }[] = [];
  try {
    while (reader.position < end) {
      const arrival = new Promise<void>((resolve) => wake = resolve);
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) {
        if (reader.position < end) await arrival;
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) {
        if (cursor.keyText() === TOPOLOGY_KEY && cursor.valueStart >= 0) {
          found.push({ position: cursor.position, running: readRunning(topic, cursor.valueText() ?? "") });
        }
      }
    }
    return { position: reader.position, found };
  } finally {
    reader.close();
  }
}

function readRunning(topic: string, text: string): RunningTopology {
  const { version, stores, places, reads, forms } = JSON.parse(text) as RunningTopology & { readonly version: number };
  if (version === VERSION) return { stores, places, reads, forms };
  throw new DefinitionError(
    `Cannot read in "${topic}" what workers of the app do: it is of format ${version}, this version of Millrace reads ${VERSION}: run the later version, as they do`,
    { code: "TOPOLOGY_INCOMPATIBLE" },
  );
}
