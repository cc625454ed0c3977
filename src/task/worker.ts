/**
 * A worker: one thread, the unit of commit. It owns its tasks, steps them, and makes what they did true in one commit.
 *
 * It never loops by itself: a host calls `step` and waits until it is woken or the time it was told has come. A failed commit, fencing, a revoke and a broken disk all end in
 * `abort`: every task is built again from what is committed, by the same way a start takes.
 */
import { assert } from "../base/assert.ts";
import { DefinitionError, ExternalError, FencedError, isStreamError, messageOf } from "../base/errors.ts";
import { isThenable } from "../base/awaitable.ts";
import type { CommitReceipt, CommittedPosition, CommitUnit, Guarantee, Log, Membership, OutputBatch } from "../log/log.ts";
import { errorFacts, type Observer } from "../observe/events.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { StateStorage } from "../state/storage.ts";
import type { Database } from "../sqlite/database.ts";
import type { Budget, Policy, TopicDefinition } from "../topology/node.ts";
import type { Topology } from "../topology/topology.ts";
import { Assignment } from "./assignment.ts";
import { Isolation } from "./isolation.ts";
import { Outputs } from "./outputs.ts";
import { defaultPolicy } from "./policy.ts";
import { checkChange } from "./change-check.ts";
import type { PartitionStatus } from "./control-desk.ts";
import { Controls, type NumberedCommand } from "./controls.ts";
import { auditTopic, letterTopic, retryTopic } from "./letter-topics.ts";
import type { OutcomeTopics } from "./outcomes.ts";
import { WorkerStats } from "./stats.ts";
import { type BuildingWorker, placeOf, TaskBuilder } from "./task-builder.ts";
import type { Task } from "./task.ts";
import { TaskRestore } from "./task-restore.ts";
import { topicSpecs } from "./topic-specs.ts";
import { UnusedStores } from "./unused-stores.ts";
import { type Standstill, Watchdog } from "./watchdog.ts";

/** How a worker is set up. */
export interface WorkerOptions {
  readonly runtime: Runtime;
  readonly log: Log;
  readonly topology: Topology;
  /** Where state lives when the log does not hold it. */
  readonly database?: Database | null;
  readonly observer?: Observer;
  readonly policy?: Policy;
  /** Between two commits at most. @default 100 */
  readonly commitIntervalMs?: number;
  /** A commit is made early when so many records were taken. @default none */
  readonly commitRecords?: number;
  /** How long a commit waits for handlers that are under way. @default 100 */
  readonly commitWaitMs?: number;
  /** A commit is made early when outputs and dirty state reach this. @default 64 MiB */
  readonly uncommittedBytesMax?: number;
  /** Cached state beyond this is given up after a commit. @default 64 MiB */
  readonly cacheBytes?: number;
  /** Values are frozen before functions of the user's see them: a step that changes what it was given throws. For tests and development. @default false */
  readonly freezesValues?: boolean;
  /** What is promised of records that leave by topics of the user's. @default "exactly-once" */
  readonly guarantee?: Guarantee;
  /** State is said in changelogs, from which it comes back wherever its task runs next. @default where the log is durable and does not hold state */
  readonly hasChangelogs?: boolean;
  /** Starts beside workers that do otherwise: they were stopped. @default false: refused with `TOPOLOGY_INCOMPATIBLE` */
  readonly acceptsChange?: boolean;
  /** Stores whose steps are gone: what is kept of them is deleted. @default none */
  readonly retiredStores?: readonly string[];
  /** For topics that don't say; null: off. */
  readonly idleTimeoutMs?: number | null;
  /** Between two clock-only records to one partition. @default 1,000 */
  readonly clockIntervalMs?: number;
  /** Records a step takes at most. @default 1,000 */
  readonly stepRecords?: number;
  /** How long a step works at most. @default 8 */
  readonly stepMs?: number;
  /** A handler, or an input that gives nothing, is named after so long. @default 30,000 */
  readonly stuckNamedAfterMs?: number;
  /** After so long a handler has failed, and an input is opened again. @default 300,000 */
  readonly stuckRestartAfterMs?: number;
}

/** What a step tells its host. */
export interface StepResult {
  /** Nothing to do until woken, or until `nextWakeAt`. */
  readonly idle: boolean;
  /** Monotonic ms; Infinity: only when woken. */
  readonly nextWakeAt: number;
}

/** How a worker is. */
export type WorkerState = "starting" | "running" | "committing" | "failed" | "stopped";

const DIRTY_ENTRY_BYTES = 128;
/** Records between two looks at the clock within a step. */
const SLICE = 64;
const RETRY_COMMIT_MS = 250;
const RETRY_COMMIT_MAX_MS = 30_000;

