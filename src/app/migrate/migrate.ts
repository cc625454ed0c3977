/**
 * Moves an embedded app, which does not run, to another log: records, state, timers, pending records, clocks, ids of webhooks, and positions.
 *
 * In this order, so that whoever is cut off at any point runs it again: topics; word in the new log that a move was begun; the mark in the old one; records; state; in one commit the positions and
 * word that the move has ended; then the mark says so, too. From the mark to that commit the app starts on neither log. The old one keeps all it had.
 */
import { assert } from "../../base/assert.ts";
import { toHex } from "../../base/bytes.ts";
import { DefinitionError, FencedError } from "../../base/errors.ts";
import { EmbeddedContents } from "../../log/embedded-contents.ts";
import type { OpenLog } from "../../log/driver.ts";
import type { CommittedPosition, CommitUnit, Log, Membership, OutputBatch } from "../../log/log.ts";
import { type MoveMark, readMoveMark, writeMoveMark } from "../../log/move-mark.ts";
import { checkTopicSpecs } from "../../log/topic-check.ts";
import { BatchEncoder } from "../../record/encoder.ts";
import type { TopicPartition } from "../../record/record.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Database } from "../../sqlite/database.ts";
import { StateStorage } from "../../state/storage.ts";
import { topicSpecs } from "../../task/topic-specs.ts";
import { changelogName } from "../../topology/changelog-name.ts";
import type { SubTopology, Topology } from "../../topology/topology.ts";
import { withIngestTopics } from "../../http/ingest/ingest-topic.ts";
import type { EngineOptions } from "../engine.ts";
import { copyRecords } from "./copy-records.ts";
import { encodeNote, type MoveNote, moveTopic, readNote } from "./move-note.ts";
import { moveIds, type MoveStateOptions, moveTask } from "./move-state.ts";
import { MovedPositions } from "./moved-positions.ts";
import { placeOf, type Survey, surveyOf } from "./survey.ts";

/** What is moved, and where to. */
export interface MoveOptions {
  readonly runtime: Runtime;
  readonly topology: Topology;
  readonly webhooks: EngineOptions["webhooks"];
  /** The embedded log, and its lock with it. */
  readonly source: Log;
  /** Opened once all was looked at. */
  readonly openTarget: () => Promise<OpenLog>;
  /** The name of its driver. */
  readonly to: string;
  /** Told of what has begun, and how far it is. */
  readonly onProgress?: (progress: MoveProgress) => void;
}

/** How far a move is. */
export interface MoveProgress {
  readonly what: "records" | "rows";
  readonly done: number;
  readonly total: number;
}

const ID_BYTES = 8;

/** Looks at what would move, and writes nothing. */
export async function surveyMove({ source, topology, runtime }: Pick<MoveOptions, "source" | "topology" | "runtime">): Promise<Survey> {
  const survey = await surveyOf(source, databaseOf(source), topology, runtime);
  const missing = topology.topics.find(({ name }) => source.partitionsOf(name) === null);
  if (missing === undefined) {
    checkTopicSpecs(source.name, topicSpecs({ topology, log: source, hasChangelogs: false }), (topic) => source.partitionsOf(topic));
    return survey;
  }
  throw new DefinitionError(
    `Cannot move "${topology.app}": it has a topic "${missing.name}" that its embedded log does not know: run it once more there as it is now, stop it, then move it`,
    { code: "LOG_TOPIC_UNKNOWN", details: { topic: missing.name } },
  );
}

/** Moves everything; what was moved. Run again after it failed or was cut off, it goes on. */
export async function moveApp(options: MoveOptions): Promise<Survey> {
  const { source, topology, runtime, to, openTarget } = options;
  const database = databaseOf(source);
  const mark = readMoveMark(database);
  checkMark(mark, topology.app, to);
  const survey = await surveyMove(options);
  const opened = await openTarget();
  try {
    const { deduplicates, durable, holdsState } = opened.log.capabilities;
    if (!durable || holdsState || deduplicates) {
      const message = `Cannot move "${topology.app}" to the ${opened.log.name} log: wanted one that is durable and that processes share, such as kafka`;
      throw new DefinitionError(message, { code: "CONFIG_INVALID" });
    }
    const now = runtime.now();
    const current: MoveMark = mark ?? { id: toHex(runtime.randomBytes(ID_BYTES)), to, beganAt: now, endedAt: null };
    const note = await readNote(opened.log, topology.app);
    if (note?.id !== current.id || note.phase !== "ended") await new Move(options, opened, survey, current, note).run();
    await writeMoveMark(database, { ...current, endedAt: runtime.now() });
    return survey;
  } finally {
    opened.database?.close();
    await opened.log.close();
  }
}

function databaseOf(source: Log): Database {
  if (source.database !== null && source.name === "embedded") return source.database;
  throw new DefinitionError(`Cannot move an app from the ${source.name} log: wanted the embedded one`, { code: "CONFIG_INVALID" });
}

