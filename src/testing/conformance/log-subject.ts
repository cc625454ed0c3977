/**
 * What the cases of the `Log` contract run on, and the few tools they share: refusals, reading to the end, a listener that
 * keeps what it heard. Nothing here needs a test framework, so a Worker can run the cases too.
 */
import { isStreamError } from "../../base/errors.ts";
import type { ErrorCode, StreamError } from "../../base/errors.ts";
import type { AssignmentListener, CommittedPosition, CommitUnit, Log, Membership, OutputBatch, TopicSpec } from "../../log/log.ts";
import { RecordCursor } from "../../record/cursor.ts";
import { BatchEncoder } from "../../record/encoder.ts";
import type { NewRecord, TopicPartition } from "../../record/record.ts";
import { check, checkEqual } from "./cases.ts";

/** A fresh log under test. */
export interface LogSubject {
  /** The open log; after {@linkcode LogSubject.reopen} the one it gave. */
  readonly log: Log;
  /** Stands in front of topic, group and scope names, so that one broker can serve many cases. */
  readonly prefix: string;
  /** Closes the log and opens it again on the same content. Called only where the log is `durable`. */
  reopen(): Promise<Log>;
  /** Moves the wall clock that the log sees. A log on a clock of its own skips the cases that need this. */
  advance(ms: number): void;
}

/** A record as a case compares it. */
export interface SeenRecord {
  readonly position: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** The error a call fails with, thrown or rejected; fails where it does not fail, or by an error that is not Millrace's with the log's name in front (L12). */
export async function refusal(log: Log, code: ErrorCode, what: string, call: () => unknown): Promise<StreamError> {
  let thrown: unknown;
  try {
    await call();
  } catch (caught) {
    thrown = caught;
  }
  if (!isStreamError(thrown)) throw new Error(`${what}: wanted ${code}, got ${String(thrown)}`, { cause: thrown });
  checkEqual(thrown.code, code, what);
  check(thrown.message.startsWith(`[${log.name}`), `L12: ${what}: the message does not begin with the log's name: ${thrown.message}`);
  return thrown;
}

/** A topic of one partition that keeps everything, unless told otherwise. */
export function topicSpec(name: string, more: Partial<TopicSpec> = {}): TopicSpec {
  return { name, partitions: 1, retention: "forever", internal: false, ...more };
}

/** Records with the texts as key and value. */
export function texts(...values: readonly string[]): NewRecord[] {
  return values.map((value, index) => ({ key: value, value, timestamp: 1_000 + index }));
}

/** An output with the texts as keys and values. */
export function output(topic: string, partition: number, ...values: readonly string[]): OutputBatch {
  const encoder = new BatchEncoder();
  for (const value of values) encoder.append(1_000, value, value, null);
  return { topic, partition, encoder };
}

/** A commit of nothing but what is given. */
export function unit(membership: Membership, more: Partial<CommitUnit> = {}): CommitUnit {
  return { membership, positions: [], outputs: [], changelog: [], ...more };
}

/** Commits and waits until it is durable. */
export async function commitDurably(log: Log, what: CommitUnit, apply: (changelog: readonly CommittedPosition[]) => void = () => {}): Promise<void> {
  const receipt = await log.commit(what, apply);
  await receipt.durable;
}

/**
 * All records of a partition from a position to its end, in chunks of about `bytesMax`. The end is the one that `describe` tells: a reader may hear a moment later that a commit is in
 * than whoever committed.
 */
export async function readAll(log: Log, at: TopicPartition, from = 0, bytesMax = 65_536): Promise<SeenRecord[]> {
  const seen: SeenRecord[] = [];
  const end = (await log.describe([at.topic])).find(({ partition }) => partition === at.partition)!.end;
  const cursor = new RecordCursor();
  let arrived = Promise.withResolvers<void>();
  const reader = log.reader(at, from, () => arrived.resolve());
  try {
    for (;;) {
      arrived = Promise.withResolvers<void>();
      const position = reader.position;
      const chunk = reader.take(bytesMax);
      if (chunk === null && reader.end !== null && reader.position >= end) return seen;
      if (chunk === null) await arrived.promise;
      else collect(cursor, chunk, position, seen);
    }
  } finally {
    reader.close();
  }
}

/** Adds the records of a chunk from `position` on. */
export function collect(cursor: RecordCursor, chunk: { bytes: Uint8Array; start: number; end: number }, position: number, seen: SeenRecord[]): void {
  cursor.open(chunk.bytes, chunk.start, chunk.end, position);
  while (cursor.next()) seen.push({ position: cursor.position, key: cursor.keyText(), value: cursor.valueText() });
}

/** The values of all records of a partition. */
export async function valuesOf(log: Log, topic: string, partition = 0, from = 0): Promise<(string | null)[]> {
  return (await readAll(log, { topic, partition }, from)).map(({ value }) => value);
}

/** A listener that writes down what it hears into `heard`, which members may share. */
export function listener(name: string, heard: string[], more: Partial<AssignmentListener> = {}): AssignmentListener {
  const say = (what: string, partitions: readonly TopicPartition[]): void => {
    heard.push(`${name} ${what} ${partitions.map(({ topic, partition }) => `${topic.slice(topic.lastIndexOf(".") + 1)}/${partition}`).join(" ")}`.trim());
  };
  return {
    assigned(partitions) {
      say("assigned", partitions);
      return more.assigned?.(partitions);
    },
    revoked(partitions) {
      say("revoked", partitions);
      return more.revoked?.(partitions);
    },
    lost(partitions) {
      say("lost", partitions);
      more.lost?.(partitions);
    },
  };
}

/** Joins a group and ignores what it hears. */
export function member(log: Log, group: string, ...topics: readonly string[]): Promise<Membership> {
  return log.join(group, topics, listener("", []));
}
