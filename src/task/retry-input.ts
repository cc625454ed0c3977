/** A task's share of `<app>-retry`: the records that it is to try out of turn. */
import { DefinitionError } from "../base/errors.ts";
import type { PartitionReader } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import { MISSED_HEADER } from "./letters.ts";
import type { OrdersDone } from "./orders-done.ts";
import { readRetry, RETRY_HEADER, type RetryNote } from "./retry-topic.ts";
import type { UnitRecord } from "./unit.ts";

const CHUNK_BYTES = 262_144;
/** Records of others that are passed before it is said how far it is: a task that is built again reads at most so many of them twice. */
const PASSED_MAX = 1_000;

/** A record to be tried, as it was before it failed. */
export interface RetriedRecord {
  /** In the topic of retries. */
  readonly retryPosition: number;
  readonly note: RetryNote;
  /** Its timestamp is NaN where the note has none. */
  readonly record: UnitRecord;
}

/** Reads what is for one task. */
export class RetryInput {
  readonly #reader: PartitionReader;
  readonly #done: OrdersDone;
  readonly #partition: number;
  readonly #entrances: ReadonlyMap<string, unknown>;
  readonly #known: ReadonlySet<string> | null;
  readonly #onUnreadable: (position: number, error: unknown) => void;
  readonly #cursor = new RecordCursor({ cutBatch: "refuse" });
  #position: number;
  #savedTo: number;
  #head: RetriedRecord | null = null;
  /** A record was taken that the saved position does not have. */
  #isBehind = false;

  /**
   * `partition`: the number of the task; `entrances`: by id, those that it has; `known`: those of the whole app, for the one of its tasks that looks after what belongs to none.
   * `onUnreadable` hears of records that no version known here wrote, or that belong to none.
   */
  constructor(
    reader: PartitionReader,
    done: OrdersDone,
    partition: number,
    entrances: ReadonlyMap<string, unknown>,
    known: ReadonlySet<string> | null,
    onUnreadable: (position: number, error: unknown) => void,
  ) {
    this.#known = known;
    this.#onUnreadable = onUnreadable;
    this.#reader = reader;
    this.#done = done;
    this.#partition = partition;
    this.#entrances = entrances;
    this.#position = this.#savedTo = reader.position;
  }

  /** Whether a record is at hand. */
  hasHead(): boolean {
    while (this.#head === null) {
      const cursor = this.#cursor;
      if (!cursor.next()) {
        const position = this.#reader.position;
        const chunk = this.#reader.take(CHUNK_BYTES);
        if (chunk === null) return false;
        cursor.open(chunk.bytes, chunk.start, chunk.end, position);
        continue;
      }
      this.#position = cursor.position + 1;
      const packed = cursor.headerCount === 0 ? null : cursor.header(RETRY_HEADER);
      const note = packed === null ? null : this.#read(packed);
      if (note === null || note.partition !== this.#partition || !this.#isOwn(note)) continue;
      const headers = cursor.headers().filter(({ name }) => name !== RETRY_HEADER);
      if (note.missed !== null) headers.push({ name: MISSED_HEADER, value: JSON.stringify(note.missed) });
      const record = {
        key: cursor.keyBytes()?.slice() ?? null,
        value: cursor.valueBytes()?.slice() ?? null,
        headers,
        timestamp: note.timestamp ?? NaN,
        position: note.position,
      };
      this.#head = { retryPosition: cursor.position, note, record };
    }
    return true;
  }

  /** Takes the head; null where it was taken, or its letter replayed, before. A replay that failed and comes back has tries behind it. */
  take(now: number): RetriedRecord | null {
    const head = this.#head!;
    this.#head = null;
    this.#isBehind = true;
    if (this.#done.isTaken(head.note.entrance, head.retryPosition)) return null;
    const { replay, attempts } = head.note;
    return replay !== null && attempts === 0 && this.#done.isReplayed(replay, now) ? null : head;
  }

  /** Says how far it is, where that makes a difference; in the commit that has what was taken. */
  save(): void {
    const to = this.#head === null ? this.#position : this.#head.retryPosition;
    if (!this.#isBehind && to - this.#savedTo < PASSED_MAX) return;
    this.#isBehind = false;
    this.#done.readTo = this.#savedTo = to;
  }

  close(): void {
    this.#reader.close();
  }

  #isOwn({ entrance }: RetryNote): boolean {
    if (this.#entrances.has(entrance)) return true;
    if (this.#known?.has(entrance) === false) this.#onUnreadable(this.#cursor.position, new DefinitionError(`"${entrance}" is no longer part of the app`));
    return false;
  }

  #read(packed: Uint8Array): RetryNote | null {
    try {
      return readRetry(packed);
    } catch (error) {
      this.#onUnreadable(this.#cursor.position, error);
      return null;
    }
  }
}