function checkMark(mark: MoveMark | null, app: string, to: string): void {
  if (mark === null || (mark.to === to && mark.endedAt === null)) return;
  const { endedAt } = mark;
  const state = endedAt === null ? `a move to ${mark.to} was begun, and has not ended` : `it was moved to ${mark.to} at ${new Date(endedAt).toISOString()}`;
  throw new DefinitionError(
    `Cannot move "${app}" to ${to}: ${state}. To move it anew from what is here, take that back first, by millrace migrate <file> --undo, and delete what it left on ${mark.to}`,
    { code: "CONFIG_INVALID", details: { ...mark } },
  );
}

/** One run of a move. */
class Move {
  readonly #options: MoveOptions;
  readonly #log: Log;
  readonly #opened: OpenLog;
  readonly #survey: Survey;
  readonly #mark: MoveMark;
  readonly #note: MoveNote | null;
  readonly #app: string;
  /** Set once another process has come into the group. */
  #isDisturbed = false;

  constructor(options: MoveOptions, opened: OpenLog, survey: Survey, mark: MoveMark, note: MoveNote | null) {
    this.#options = options;
    this.#opened = opened;
    this.#log = opened.log;
    this.#survey = survey;
    this.#mark = mark;
    this.#note = note;
    this.#app = options.topology.app;
  }