/** Steps tasks and commits what they did. Made by {@linkcode Worker.start}. */
export class Worker {
  readonly stats: WorkerStats = new WorkerStats();
  readonly #options: WorkerOptions;
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #topology: Topology;
  readonly #observer: Observer;
  readonly #assignment: Assignment;
  readonly #storage: StateStorage;
  readonly #database: Database | null;
  /** null: the log holds the state, or it is as volatile as the log. */
  readonly #restore: TaskRestore | null;
  readonly #builder: TaskBuilder;
  readonly #controls: Controls;
  readonly #isolation = new Isolation();
  /** Up to where the topic of controls was known when a task was built: what is behind it concerns the task. */
  readonly #builtAt = new WeakMap<Task, number>();
  /** What lies below this position of the topic of controls is done here. */
  #orderedTo = 0;
  #restarting: Promise<void> = Promise.resolve();
  /** Orders may have come that tasks have not been told. */
  #hasNewOrders = false;
  #outputs: Outputs;
  #tasks: Task[] = [];
  #membership: Membership | null = null;
  readonly #refused = new Map<string, Error>();
  /** What was begun before the last abort is not this worker's any more. */
  #epoch = 0;
  /** Partitions were taken, and what comes instead has not been told. */
  #isMoving = false;
  /** Partitions are being handed back: nothing new begins. */
  #isRevoking = false;
  /** The end of the building of tasks so far. */
  #building: Promise<void> = Promise.resolve();
  #buildings = 0;
  #state: WorkerState = "starting";
  #failure: unknown = null;
  #lastCommitAt = 0;
  #takenSinceCommit = 0;
  #isDirty = false;
  /** Set while a commit waits for running handlers: monotonic ms at which it no longer does. */
  #commitDeadline: number | null = null;
  #isCommitting = false;
  #isDraining = false;
  #commitRetries = 0;
  #commitTrouble: string | null = null;
  #notBefore = 0;
  #durable: Promise<void> | null = null;
  #commitWaiters: { resolve(): void; reject(error: unknown): void }[] = [];
  #wakers = new Set<() => void>();
  #turn = 0;
  readonly #watchdog: Watchdog;
  #watchAt = Infinity;

