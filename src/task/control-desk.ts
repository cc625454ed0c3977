/**
 * What operators see of partitions, and order about them. It needs the log alone: what is ordered is done by whichever worker has the partition, now or when one runs.
 *
 * Each order is in the audit before it is given: nothing is changed that nobody can see.
 */
import { ExternalError, StreamError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import type { RecordPlace } from "../observe/events.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { SubTopology, Topology } from "../topology/topology.ts";
import { auditRecord, type Change } from "./audit.ts";
import { controlRecord, type Order } from "./control-topic.ts";
import { Controls } from "./controls.ts";
import { auditTopicName, controlTopicName } from "./own-topics.ts";

/** Where to go on reading. */
export type SeekTo =
  | "start"
  | "end"
  | { readonly position: number }
  /** At the first record of this moment or later, ms since the epoch. */
  | { readonly time: number }
  /** So many records on from the committed position, the one that stopped the task included; below 0 back. */
  | { readonly by: number };

/** What an operator asks for. */
export interface ControlOrder {
  readonly action: "pause" | "resume" | "restart" | "seek";
  readonly topic: string;
  /** null: each of the topic. */
  readonly partition: number | null;
  /** Of a seek. */
  readonly to: SeekTo | null;
  readonly reason: string | null;
  readonly by: string;
}

/** What was ordered. */
export interface ControlAnswer {
  readonly commands: readonly (TopicPartition & { readonly id: number; readonly to?: number })[];
  /** Done and committed, as far as the partitions are here; false: it will be, by whoever has them. */
  readonly applied: boolean;
}

/** A partition that the app reads. */
export interface PartitionView extends TopicPartition {
  readonly task: string;
  /** `running`, `paused`, `stopped`, `restoring`; `elsewhere`, at another process; `not running`: no worker runs here. */
  readonly status: string;
  readonly reason: string | null;
  /** Committed, of the next record; null: nothing was. */
  readonly position: number | null;
  readonly start: number;
  readonly end: number;
  /** Records, or positions without one, from the position to the end. */
  readonly lag: number;
  readonly paused: { readonly since: number; readonly by: string; readonly reason: string | null } | null;
}

/** How a partition is at a worker. */
export interface PartitionStatus {
  readonly status: string;
  readonly reason: string | null;
  /** The record that stopped its task; its position is -1 for the result of a step. */
  readonly stoppedAt: RecordPlace | null;
}

/** What a desk asks of the worker beside it. */
export interface ControlledWorker {
  /** Fulfils with true once what was done so far is committed; with false when it is not within a time, or the commit fails. */
  committedWithin(ms: number): Promise<boolean>;
  /** How the task of a partition is here, and why. */
  statusOf(at: TopicPartition): PartitionStatus;
  /** Fulfils with true once the orders up to this id are done and committed here; with false after `withinMs`. */
  whenOrdered(id: number, withinMs: number): Promise<boolean>;
}

/** What a desk works on. */
export interface ControlDeskOptions {
  readonly topology: Topology;
  readonly log: Log;
  readonly runtime: Runtime;
  /** null: none runs in this process. */
  readonly worker: ControlledWorker | null;
}

const APPLIED_WITHIN_MS = 5_000;
const READ_WITHIN_MS = 10_000;

/** Shows partitions, and takes orders. */
export class ControlDesk {
  readonly #options: ControlDeskOptions;

  constructor(options: ControlDeskOptions) {
    this.#options = options;
  }

  /** All partitions that the app reads. */
  async partitions(): Promise<readonly PartitionView[]> {
    const { topology, worker } = this.#options;
    const all = topology.subTopologies.flatMap((sub) => sub.reads.flatMap(({ name }) => this.#partitionsOf(sub, name)));
    const [spans, committed, controls] = await Promise.all([this.#spans(all), this.#committed(all), this.#controls()]);
    return all.map(({ topic, partition, task }) => {
      const { start, end } = spans.get(`${topic}/${partition}`)!;
      const position = committed.get(`${topic}/${partition}`) ?? null;
      const pause = controls.paused({ topic, partition });
      const paused = pause === null ? null : { since: pause.at, by: pause.by, reason: pause.reason };
      const own = worker?.statusOf({ topic, partition }) ?? { status: "not running", reason: null };
      const status = own.status === "running" && paused !== null ? "paused" : own.status;
      return { topic, partition, task, status, reason: own.reason, position, start, end, lag: Math.max(0, end - (position ?? start)), paused };
    });
  }

  /** Orders something. Rejects with `OPTION_INVALID`, its detail `reason` "missing" where there is no such partition. */
  async order(asked: ControlOrder): Promise<ControlAnswer> {
    const { log, runtime, topology: { app }, worker } = this.#options;
    const targets = this.#targets(asked);
    const isHere = worker !== null && targets.every((target) => !["elsewhere", "not running"].includes(worker.statusOf(target).status));
    // What a number of records counts from is what was done, not what happens to be committed; where commits fail, an order may be what helps.
    if (asked.action === "seek" && isHere) await worker.committedWithin(APPLIED_WITHIN_MS);
    const places = asked.action === "seek" ? await this.#places(targets, asked.to) : null;
    const { by, reason } = asked;
    const at = runtime.now();
    const changes = targets.map((target, index): Change => {
      const { topic, partition } = target;
      if (places === null) return { action: asked.action as "pause", topic, partition, reason };
      return { action: "seek", topic, partition, from: places[index]!.from, to: places[index]!.to, reason };
    });
    await log.append([{ topic: auditTopicName(app), partition: 0, records: changes.map((change) => auditRecord({ at, by, change })) }]);
    const records = targets.map((target, index) => controlRecord({ ...target, order: orderOf(asked.action, places?.[index]?.to ?? 0), at, by, reason }));
    const [receipt] = await log.append([{ topic: controlTopicName(app), partition: 0, records }]);
    const commands = targets.map(({ topic, partition }, index) => ({
      topic,
      partition,
      id: receipt!.position + index,
      ...(places === null ? {} : { to: places[index]!.to }),
    }));
    return { commands, applied: isHere && await worker.whenOrdered(commands.at(-1)!.id, APPLIED_WITHIN_MS) };
  }

  #partitionsOf(sub: SubTopology, topic: string): (TopicPartition & { readonly task: string })[] {
    const count = this.#options.log.partitionsOf(topic) ?? 0;
    return Array.from({ length: count }, (_, partition) => ({ topic, partition, task: `${sub.name}/${partition}` }));
  }

  #targets({ action, topic, partition, to }: ControlOrder): readonly TopicPartition[] {
    const { topology, log } = this.#options;
    const read = topology.subTopologies.flatMap((sub) => sub.reads.map(({ name }) => name));
    if (!read.includes(topic)) {
      // As log lines write a partition.
      const [, meant = "", number] = /^(.+)-(\d+)$/.exec(topic) ?? [];
      const hint = read.includes(meant) ? `; did you mean ${meant}/${number}?` : "";
      throw missing(`Cannot ${action} "${topic}": app "${topology.app}" reads ${read.map((name) => `"${name}"`).join(", ") || "nothing"}${hint}`);
    }
    const count = log.partitionsOf(topic) ?? 0;
    if (partition !== null) {
      if (partition >= count) throw missing(`Cannot ${action} "${topic}" partition ${partition}: it has ${count}, from 0 on`);
      return [{ topic, partition }];
    }
    if (action === "seek" && count > 1 && typeof to === "object" && to !== null && !("time" in to)) {
      throw refused(`Cannot seek all ${count} partitions of "${topic}" to one position: name a partition, or a moment, "start" or "end"`);
    }
    return Array.from({ length: count }, (_, number) => ({ topic, partition: number }));
  }

  async #places(targets: readonly TopicPartition[], to: SeekTo | null): Promise<readonly { readonly from: number | null; readonly to: number }[]> {
    if (to === null) throw refused('Cannot seek: wanted "to", a position, a moment, a number of records, "start" or "end"');
    const [spans, committed] = await Promise.all([this.#spans(targets), this.#committed(targets)]);
    return await Promise.all(targets.map(async (target) => {
      const { topic, partition } = target;
      const { start, end } = spans.get(`${topic}/${partition}`)!;
      const from = committed.get(`${topic}/${partition}`) ?? null;
      const place = await this.#place(target, to, from ?? start, start, end);
      if (place >= start && place <= end) return { from, to: place };
      throw refused(`Cannot seek "${topic}" partition ${partition} to ${place}: it has positions from ${start} to ${end}, its end`);
    }));
  }

  async #place(target: TopicPartition, to: SeekTo, from: number, start: number, end: number): Promise<number> {
    if (to === "start") return start;
    if (to === "end") return end;
    if ("position" in to) return to.position;
    if ("time" in to) return await this.#options.log.positionAt(target, to.time);
    return to.by > 0 ? this.#firstToLeaveOut(target, from) + to.by : from + to.by;
  }

  /** Where counting of records to leave out begins, so that what stopped the task is one of them: it may have been taken before those that are committed. */
  #firstToLeaveOut(target: TopicPartition, from: number): number {
    const { worker } = this.#options;
    const { topic, partition } = target;
    const { status, stoppedAt } = worker?.statusOf(target) ?? { status: "not running", stoppedAt: null };
    const name = `"${topic}" partition ${partition}`;
    if (stoppedAt === null) {
      if (status === "running" || status === "paused") return from;
      throw refused(
        `Cannot count records of ${name} here (${status}): its task alone knows where it stopped. Ask the worker that has it, or name a position: ` +
          `${from} is the next to read, and what stopped the task before that is left out with it`,
      );
    }
    if (stoppedAt.topic === topic) return stoppedAt.position < from ? from - 1 : from;
    const what = stoppedAt.position < 0 ? `a result of ${stoppedAt.topic}` : `${stoppedAt.topic}/${stoppedAt.partition} position ${stoppedAt.position}`;
    throw refused(
      `Cannot leave out records of ${name}: its task stopped at ${what}, which none of them is. Mend what failed and restart the task, or name a position`,
    );
  }

  async #spans(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, { readonly start: number; readonly end: number }>> {
    const infos = await this.#options.log.describe([...new Set(partitions.map(({ topic }) => topic))]);
    return new Map(infos.map((info) => [`${info.topic}/${info.partition}`, info]));
  }

  async #committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>> {
    const { log, topology } = this.#options;
    const committed = await log.committed(topology.app, partitions.map(({ topic, partition }) => ({ topic, partition })));
    return new Map(committed.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]));
  }

  async #controls(): Promise<Controls> {
    const { log, topology, runtime } = this.#options;
    const controls = new Controls(log, topology.app, () => {});
    let isOver = false;
    const timer = runtime.setTimer(() => {
      isOver = true;
      controls.close();
    }, READ_WITHIN_MS);
    try {
      await controls.catchUp();
    } finally {
      timer.cancel();
      controls.close();
    }
    if (isOver) throw new ExternalError("LOG_UNAVAILABLE", `Cannot read what was ordered: the log has given nothing for ${READ_WITHIN_MS / 1_000} s`);
    return controls;
  }
}

function orderOf(action: ControlOrder["action"], to: number): Order {
  switch (action) {
    case "pause":
    case "resume":
      return { kind: "pause", isPaused: action === "pause" };
    case "restart":
      return { kind: "restart" };
    case "seek":
      return { kind: "seek", to };
  }
}

function missing(message: string): StreamError {
  return new StreamError("OPTION_INVALID", "user", message, { details: { reason: "missing" } });
}

function refused(message: string): StreamError {
  return new StreamError("OPTION_INVALID", "user", message);
}