  async run(): Promise<void> {
    const { source, webhooks, topology: own } = this.#options;
    const { partitions, topics } = this.#survey;
    const { topology, topics: ingestTopics } = withIngestTopics(own, webhooks, (topic) => source.partitionsOf(topic), () => {});
    // With as many partitions as there are here.
    const specs = topicSpecs({ topology, log: source, hasChangelogs: true });
    await this.#log.ensureTopics([moveTopic(this.#app), ...specs, ...topics.filter(({ name }) => !specs.some((spec) => spec.name === name))]);
    const inputs = this.#inputsOf(topology);
    const membership = await this.#join(inputs);
    try {
      await this.#begin(topology, inputs);
      await writeMoveMark(source.database!, this.#mark);
      const positions = new MovedPositions(this.#app, partitions);
      const onCopied = this.#counter("records", partitions.reduce((sum, { positions }) => sum + positions.count, 0));
      await copyRecords({ source, target: this.#log, partitions, rewrite: (topic) => positions.ofRecords(topic), onCopied });
      await this.#moveState(topology, positions, ingestTopics, membership);
      await this.#end(membership, inputs);
    } finally {
      // Its session ends by itself; what went wrong before counts more.
      await membership?.leave().catch(() => {});
    }
  }

  /** The partitions of the changelog of a sub-topology: one a task. */
  #changelogsOf(sub: SubTopology): readonly { readonly name: string; readonly partition: number }[] {
    const name = changelogName(this.#app, sub.name);
    return Array.from({ length: this.#log.partitionsOf(name)! }, (_, partition) => ({ name, partition }));
  }

  /** Partitions that tasks read. */
  #inputsOf({ subTopologies }: Topology): readonly TopicPartition[] {
    const topics = [...new Set(subTopologies.flatMap(({ reads }) => reads.map(({ name }) => name)))];
    return topics.flatMap((topic) => Array.from({ length: this.#log.partitionsOf(topic)! }, (_, partition) => ({ topic, partition })));
  }

  /** As the only member of the app's group: nobody else works there while it is moved. null: the app reads nothing, so that there is no such group. */
  async #join(inputs: readonly TopicPartition[]): Promise<Membership | null> {
    if (inputs.length === 0) return null;
    const disturbed = (): void => void (this.#isDisturbed = true);
    const topics = [...new Set(inputs.map(({ topic }) => topic))];
    const membership = await this.#log.join(this.#app, topics, { assigned: () => {}, revoked: disturbed, lost: disturbed });
    if (membership.assigned.length === inputs.length) return membership;
    await membership.leave();
    throw this.#occupied(`a process of group "${this.#app}" runs there: stop it first`);
  }

  /** Says that the move has begun, and where its records will lie. A log that has anything of the app already is refused. */
  async #begin(topology: Topology, inputs: readonly TopicPartition[]): Promise<void> {
    const { partitions } = this.#survey;
    const bases = this.#note?.id === this.#mark.id ? this.#note.bases : await this.#basesIn(topology, inputs);
    if (this.#note?.id !== this.#mark.id) {
      await this.#say({ version: 1, id: this.#mark.id, phase: "begun", at: this.#mark.beganAt, bases });
    }
    for (const { topic, partition, positions } of partitions) positions.base = bases[topic]![partition]!;
    // What lies on this disk of an app of this name that ran on such a log before is not what will be in the changelogs.
    const { database } = this.#opened;
    if (database === null) return;
    const local = new StateStorage(database);
    local.transaction(() => {
      for (const sub of topology.subTopologies) {
        for (const { name, partition } of this.#changelogsOf(sub)) local.forget(name, partition);
      }
    });
  }

  /** Where the first record of each partition will lie. A move that was begun by another mark counts for nothing, as long as nothing was written by it. */
  async #basesIn(topology: Topology, inputs: readonly TopicPartition[]): Promise<MoveNote["bases"]> {
    if (this.#note?.phase === "ended") throw this.#occupied(`an app of this name was moved there at ${new Date(this.#note.at).toISOString()}`);
    const changelogs = topology.subTopologies.map((sub) => changelogName(this.#app, sub.name));
    const infos = await this.#log.describe([...new Set([...this.#survey.topics.map(({ name }) => name), ...inputs.map(({ topic }) => topic), ...changelogs])]);
    const full = infos.find(({ start, end }) => start < end);
    if (full !== undefined) throw this.#occupied(`topic "${full.topic}" partition ${full.partition} has records, from ${full.start} to ${full.end}`);
    const [committed] = await this.#log.committed(this.#app, inputs);
    if (committed !== undefined) throw this.#occupied(`group "${this.#app}" stands at position ${committed.position} of "${committed.topic}"`);
    return Object.fromEntries(Map.groupBy(infos, ({ topic }) => topic).entries().map(([topic, ends]) => [topic, ends.map(({ end }) => end)]));
  }

  async #moveState(
    topology: Topology,
    positions: MovedPositions,
    ingestTopics: ReturnType<typeof withIngestTopics>["topics"],
    membership: Membership | null,
  ): Promise<void> {
    const { source, runtime } = this.#options;
    const store = new StateStorage(source.database!);
    const total = [...this.#survey.tasks.values()].flat().reduce((sum, { rows }) => sum + rows, 0);
    const options: MoveStateOptions = {
      commit: (changelog: readonly OutputBatch[]) => this.#commit({ membership, positions: [], outputs: [], changelog }),
      now: runtime.now(),
      onMoved: this.#counter("rows", total),
    };
    for (const sub of topology.subTopologies) {
      for (const { name: changelog, partition } of this.#changelogsOf(sub)) {
        const spaces = this.#survey.tasks.get(`${sub.name}/${partition}`) ?? [];
        await moveTask({ store, changelog, partition, spaces, positions }, options);
      }
    }
    const contents = new EmbeddedContents(source.database!);
    await moveIds(contents, ingestTopics, ({ name }) => changelogName(this.#app, name), { ...options, onMoved: () => {} });
  }

  /** Every input gets a position: where there was none, that of the first record, which is where its task would begin. */
  async #end(membership: Membership | null, inputs: readonly TopicPartition[]): Promise<void> {
    const moved = new Map(this.#survey.partitions.map((partition) => [placeOf(partition), partition]));
    const starts = new Map((await this.#log.describe([...new Set(inputs.map(({ topic }) => topic))])).map((info) => [placeOf(info), info.start]));
    const positions: CommittedPosition[] = inputs.map(({ topic, partition }) => {
      const of = moved.get(placeOf({ topic, partition }));
      const position = of === undefined ? starts.get(placeOf({ topic, partition }))! : of.positions.next(of.committed ?? of.from);
      return { topic, partition, position };
    });
    const note: MoveNote = { version: 1, id: this.#mark.id, phase: "ended", at: this.#options.runtime.now(), bases: {} };
    if (membership === null) return await this.#say(note);
    const encoder = new BatchEncoder();
    encoder.append(note.at, null, encodeNote(note), null);
    await this.#commit({ membership, positions, outputs: [{ topic: moveTopic(this.#app).name, partition: 0, encoder }], changelog: [] });
  }

  async #say(note: MoveNote): Promise<void> {
    await this.#log.append([{ topic: moveTopic(this.#app).name, partition: 0, records: [{ key: null, value: encodeNote(note), timestamp: note.at }] }]);
  }

  async #commit({ membership, ...unit }: Omit<CommitUnit, "membership"> & { readonly membership: Membership | null }): Promise<void> {
    assert(membership !== null, "an app that has state reads something");
    if (this.#isDisturbed) {
      throw new FencedError(`Cannot go on moving "${this.#app}": another process has come into its group on ${this.#log.name}: stop it, then run this again`);
    }
    await (await this.#log.commit({ ...unit, membership }, () => {})).durable;
  }

  #counter(what: MoveProgress["what"], total: number): (more: number) => void {
    let done = 0;
    const { onProgress } = this.#options;
    onProgress?.({ what, done, total });
    return (more) => {
      done += more;
      onProgress?.({ what, done, total });
    };
  }

  #occupied(why: string): DefinitionError {
    const { name } = this.#log;
    return new DefinitionError(
      `Cannot move "${this.#app}" to ${name}: ${why}. Wanted a log that has nothing of the app: delete its topics there ("${this.#app}-…", and those it reads and writes) and its group, or give the app another name`,
      { code: "CONFIG_INVALID" },
    );
  }
}
