/** Positions that records and rows hold of other records, put right for where those lie once they are moved. */
import { headerText } from "../../record/headers.ts";
import type { HeaderField, NewRecord } from "../../record/record.ts";
import { packRow, unpackRow } from "../../state/row-bytes.ts";
import type { StoredRow } from "../../state/storage.ts";
import { auditRecord, type Change, type LetterId, letterKey, readAudit } from "../../task/audit.ts";
import { controlRecord, readControl } from "../../task/control-topic.ts";
import { ordersStore } from "../../task/orders-done.ts";
import { auditTopicName, controlTopicName, retryTopicName } from "../../task/own-topics.ts";
import { packPending, pendingStore, unpackPending } from "../../task/pending.ts";
import { readRetry, RETRY_HEADER, retryHeader, type RetryNote } from "../../task/retry-topic.ts";
import { placeOf, type SurveyedPartition } from "./survey.ts";

/** Puts one right; null: it is of no use any more. */
type Rewrite<T> = (of: T) => T | null;

/** Of a record that does not move: as of one that never lay in a log. */
const NOWHERE = -1;
const POSITION_DIGITS = 16;

/** Looks positions up in what moves. */
export class MovedPositions {
  readonly #app: string;
  readonly #partitions: ReadonlyMap<string, SurveyedPartition>;
  readonly #retryPartitions: number;

  constructor(app: string, partitions: readonly SurveyedPartition[]) {
    this.#app = app;
    this.#partitions = new Map(partitions.map((partition) => [placeOf(partition), partition]));
    this.#retryPartitions = partitions.filter(({ topic }) => topic === retryTopicName(app)).length;
  }

