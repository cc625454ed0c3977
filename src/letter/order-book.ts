/**
 * Writes what operators order, some hundred letters at a time.
 *
 * - **O1** A record to be tried again is durable before the audit says so: a process that ends in between loses nothing, and ordering it again repeats nothing, for the task that takes it knows letter
 *   and run.
 */
import { assert } from "../base/assert.ts";
import type { Append } from "../log/log.ts";
import type { NewRecord } from "../record/record.ts";
import { auditRecord, type Change, type LetterId } from "../task/audit.ts";
import { auditTopicName, retryTopicName } from "../task/own-topics.ts";
import { retryAppend } from "../task/retry-topic.ts";
import { type Letter, letterTopicName } from "./letter.ts";
import { editsAt, type LetterHost } from "./letter-box.ts";
import { type LetterStatus, nextRun } from "./letter-status.ts";
import { replayRecord, type ReplayTime } from "./replay.ts";

/** Written at once. */
const LETTERS_MAX = 500;
/** No log refuses an append of that size for its own. */
const BYTES_MAX = 262_144;

/** A letter, and what became of it so far. */
export interface KnownLetter {
  readonly letter: Letter;
  readonly status: LetterStatus;
}

/** Queues letters to be tried again. */
export class ReplayOrders {
  readonly #host: LetterHost;
  readonly #by: string;
  readonly #at: ReplayTime;
  #waiting: KnownLetter[] = [];
  #bytes = 0;

  constructor(host: LetterHost, by: string, at: ReplayTime) {
    this.#host = host;
    this.#by = by;
    this.#at = at;
  }

  /** Gives a promise when it writes. */
  add(known: KnownLetter): void | Promise<void> {
    const { key, value } = known.letter;
    this.#waiting.push(known);
    this.#bytes += (key?.length ?? 0) + (value?.length ?? 0) + 512;
    if (this.#waiting.length >= LETTERS_MAX || this.#bytes >= BYTES_MAX) return this.write();
  }

  /** Everything added is durable when it fulfils. */
  async write(): Promise<void> {
    const letters = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (letters.length === 0) return;
    const { app, log, runtime } = this.#host;
    const edits = await editsAt(this.#host, letters.flatMap(({ status }) => status.editedAt === null ? [] : [status.editedAt]));
    const now = runtime.now();
    const partitions = log.partitionsOf(retryTopicName(app));
    assert(partitions !== null, "the topics of an app are there once its log is open");
    const byPartition = new Map<number, Append & { readonly records: NewRecord[] }>();
    const changes = letters.map(({ letter, status }): Change => {
      const run = nextRun(status);
      const value = status.editedAt === null ? undefined : edits.get(status.editedAt);
      const { note, record } = replayRecord(letter, { run, value, at: this.#at, now });
      const append = retryAppend(app, partitions, note, record);
      const known = byPartition.get(append.partition);
      if (known === undefined) byPartition.set(append.partition, { ...append, records: [...append.records] });
      else known.records.push(...append.records);
      return { action: "replay", letter: letterId(letter), run };
    });
    await log.append([...byPartition.values()]);
    await appendChanges(this.#host, this.#by, changes, now);
  }
}

/** Writes entries of the audit, in order. `at`: when it was ordered, wall clock, ms. */
export async function appendChanges({ app, log }: LetterHost, by: string, changes: readonly Change[], at: number): Promise<void> {
  let records: NewRecord[] = [];
  let bytes = 0;
  for (const change of changes) {
    const record = auditRecord({ at, by, change });
    const size = (record.value?.length ?? 0) + 64;
    if (records.length > 0 && (records.length === LETTERS_MAX || bytes + size > BYTES_MAX)) {
      await log.append([{ topic: auditTopicName(app), partition: 0, records }]);
      records = [];
      bytes = 0;
    }
    records.push(record);
    bytes += size;
  }
  if (records.length > 0) await log.append([{ topic: auditTopicName(app), partition: 0, records }]);
}

/** How a letter is named in the audit. */
export function letterId(letter: Letter): LetterId {
  return { topic: letterTopicName(letter), position: letter.id };
}
