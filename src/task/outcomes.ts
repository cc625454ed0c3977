/**
 * What becomes of records that did not go through: each ends in exactly one of skipped, dead letter, or another try, with what explains it.
 *
 * What is written here is staged and settled at once: it is in the commit in which the record counts as done.
 */
import { errorFacts, type ObservedEvent, type RecordPlace } from "../observe/events.ts";
import { isStreamError, messageOf } from "../base/errors.ts";
import { isSkip } from "../base/skip.ts";
import type { RecordMeta } from "../record/meta.ts";
import { fieldsOf } from "../record/meta.ts";
import type { HeaderField, Payload } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StateStore } from "../state/store.ts";
import type { Policy, TopicDefinition } from "../topology/node.ts";
import { auditRecord, letterKey } from "./audit.ts";
import { Input } from "./input.ts";
import { effectOf, type Isolation } from "./isolation.ts";
import { keyState } from "./key-state.ts";
import { deadLetterHeaders, lateHeaders } from "./letters.ts";
import type { Operators } from "./operators.ts";
import type { Outputs, Stamp } from "./outputs.ts";
import { judge, type Verdict } from "./policy.ts";
import { type RetryNote, retryRecord } from "./retry-topic.ts";
import type { WorkerStats } from "./stats.ts";
import type { StepInput } from "./step-input.ts";
import type { StepResults } from "./step-results.ts";
import type { Entrance, Unit } from "./unit.ts";

/** The topics that outcomes are written to. */
export interface OutcomeTopics {
  deadLetters(origin: string): TopicDefinition;
  late(origin: string): TopicDefinition;
  readonly retries: TopicDefinition;
  readonly audit: TopicDefinition;
}

/** Whose outcomes these are. */
export interface OutcomesOptions {
  readonly taskId: string;
  readonly partition: number;
  readonly runtime: Runtime;
  readonly outputs: Outputs;
  readonly stamp: Stamp;
  readonly stats: WorkerStats;
  readonly report: (event: ObservedEvent) => void;
  readonly operators: Operators;
  readonly stores: ReadonlyMap<string, StateStore>;
  readonly topics: OutcomeTopics;
  /** The policy where neither step nor source has one. */
  readonly policy: Policy;
  readonly isolation: Isolation;
}

/** Who the engine is in entries of the audit. */
const ENGINE = "millrace";

