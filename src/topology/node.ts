/**
 * What a topology is made of: topics and nodes, inert until a task builds its own operators from them.
 */
import type { HeaderField, Payload } from "../record/record.ts";
import type { KeyFormat } from "../record/key.ts";
import type { RecordMeta } from "../record/meta.ts";
import type { Retention } from "../log/log.ts";
import type { StateStore } from "../state/store.ts";
import type { StoreSpec } from "../state/storage.ts";

/** How values of a topic become bytes. */
export interface ValueFormat {
  encode(value: unknown): Payload;
  /** May give a promise, where a schema does. */
  decode(bytes: Uint8Array): unknown;
}

/** What happens to a record that failed, with every choice made. */
export interface Policy {
  /** Tries in all, the first included. */
  readonly attempts: number;
  readonly backOffMs: number;
  readonly backOffMaxMs: number;
  /** From the first try on; no try begins later. Infinity: as many as `attempts` says. */
  readonly budgetMs: number;
  /** What waits while the record waits for another try. */
  readonly blocks: "key" | "partition" | "nothing";
  readonly then: "dead-letter" | "skip" | "stop";
  /** For records without a key in a keyed operator. */
  readonly thenWithoutKey: "dead-letter" | "skip" | "stop";
}

/** A topic as the engine sees it. */
export interface TopicDefinition {
  readonly name: string;
  /** Made by the app for itself. */
  readonly isInternal: boolean;
  /** null: as many as it has in the log; when new, as its writer reads from, else 1. */
  readonly partitions: number | null;
  readonly retention: Retention;
  readonly key: KeyFormat;
  readonly value: ValueFormat;
  /** The key of a value that is sent without one. */
  readonly keyOf: ((value: unknown) => unknown) | null;
  readonly timestamp: ((value: unknown, meta: RecordMeta) => Date | number) | null;
  readonly lateArrivalDeadlineMs: number;
  readonly watermarkDelayMs: number;
  /** null: the default of the log. */
  readonly idleTimeoutMs: number | null;
  readonly negativeTimestamps: boolean;
  readonly policy: Policy | null;
  /** What lies in it, where that may change: workers that know another must not run at the same time. */
  readonly form?: string;
  /** Its records carry their writers' clocks. */
  readonly carriesClock: boolean;
  /** Its records' times are in their headers: see `TopicSpec`. */
  readonly takesAppendTime?: boolean;
  /** The topic of the user's that its records stem from: late and dead letters go beside it. */
  readonly origin: string;
}

/** Takes a record. `value` undefined is a tombstone. Returns nothing: what is not done at once goes through `OperatorContext.suspend`. */
export type Push = (value: unknown, meta: RecordMeta) => void;

/** A place that knows how far event time is. */
export interface ClockCell {
  /** By this, lateness is judged: it includes the record at work. */
  readonly late: number;
  /** By this, windows close: it includes resolved records only. */
  readonly safe: number;
}

/** What is left of a step's work. */
export interface Budget {
  left: number;
}

/** A node at work in one task. */
export interface Operator {
  readonly push: Push;
  /** For operators with timers or windows. */
  readonly timed?: TimedOperator;
}

/** Something that happens when event time gets there. */
export interface TimedOperator {
  /** The clock at which something is due; Infinity when nothing is. */
  dueAt(): number;
  /** Does what is due; false when the budget was used up before. */
  fire(budget: Budget): boolean;
}

/** Where an operator's outputs go. */
export interface Output {
  readonly definition: TopicDefinition;
}

/** What a task offers to an operator. */
export interface OperatorContext {
  readonly partition: number;
  /** The node's name. */
  readonly step: string;
  /** The clock of what comes in. */
  readonly clock: ClockCell;
  /** The clock of what goes out: `clock` itself, unless the node has `clockDelayMs`. */
  readonly outClock: ClockCell;
  /** Wall clock, ms. */
  now(): number;
  /** When the record at work was first tried, wall clock, ms. */
  arrivedAt(): number;
  /** Names this step as the one at work; call before a function of the user's. */
  enter(): void;
  store(spec: StoreSpec): StateStore;
  output(topic: TopicDefinition): Output;
  emit(output: Output, key: Payload | null, value: Payload | null, timestamp: number, headers: readonly HeaderField[] | null): void;
  /** The record at work goes on when the promise is fulfilled, and fails when it is rejected. */
  suspend(promise: PromiseLike<unknown>, resume: (value: unknown) => void): void;
  /** Pushes a result that stems from no single record on: a unit of effect of its own. False: the task takes no more for now, as when its budget is used up. */
  fire(key: unknown, keyId: string, value: unknown, timestamp: number): boolean;
  /** A value from state on its way to functions of the user's: frozen in tests. */
  handOut(value: unknown): unknown;
  /** Counts a record left out. */
  skipped(reason: string): void;
  /** Counts a late record; says it on the late topic when `value` is to be kept. */
  late(meta: RecordMeta, value: unknown, latenessMs: number, missed: readonly { readonly start: number; readonly end: number }[], toTopic: boolean): void;
  /** Everything committed so far is durable when it fulfils. */
  flushed(): Promise<void>;
}

/** One step of a topology. */
export interface TopologyNode {
  /** For people: `map`, `window aggregate`. */
  readonly kind: string;
  /** Unique. Of a step with state: stable over changes elsewhere. */
  readonly name: string;
  readonly inputs: readonly TopologyNode[];
  /** Set on sources. */
  readonly reads: TopicDefinition | null;
  /** Set on steps that write a topic. */
  readonly writes: TopicDefinition | null;
  readonly stores: readonly StoreSpec[];
  /** Overrides the source's policy for failures in this step. */
  readonly policy: Policy | null;
  /** How far what goes out lags behind what comes in, ms; null: it is the same clock. */
  readonly clockDelayMs: number | null;
  /** How many records of different keys may be under way at once. */
  readonly concurrency: number;
  build(context: OperatorContext, next: Push): Operator;
}
