/**
 * The operator of a simulated run: has dead letters tried again, edits them, pauses, resumes and seeks partitions, restarts tasks. Orders are given again until they are acknowledged, as far as
 * that does no harm.
 */
import { messageOf } from "../../src/base/errors.ts";
import type { OrderDone } from "../../src/observe/events.ts";
import type { Random } from "../../src/base/random.ts";
import type { Engine } from "../../src/app/engine.ts";
import type { Task } from "../../src/task/task.ts";
import type { ControlOrder } from "../../src/task/control-desk.ts";
import type { Genes } from "./genes.ts";
import { idOfLetter } from "./letters.ts";
import { type Logged, must, readInput, readTopic, textOf, Violation } from "./logged.ts";
import type { Seek } from "./model.ts";
import type { World } from "./world.ts";

/** How often an operator does something, per action of the run; 0: never. */
export interface OperatorGenes {
  readonly replay: number;
  /** Of late letters, at their own time: they are late again. */
  readonly replayLate: number;
  readonly pause: number;
  readonly seek: number;
  readonly restart: number;
}

export const nobody: OperatorGenes = { replay: 0, replayLate: 0, pause: 0, seek: 0, restart: 0 };

/** Which of them a run has: letters that are tried again and partitions that are read again are not in one run, so that what must come out can be told. */
export function drawOperator(random: Random, isBounded: boolean): OperatorGenes {
  const rate = (chance: number): number => random.chance(chance) ? random.pick([0.01, 0.03, 0.1]) : 0;
  const isReplaying = random.chance(0.5);
  return {
    replay: isBounded && isReplaying ? rate(0.8) : 0,
    seek: isBounded && !isReplaying ? rate(0.4) : 0,
    pause: rate(0.4),
    restart: rate(0.3),
    // Where records are late.
    replayLate: rate(isBounded ? 0.2 : 0.9),
  };
}

/** Who orders, and what the run knows of it. */
export interface OperatorHost {
  readonly genes: Genes;
  readonly world: World;
  readonly random: Random;
  say(text: string): void;
  note(what: string): void;
  failed(violation: Violation): void;
}

/** Whether an order was acknowledged. */
export type OrderState = "asked" | "done";

/** What was ordered, for the one who checks what came of it. */
export interface Orders {
  /** By the position of the letter: whether what failed had been mended before. */
  readonly replays: ReadonlyMap<number, { readonly isMended: boolean }>;
  /** The same of late letters: whether the order was acknowledged. */
  readonly lateReplays: ReadonlyMap<number, OrderState>;
  readonly seeks: ReadonlyMap<number, Seek>;
}

/** Where a process is at work. */
interface Desk {
  readonly engine: Engine;
}

type Order = Pick<ControlOrder, "action"> & Partial<Pick<ControlOrder, "to">>;

const DEAD = { kind: "dead", source: "events" } as const;
const LATE = { kind: "late", source: "events" } as const;

/** Gives orders to whichever process lives. */
export class Operator implements Orders {
  readonly replays: Map<number, { readonly isMended: boolean; state: OrderState }> = new Map();
  readonly lateReplays: Map<number, OrderState> = new Map();
  readonly seeks: Map<number, { readonly to: number; from: number; unresolved: ReadonlySet<number> | null }> = new Map();
  readonly #host: OperatorHost;
  /** By partition of `events`: what was ordered last. */
  readonly #pauses = new Map<number, { readonly isPaused: boolean; state: OrderState }>();
  /** Positions of inputs that are paused, since that is known. */
  readonly #still = new Map<number, number>();
  /** Partitions that were paused by an order that was acknowledged before the process began, and none since. */
  readonly #sure = new Set<number>();
  readonly #sought = new Set<number>();
  /** Those of which an order to pass something was not done yet: a second one could pass more. */
  readonly #awaited = new Set<number>();
  /** Of which records, by position, each task was not done when the last step began. */
  readonly #unresolved = new Map<string, ReadonlySet<number>>();
  #desk: Desk | null = null;
  #busy = 0;

  constructor(host: OperatorHost) {
    this.#host = host;
  }

