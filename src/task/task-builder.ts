/** Builds the tasks of a worker from what is committed: the way a start takes, and a rebalance, a restart and an abort. */
import { isStreamError } from "../base/errors.ts";
import type { Log, PartitionInfo, PartitionReader } from "../log/log.ts";
import { errorFacts, type Observer } from "../observe/events.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import type { Topology } from "../topology/topology.ts";
import type { Assignment } from "./assignment.ts";
import type { Controls } from "./controls.ts";
import { InputClock } from "./input-clock.ts";
import { Input } from "./input.ts";
import type { Outputs } from "./outputs.ts";
import { retryTopicName } from "./own-topics.ts";
import { formerNames } from "./pending.ts";
import { intoStep } from "./step-input.ts";
import { migrateStores } from "./task-migration.ts";
import { Task, type TaskOptions } from "./task.ts";
import type { MissingTask, TaskRestore } from "./task-restore.ts";
import type { UnusedStores } from "./unused-stores.ts";

/** What tasks are built with. */
export interface TaskBuilderOptions {
  readonly topology: Topology;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly storage: StateStorage;
  readonly assignment: Assignment;
  /** null: the log holds the state, or it is as volatile as the log. */
  readonly restore: TaskRestore | null;
  readonly unused: UnusedStores;
  readonly controls: Controls;
  readonly report: Observer;
  /** What all tasks of the worker share. */
  readonly task: Pick<TaskOptions, "stats" | "policy" | "freezesValues" | "idleTimeoutMs" | "clockIntervalMs" | "outcomeTopics" | "isolation" | "wake">;
  readonly worker: BuildingWorker;
}

/** What a builder asks of its worker. */
export interface BuildingWorker {
  readonly tasks: readonly Task[];
  readonly outputs: Outputs;
  readonly hasEnded: boolean;
  /** A task stands. */
  built(task: Task): void;
  /** A task cannot be built here; throws where that is the worker's end. */
  refused(task: string, error: unknown): void;
}

/** What the log says of a task's topics. */
interface Facts {
  committed(topic: string): number | null;
  startOf(topic: string, partition: number): number;
}

/** Builds tasks. One call of {@linkcode TaskBuilder.buildMissing} at a time. */
export class TaskBuilder {
  readonly #options: TaskBuilderOptions;

  constructor(options: TaskBuilderOptions) {
    this.#options = options;
  }

  /** Builds the tasks whose partitions are all here and that are not built yet. */
  async buildMissing(): Promise<void> {
    const { topology, log, runtime, assignment, restore, controls, worker, unused } = this.#options;
    const { version } = assignment;
    const missing = assignment.missing(worker.tasks);
    if (missing.length === 0) return;
    // A partition that is paused must not begin.
    await controls.catchUp();
    const partitions = missing.flatMap((task) => assignment.inputsOf(task));
    const committed = new Map((await log.committed(topology.app, partitions)).map((at) => [placeOf(at), at.position]));
    // Only now: the ends of changelogs must cover what those positions stand for.
    const topics = [
      ...partitions.map(({ topic }) => topic),
      retryTopicName(topology.app),
      ...(restore === null ? [] : missing.map(({ sub }) => restore.changelogOf(sub))),
    ];
    const described = new Map((await log.describe([...new Set(topics)])).map((at) => [placeOf(at), at]));
    const isWanted = (): boolean => assignment.version === version && !worker.hasEnded;
    const startedAt = runtime.monotonic();
    const restores = missing.map((task) => this.#restoreOwn(task, described, isWanted));
    // What another task has restored from a changelog of its own is not to be had from a former one: those come last, one after the other.
    let former: Promise<unknown> = Promise.allSettled(restores);
    const building = missing.map(async (task, index) => {
      const restored = await restores[index]!;
      if (restored === null || !isWanted()) return;
      const { partition } = task;
      const facts: Facts = {
        committed: (topic) => committed.get(placeOf({ topic, partition })) ?? null,
        startOf: (topic, of) => described.get(placeOf({ topic, partition: of }))?.start ?? 0,
      };
      let restoredRecords = restored;
      if (restore !== null && restore.beginsEmpty(task, facts.committed)) {
        const turn = former.then(() => restore.former(task, isWanted));
        former = turn.catch(() => {});
        const found = await turn;
        if (found === null || !isWanted()) return;
        restoredRecords += found;
      }
      const retired = await this.#migrated(task, isWanted);
      if (retired === null) return;
      this.#started(this.#inOneTransaction(() => this.#build(task, retired, facts)), restoredRecords, startedAt);
    });
    // All of them: one that goes on after this has ended would build its task beside the next one.
    const results = await Promise.allSettled(building);
    if (worker.hasEnded) return;
    // Partitions came or went meanwhile: what was read may be old.
    if (assignment.version !== version) return await this.buildMissing();
    for (const [index, result] of results.entries()) if (result.status === "rejected") this.#refuse(missing[index]!, result.reason);
    unused.say();
  }

  /** How many records were read; null: the task is not wanted any more. */
  async #restoreOwn(task: MissingTask, described: ReadonlyMap<string, PartitionInfo>, isWanted: () => boolean): Promise<number | null> {
    const { restore } = this.#options;
    if (!isWanted()) return null;
    if (restore === null) return 0;
    return await restore.own(task, described.get(placeOf({ topic: restore.changelogOf(task.sub), partition: task.partition }))!, isWanted);
  }

