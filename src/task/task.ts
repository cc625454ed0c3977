/**
 * A task: one sub-topology on one partition number. It takes records in order, pushes each through its operators, and keeps each one's effects all or nothing.
 *
 * A record runs in one go where its operators do; then its effects are in the caches and encoders when `step` returns, and nowhere else until the commit. One whose handler gives a
 * promise becomes a unit: its effects move to an overlay and come in as one step when the handler is done. A record that fails leaves nothing behind but what its policy says.
 */
import { assert } from "../base/assert.ts";
import { isThenable } from "../base/awaitable.ts";
import { deepFreeze } from "../base/freeze.ts";
import type { Skip } from "../base/skip.ts";
import { type ErrorCode, HandlerError, isStreamError, messageOf } from "../base/errors.ts";
import type { CommittedPosition, Log, PartitionReader } from "../log/log.ts";
import { errorFacts, type ObservedEvent, type RecordPlace } from "../observe/events.ts";
import { unpackValue } from "../record/value-bytes.ts";
import type { HeaderField, Payload } from "../record/record.ts";
import { type RecordMeta, RecordView } from "../record/meta.ts";
import { readUtf8 } from "../record/utf8.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { EffectScope } from "../state/scope.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import type { StateStore } from "../state/store.ts";
import type { Budget, Policy, Push, TopicDefinition } from "../topology/node.ts";
import type { SubTopology } from "../topology/topology.ts";
import { Checkpoint } from "./checkpoint.ts";
import { CLOCK_HEADER, CLOCK_ONLY_HEADER, ClockWriter, readClock } from "./carried-clock.ts";
import { Input, TaskClock } from "./input.ts";
import { Inputs } from "./inputs.ts";
import { effectOf, type Isolation } from "./isolation.ts";
import { OrdersDone, ordersStore } from "./orders-done.ts";
import { Outcomes, type OutcomeTopics } from "./outcomes.ts";
import { CarriedClocks } from "./outgoing-clock.ts";
import type { Outputs, Stamp, TopicOutput } from "./outputs.ts";
import { unitOutOfTurn } from "./out-of-turn.ts";
import type { Verdict } from "./policy.ts";
import { RetryInput } from "./retry-input.ts";
import type { WorkerStats } from "./stats.ts";
import { StepInput } from "./step-input.ts";
import { StepResults } from "./step-results.ts";
import { TaskState } from "./task-state.ts";
import { isUsable, timestampAhead } from "./timestamps.ts";
import type { Entrance, Unit } from "./unit.ts";
import { Units } from "./units.ts";
import { buildOperators, type Operators } from "./operators.ts";

/** Unresolved records a task holds at most; then it takes no more. */
const UNRESOLVED_MAX = 1_000;
/** As long as it holds so many, none is taken from the topic of retries: those of its inputs come first. */
const RETRIES_MAX = 500;

/** State cannot be read, or not be believed: the worker's matter. */
const STATE_TROUBLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["DISK_FAILED", "STORE_CORRUPT", "STORE_FULL", "STORE_NEWER", "SQLITE_FAILED"]);
/** Why a record that stopped its task is left out by a seek. */
const PASSED: Skip = { "~skip": "passed by a seek" };

/** What a task works with. */
export interface TaskOptions {
  readonly subTopology: SubTopology;
  readonly partition: number;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly storage: StateStorage;
  readonly outputs: Outputs;
  readonly stats: WorkerStats;
  readonly report: (event: ObservedEvent) => void;
  /** The policy where neither step nor source has one. */
  readonly policy: Policy;
  /** What tasks of these names left behind is this one's, as far as it has their inputs. */
  readonly formerNames: readonly string[];
  /** Stores without a step, which it empties. */
  readonly retired: readonly StoreSpec[];
  /** For topics that don't say; null: off. */
  readonly idleTimeoutMs: number | null;
  /** Values are frozen before functions of the user's see them. */
  readonly freezesValues: boolean;
  /** Pause between clock-only records to one partition. */
  readonly clockIntervalMs: number;
  /** Opens the inputs this task owns; `next` is what their records go to. */
  readonly openInput: (topic: TopicDefinition, next: Push) => Input;
  /** Where its state is said; null: the log holds it. */
  readonly changelog: string | null;
  readonly outcomeTopics: OutcomeTopics;
  /** Where records may enter in the whole app, for the one task of its number that looks after what belongs to none; else null. */
  readonly knownEntrances: ReadonlySet<string> | null;
  /** Opens the task's partition of the topic of retries. */
  readonly openRetries: (position: number) => PartitionReader;
  readonly orders: Orders;
  readonly isolation: Isolation;
  /** The task has something to do. */
  readonly wake: () => void;
}

/** What operators want of inputs. */
export interface Orders {
  isPaused(topic: string): boolean;
  /** Where to go on, and which order that is; null: there is none. */
  seek(topic: string): { readonly id: number; readonly to: number } | null;
}