  constructor(options: WorkerOptions, partitions: ReadonlyMap<string, number>) {
    this.#options = options;
    this.#runtime = options.runtime;
    this.#log = options.log;
    this.#topology = options.topology;
    this.#observer = options.observer ?? (() => {});
    const assignment = this.#assignment = new Assignment(options.topology, partitions);
    assignment.onChange(() => this.#refused.clear());
    const database = options.log.database ?? options.database ?? null;
    assert(database !== null, "a log without state needs a database beside it");
    this.#database = options.log.capabilities.holdsState ? null : database;
    const storage = this.#storage = new StateStorage(database);
    const { topology, log, runtime, retiredStores = [] } = options;
    const report = this.#observer;
    const restore = this.#restore = hasChangelogs(options)
      ? new TaskRestore({ topology, log, runtime, storage, report, onChange: (fn) => assignment.onChange(fn) })
      : null;
    this.#outputs = new Outputs((topic) => assignment.countOf(topic));
    const controls = this.#controls = new Controls(log, topology.app, () => this.#wake());
    const unused = new UnusedStores({ storage, topology, retired: retiredStores, report });
    const task = {
      stats: this.stats,
      policy: options.policy ?? defaultPolicy,
      freezesValues: options.freezesValues ?? false,
      idleTimeoutMs: options.idleTimeoutMs ?? null,
      clockIntervalMs: options.clockIntervalMs ?? 1_000,
      outcomeTopics: outcomeTopics(topology.app),
      isolation: this.#isolation,
      wake: (): void => this.#wake(),
    };
    const worker = this.#buildingWorker();
    this.#builder = new TaskBuilder({ topology, log, runtime, storage, assignment, restore, unused, controls, report, task, worker });
    const { stuckNamedAfterMs = 30_000, stuckRestartAfterMs = 300_000 } = options;
    this.#watchdog = new Watchdog({ namedAfterMs: stuckNamedAfterMs, restartAfterMs: stuckRestartAfterMs, report: this.#observer });
  }

  /** Makes the topics and joins the group. On logs that don't hold state tasks are restored afterwards: see `whenBuilt`. */
  static async start(options: WorkerOptions): Promise<Worker> {
    const { log, topology } = options;
    const specs = topicSpecs({ topology, log, hasChangelogs: hasChangelogs(options) });
    await log.ensureTopics(specs);
    if (hasChangelogs(options)) await checkChange({ log, runtime: options.runtime, topology, isAccepted: options.acceptsChange === true });
    const worker = new Worker(options, new Map(specs.map(({ name, partitions }) => [name, partitions])));
    worker.#warnOfSkips();
    await worker.#join();
    return worker;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Why it failed, or its first stopped task did; null while all is well. */
  get failure(): unknown {
    return this.#failure ?? this.#tasks.find((task) => task.stopped !== null)?.stopped ?? null;
  }

  /** Why commits don't happen for now; null while they do. */
  get commitTrouble(): string | null {
    return this.#commitTrouble;
  }

  /** What keeps a task that does not move, once that is worth a word; null: all of them do. */
  get standstill(): Standstill | null {
    return this.#watchdog.worst(this.#tasks, this.#runtime.monotonic());
  }

  /** Its partitions were taken, and which it gets has not been told. */
  get isMoving(): boolean {
    return this.#isMoving;
  }

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** For reads from outside: committed state only. */
  get storage(): StateStorage {
    return this.#storage;
  }

  /** Where the task of a partition is: here; here, but not at work yet; at another worker. While partitions move, nobody knows: it may come. */
  whereIs({ topic, partition }: TopicPartition): "here" | "restoring" | "elsewhere" {
    if (this.#tasks.some((task) => task.inputs.some((input) => input.topic.name === topic && input.partition === partition))) return "here";
    return this.#isMoving || this.#assignment.has({ topic, partition }) ? "restoring" : "elsewhere";
  }

  /** The tasks whose partitions are here and that are not at work yet. */
  get restoring(): readonly string[] {
    return this.#assignment.missing(this.#tasks).map(({ sub, partition }) => `${sub.name}/${partition}`).filter((task) => !this.#refused.has(task));
  }

  /** The tasks whose partitions are here and whose state only a later version of the app can read, and why. */
  get refused(): ReadonlyMap<string, Error> {
    return this.#refused;
  }

  /** Resolves once the tasks of all partitions that are here are built. */
  async whenBuilt(): Promise<void> {
    for (let building = this.#building;; building = this.#building) {
      await building;
      if (building === this.#building) break;
    }
    if (this.#state === "failed") throw this.#failure;
  }

  /** Calls `fn` whenever there may be something to do, until the returned function is called. */
  onWake(fn: () => void): () => void {
    this.#wakers.add(fn);
    return () => this.#wakers.delete(fn);
  }

  /** Does bounded work: takes records, resumes handlers, closes windows, commits when it is time. */
  step(): StepResult {
    if (this.#state === "failed" || this.#state === "stopped") return { idle: true, nextWakeAt: Infinity };
    if (this.#isCommitting || this.#isRevoking) return { idle: true, nextWakeAt: Infinity };
    const started = this.#runtime.monotonic();
    if (started < this.#notBefore) return { idle: true, nextWakeAt: this.#notBefore };
    try {
      if (this.#controls.poll()) this.#hasNewOrders = true;
      if (this.#hasNewOrders) {
        // Where positions move, nothing must be left that the last commit does not have.
        if (this.#hasSomethingToCommit()) this.#commit();
        if (this.#isCommitting) return { idle: true, nextWakeAt: Infinity };
        if (started < this.#notBefore) return { idle: true, nextWakeAt: this.#notBefore };
        this.#applyOrders();
        if (this.#isRevoking) return { idle: true, nextWakeAt: Infinity };
      }
      if (this.#commitDeadline !== null || this.#isDraining) this.#resumeOnly();
      else this.#work(started);
      if (started >= this.#watchAt) this.#watch(started);
      if (this.#isCommitTime()) this.#tryCommit();
      return this.#whatNext();
    } catch (error) {
      this.#fail(error);
      return { idle: true, nextWakeAt: Infinity };
    }
  }

  /** Commits what was done so far; resolves when it has happened and is durable. */
  async commit(): Promise<void> {
    if (this.#state === "failed") throw this.#failure;
    while (this.#isCommitting) await new Promise<void>((resolve, reject) => this.#commitWaiters.push({ resolve, reject }));
    if (this.#hasSomethingToCommit()) {
      const done = new Promise<void>((resolve, reject) => this.#commitWaiters.push({ resolve, reject }));
      this.#commit();
      await done;
    }
    if (this.#durable !== null) await this.#durable;
  }

  /** A record is looked for that no commit takes: `commit` may reject, and what it held is tried again in smaller parts. */
  get isIsolating(): boolean {
    return this.#isolation.isOn;
  }

  /** Whether anything is left to do at hand: records, due windows, handlers, an open commit. */
  get isQuiet(): boolean {
    return !this.#isCommitting && !this.#hasSomethingToCommit() && this.#tasks.every((task) => !task.isRunning && !task.hasWork());
  }

  /** Whether what was committed still waits to become durable. */
  get isDurable(): boolean {
    return this.#durable === null;
  }

  /**
   * Drains: takes no more, waits for handlers until `deadlineMs` from now is over, commits, leaves. Rejects when the last commit failed: what it held is done again at the next start.
   */
  async stop(deadlineMs = 10_000): Promise<void> {
    if (this.#state === "stopped") return;
    this.#isDraining = true;
    const deadline = this.#runtime.monotonic() + deadlineMs;
    try {
      while (this.#state !== "failed" && this.#tasks.some((task) => task.isRunning) && this.#runtime.monotonic() < deadline) {
        await this.#wokenOrAt(deadline);
        if (!this.#isCommitting) this.#resumeOnly();
      }
      const left = this.#state === "failed" ? [] : this.#tasks.filter((task) => task.isRunning).map(({ id }) => id);
      if (left.length > 0) {
        const message = `Stopped after ${deadlineMs} ms with handlers of ${left.join(", ")} still at work: their records are processed again at the next start`;
        this.#observer({ type: "warning", message, error: null });
      }
      if (this.#state !== "failed") await this.commit();
    } catch (error) {
      // Whoever has lost its partitions has nothing left to commit: they are another's, who begins from what is committed.
      if (!isStreamError(error) || error.code !== "FENCED") throw error;
      const message = "The last commit was refused: another worker has the partitions, and does again what was not committed";
      this.#observer({ type: "warning", message, error: errorFacts(error) });
    } finally {
      this.#state = "stopped";
      this.#assignment.changed();
      const membership = this.#membership;
      this.#membership = null;
      this.#controls.close();
      for (const task of this.#tasks) task.close();
      this.#wake();
      await membership?.leave();
    }
  }

  // ── Membership ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async #join(): Promise<void> {
    const topics = [...new Set(this.#topology.subTopologies.flatMap((sub) => sub.reads.map((topic) => topic.name)))];
    if (topics.length === 0) {
      this.#state = "running";
      return;
    }
    this.#membership = await this.#log.join(this.#topology.app, topics, {
      assigned: async (partitions) => {
        this.#isMoving = false;
        // The group is there, whatever it refused before.
        this.#commitRetries = 0;
        this.#notBefore = 0;
        this.#assignment.add(partitions);
        this.#sayChange(partitions, []);
        this.#refuseGrown(partitions);
        const built = this.#buildTasks();
        // A restore may take longer than a group waits for its members.
        if (!this.#hasChangelogs) await built;
      },
      revoked: async (partitions) => {
        this.#isMoving = true;
        this.#isRevoking = true;
        // While it stops, what could be committed is.
        try {
          if (this.#state !== "stopped" && this.#state !== "failed") await this.commit();
        } catch {
          // It was reported; whoever gets the partitions does again what this commit held.
        } finally {
          this.#drop(partitions);
          this.#isRevoking = false;
          this.#sayChange([], partitions);
        }
      },
      lost: (partitions) => {
        this.#isMoving = true;
        this.#drop(partitions);
        this.#epoch++;
        // While a commit is under way its end is awaited first: two at once would be in each other's way.
        if (!this.#isCommitting) void this.#abort();
      },
      // Nobody would ever give it anything to do again.
      out: (error) => this.#fail(error),
    });
    if (!this.#hasChangelogs && this.#state === "starting") this.#state = "running";
    if (this.#failure !== null) this.#giveUpMembership();
    this.#wake();
  }

  /** Data that goes away is worth a word before it does. */
  #warnOfSkips(): void {
    for (const { name, policy, isInternal } of this.#topology.subTopologies.flatMap(({ reads }) => reads)) {
      if (isInternal || (policy ?? this.#options.policy ?? defaultPolicy).then !== "skip") continue;
      this.#observer({ type: "warning", message: `Records of "${name}" that fail are left out and only counted: its errors.then is "skip"`, error: null });
    }
  }

  /** Others may do better with its partitions; that it cannot leave makes no difference. */
  #giveUpMembership(): void {
    this.#membership?.leave().catch(() => {});
  }

  /** Where partitions move while the app runs, people want to know. */
  #sayChange(assigned: readonly TopicPartition[], revoked: readonly TopicPartition[]): void {
    if (!this.#hasChangelogs) return;
    this.#observer({ type: "partitionsChanged", assigned: assigned.map(placeOf), revoked: revoked.map(placeOf) });
  }

  /** A topic has more partitions than when the worker started: what is keyed would lie elsewhere from now on. */
  #refuseGrown(partitions: readonly TopicPartition[]): void {
    const grown = partitions.find(({ topic, partition }) => partition >= this.#assignment.countOf(topic));
    if (grown === undefined) return;
    const message = `Cannot go on: topic "${grown.topic}" has a partition ${grown.partition} now, and had ${
      this.#assignment.countOf(grown.topic)
    } partitions when this worker started: start it again`;
    this.#fail(new DefinitionError(message, { code: "LOG_TOPIC_MISMATCH" }));
  }

  #drop(partitions: readonly TopicPartition[]): void {
    const isDropped = (at: TopicPartition): boolean => partitions.some(({ topic, partition }) => topic === at.topic && partition === at.partition);
    this.#assignment.remove(isDropped);
    const kept: Task[] = [];
    for (const task of this.#tasks) {
      if (task.inputs.some((input) => isDropped({ topic: input.topic.name, partition: input.partition }))) task.close();
      else kept.push(task);
    }
    this.#tasks = kept;
  }

  /** Builds the tasks whose partitions are all here and that are not built yet, from what is committed. One call after the other: two at once would build the same task twice. */
  #buildTasks(): Promise<void> {
    this.#buildings++;
    const built = this.#building.then(() => this.#buildUntilDone()).finally(() => {
      if (--this.#buildings === 0 && this.#state === "starting") this.#state = "running";
      // Nothing is here that the next commit could be of.
      if (this.#buildings === 0 && this.#assignment.isEmpty && !this.#isMoving) this.#commitTrouble = null;
      this.#wake();
    });
    this.#building = built.catch((error) => {
      if (this.#hasChangelogs) this.#fail(error);
    });
    return this.#hasChangelogs ? this.#building : built;
  }

  /** Tries again while a log that is elsewhere cannot be asked. */
  async #buildUntilDone(): Promise<void> {
    for (let retries = 0;; retries++) {
      try {
        await this.#builder.buildMissing();
        return;
      } catch (error) {
        if (!this.#hasChangelogs || !isPassing(error)) throw error;
        const retryAfterMs = Math.min(RETRY_COMMIT_MAX_MS, RETRY_COMMIT_MS * 2 ** retries);
        this.#commitTrouble = `tasks cannot be restored: ${messageOf(error)}`;
        this.#observer({ type: "logUnavailable", log: this.#log.name, error: errorFacts(error), retryAfterMs });
        await new Promise<void>((resolve) => {
          const go = (): void => {
            off();
            timer.cancel();
            resolve();
          };
          const timer = this.#runtime.setTimer(go, retryAfterMs);
          const off = this.#assignment.onChange(go);
        });
        if (this.#state === "stopped" || this.#state === "failed") return;
        this.#commitTrouble = null;
      }
    }
  }

  /** What the building of tasks asks of it. */
  #buildingWorker(): BuildingWorker {
    const self = this;
    return {
      get tasks() {
        return self.#tasks;
      },
      get outputs() {
        return self.#outputs;
      },
      get hasEnded() {
        return self.#state === "stopped" || self.#state === "failed";
      },
      built: (task) => {
        this.#builtAt.set(task, this.#controls.position);
        this.#tasks.push(task);
        // Orders that came meanwhile were seen, but those who were built before have not been told.
        this.#hasNewOrders = true;
        this.#lastCommitAt = this.#runtime.monotonic();
        this.#wake();
      },
      refused: (task, error) => this.#refused.set(task, error as Error),
    };
  }

  get #hasChangelogs(): boolean {
    return this.#restore !== null;
  }

  // ── Orders ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The partitions here that operators have paused. */
  get paused(): readonly NumberedCommand[] {
    return this.#tasks.flatMap((task) => task.inputs.flatMap(({ topic, partition }) => this.#controls.paused({ topic: topic.name, partition }) ?? []));
  }

  /** How the task of a partition is here: `running`, `stopped`, `restoring`, or `elsewhere`; and why. */
  statusOf(at: TopicPartition): PartitionStatus {
    const task = this.#tasks.find(({ inputs }) => inputs.some(({ topic, partition }) => topic.name === at.topic && partition === at.partition));
    if (task === undefined) return { status: this.whereIs(at), reason: null, stoppedAt: null };
    const { stopReason: reason, stoppedAt } = task;
    return { status: reason === null ? "running" : "stopped", reason, stoppedAt };
  }

  /** Fulfils with true once the orders up to this id, a position of the topic of controls, are done here and committed; with false when they are not within a time, or the commit fails. */
  async whenOrdered(id: number, withinMs: number): Promise<boolean> {
    const deadline = this.#runtime.monotonic() + withinMs;
    while (this.#orderedTo <= id) {
      if (this.#state === "failed" || this.#state === "stopped" || this.#runtime.monotonic() >= deadline) return false;
      await this.#wokenOrAt(deadline);
    }
    return await this.committedWithin(deadline - this.#runtime.monotonic());
  }

  /** Fulfils with true once what was done so far is committed, and tasks that begin again are built; with false when that is not within a time, or the commit fails. */
  async committedWithin(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = this.#runtime.setTimer(() => resolve(false), Math.max(0, ms));
    const isDone = async (): Promise<boolean> => {
      await this.#restarting;
      await this.whenBuilt();
      await this.commit();
      return true;
    };
    isDone().then(resolve, () => resolve(false));
    return await promise.finally(() => timer.cancel());
  }

  #applyOrders(): void {
    this.#hasNewOrders = false;
    const restarted: Task[] = [];
    for (const task of this.#tasks) {
      task.applyOrders();
      const isRestarted = task.inputs.some(({ topic, partition }) => {
        const command = this.#controls.newest("restart", { topic: topic.name, partition });
        return command !== null && command.id >= this.#builtAt.get(task)!;
      });
      if (isRestarted) restarted.push(task);
    }
    if (restarted.length > 0) this.#restarting = this.#restart(restarted);
    if (this.#orderedTo === this.#controls.position) return;
    this.#orderedTo = this.#controls.position;
    this.#wake();
  }

  /** Commits, and builds these tasks again from what is committed; the others go on. */
  async #restart(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) this.#builtAt.set(task, this.#controls.position);
    this.#isRevoking = true;
    try {
      await this.commit();
      for (const task of tasks) {
        if (!this.#tasks.includes(task)) continue;
        task.close();
        const { topic, partition } = task.inputs[0]!;
        this.#observer({ type: "orderDone", task: task.id, order: "restart", topic: topic.name, partition, position: null });
      }
      this.#tasks = this.#tasks.filter((task) => !tasks.includes(task));
    } catch {
      // It was reported; all tasks are built again.
    } finally {
      this.#isRevoking = false;
    }
    await this.#buildTasks().catch((error) => this.#fail(error));
  }

  // ── Work ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #work(started: number): void {
    const deadline = started + (this.#options.stepMs ?? 8);
    let left = this.#options.stepRecords ?? 1_000;
    const commitRecords = this.#options.commitRecords ?? Infinity;
    const tasks = this.#tasks, { effectsMax, isOn } = this.#isolation;
    // One handler at a time, or its effects would come into a commit that is to hold another's.
    if (isOn && tasks.some((task) => task.isRunning)) return this.#resumeOnly();
    for (let idle = 0; idle < tasks.length && left > 0 && this.#takenSinceCommit < commitRecords;) {
      const task = tasks[this.#turn++ % tasks.length]!;
      const slice = Math.min(SLICE, left, commitRecords - this.#takenSinceCommit, effectsMax === Infinity ? SLICE : effectsMax - this.#effects.length);
      if (slice <= 0) break;
      const budget: Budget = { left: slice };
      task.step(budget);
      const done = slice - budget.left;
      left -= done;
      this.#takenSinceCommit += done;
      idle = done === 0 ? idle + 1 : 0;
      if (isOn && task.isRunning) break;
      if (this.#runtime.monotonic() >= deadline) break;
    }
    if (this.#takenSinceCommit > 0) this.#isDirty = true;
  }

  /** While a record is looked for that no commit takes: what the next one will hold, by name. */
  get #effects(): readonly string[] {
    return this.#tasks.flatMap(({ effects }) => effects);
  }

  /** A commit waits, or the worker drains: handlers go on, nothing new begins. */
  #resumeOnly(): void {
    for (const task of this.#tasks) task.resumeHandlers();
  }

  #hasSomethingToCommit(): boolean {
    return this.#isDirty || this.#tasks.some((task) => task.hasUncommitted);
  }

  #isCommitTime(): boolean {
    if (this.#commitDeadline !== null) return true;
    const now = this.#runtime.monotonic();
    if (!this.#hasSomethingToCommit()) {
      const awaited = this.#awaitedClock();
      return this.#tasks.some((task) => task.nextClockAt(awaited) <= now);
    }
    if (this.#isolation.isOn && this.#effects.length >= this.#isolation.effectsMax) return true;
    if (now - this.#lastCommitAt >= (this.#options.commitIntervalMs ?? 100)) return true;
    if (this.#takenSinceCommit >= (this.#options.commitRecords ?? Infinity)) return true;
    return this.#uncommittedBytes() >= (this.#options.uncommittedBytesMax ?? 67_108_864);
  }

  #uncommittedBytes(): number {
    let bytes = this.#outputs.sizeBytes;
    for (const task of this.#tasks) bytes += task.state.dirtyCount * DIRTY_ENTRY_BYTES;
    return bytes;
  }

  /** Commits now, or as soon as running handlers are done or have had their time. */
  #tryCommit(): void {
    const now = this.#runtime.monotonic();
    const isRunning = this.#tasks.some((task) => task.isRunning);
    if (isRunning) {
      this.#commitDeadline ??= now + (this.#options.commitWaitMs ?? 100);
      if (now < this.#commitDeadline) return;
    }
    this.#commitDeadline = null;
    this.#commit();
  }

  #commit(): void {
    const membership = this.#membership;
    if (membership === null) {
      this.#settleCommit(null);
      return;
    }
    this.#isCommitting = true;
    this.#state = "committing";
    // Tasks that are built meanwhile are no part of it.
    const epoch = this.#epoch, tasks = [...this.#tasks];
    try {
      const unit = this.#unitOf(membership, tasks);
      const { changelog } = unit;
      const receipt = this.#log.commit(unit, (changelogPositions) => {
        if (this.#database === null) flushAll(tasks);
        else if (!this.#hasChangelogs) this.#storage.transaction(() => flushAll(tasks));
        else if (changelog.length > 0 && this.#epoch === epoch) {
          this.#storage.transaction(() => tasks.forEach((task) => task.state.apply(changelogPositions, this.#runtime.now())));
        }
      });
      if (isThenable(receipt)) {
        receipt.then((done) => this.#ended(epoch, () => this.#committed(done, tasks)), (error) => this.#ended(epoch, () => this.#commitFailed(error)));
      } else this.#committed(receipt, tasks);
    } catch (error) {
      this.#commitFailed(error);
    }
  }

  /**
   * What becomes true together. Where tasks move between workers each that writes says a position, moved or not: by it a group refuses who lost its partitions and does not know, and whoever has
   * them next waits for the end of what is under way.
   */
  #unitOf(membership: Membership, tasks: readonly Task[]): CommitUnit {
    for (const task of tasks) task.prepareCommit();
    const positions: CommittedPosition[] = [];
    const changelog: OutputBatch[] = [];
    for (const task of tasks) {
      const state = this.#hasChangelogs ? task.state.say(this.#runtime.now()) : [];
      changelog.push(...state);
      const moved = task.positions();
      positions.push(...(moved.length === 0 && state.length > 0 ? [task.anchor] : moved));
    }
    const outputs = this.#outputs.batches();
    if (this.#hasChangelogs && positions.length === 0 && outputs.length > 0 && tasks.length > 0) positions.push(tasks[0]!.anchor);
    const { guarantee } = this.#options;
    return { membership, positions, outputs, changelog, ...(guarantee === undefined ? {} : { guarantee }) };
  }

  /** A commit that was awaited has ended. Partitions were lost while it was under way: whatever it says, tasks begin again from what is committed. */
  #ended(epoch: number, settle: () => void): void {
    if (this.#epoch === epoch || this.#state === "stopped" || this.#state === "failed") {
      settle();
      return;
    }
    this.#isCommitting = false;
    this.#settleCommit(new FencedError(`Cannot commit for "${this.#topology.app}": its partitions were lost meanwhile`));
    void this.#abort();
  }

  #committed(receipt: CommitReceipt, tasks: readonly Task[]): void {
    this.#outputs.reset();
    if (this.#isolation.isOn) this.#isolation.committed(tasks.flatMap(({ effects }) => effects), !tasks.some((task) => task.isRunning));
    for (const task of tasks) task.committed();
    this.stats.commits++;
    if (this.#commitRetries > 0) this.#observer({ type: "commitsResumed", tasks: tasks.map(({ id }) => id), failures: this.#commitRetries });
    this.#commitRetries = 0;
    this.#commitTrouble = null;
    this.#isCommitting = false;
    this.#isDirty = false;
    this.#takenSinceCommit = 0;
    this.#lastCommitAt = this.#runtime.monotonic();
    if (this.#state === "committing") this.#state = this.#buildings > 0 ? "starting" : "running";
    this.#trackDurable(receipt.durable);
    this.#keepCacheBounded();
    this.#settleCommit(null);
    this.#wake();
  }

  #trackDurable(durable: Promise<void> | null): void {
    if (durable === null) return;
    this.#durable = durable;
    durable.then(() => {
      if (this.#durable === durable) this.#durable = null;
      this.#wake();
    }, (error) => this.#fail(error));
  }

  #keepCacheBounded(): void {
    const limit = this.#options.cacheBytes ?? 67_108_864;
    let bytes = 0;
    for (const task of this.#tasks) bytes += task.state.cachedBytes;
    if (bytes <= limit) return;
    for (const task of this.#tasks) task.state.evict(16);
    bytes = 0;
    for (const task of this.#tasks) bytes += task.state.cachedBytes;
    if (bytes > limit) { for (const task of this.#tasks) task.state.evict(0); }
  }

  #commitFailed(error: unknown): void {
    this.stats.failedCommits++;
    this.#isCommitting = false;
    const isFenced = isStreamError(error) && error.domain === "control";
    const isFinal = !isFenced && isStreamError(error) && (error.domain === "internal" || error.code === "STORE_CORRUPT" || error.code === "LOG_CLOSED");
    // Where it is for a record, nothing gets better by waiting.
    const isForRecord = this.#isolation.failed(error, this.#effects, this.#takenSinceCommit);
    const delay = isForRecord ? 0 : Math.min(RETRY_COMMIT_MAX_MS, RETRY_COMMIT_MS * 2 ** this.#commitRetries++);
    this.#observer({ type: "commitFailed", tasks: this.#tasks.map(({ id }) => id), error: errorFacts(error), retryAfterMs: isFinal ? null : delay });
    if (isFinal) {
      this.#fail(error);
      return;
    }
    this.#commitTrouble = isForRecord ? null : `commits fail: ${messageOf(error)}`;
    this.#notBefore = this.#runtime.monotonic() + delay;
    this.#settleCommit(isStreamError(error) ? error : new ExternalError("LOG_COMMIT_FAILED", `Cannot commit: ${messageOf(error)}`, { cause: error }));
    void this.#abort();
  }

  #settleCommit(error: unknown): void {
    const waiters = this.#commitWaiters;
    this.#commitWaiters = [];
    for (const waiter of waiters) error === null ? waiter.resolve() : waiter.reject(error);
  }

  /** Drops everything since the last commit and builds all tasks again from it. */
  async #abort(): Promise<void> {
    if (this.#state === "stopped" || this.#state === "failed") return;
    this.#epoch++;
    for (const task of this.#tasks) task.close();
    this.#tasks = [];
    this.#outputs = new Outputs((topic) => this.#assignment.countOf(topic));
    this.#isDirty = false;
    this.#takenSinceCommit = 0;
    this.#commitDeadline = null;
    this.#state = "starting";
    try {
      await this.#buildTasks();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What cannot be mended from here: the worker does no more. */
  #fail(error: unknown): void {
    if (this.#state === "failed" || this.#state === "stopped") return;
    this.#state = "failed";
    this.#failure = error;
    this.#assignment.changed();
    for (const task of this.#tasks) task.close();
    this.#settleCommit(error);
    this.#observer({ type: "warning", message: `The worker of "${this.#topology.app}" stopped: ${messageOf(error)}`, error: errorFacts(error) });
    this.#giveUpMembership();
    this.#wake();
  }

  /** Handlers and inputs that have not moved for too long are named, and later begin again. */
  #watch(now: number): void {
    for (const { task, step } of this.#watchdog.look(this.#tasks, now)) {
      if (step !== null) task.giveUpHandlers(this.#options.stuckRestartAfterMs ?? 300_000);
      else {
        void this.#abort();
        return;
      }
    }
  }

  // ── Waking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #whatNext(): StepResult {
    this.#watchAt = this.#watchdog.nextAt(this.#tasks, this.#runtime.monotonic());
    if (this.#isCommitting) return { idle: true, nextWakeAt: Infinity };
    if (this.#commitDeadline !== null || this.#isDraining || this.#isolation.isOn && this.#tasks.some((task) => task.isRunning)) {
      return { idle: !this.#tasks.some((task) => task.hasArrivals), nextWakeAt: Math.min(this.#commitDeadline ?? Infinity, this.#watchAt) };
    }
    if (this.#tasks.some((task) => task.hasWork())) return { idle: false, nextWakeAt: 0 };
    const hasSomethingToCommit = this.#hasSomethingToCommit();
    let at = Math.min(this.#watchAt, hasSomethingToCommit ? this.#lastCommitAt + (this.#options.commitIntervalMs ?? 100) : Infinity);
    // A clock goes with the commit that comes anyway; only without one is it a reason of its own.
    const awaited = hasSomethingToCommit ? Infinity : this.#awaitedClock();
    for (const task of this.#tasks) at = Math.min(at, task.nextWakeAt(), hasSomethingToCommit ? Infinity : task.nextClockAt(awaited));
    return { idle: true, nextWakeAt: at };
  }

  /** The least clock that a task waits for which others have to say. */
  #awaitedClock(): number {
    return this.#tasks.reduce((least, task) => Math.min(least, task.awaitedClock()), Infinity);
  }

  #wake(): void {
    for (const fn of this.#wakers) fn();
  }

  #wokenOrAt(monotonic: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const off = this.onWake(() => {
        off();
        timer?.cancel();
        resolve();
      });
      timer = this.#runtime.setTimer(() => {
        off();
        resolve();
      }, Math.max(0, monotonic - this.#runtime.monotonic()));
    });
  }
}

/** The topics that outcomes of an app's tasks are written to. */
function outcomeTopics(app: string): OutcomeTopics {
  const letters = new Map<string, TopicDefinition>();
  const of = (kind: "dlq" | "late") => (origin: string): TopicDefinition => {
    const name = `${origin}-${kind}`;
    let topic = letters.get(name);
    if (topic === undefined) letters.set(name, topic = letterTopic(origin, kind));
    return topic;
  };
  return { deadLetters: of("dlq"), late: of("late"), retries: retryTopic(app), audit: auditTopic(app) };
}

function hasChangelogs({ log: { capabilities }, hasChangelogs }: WorkerOptions): boolean {
  return hasChangelogs ?? (capabilities.durable && !capabilities.holdsState);
}

function flushAll(tasks: readonly Task[]): void {
  for (const task of tasks) task.state.flush();
}

/** The log cannot be asked for now; it may be later. */
function isPassing(error: unknown): boolean {
  return isStreamError(error) && error.domain === "external" && error.code.startsWith("LOG_") && error.code !== "LOG_CLOSED" &&
    error.code !== "LOG_POSITION_OUT_OF_RANGE";
}