  /** For the records of a topic; null: they hold no positions. */
  ofRecords(topic: string): ((record: NewRecord) => NewRecord) | null {
    if (topic === retryTopicName(this.#app)) return (record) => this.#retryRecord(record);
    if (topic === auditTopicName(this.#app)) return (record) => this.#auditRecord(record);
    if (topic === controlTopicName(this.#app)) return (record) => this.#controlRecord(record);
    const origin = /^(.+)-(?:dlq|late)$/.exec(topic)?.[1];
    return origin !== undefined && this.#partitions.has(`${origin}/0`) ? (record) => this.#letter(record) : null;
  }

  /** For the rows of a store of a task; null: they hold no positions. `partition` is the task's number. */
  ofRows(store: string, partition: number): Rewrite<StoredRow> | null {
    if (store.endsWith(pendingStore("").name)) return (row) => this.#pendingRow(row, partition);
    if (store.endsWith(ordersStore("").name)) return (row) => this.#orderRow(row, partition);
    return null;
  }

  #of(topic: string, partition: number, position: number): number {
    return this.#partitions.get(`${topic}/${partition}`)?.positions.of(position) ?? NOWHERE;
  }

  /** Where whoever has read up to a position goes on. */
  #next(topic: string, partition: number, position: number): number {
    return this.#partitions.get(`${topic}/${partition}`)?.positions.next(position) ?? 0;
  }

  // ── Records ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #letter(record: NewRecord): NewRecord {
    const headers = record.headers ?? [];
    const text = (name: string): string => headerText(headers.find((header) => header.name === name)?.value ?? null);
    return {
      ...record,
      headers: headers.map(({ name, value }) => {
        if (name === "mr-replay-of") return { name, value: letterKey(this.#letterId(letterOf(headerText(value)))) };
        if (name !== "mr-position" || Number(headerText(value)) < 0) return { name, value };
        return { name, value: String(this.#of(text("mr-topic"), Number(text("mr-partition")), Number(headerText(value)))) };
      }),
    };
  }

  #retryRecord(record: NewRecord): NewRecord {
    const headers: HeaderField[] = (record.headers ?? []).map((header) => {
      if (header.name !== RETRY_HEADER || !(header.value instanceof Uint8Array)) return header;
      const note = readRetry(header.value);
      const position = note.position < 0 ? NOWHERE : this.#of(note.entrance, note.partition, note.position);
      return retryHeader({ ...note, position, replay: this.#replay(note.replay) });
    });
    return { ...record, headers };
  }

  #auditRecord(record: NewRecord): NewRecord {
    if (!(record.value instanceof Uint8Array)) return record;
    const entry = readAudit(record.value);
    const { key, value } = auditRecord({ ...entry, change: this.#change(entry.change) });
    return { ...record, key, value };
  }

  #change(change: Change): Change {
    if ("letter" in change) return { ...change, letter: this.#letterId(change.letter) };
    if (change.action !== "seek" || change.partition === null) return change;
    const { topic, partition, from, to } = change;
    return { ...change, from: from === null ? null : this.#next(topic, partition, from), to: this.#next(topic, partition, to) };
  }

  #controlRecord(record: NewRecord): NewRecord {
    const command = record.value instanceof Uint8Array ? readControl(record.value) : null;
    if (command?.order.kind !== "seek") return record;
    const { topic, partition, order: { to } } = command;
    const { value } = controlRecord({ ...command, order: { kind: "seek", to: this.#next(topic, partition, to) } });
    return { ...record, value };
  }

  // ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Rows of records that don't move come first, as they did. */
  #pendingRow(row: StoredRow, partition: number): StoredRow {
    const pending = unpackPending(row.value);
    const { entrance, record, retryPosition } = pending;
    const retry = retryPosition < 0 ? NOWHERE : this.#of(retryTopicName(this.#app), partition % this.#retryPartitions, retryPosition);
    const position = record.position < 0 ? NOWHERE : this.#of(entrance, partition, record.position);
    const key = retryPosition >= 0
      ? `${entrance}\nretry ${digits(retry, retryPosition)}`
      : record.position >= 0
      ? `${entrance}\n${digits(position, record.position)}`
      : row.key;
    const isOutOfTurn = retryPosition >= 0;
    const moved = {
      ...pending,
      record: { ...record, position },
      retryPosition: isOutOfTurn ? Math.max(0, retry) : NOWHERE,
      replay: this.#replay(pending.replay),
    };
    return { time: row.time, key, value: packPending(moved).slice() };
  }

  /** How far the task is in the topics of retries and orders, and which letters it has taken: see `OrdersDone`. */
  #orderRow(row: StoredRow, partition: number): StoredRow | null {
    const { time, key } = row;
    const [value] = unpackRow(row.value) as readonly [number];
    const put = (moved: number): StoredRow => ({ time, key, value: packRow([moved]).slice() });
    if (key === "read" || key.startsWith("taken ")) return put(this.#next(retryTopicName(this.#app), partition % this.#retryPartitions, value));
    if (key.startsWith("seek ")) return put(this.#next(controlTopicName(this.#app), 0, value));
    const letter = /^letter (.+)#(\d+)$/.exec(key);
    if (letter === null) return row;
    const moved = this.#letterId(letterOf(letter[1]!));
    return moved.position < 0 ? null : { ...row, key: `letter ${letterKey(moved)}#${letter[2]!}` };
  }

  #replay(replay: RetryNote["replay"]): RetryNote["replay"] {
    return replay === null ? null : { ...replay, letter: this.#letterId(replay.letter) };
  }

  /** Letters lie in one partition. */
  #letterId({ topic, position }: LetterId): LetterId {
    return { topic, position: this.#of(topic, 0, position) };
  }
}

/** The letter of `orders-dlq@17`. */
function letterOf(key: string): LetterId {
  const at = key.lastIndexOf("@");
  return { topic: key.slice(0, at), position: Number(key.slice(at + 1)) };
}

/** Text that sorts as positions do; of a record that does not move, by its old one, before all others. */
function digits(position: number, old: number): string {
  return position < 0 ? `-${String(old).padStart(POSITION_DIGITS, "0")}` : String(position).padStart(POSITION_DIGITS, "0");
}