interface Arrival {
  readonly unit: Unit;
  readonly attempt: number;
  /** The step that waited. */
  readonly step: string;
  readonly resume: (value: unknown) => void;
  readonly value: unknown;
  readonly failed: boolean;
}

/** One sub-topology at work on one partition number. */
export class Task implements Stamp {
  readonly id: string;
  readonly name: string;
  readonly partition: number;
  readonly inputs: readonly Input[];
  readonly clock: TaskClock = new TaskClock();
  readonly state: TaskState;
  /** Why it does no more; null while it does. */
  stopped: unknown = null;
  /** The record that stopped it; its position is -1 for the result of a step. */
  stoppedAt: RecordPlace | null = null;
  readonly #options: TaskOptions;
  readonly #runtime: Runtime;
  readonly #outputs: Outputs;
  readonly #scope = new EffectScope();
  readonly #inputs: Inputs;
  readonly #checkpoint: Checkpoint;
  readonly #operators: Operators;
  readonly #units = new Units();
  readonly #entrances = new Map<string, Entrance>();
  readonly #outcomes: Outcomes;
  readonly #done: OrdersDone;
  readonly #retries: RetryInput;
  readonly #isHeld = (unit: Unit): boolean => isInput(unit.entrance) ? unit.entrance.isPaused : this.inputs.every(({ isPaused }) => isPaused);
  readonly #carried: CarriedClocks;
  readonly #concurrency: number;
  #arrivals: Arrival[] = [];
  /** Whose record is at work, and its unit once it has one. */
  #entrance: Entrance | null = null;
  #unit: Unit | null = null;
  #attempts = 0;
  #arrivedAt = 0;
  #step = "";
  /** The clock the record at work is judged by: before its timestamp is known that before it, for it cannot make itself late. */
  #judged = -Infinity;
  #lateBefore = -Infinity;
  #safeBefore = -Infinity;
  #hasFailed = false;
  readonly #effects = new Set<string>();
  /** The clock by which all that was due is done. */
  #firedAt = NaN;
  /** Wall clock when the step began, ms. */
  #steppedAt = -Infinity;
  #isClosed = false;