  /** Brings stores to the version of the app; gives those that are retired, or null where the task is not wanted any more. */
  async #migrated(task: MissingTask, isWanted: () => boolean): Promise<readonly StoreSpec[] | null> {
    const { runtime, storage, restore, unused, report } = this.#options;
    const { sub, partition } = task;
    const retired = unused.retiredBy(task, restore?.changelogOf(sub) ?? null, (name) => this.#isFirst(name, partition));
    return await migrateStores(task, retired, { storage, runtime, report, isWanted }) && isWanted() ? retired : null;
  }

  /** Whether it is the sub-topology, of those with a task of this number, that looks after what belongs to none. */
  #isFirst(name: string, partition: number): boolean {
    const { topology, assignment } = this.#options;
    return name === topology.subTopologies.find((sub) => assignment.inputsOf({ sub, partition }).length > 0)?.name;
  }

  #started(task: Task, restoredRecords: number, startedAt: number): void {
    const { worker, report, runtime } = this.#options;
    worker.built(task);
    report({ type: "taskStarted", task: task.id, restoredRecords, durationMs: runtime.monotonic() - startedAt });
  }

  /** A task whose state a later version of the app keeps waits for a worker of that; the other tasks of this one go on. */
  #refuse({ sub, partition }: MissingTask, error: unknown): void {
    const { restore, worker, report } = this.#options;
    if (restore === null || !isStreamError(error) || error.code !== "STORE_NEWER") throw error;
    const task = `${sub.name}/${partition}`;
    worker.refused(task, error);
    report({ type: "taskStopped", task, reason: "a later version of the app keeps its state", error: errorFacts(error) });
  }

  /** New spaces are made when a task opens its stores. */
  #inOneTransaction<T>(work: () => T): T {
    let result: T | undefined;
    this.#options.storage.transaction(() => result = work());
    return result as T;
  }

  #build({ sub, partition }: MissingTask, retired: readonly StoreSpec[], { committed, startOf }: Facts): Task {
    const { topology, log, runtime, storage, assignment, restore, controls, report, task, worker } = this.#options;
    const retries = retryTopicName(topology.app), retryPartition = partition % assignment.countOf(retries);
    const readers: PartitionReader[] = [];
    const open = (topic: string, number: number, position: number): PartitionReader => {
      const reader = log.reader({ topic, partition: number }, position, task.wake);
      readers.push(reader);
      return reader;
    };
    const options: TaskOptions = {
      ...task,
      subTopology: sub,
      partition,
      runtime,
      log,
      storage,
      outputs: worker.outputs,
      report,
      changelog: restore?.changelogOf(sub) ?? null,
      retired,
      formerNames: formerNames(storage.stores(partition), sub.reads.map(({ name }) => name), topology.subTopologies.map(({ name }) => name)),
      openInput: (topic, next) => {
        const position = committed(topic.name);
        const reader = open(topic.name, partition, position ?? startOf(topic.name, partition));
        const clock = new InputClock(topic.watermarkDelayMs, topic.carriesClock ? assignment.writersOf(topic) : null);
        const input = new Input(topic, partition, reader, clock, next);
        input.committed = position ?? -1;
        return input;
      },
      knownEntrances: this.#isFirst(sub.name, partition) ? entrancesOf(topology) : null,
      openRetries: (position) => open(retries, retryPartition, Math.max(position, startOf(retries, retryPartition))),
      orders: {
        isPaused: (topic) => controls.paused({ topic, partition }) !== null,
        seek: (topic) => {
          const command = controls.newest("seek", { topic, partition });
          // What lay there may be gone since it was ordered.
          return command?.order.kind === "seek" ? { id: command.id, to: Math.max(command.order.to, startOf(topic, partition)) } : null;
        },
      },
    };
    try {
      return new Task(options);
    } catch (error) {
      for (const reader of readers) reader.close();
      throw error;
    }
  }
}

/** Where records may enter, in all tasks: see `RetryNote`. */
function entrancesOf({ subTopologies }: Topology): ReadonlySet<string> {
  return new Set(subTopologies.flatMap(({ reads, nodes }) => [
    ...reads.map(({ name }) => name),
    ...nodes.filter((node) => node.reads === null).flatMap(({ name }) => [`step:${name}`, intoStep(name)]),
  ]));
}

/** `topic-partition`, for people and maps. */
export function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}
