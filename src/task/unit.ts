/**
 * A record that is not done at once: its handler is under way, it waits for another try, or for an earlier record of its key.
 *
 * Records that are done in one go never become a unit. A unit outlives commits in the `pending` store: bytes, attempt and clock, none of its effects.
 */
import type { HeaderField } from "../record/record.ts";
import type { Overlay } from "../state/scope.ts";
import type { StagedRecord } from "./outputs.ts";
import type { RetryNote } from "./retry-topic.ts";

/** Where a unit begins: an input topic, the step whose result it is, or a step that found it late. */
export interface Entrance {
  /** Stable: it finds the entrance again after a restart. */
  readonly id: string;
  /** Gives its clock back to whoever is held by `unit`. */
  release(unit: Unit): void;
  /** Holds the clock again, after a restart. */
  hold(unit: Unit): void;
  /** A unit of the record at work here. */
  capture(arrivedAt: number): Unit;
}

/** What a unit is of. */
export interface UnitRecord {
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderField[];
  readonly timestamp: number;
  /** -1 for results of steps. */
  readonly position: number;
}

/** A record in the making. */
export class Unit {
  readonly entrance: Entrance;
  readonly record: UnitRecord;
  /** For a unit that is the result of a step: its key. */
  readonly resultKey: unknown;
  /** Records of one chain run in turn; null: no order asked for. */
  readonly chain: string | null;
  /** What the clock was before it: held there until it is resolved. */
  readonly heldClock: number;
  /** The clock it is judged by. */
  judgedClock: number;
  /** What the clocks of its input and task were before the try under way; null for results and until it moved them. */
  clockBefore: { readonly seen: number; readonly late: number } | null = null;
  /** Wall clock at the first try, ms. */
  readonly arrivedAt: number;
  /** From when on its budget counts, wall clock, ms: a letter that comes back has a new one. */
  budgetFrom: number;
  /** Tries begun. */
  attempts = 0;
  /** Monotonic ms at which the try under way began. */
  startedAt = 0;
  /** The step whose promise it waits for. */
  step = "";
  /** Promises it waits for. */
  outstanding = 0;
  state: "queued" | "running" | "waiting" | "resolved" = "queued";
  /** Monotonic ms of the next try, while `waiting`. */
  nextTryAt = 0;
  overlay: Overlay | null = null;
  outputs: StagedRecord[] = [];
  /** The first failure of the try under way. */
  failure: { readonly error: unknown; readonly step: string } | null = null;
  /** While it waits, its task takes nothing. */
  blocksPartition = false;
  /** Where it lay in the topic of retries, for one that is tried out of turn: it holds no clock, and waits behind nothing until it is due. -1: it is in its turn. */
  retryPosition = -1;
  /** The letter that it was, and which time that is. */
  replay: RetryNote["replay"] = null;
  /** How it lies in the pending store; null: not at all. */
  storedAs: string | null = null;
  storedAttempts = -1;

  constructor(entrance: Entrance, record: UnitRecord, resultKey: unknown, chain: string | null, heldClock: number, judgedClock: number, arrivedAt: number) {
    this.entrance = entrance;
    this.record = record;
    this.resultKey = resultKey;
    this.chain = chain;
    this.heldClock = heldClock;
    this.judgedClock = judgedClock;
    this.arrivedAt = this.budgetFrom = arrivedAt;
  }
}