  constructor(options: TaskOptions) {
    const { subTopology, partition } = options;
    this.#options = options;
    this.#runtime = options.runtime;
    this.#outputs = options.outputs;
    this.partition = partition;
    this.name = subTopology.name;
    this.id = `${subTopology.name}/${partition}`;
    this.state = new TaskState(options.storage, this.#scope, partition);
    this.#carried = new CarriedClocks(new ClockWriter(this.id), options.clockIntervalMs);
    this.#concurrency = Math.max(...subTopology.nodes.map((node) => node.concurrency));
    this.#operators = buildOperators(this, subTopology, this.clock);
    this.inputs = subTopology.reads.flatMap((topic) => {
      const next = this.#operators.entry(topic);
      const count = options.log.partitionsOf(topic.name) ?? 0;
      return partition < count ? [options.openInput(topic, next)] : [];
    });
    assert(this.inputs.length > 0, `task ${this.id} has an input`);
    this.#inputs = new Inputs(this.inputs, this.clock, options.runtime, options.idleTimeoutMs);
    for (const input of this.inputs) this.#entrances.set(input.id, input);
    for (const results of this.#operators.results.values()) this.#entrances.set(results.id, results);
    for (const input of this.#operators.stepInputs) this.#entrances.set(input.id, input);
    const { runtime, outputs, stats, report, policy, outcomeTopics: topics } = options;
    const operators = this.#operators, { stores } = this.state;
    this.#outcomes = new Outcomes({
      taskId: this.id,
      partition,
      runtime,
      outputs,
      stamp: this,
      stats,
      report,
      operators,
      stores,
      topics,
      policy,
      isolation: options.isolation,
    });
    this.#scope.begin();
    this.#checkpoint = new Checkpoint({
      taskId: this.id,
      name: this.name,
      runtime: options.runtime,
      report: options.report,
      inputs: this.#inputs,
      operators: this.#operators,
      units: this.#units,
      entrances: this.#entrances,
      concurrency: this.#concurrency,
      // Where it costs a record of its own: only for steps that go by it.
      keepsClocks: options.changelog === null ||
        subTopology.nodes.some(({ stores, clockDelayMs, writes }) => stores.length > 0 || clockDelayMs !== null || writes?.carriesClock === true),
      openStore: (spec) => this.state.open(spec),
    });
    for (const spec of options.retired) this.state.open(spec);
    this.#checkpoint.restore(options.formerNames);
    this.#done = new OrdersDone(this.state.open(ordersStore(this.name)), runtime.now());
    this.#done.adopt(options.formerNames.map((name) => this.state.open(ordersStore(name))));
    this.#retries = new RetryInput(
      options.openRetries(this.#done.readTo),
      this.#done,
      partition,
      this.#entrances,
      options.knownEntrances,
      (position, error) => {
        report({ type: "warning", message: `Task ${this.id} leaves a record of its topic of retries at position ${position}`, error: errorFacts(error) });
      },
    );
    this.applyOrders();
    const isThere = (topic: string): boolean => partition < (options.log.partitionsOf(topic) ?? 0);
    if (options.changelog !== null) this.state.sayIn(options.changelog, isThere);
  }

  // ── What a step of the worker asks for ─────────────────────────────────────────────────────────────────────────────

  /** Works until the budget is used up or there is nothing to do at hand. */
  step(budget: Budget): void {
    if (this.stopped !== null) return;
    this.#takeArrivals();
    const now = this.#runtime.monotonic();
    this.#steppedAt = this.#runtime.now();
    this.#takeRetries(now, budget);
    this.#retry(now, budget);
    this.#inputs.updateClock();
    if (!this.#fireDue(budget)) return;
    while (budget.left > 0 && this.stopped === null && this.canTake) {
      const input = this.#inputs.choose(now);
      if (input === null) break;
      budget.left--;
      this.#take(input);
      if (!this.#fireDue(budget)) return;
    }
  }

  /** Does what the clock has made due since it was asked last; false when the budget was used up before. */
  #fireDue(budget: Budget): boolean {
    const clock = this.clock.safe;
    if (clock === this.#firedAt) return true;
    if (!this.canTake || this.stopped !== null) return false;
    if (!this.#operators.fire(budget)) return false;
    this.#firedAt = clock;
    return true;
  }

  /** Whether it may begin another record. */
  get canTake(): boolean {
    return this.#units.running < this.#concurrency && this.#units.size < UNRESOLVED_MAX && !this.#units.isPartitionBlocked;
  }

  /** Whether a handler is under way. */
  get isRunning(): boolean {
    return this.#units.running > 0;
  }

  /** Handlers that are done go on; nothing new begins. */
  resumeHandlers(): void {
    this.#takeArrivals();
  }

  /** Whether a handler is done that has not gone on. */
  get hasArrivals(): boolean {
    return this.#arrivals.length > 0;
  }

  /** Whether there is something that the last commit does not have. */
  get hasUncommitted(): boolean {
    return this.#checkpoint.hasNews || this.state.dirtyCount > 0 ||
      this.inputs.some((input) => input.position !== input.committed && input.committed >= 0 || input.position > 0 && input.committed < 0);
  }

  /** Records begun and not resolved. */
  get unresolved(): Units {
    return this.#units;
  }

  /** Whether `step` would do something now. */
  hasWork(): boolean {
    if (this.stopped !== null) return false;
    if (this.#arrivals.length > 0) return true;
    const now = this.#runtime.monotonic();
    if (this.#units.running < this.#concurrency && this.#units.next(now, this.#isHeld) !== null) return true;
    if (this.#units.size < RETRIES_MAX && this.#retries.hasHead()) return true;
    this.#inputs.updateClock();
    return this.canTake && (this.#operators.isDue() || this.#inputs.choose(now) !== null);
  }

  /** Monotonic ms at which there will be something to do without anything arriving; Infinity: never. */
  nextWakeAt(): number {
    if (this.stopped !== null) return Infinity;
    // While a handler is under way its end is what there is to wait for.
    const dueAt = this.#units.running < this.#concurrency ? this.#units.nextDueAt(this.#isHeld) : Infinity;
    if (!this.canTake) return dueAt;
    return Math.min(dueAt, this.#inputs.idleWakeAt(this.#operators.dueAt()));
  }

  /** The handler that has been under way longest; null when none is. */
  longestRunning(): { readonly step: string; readonly record: RecordPlace; readonly ageMs: number } | null {
    let longest: Unit | null = null;
    for (const unit of this.#units) if (unit.state === "running" && (longest === null || unit.startedAt < longest.startedAt)) longest = unit;
    return longest === null ? null : { step: longest.step, record: this.#outcomes.placeOf(longest), ageMs: this.#runtime.monotonic() - longest.startedAt };
  }

  /** Handlers under way for so long are waited for no more: their records failed, and their policy speaks. */
  giveUpHandlers(afterMs: number): void {
    const now = this.#runtime.monotonic();
    for (const unit of [...this.#units]) {
      if (unit.state !== "running" || now - unit.startedAt < afterMs) continue;
      const message = `Step "${unit.step}" has worked on a record for ${
        Math.round((now - unit.startedAt) / 1_000)
      } s: its promise has not settled, and is waited for no more`;
      unit.failure = { error: new HandlerError("HANDLER_FAILED", message), step: unit.step };
      unit.outstanding = 0;
      this.#resume(unit, () => {});
    }
  }

  /** Does what operators ordered for its inputs; between records. */
  applyOrders(): void {
    const { orders } = this.#options;
    this.#scope.begin();
    for (const input of this.inputs) {
      const isPaused = orders.isPaused(input.topic.name);
      if (isPaused !== input.isPaused) this.#sayDone(isPaused ? "pause" : "resume", input, null);
      input.isPaused = isPaused;
      if (isPaused) input.endSince = null;
      const seek = orders.seek(input.topic.name);
      if (seek === null || this.#done.isSought(input.topic.name, seek.id)) continue;
      this.#forget(input, seek.to);
      input.seek(seek.to);
      this.#sayDone("seek", input, seek.to);
      this.#goOn(input, seek.to);
    }
    this.#scope.begin();
  }

  #sayDone(order: "pause" | "resume" | "seek", { topic, partition }: Input, position: number | null): void {
    this.#options.report({ type: "orderDone", task: this.id, order, topic: topic.name, partition, position });
  }

  /** What is unresolved from a position on will be read again: as if it had not been begun, so that what it did to event time by coming is taken back as well. */
  #forget(input: Input, from: number): void {
    let seen = Infinity;
    for (const unit of [...this.#units]) {
      if (unit.entrance !== input || unit.retryPosition >= 0 || unit.record.position < from) continue;
      seen = Math.min(seen, unit.heldClock);
      if (!input.clock.isCarried) input.clock.seen = Math.min(input.clock.seen, seen);
      if (unit.overlay !== null) this.#scope.drop(unit.overlay);
      this.#resolve(unit);
    }
    if (seen === Infinity || input.clock.isCarried) return;
    // Windows have closed by the other one alone, which those records held.
    const late = this.inputs.reduce((least, { clock }) => Math.min(least, clock.late), this.clock.late);
    this.clock.late = Math.max(this.clock.safe, late);
  }

  /** What it stopped at, now or before it was built, is left out where it lies behind the new position; elsewhere it is tried again. */
  #goOn(input: Input, to: number): void {
    this.stopped = this.stoppedAt = null;
    const now = this.#runtime.monotonic();
    for (const unit of [...this.#units]) {
      if (unit.nextTryAt !== Infinity || unit.state === "running") continue;
      if (unit.entrance === input && unit.record.position < to) {
        this.#resolve(unit);
        this.#outcomes.skip(unit, PASSED, unit.step === "" ? this.name : unit.step);
      } else if (unit.state === "waiting") this.#units.wait(unit, now);
    }
  }

  /** Why it does no more, and at which record it stopped; null while it does. */
  get stopReason(): string | null {
    if (this.stoppedAt === null) return null;
    const { topic, partition, position } = this.stoppedAt;
    return `stopped at ${position < 0 ? `a result of ${topic}` : `${topic}/${partition} position ${position}`}: ${messageOf(this.stopped)}`;
  }

  /** Positions that moved since the last commit. */
  positions(): CommittedPosition[] {
    const moved: CommittedPosition[] = [];
    for (const { topic, partition, position, committed } of this.inputs) {
      if (position !== committed) moved.push({ topic: topic.name, partition, position });
    }
    return moved;
  }

  /** The position it has in the group, for a commit in which none moved. */
  get anchor(): CommittedPosition {
    const { topic, partition, position } = this.inputs.find(({ committed }) => committed >= 0) ?? this.inputs[0]!;
    return { topic: topic.name, partition, position };
  }

  /** While a record is looked for that no commit takes: the records that the next one has something of, by name; that they wait is something, too. */
  get effects(): readonly string[] {
    return [...this.#effects];
  }

  /** Brings what the commit writes beside records' effects into stores and encoders. */
  prepareCommit(): void {
    this.#scope.begin();
    this.#retries.save();
    this.#checkpoint.prepare();
    this.#carried.sayClocks(this.#outputs, this.#inputs.isIdle, this.#runtime);
  }

  /** The clock at which something is due here that waits for the clocks of other tasks; Infinity when nothing does. */
  awaitedClock(): number {
    return this.#inputs.isCarried ? this.#operators.dueAt() : Infinity;
  }

  /** Monotonic ms at which a clock should be said; Infinity when none should. `awaited`: the least clock that any task waits for. */
  nextClockAt(awaited: number): number {
    const { isIdle } = this.#inputs;
    const at = this.#carried.nextAt(isIdle, awaited);
    if (at < Infinity || !isIdle || awaited === Infinity || this.#inputs.isHeld) return at;
    // It goes on by itself, but only a step looks at it: one when it gets there, then one an interval, for steps in between may lag by their grace.
    const clock = this.#carried.least;
    if (!Number.isFinite(clock)) return Infinity;
    return this.#runtime.monotonic() + (clock < awaited ? Math.max(1, awaited - clock) : Math.max(1, this.#carried.intervalMs));
  }

  /** The commit has happened. */
  committed(): void {
    this.#effects.clear();
    for (const input of this.inputs) input.committed = input.position;
    this.state.committed();
  }

  /** Gives its inputs up. Handlers under way find nobody when they are done. */
  close(): void {
    this.#isClosed = true;
    this.#retries.close();
    for (const input of this.inputs) input.close();
  }

  // ── What operators ask for (see OperatorContext) ───────────────────────────────────────────────────────────────────

  enter(step: string): void {
    this.#step = step;
  }

  now(): number {
    return this.#runtime.now();
  }

  /** Wall clock at the first try of the record at work. */
  arrivedAt(): number {
    return this.#arrivedAt === 0 ? this.#arrivedAt = this.#runtime.now() : this.#arrivedAt;
  }

  store(spec: StoreSpec): StateStore {
    return this.state.open(spec);
  }

  output(topic: TopicDefinition, clock: { readonly safe: number }): TopicOutput {
    const output = this.#outputs.topic(topic);
    if (topic.carriesClock) this.#carried.add(output, clock);
    return output;
  }

  emit(output: TopicOutput, key: Payload | null, value: Payload | null, timestamp: number, headers: readonly HeaderField[] | null): void {
    this.#outputs.stage(output, key, value, timestamp, headers);
  }

  suspend(promise: PromiseLike<unknown>, resume: (value: unknown) => void): void {
    const unit = this.#suspended();
    const attempt = unit.attempts, step = this.#step;
    unit.outstanding++;
    unit.step = this.#step;
    const arrive = (value: unknown, failed: boolean): void => {
      if (this.#isClosed) return;
      this.#arrivals.push({ unit, attempt, step, resume, value, failed });
      this.#options.wake();
    };
    promise.then((value) => arrive(value, false), (error) => arrive(error, true));
  }

  /** Pushes a step's result on, as a unit of effect of its own; false: no more for now. */
  fire(results: StepResults, next: Push, key: unknown, keyId: string, value: unknown, timestamp: number): boolean {
    this.#options.stats.fired++;
    const view = results.at(key, keyId, value, timestamp);
    if (this.#units.size > 0 && this.#isBehind(results, keyId)) {
      this.#defer(results);
      return this.canTake;
    }
    this.#begin(results);
    try {
      if (this.#options.isolation.isOn) this.#checkRefusal(results);
      next(value, view);
    } catch (error) {
      this.#threw(error);
    }
    this.#end();
    return this.canTake && this.stopped === null;
  }

  /** A value on its way to functions of the user's. */
  handOut(value: unknown): unknown {
    return this.#options.freezesValues ? deepFreeze(value) : value;
  }

  skipped(reason: string): void {
    this.#options.stats.skip(reason);
  }

  late(
    step: string,
    origin: string,
    meta: RecordMeta,
    keyBytes: Payload | null,
    value: Payload | null,
    latenessMs: number,
    missed: readonly { readonly start: number; readonly end: number }[],
    toTopic: boolean,
  ): void {
    this.#outcomes.late(step, origin, meta, keyBytes, value, latenessMs, missed, toTopic, this.#unit?.replay ?? null);
  }

  flushed(): Promise<void> {
    return this.#options.log.flush();
  }

  stamp(output: TopicOutput, partition: number, headers: readonly HeaderField[] | null): readonly HeaderField[] | null {
    return this.#carried.stamp(output, partition, headers);
  }

  // ── One record ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #take(input: Input): void {
    const { cursor, clock } = input;
    input.endSince = null;
    input.seenBefore = clock.seen;
    if (clock.isCarried && this.#takeClock(input)) return;
    const view = input.view.at(cursor);
    if (this.#units.size > 0 && this.#isBehind(input, input.chainOf(view))) {
      this.#defer(input);
      input.advance();
      return;
    }
    this.#begin(input);
    try {
      if (this.#options.isolation.isOn) this.#checkRefusal(input);
      const bytes = cursor.valueBytes();
      const value = bytes === null ? undefined : input.topic.value.decode(bytes);
      if (isThenable(value)) this.suspend(value, (decoded) => this.#enterAt(input, decoded, view));
      else this.#enterAt(input, value, view);
    } catch (error) {
      this.#threw(error);
    }
    if (this.stopped === null) input.advance();
    this.#end();
  }

  /** Reads the clock that a record of an internal topic carries; true when it carries nothing else. */
  #takeClock(input: Input): boolean {
    const { cursor } = input;
    if (cursor.headerCount === 0) return false;
    const carried = cursor.header(CLOCK_HEADER);
    if (carried !== null) {
      const { writer, watermark } = readClock(carried);
      input.clock.carry(writer, watermark);
    }
    if (cursor.valueStart >= 0 || !cursor.headers().some(({ name }) => name === CLOCK_ONLY_HEADER)) return false;
    input.advance();
    this.#inputs.updateClock();
    return true;
  }

  /** The decoded record moves the clock and goes to the operators. */
  #enterAt(input: Input, value: unknown, view: RecordView): void {
    const { topic, clock } = input;
    if (topic.timestamp !== null && value !== undefined) {
      this.#step = topic.name;
      const given = topic.timestamp(value, view);
      view.timestamp = given instanceof Date ? given.getTime() : given;
    }
    const timestamp = view.timestamp;
    // Nearly all are usable; only the others need the wall clock's exact word.
    const isUsual = timestamp >= 0 && timestamp <= this.#steppedAt && Number.isSafeInteger(timestamp);
    if (!isUsual && !isUsable(topic, timestamp, this.#runtime.now())) {
      this.skipped("negative timestamp");
      return;
    }
    const unit = this.#unit;
    if (unit !== null) unit.clockBefore = { seen: clock.seen, late: this.#lateBefore };
    if (!clock.isCarried) clock.observe(timestamp);
    this.#inputs.updateClock();
    if (unit === null) this.#judged = this.clock.late;
    else {
      if (Number.isNaN(unit.judgedClock)) unit.judgedClock = this.clock.late;
      this.clock.late = unit.judgedClock;
    }
    input.next(this.handOut(value), view);
  }

  #begin(entrance: Entrance): void {
    this.#scope.begin();
    this.#outputs.unstage();
    this.#entrance = entrance;
    this.#unit = null;
    this.#attempts = 1;
    this.#arrivedAt = 0;
    this.#step = this.name;
    this.#lateBefore = this.clock.late;
    this.#safeBefore = this.clock.safe;
    this.#judged = this.clock.late;
    this.#hasFailed = false;
  }

  /** The record at work threw. */
  #threw(error: unknown): void {
    // That is no record's fault, and nothing here is to be trusted any more.
    if (isStreamError(error) && STATE_TROUBLE.has(error.code)) throw error;
    const unit = this.#unit;
    if (unit !== null && unit.outstanding > 0) {
      unit.failure ??= { error, step: this.#step };
      return;
    }
    this.#scope.undo();
    this.#outputs.unstage();
    if (unit !== null) {
      unit.failure ??= { error, step: this.#step };
      return;
    }
    this.#hasFailed = true;
    // As if it had never been: a record that is given up does not move the clock.
    const entrance = this.#entrance!;
    const step = this.#step;
    if (isInput(entrance)) {
      // What a writer said of its clock stays true whatever becomes of the record that brought it.
      if (!entrance.clock.isCarried) entrance.clock.seen = entrance.seenBefore;
      this.clock.late = this.#lateBefore;
      this.clock.safe = this.#safeBefore;
    }
    const failed = entrance.capture(this.arrivedAt());
    failed.attempts = 1;
    failed.judgedClock = this.#judged;
    const verdict = this.#outcomes.judge(failed, error, step);
    // An input's record is taken again after a restart; a result has left its window, and is kept.
    if (verdict.do === "stop" && isInput(entrance)) this.#stop(failed, error, step);
    else if (verdict.do === "stop" || verdict.do === "retry" && verdict.blocks !== "nothing") {
      this.#units.add(failed);
      entrance.hold(failed);
      this.#keep(failed, verdict, error, step);
    } else this.#letGo(failed, verdict, error, step);
  }

  /** The name of what the record at work does. */
  #currentEffect(entrance: Entrance): string {
    if (isInput(entrance)) return `${this.id} ${entrance.id}@${entrance.cursor.position}`;
    const { id, keyId, view } = entrance as StepResults;
    return `${this.id} ${id}@${view.timestamp} ${keyId}`;
  }

  /** The next commit has something of the unit. */
  #note(unit: Unit): void {
    if (this.#options.isolation.isOn) this.#effects.add(effectOf(this.id, unit));
  }

  /** Whether the record at hand waits for an earlier one of its key; not where no commit takes it, for its policy speaks now. */
  #isBehind(entrance: Entrance, chain: string | null): boolean {
    if (!this.#units.isBlocked(chain)) return false;
    const { isolation } = this.#options;
    return !isolation.isOn || isolation.refusal(this.#currentEffect(entrance)) === null;
  }

  /** Throws where no commit has taken the record's effects before. */
  #checkRefusal(entrance: Entrance): void {
    const refusal = this.#options.isolation.refusal(this.#currentEffect(entrance));
    if (refusal !== null) throw refusal.error;
  }

  /** The synchronous part of the record at work is over. */
  #end(): void {
    const unit = this.#unit, entrance = this.#entrance;
    this.#entrance = null;
    this.#unit = null;
    if (unit === null) {
      if (this.#hasFailed) return;
      this.#outputs.settle(this);
      this.#options.stats.processed++;
      if (this.#options.isolation.isOn) this.#effects.add(this.#currentEffect(entrance!));
      return;
    }
    this.#leave(unit);
  }

  /** Leaves a unit's overlay; settles it when nothing is outstanding. */
  #leave(unit: Unit): void {
    if (unit.overlay !== null) {
      for (const staged of this.#outputs.takeStaged()) unit.outputs.push(staged);
      this.#scope.enter(null);
    }
    if (unit.outstanding === 0) this.#settle(unit);
  }

  // ── Records that are not done at once ──────────────────────────────────────────────────────────────────────────────

  /** The unit of the record at work, with what it did so far moved out of the way. */
  #suspended(): Unit {
    let unit = this.#unit;
    if (unit === null) {
      const entrance = this.#entrance;
      assert(entrance !== null, "only a record at work can be suspended");
      unit = entrance.capture(this.arrivedAt());
      unit.attempts = this.#attempts;
      unit.judgedClock = this.#judged;
      if (isInput(entrance)) unit.clockBefore = { seen: entrance.seenBefore, late: this.#lateBefore };
      unit.state = "running";
      unit.startedAt = this.#runtime.monotonic();
      this.#units.add(unit);
      this.#note(unit);
      entrance.hold(unit);
      this.clock.safe = this.#safeBefore;
      this.#unit = unit;
    }
    if (unit.overlay === null) {
      unit.overlay = this.#scope.detach();
      unit.outputs = this.#outputs.takeStaged();
      this.#scope.enter(unit.overlay);
    }
    return unit;
  }

  /** A record of a key that an earlier one is unresolved of: it waits its turn. */
  #defer(entrance: Entrance): void {
    const unit = entrance.capture(this.#runtime.now());
    this.#units.add(unit);
    this.#note(unit);
    entrance.hold(unit);
    // It moves the clock though it is not run yet: lateness stays what it would be in turn.
    const timestamp = isInput(entrance) ? timestampAhead(entrance, this.#runtime.now()) : null;
    if (isInput(entrance) && timestamp !== null) {
      if (!entrance.clock.isCarried) entrance.clock.observe(timestamp);
      this.#inputs.updateClock();
    }
    unit.judgedClock = this.clock.late;
  }

  #takeArrivals(): void {
    if (this.#arrivals.length === 0) return;
    // One by one while a record is looked for.
    const arrivals = this.#arrivals.splice(0, this.#options.isolation.isOn ? 1 : this.#arrivals.length);
    for (const { unit, attempt, step, resume, value, failed } of arrivals) {
      if (unit.state !== "running" || unit.attempts !== attempt) continue;
      this.#resume(unit, () => {
        unit.outstanding--;
        this.#step = step;
        if (failed) throw value;
        if (unit.failure === null) resume(value);
      });
    }
  }

  /** Runs a part of a unit's work in its overlay. */
  #resume(unit: Unit, work: () => void): void {
    const late = this.clock.late;
    // Results are judged behind their step by the clock they were fired at, too.
    const outClock = unit.entrance instanceof StepResults && unit.retryPosition < 0 ? unit.entrance.clock : null;
    const outSeen = outClock?.seen ?? NaN;
    if (outClock !== null) outClock.seen = unit.heldClock;
    this.#entrance = unit.entrance;
    this.#unit = unit;
    this.#arrivedAt = unit.arrivedAt;
    this.#lateBefore = late;
    this.#safeBefore = this.clock.safe;
    this.#outputs.unstage();
    this.#scope.begin();
    this.#scope.enter(unit.overlay);
    if (!Number.isNaN(unit.judgedClock)) this.clock.late = unit.judgedClock;
    try {
      work();
    } catch (error) {
      this.#threw(error);
    }
    if (this.clock.late < late) this.clock.late = late;
    if (outClock !== null) outClock.seen = outSeen;
    this.#entrance = null;
    this.#unit = null;
    this.#leave(unit);
  }

  /** Takes what is to be tried out of turn: each waits for its time among the unresolved. */
  #takeRetries(now: number, budget: Budget): void {
    while (budget.left > 0 && this.#units.size < RETRIES_MAX && this.#retries.hasHead()) {
      budget.left--;
      this.#scope.begin();
      const wallClock = this.#runtime.now();
      const taken = this.#retries.take(wallClock);
      this.#scope.begin();
      if (taken === null) continue;
      const { note } = taken;
      const entrance = this.#entrances.get(note.entrance)!;
      const unit = unitOutOfTurn(taken, entrance, entrance instanceof StepInput ? this.#operators.clockInto(entrance) : this.clock, wallClock);
      this.#units.add(unit);
      this.#units.wait(unit, now + Math.max(0, note.dueAt - wallClock));
      this.#note(unit);
      const refusal = this.#options.isolation.refusal(effectOf(this.id, unit));
      if (refusal !== null) this.#judge(unit, refusal.error, this.name);
    }
  }

  #retry(now: number, budget: Budget): void {
    while (budget.left > 0 && this.#units.size > 0 && this.#units.running < this.#concurrency && this.stopped === null) {
      const unit = this.#units.next(now, this.#isHeld);
      if (unit === null) return;
      budget.left--;
      this.#units.start(unit);
      unit.startedAt = now;
      unit.attempts++;
      unit.failure = null;
      if (unit.retryPosition >= 0) this.#holdForTry(unit);
      this.#step = this.name;
      this.#resume(unit, () => this.#rerun(unit));
    }
  }

  /** Out of turn it holds no clock while it waits, so that windows that were open at its last try may be closed; but what a try does to the clock counts only when it is done. */
  #holdForTry(unit: Unit): void {
    unit.judgedClock = NaN;
    const { entrance } = unit;
    if (isInput(entrance) && !entrance.clock.isCarried) entrance.clock.hold(unit, entrance.clock.seen);
  }

  /** Runs a unit's record from its entrance. */
  #rerun(unit: Unit): void {
    const { entrance, record } = unit;
    const refusal = this.#options.isolation.refusal(effectOf(this.id, unit));
    if (refusal !== null) throw refusal.error;
    if (isInput(entrance)) {
      const { topic } = entrance;
      const key = record.key === null ? null : topic.key.decode === null ? decodeText(record.key) : topic.key.decode(record.key);
      const view = entrance.newView().of(key, record.timestamp, record.position, record.headers);
      const value = record.value === null ? undefined : topic.value.decode(record.value);
      if (isThenable(value)) this.suspend(value, (decoded) => this.#enterAt(entrance, decoded, view));
      else this.#enterAt(entrance, value, view);
      return;
    }
    const value = record.value === null ? undefined : unpackValue(record.value);
    if (entrance instanceof StepInput) {
      const view = new RecordView(entrance.id, this.partition, null).of(unit.resultKey, record.timestamp, record.position, record.headers);
      this.#operators.into(entrance)(this.handOut(value), view);
      return;
    }
    const results = entrance as StepResults;
    const view = results.newView().of(unit.resultKey, record.timestamp, -1, null);
    this.#operators.resume(results)(value, view);
  }

  /** Nothing of the unit is outstanding: its effects come in, or its policy speaks. */
  #settle(unit: Unit): void {
    const { failure } = unit;
    const { overlay, outputs } = unit;
    unit.overlay = null;
    unit.outputs = [];
    if (failure !== null) {
      if (overlay !== null) this.#scope.drop(overlay);
      this.#outputs.unstage();
      this.#takeClockBack(unit);
      this.#judge(unit, failure.error, failure.step);
      return;
    }
    if (overlay !== null) {
      this.#scope.begin();
      this.#scope.apply(overlay);
      for (const staged of outputs) this.#outputs.write(staged, this);
    } else this.#outputs.settle(this);
    // After its outputs: they carry the clock that it held back, or they would be late by it.
    this.#resolve(unit);
    this.#options.stats.processed++;
    this.#note(unit);
  }

  /** As if the try had never been: a record that is given up does not move the clock. While it ran no other record of its task did. */
  #takeClockBack({ entrance, clockBefore }: Unit): void {
    if (clockBefore === null || !isInput(entrance) || entrance.clock.isCarried || this.#concurrency > 1) return;
    entrance.clock.seen = clockBefore.seen;
    this.clock.late = clockBefore.late;
  }

  #judge(unit: Unit, error: unknown, step: string): void {
    const verdict = this.#outcomes.judge(unit, error, step);
    if (verdict.do === "stop" || verdict.do === "retry" && verdict.blocks !== "nothing") this.#keep(unit, verdict, error, step);
    else {
      this.#resolve(unit, verdict.do === "retry");
      this.#letGo(unit, verdict, error, step);
    }
  }

  /** `comesBack`: it is tried again out of turn. */
  #resolve(unit: Unit, comesBack = false): void {
    this.#checkpoint.resolved(unit);
    if (unit.replay !== null && !comesBack) this.#outcomes.replayed(unit.replay);
    this.#units.resolve(unit);
    unit.entrance.release(unit);
    // A clock within the task may have been held by it.
    this.#firedAt = NaN;
    this.#inputs.updateClock();
  }

  // ── Failures ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The record stays where it is: it is tried again, or what it stopped goes on one day. */
  #keep(unit: Unit, verdict: Verdict & { readonly do: "retry" | "stop" }, error: unknown, step: string): void {
    this.#note(unit);
    if (unit.retryPosition >= 0) unit.entrance.release(unit);
    if (verdict.do === "stop") {
      this.#units.wait(unit, Infinity);
      this.#stop(unit, error, step);
      return;
    }
    if (verdict.blocks === "partition") this.#units.block(unit);
    this.#units.wait(unit, this.#runtime.monotonic() + verdict.afterMs);
    this.#outcomes.retried(unit, verdict.afterMs, error, step);
  }

  /** The record is done with here. */
  #letGo(unit: Unit, verdict: Verdict, error: unknown, step: string): void {
    this.#note(unit);
    switch (verdict.do) {
      case "skip":
        this.#outcomes.skip(unit, error, step);
        return;
      case "dead-letter":
        this.#outcomes.deadLetter(unit, error, step);
        return;
      case "retry":
        this.#outcomes.tryOutOfTurn(unit, verdict.afterMs);
        this.#outcomes.retried(unit, verdict.afterMs, error, step);
        return;
      default:
        assert(verdict.do !== "stop", "what stops a task is kept");
    }
  }

  #stop(unit: Unit, error: unknown, step: string): void {
    this.stopped = wrap(error, step, this.id);
    this.stoppedAt = this.#outcomes.placeOf(unit);
    this.#options.report({ type: "taskStopped", task: this.id, reason: `step "${step}" failed and its policy is to stop`, error: errorFacts(error) });
  }
}

function isInput(entrance: Entrance): entrance is Input {
  return entrance instanceof Input;
}

function wrap(error: unknown, step: string, task: string): Error {
  if (isStreamError(error)) return error;
  return new HandlerError("HANDLER_FAILED", `Cannot go on in task ${task}: step "${step}" failed: ${messageOf(error)}`, { cause: error });
}

function decodeText(bytes: Uint8Array): string {
  return readUtf8(bytes, 0, bytes.length);
}