  /** A process has begun: it must know what was acknowledged before. */
  begin(desk: Desk): void {
    this.#desk = desk;
    for (const [partition, { isPaused, state }] of this.#pauses) if (isPaused && state === "done") this.#sure.add(partition);
  }

  /** It has ended. */
  end(): void {
    this.#desk = null;
    this.#busy = 0;
    this.#awaited.clear();
    this.#unresolved.clear();
    this.#still.clear();
    this.#sure.clear();
  }

  /** Gives an order, as far as there is one to give. */
  act(): boolean {
    const desk = this.#desk;
    if (desk === null || this.#busy > 0) return false;
    const { genes: { operator, partitions }, random } = this.#host;
    const draw = random.float();
    const { replay, replayLate, pause, seek, restart } = operator;
    if (draw < replay) return this.#replayOne(desk);
    const partition = random.below(partitions);
    if (draw < replay + pause) {
      this.#pause(desk, partition, !(this.#pauses.get(partition)?.isPaused ?? false));
      return true;
    }
    if (draw < replay + pause + seek) return this.#seek(desk, partition);
    if (draw < replay + pause + seek + restart) {
      this.#order(desk, partition, { action: "restart" }, () => {});
      return true;
    }
    return draw < replay + pause + seek + restart + replayLate && this.#replayLate(desk);
  }

  /** Has a task that is stopped go on: it begins again, or leaves out what it stopped at. */
  release({ inputs, unresolved }: Task, how: "restart" | "pass"): void {
    const desk = this.#desk;
    const input = inputs.find(({ topic }) => topic.name === "events");
    if (desk === null || input === undefined || this.#busy > 0 || this.#awaited.has(input.partition)) return;
    if (how === "restart") {
      this.#order(desk, input.partition, { action: "restart" }, () => {});
      return;
    }
    // What was done before is safe: a seek that is done by the next process leaves out no more.
    if (input.position !== input.committed || !desk.engine.worker.isDurable) return;
    // It stopped at the head, or at a record that it had taken before.
    this.#awaited.add(input.partition);
    const isTaken = [...unresolved].some(({ state, nextTryAt }) => state === "waiting" && nextTryAt === Infinity);
    this.#order(desk, input.partition, { action: "seek", to: { by: isTaken ? 0 : 1 } }, () => {});
  }

  /** Sees to it that nothing stays as it must not; false when there is nothing to order, or an order is on its way. */
  settle(): boolean {
    const desk = this.#desk;
    if (desk === null || this.#busy > 0) return false;
    for (const [partition, { isPaused, state }] of this.#pauses) {
      if (!isPaused && state === "done") continue;
      this.#pause(desk, partition, false);
      return true;
    }
    for (const [position, { state }] of this.replays) {
      if (state === "done") continue;
      this.#ask(`replay ${position} again`, this.#queue(desk, position), () => {});
      return true;
    }
    for (const [position, state] of this.lateReplays) {
      if (state === "done") continue;
      this.#queueLate(desk, position);
      return true;
    }
    return false;
  }

  /** Whether an order may be on its way. */
  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** A task does what was ordered, maybe not for the last time. */
  done({ order, task, topic, partition }: OrderDone): void {
    if (topic === "events" && order === "seek") this.#awaited.delete(partition);
    const seek = topic === "events" && order === "seek" ? this.seeks.get(partition) : undefined;
    if (seek === undefined) return;
    seek.unresolved = this.#unresolved.get(task) ?? null;
  }

  /** The worker is about to do what was ordered: what its tasks have begun is as it is now. */
  beforeStep(): void {
    this.#unresolved.clear();
    if (this.seeks.size === 0) return;
    for (const { id, unresolved } of this.#desk!.engine.worker.tasks) this.#unresolved.set(id, new Set([...unresolved].map(({ record }) => record.position)));
  }

  /** What is paused stands still. */
  check(): void {
    if (this.#desk === null) return;
    for (const task of this.#desk.engine.worker.tasks) {
      for (const input of task.inputs) {
        if (input.topic.name !== "events") continue;
        const { partition, position } = input;
        if (this.#sure.has(partition)) must(input.isPaused, () => `events/${partition} was paused before this process began, and is not`);
        if (!input.isPaused) {
          this.#still.delete(partition);
          continue;
        }
        const before = this.#still.get(partition);
        must(
          before === undefined || before === position || this.#sought.has(partition),
          () => `events/${partition} is paused and went from ${before} to ${position}`,
        );
        this.#still.set(partition, position);
        must(this.#pauses.has(partition), () => `events/${partition} is paused, and nobody said so`);
      }
    }
  }

  #pause(desk: Desk, partition: number, isPaused: boolean): void {
    const entry: { readonly isPaused: boolean; state: OrderState } = { isPaused, state: "asked" };
    this.#pauses.set(partition, entry);
    this.#sure.delete(partition);
    this.#order(desk, partition, { action: isPaused ? "pause" : "resume" }, () => {
      entry.state = "done";
    });
  }

  #seek(desk: Desk, partition: number): boolean {
    // Once: of two in a row the first may never be done.
    if (this.seeks.has(partition)) return false;
    const { worker } = desk.engine;
    const input = worker.tasks.flatMap(({ inputs }) => inputs).find((at) => at.topic.name === "events" && at.partition === partition);
    // Back from where it stays whatever happens to the power.
    if (input === undefined || input.committed <= 0 || !worker.isDurable) return false;
    const { committed } = input;
    const { random, world } = this.#host;
    const entry = { to: random.below(committed), from: -1, unresolved: null };
    this.seeks.set(partition, entry);
    world.isReread = true;
    this.#order(desk, partition, { action: "seek", to: { position: entry.to } }, () => {
      entry.from = committed;
    });
    return true;
  }

  #order({ engine }: Desk, partition: number, order: Order, done: () => void): void {
    if (order.action === "seek") this.#sought.add(partition);
    this.#ask(
      `${JSON.stringify(order)} events/${partition}`,
      engine.control.order({ to: null, ...order, topic: "events", partition, by: "ann", reason: null }),
      done,
    );
  }

