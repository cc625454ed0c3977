/** A desk on a log that holds letters as tasks write them, without a task. */
import { hostRuntime } from "../../../adapters/host/host.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { LetterDesk } from "../../../src/letter/letter-desk.ts";
import type { Log } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import type { HeaderField, NewRecord } from "../../../src/record/record.ts";
import { packValue } from "../../../src/record/value-bytes.ts";
import { type VirtualRuntime, virtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import { type AuditEntry, readAudit } from "../../../src/task/audit.ts";
import { deadLetterHeaders, lateHeaders } from "../../../src/task/letters.ts";
import { readRetry, RETRY_HEADER, type RetryNote } from "../../../src/task/retry-topic.ts";
import { topicSpecs } from "../../../src/task/topic-specs.ts";
import type { Topology } from "../../../src/topology/topology.ts";
import { failingShop } from "./shop.ts";

/** Wall clock of the first letter, ms. */
export const START: number = Date.UTC(2026, 0, 1);

const host = await hostRuntime();

/** How a letter is made. */
export interface MadeLetter {
  readonly value?: unknown;
  readonly key?: string;
  readonly step?: string;
  readonly topic?: string;
  readonly partition?: number;
  readonly error?: Error;
  readonly at?: number;
  readonly headers?: readonly HeaderField[];
  /** For results of steps. */
  readonly stepKey?: unknown;
}

/** Log, runtime and desk. */
export interface DeskStand {
  readonly log: Log;
  readonly runtime: VirtualRuntime;
  readonly topology: Topology;
  readonly desk: LetterDesk;
}

/** A log with the topics of letters of `shop`; `wrap` puts another around it. */
export async function deskStand(partitions: number = 1, wrap: (log: Log) => Log = (log) => log): Promise<DeskStand> {
  const runtime = virtualRuntime({ host, seed: 1, startAt: START });
  const topology = internalsOf(failingShop(partitions).app).builder.build();
  const log = wrap(memoryLog(runtime));
  await log.ensureTopics(topicSpecs({ topology, log, hasChangelogs: false }));
  return { log, runtime, topology, desk: new LetterDesk({ topology, log, runtime }) };
}

/** A dead letter as a task writes it. */
export function deadLetter(made: MadeLetter = {}): NewRecord {
  const {
    value = { id: "a", amount: -1 },
    key = "a",
    step = "orders-map",
    topic = "orders",
    partition = 0,
    error = new RangeError("amount -1 is below 0"),
    at = START,
    headers = [],
    stepKey,
  } = made;
  const place = {
    step,
    topic,
    partition,
    position: topic.startsWith("step:") ? -1 : 7,
    timestamp: at - 5,
    origin: "orders",
    at,
    ...(stepKey === undefined ? {} : { key: stepKey }),
  };
  const bytes = value instanceof Uint8Array || value === null ? value : topic.startsWith("step:") ? packValue(value).slice() : JSON.stringify(value);
  return { key, value: bytes, timestamp: at, headers: deadLetterHeaders(error, 1, place, null, headers) };
}

/** A late letter as a task writes it. */
export function lateLetter({ value = { late: true }, key = "a", step = "orders-map", at = START }: MadeLetter = {}): NewRecord {
  const place = { step, topic: "orders", partition: 0, position: 7, timestamp: at - 60_000, origin: "orders", at, key };
  return { key, value: packValue(value).slice(), timestamp: at, headers: lateHeaders(30_000, [{ start: 0, end: 60_000 }], place, []) };
}

/** Puts letters into a topic of letters. */
export async function put(log: Log, records: readonly NewRecord[], topic: string = "orders-dlq"): Promise<void> {
  for (let from = 0; from < records.length; from += 1_000) await log.append([{ topic, partition: 0, records: records.slice(from, from + 1_000) }]);
}

/** What lies in the topic of retries, partition by partition. */
export function retriesOf(
  log: Log,
): { readonly partition: number; readonly note: RetryNote; readonly value: string | null; readonly headers: readonly HeaderField[] }[] {
  return recordsIn(log, "shop-retry").map(({ partition, cursor }) => {
    const { value, headers } = cursor;
    const packed = headers.find(({ name }) => name === RETRY_HEADER)!.value as Uint8Array;
    return {
      partition,
      note: readRetry(packed),
      value: value === null ? null : new TextDecoder().decode(value),
      headers: headers.filter(({ name }) => name !== RETRY_HEADER),
    };
  });
}

/** What lies in the audit. */
export function auditOf(log: Log): AuditEntry[] {
  return recordsIn(log, "shop-audit").map(({ cursor }) => readAudit(cursor.value!));
}

function recordsIn(
  log: Log,
  topic: string,
): { readonly partition: number; readonly cursor: { readonly value: Uint8Array | null; readonly headers: HeaderField[] } }[] {
  const found: ReturnType<typeof recordsIn> = [];
  for (let partition = 0; partition < (log.partitionsOf(topic) ?? 0); partition++) {
    const reader = log.reader({ topic, partition }, 0, () => {});
    const cursor = new RecordCursor();
    for (let from = 0, chunk = reader.take(1_000_000); chunk !== null; from = chunk.nextPosition, chunk = reader.take(1_000_000)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, from);
      while (cursor.next()) found.push({ partition, cursor: { value: cursor.valueBytes()?.slice() ?? null, headers: cursor.headers() } });
    }
    reader.close();
  }
  return found;
}