/** The outcomes of one task. */
export class Outcomes {
  readonly #options: OutcomesOptions;

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** What its policy wants for a record that failed at a step. */
  judge(unit: Unit, error: unknown, step: string): Verdict {
    const { runtime, operators, policy, isolation, taskId } = this.#options;
    const { entrance } = unit;
    // Not even its dead letter goes in: nothing is left out without a word.
    if ((isolation.refusal(effectOf(taskId, unit))?.times ?? 0) > 1) return { do: "stop" };
    const source = entrance instanceof Input ? entrance.topic.policy : operators.sourcePolicyOf(entrance as StepResults | StepInput);
    const own = operators.policyOf(step) ?? source ?? policy;
    return judge(error, { attempts: unit.attempts, ageMs: runtime.now() - unit.budgetFrom }, own, () => this.#random());
  }

  /** The record is left out. */
  skip(unit: Unit, error: unknown, step: string): void {
    const { stats, report, taskId } = this.#options;
    const asked = isSkip(error) ? error["~skip"] : null;
    const reason = asked ?? (isStreamError(error) && error.code === "KEY_MISSING" ? "no key" : "failed");
    stats.skip(reason);
    const facts = reason === "failed" && asked === null ? errorFacts(error) : null;
    report({
      type: "recordSkipped",
      task: taskId,
      step,
      record: this.placeOf(unit),
      reason: facts === null ? reason : `${reason}: ${messageOf(error)}`,
      error: facts,
    });
  }

  /** The record is given up: it becomes a dead letter. */
  deadLetter(unit: Unit, error: unknown, step: string): void {
    const { stats, report, taskId, topics, runtime, stores, isolation } = this.#options;
    const { entrance, record, attempts, replay } = unit;
    const place = this.placeOf(unit);
    const origin = this.#originOf(entrance);
    const topic = topics.deadLetters(origin);
    const at = { step, ...place, timestamp: record.timestamp, origin, at: runtime.now(), ...(entrance instanceof Input ? {} : { key: unit.resultKey }) };
    // What no commit takes may be too large already.
    const isBare = isolation.refusal(effectOf(taskId, unit)) !== null;
    const state = unit.chain === null || isBare ? null : keyState(stores.values(), unit.chain, record.timestamp);
    const headers = deadLetterHeaders(error, attempts, at, state, record.headers);
    if (replay !== null) headers.push({ name: "mr-replay-of", value: letterKey(replay.letter) });
    this.#say(topic, record.key, record.value, record.timestamp, headers);
    stats.deadLetters++;
    report({ type: "recordDeadLettered", task: taskId, step, record: place, attempts, topic: topic.name, error: errorFacts(error) });
  }

  /** The record came too late for some windows; staged only, for it goes on by others. */
  late(
    step: string,
    origin: string,
    meta: RecordMeta,
    keyBytes: Payload | null,
    value: Payload | null,
    latenessMs: number,
    missed: readonly { readonly start: number; readonly end: number }[],
    toTopic: boolean,
    replay: RetryNote["replay"],
  ): void {
    const { stats, report, taskId, topics, outputs, runtime } = this.#options;
    stats.late++;
    const { topic, partition, position, timestamp, key } = meta;
    report({ type: "recordLate", task: taskId, step, record: { topic, partition, position }, latenessMs });
    if (!toTopic) return;
    const at = { step, topic, partition, position, timestamp, origin, at: runtime.now(), key };
    const headers = lateHeaders(latenessMs, missed, at, fieldsOf(meta) ?? []);
    if (replay !== null) headers.push({ name: "mr-replay-of", value: letterKey(replay.letter) });
    outputs.stage(outputs.topic(topics.late(origin)), keyBytes, value, timestamp, headers);
  }

  /** The record will be tried out of turn: it goes to the topic of retries. */
  tryOutOfTurn(unit: Unit, delayMs: number): void {
    const { topics, runtime, partition, outputs } = this.#options;
    const { entrance, record, attempts, arrivedAt, budgetFrom } = unit;
    const now = runtime.now();
    const note: RetryNote = {
      entrance: entrance.id,
      partition,
      position: record.position,
      timestamp: record.timestamp,
      key: entrance instanceof Input ? null : unit.resultKey,
      attempts,
      dueAt: now + Math.ceil(delayMs),
      arrivedAt,
      budgetFrom,
      missed: null,
      replay: unit.replay,
    };
    const { key, value, headers } = retryRecord(note, record.key, record.value, record.headers, now);
    this.#say(topics.retries, key, value, now, headers ?? [], partition % outputs.topic(topics.retries).partitions);
  }

  /** Counts and tells a further try. */
  retried(unit: Unit, delayMs: number, error: unknown, step: string): void {
    const { stats, report, taskId } = this.#options;
    stats.retries++;
    report({ type: "retryScheduled", task: taskId, step, record: this.placeOf(unit), attempt: unit.attempts, delayMs, error: errorFacts(error) });
  }

  /** A replayed letter is done with: it went through, was left out, or is a new letter by the same commit. */
  replayed(replay: NonNullable<RetryNote["replay"]>): void {
    const { topics, runtime } = this.#options;
    const { key, value, timestamp, headers } = auditRecord({ at: runtime.now(), by: ENGINE, change: { action: "replayed", ...replay } });
    this.#say(topics.audit, key, value, timestamp, headers ?? []);
  }

  placeOf({ entrance, record }: Unit): RecordPlace {
    return { topic: entrance.id, partition: this.#options.partition, position: record.position };
  }

  #originOf(entrance: Entrance): string {
    return entrance instanceof Input ? entrance.topic.origin : this.#options.operators.originOf(entrance as StepResults | StepInput);
  }

  #say(topic: TopicDefinition, key: Payload | null, value: Payload | null, timestamp: number, headers: readonly HeaderField[], partition = -1): void {
    const { outputs, stamp } = this.#options;
    // What is no time, of a record that failed by it, cannot be written.
    outputs.stage(outputs.topic(topic), key, value, Number.isSafeInteger(timestamp) ? timestamp : this.#options.runtime.now(), headers, partition);
    outputs.settle(stamp);
  }

  #random(): number {
    const bytes = this.#options.runtime.randomBytes(4);
    return (bytes[0]! * 2 ** 24 + bytes[1]! * 2 ** 16 + bytes[2]! * 2 ** 8 + bytes[3]!) / 2 ** 32;
  }
}