  #replayOne(desk: Desk): boolean {
    const letters = this.#lettersOf(desk, "events-dlq").filter(({ position }) => !this.replays.has(position));
    if (letters.length === 0) return false;
    this.#replay(desk, this.#host.random.pick(letters));
    return true;
  }

  #replayLate(desk: Desk): boolean {
    const letters = this.#lettersOf(desk, "events-late").filter((letter) =>
      !this.lateReplays.has(letter.position) && textOf(letter.headers, "mr-replay-of") === ""
    );
    if (letters.length === 0) return false;
    this.#queueLate(desk, this.#host.random.pick(letters).position);
    return true;
  }

  #queueLate({ engine }: Desk, position: number): void {
    this.lateReplays.set(position, "asked");
    this.#ask(`replay late ${position}`, engine.letters.replay(LATE, { ids: [position] }, { by: "ann" }), () => {
      this.lateReplays.set(position, "done");
      this.#host.note("replay late");
    });
  }

  #lettersOf({ engine: { log } }: Desk, topic: string): readonly Logged[] {
    try {
      return readTopic(log, topic);
    } catch (error) {
      if (error instanceof Violation) throw error;
      return []; // The disk has failed.
    }
  }

  #replay(desk: Desk, letter: Logged): void {
    const { engine } = desk;
    const { world, random } = this.#host;
    const { position } = letter;
    const isMended = random.chance(0.7);
    this.replays.set(position, { isMended, state: "asked" });
    const id = idOfLetter(letter, readInput(engine.log, "events"));
    world.begins(id);
    if (isMended) world.mend(id);
    const right = isMended ? world.rightValueOf(id) : null;
    const edited = right === null ? Promise.resolve() : engine.letters.edit(DEAD, [{ id: position, value: right }], "ann").then(() => this.#host.note("edit"));
    this.#ask(`replay ${position}${isMended ? " mended" : ""}`, edited.then(() => this.#queue(desk, position)), () => {});
  }

  async #queue({ engine }: Desk, position: number): Promise<void> {
    const { queued, already } = await engine.letters.replay(DEAD, { ids: [position] }, { by: "ann" });
    must(queued + already === 1, () => `letter ${position} can be neither queued nor is it already: ${queued}, ${already}`);
    this.replays.get(position)!.state = "done";
    this.#host.note("replay");
  }

  #ask(what: string, asked: Promise<unknown>, done: () => void): void {
    const desk = this.#desk;
    const { say, failed } = this.#host;
    say(`order ${what}`);
    this.#busy++;
    asked.then(() => {
      if (this.#desk !== desk) return;
      this.#busy--;
      say(`ordered ${what}`);
      done();
    }, (error) => {
      if (this.#desk !== desk) return;
      this.#busy--;
      say(`not ordered ${what}: ${messageOf(error)}`);
      this.#awaited.clear();
      if (error instanceof Violation) failed(error);
    });
  }
}
