/** One input partition of a task: its reader, the record at its head, and its clock. */
import type { PartitionReader } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import { KeyCache } from "../record/key-cache.ts";
import { RecordView } from "../record/meta.ts";
import { type Entrance, Unit } from "./unit.ts";
import type { ClockCell, Push, TopicDefinition } from "../topology/node.ts";
import { InputClock } from "./input-clock.ts";

const CHUNK_BYTES = 262_144;

/** An input partition. Its position is that of the next record to take. */
export class Input implements Entrance {
  readonly id: string;
  readonly topic: TopicDefinition;
  readonly partition: number;
  readonly clock: InputClock;
  readonly next: Push;
  readonly cursor: RecordCursor = new RecordCursor({ cutBatch: "refuse" });
  /** What user code sees of the record at work; replaced when a record keeps it. */
  view: RecordView;
  /** Nothing below is asked for again. */
  position: number;
  /** Committed last; -1: never. */
  committed = -1;
  /** What the clock had seen before the record at work. */
  seenBefore: number = -Infinity;
  /** An operator has paused it: nothing of it is taken, and event time waits. */
  isPaused = false;
  /** Monotonic ms since when it is known to be read to its end; null: it is not. */
  endSince: number | null = null;
  readonly #reader: PartitionReader;
  readonly #keys = new KeyCache();
  #hasHead = false;

  constructor(topic: TopicDefinition, partition: number, reader: PartitionReader, clock: InputClock, next: Push) {
    this.id = topic.name;
    this.topic = topic;
    this.partition = partition;
    this.clock = clock;
    this.next = next;
    this.position = reader.position;
    this.#reader = reader;
    this.view = this.newView();
  }

  newView(): RecordView {
    return new RecordView(this.topic.name, this.partition, this.topic.key.decode, this.#keys);
  }

  /** Whether a record is at the head; brings one there if it is at hand. Throws when a batch is damaged. */
  hasHead(): boolean {
    if (this.#hasHead) return true;
    for (;;) {
      if (this.cursor.next()) return this.#hasHead = true;
      const chunk = this.#reader.take(CHUNK_BYTES);
      if (chunk === null) {
        // What is left below the end are control records or gaps.
        if (this.#reader.end !== null && this.#reader.position >= this.#reader.end && this.#reader.position > this.position) {
          this.position = this.#reader.position;
        }
        return false;
      }
      this.cursor.open(chunk.bytes, chunk.start, chunk.end, this.position);
    }
  }

  /** The head was taken: the position is behind it. */
  advance(): void {
    this.#hasHead = false;
    this.position = this.cursor.position + 1;
  }

  /** The next record is that at `position`. */
  seek(position: number): void {
    this.#reader.seek(position);
    this.cursor.open(this.cursor.bytes, 0, 0, position);
    this.#hasHead = false;
    this.position = position;
    this.endSince = null;
  }

  /** Records not read yet; null while unknown. */
  get lag(): number | null {
    return this.#reader.end === null ? null : Math.max(0, this.#reader.end - this.position);
  }

  /** What keeps records of one key in turn; null for those without one. */
  chainOf(view: RecordView): string | null {
    let key: unknown;
    try {
      key = view.key;
    } catch {
      return null; // Nothing can be of the same key as bytes that are none.
    }
    return key === null ? null : this.topic.key.toId(key);
  }

  /** A unit of the record at the head. The view goes with it, for user code may hold on to it. */
  capture(arrivedAt: number): Unit {
    const { cursor, view } = this;
    this.view = this.newView();
    const key = cursor.keyBytes(), value = cursor.valueBytes();
    const headers = cursor.headerCount === 0 ? [] : cursor.headers();
    const record = { key: key?.slice() ?? null, value: value?.slice() ?? null, headers, timestamp: cursor.timestamp, position: cursor.position };
    return new Unit(this, record, null, this.chainOf(view.keep()), this.seenBefore, NaN, arrivedAt);
  }

  hold(unit: Unit): void {
    this.clock.hold(unit, unit.heldClock);
  }

  release(unit: Unit): void {
    this.clock.release(unit);
  }

  close(): void {
    this.#reader.close();
  }
}

/** The clock of a task: the least of its inputs that are not idle; it never goes back. */
export class TaskClock implements ClockCell {
  late: number = -Infinity;
  safe: number = -Infinity;

  /** Brings the clock up to its inputs. `idleMs` gives how long beyond its time-out an input has been idle; null: it is not. */
  update(inputs: readonly Input[], idleMs: (input: Input) => number | null): void {
    const only = inputs[0]!;
    if (inputs.length === 1 && only.endSince === null) {
      this.#advance(only.clock.late, only.clock.safe);
      return;
    }
    let late = Infinity, safe = Infinity, idleLate = -Infinity, idleSafe = -Infinity, idleForMs = Infinity, isAllIdle = true;
    for (const input of inputs) {
      const idle = input.endSince === null ? null : idleMs(input);
      const inputLate = input.clock.late, inputSafe = input.clock.safe;
      if (idle === null) {
        isAllIdle = false;
        late = Math.min(late, inputLate);
        safe = Math.min(safe, inputSafe);
        continue;
      }
      // An idle input with unresolved records still holds time back, also where they are not its newest.
      if (input.clock.isHeld) safe = Math.min(safe, inputSafe);
      idleLate = Math.max(idleLate, inputLate);
      idleSafe = Math.max(idleSafe, inputSafe);
      idleForMs = Math.min(idleForMs, idle);
    }
    if (isAllIdle) this.#advance(idleLate + idleForMs, Math.min(safe, idleSafe + idleForMs));
    else this.#advance(late, safe);
  }

  #advance(late: number, safe: number): void {
    if (late > this.late) this.late = late;
    if (safe > this.safe) this.safe = safe;
  }
}
