/**
 * Kills, pauses and stops workers and their broker while records come in, and holds the output against what a brute force makes of the input.
 *
 * Faults come from a seed. Workers are started again, as a supervisor would; one that ends without having been told to is a fault of the run.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Broker } from "../../scripts/kafka/broker-process.mjs";
import { type Reading, readings, START_MS } from "../../bench/jobs/input.ts";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";
import { type ChaosJob, CLOSING_KEY, verdictOn } from "./chaos-verdict.ts";
import { awaitConsumed, type Records } from "./records.ts";

/** What can happen. */
export type Fault = "killWorker" | "pauseWorker" | "stopWorker" | "killBroker" | "pauseBroker";

/** Each of them. */
export const faultKinds: readonly Fault[] = ["killWorker", "pauseWorker", "stopWorker", "killBroker", "pauseBroker"];

/** What to do. */
export interface ChaosOptions {
  readonly runtime: ProgramRuntime;
  readonly client: "platformatic" | "confluent";
  readonly job: ChaosJob;
  readonly guarantee: "exactly-once" | "at-least-once";
  readonly records: number;
  readonly keys: number;
  readonly workers: number;
  readonly partitions: number;
  /** In this order; spread over the time of the input. */
  readonly faults: readonly Fault[];
  readonly seed: number;
  /** How long SIGSTOP lasts. */
  readonly pauseMs: number;
  /** How long the input takes. */
  readonly inputMs: number;
  readonly sessionTimeout: string;
  /** How long the last records may take after the last fault and the last record. */
  readonly drainMs: number;
  readonly broker: Broker;
  readonly content: Records;
  /** Where workers keep their state. */
  readonly directory: string;
  readonly onEvent?: (sentence: string) => void;
}

/** What came of it. */
export interface ChaosResult {
  readonly inputs: number;
  readonly results: number;
  readonly wanted: number;
  readonly repeated: number;
  /** From the last record and the last fault to the last commit, ms. */
  readonly drainedMs: number;
  /** One sentence for each thing that is wrong. */
  readonly wrong: readonly string[];
}

const SLICE_MS = 50;
const HEAD_RECORDS = 2_000;
const fixture = new URL("./chaos-fixture.ts", import.meta.url);

/** `count` faults: each kind in turn, in an order of the seed's. */
export function faultsOf(count: number, seed: number): readonly Fault[] {
  const random = generator(seed);
  const faults: Fault[] = [];
  while (faults.length < count) faults.push(...[...faultKinds].map((kind) => ({ kind, at: random() })).sort((a, b) => a.at - b.at).map(({ kind }) => kind));
  return faults.slice(0, count);
}

/** Does it all. Rejects when the broker or the loader give up. */
export async function chaosRun(options: ChaosOptions): Promise<ChaosResult> {
  const { content, job, records, partitions, seed, faults, inputMs } = options;
  const random = generator(seed);
  const name = `chaos-${job.toLowerCase()}-${Math.random().toString(36).slice(2, 8)}`;
  await content.create(partitions, [`${name}-in`, `${name}-out`]);
  const run = new Run(options, name, random);
  run.startAll();

  const { lines, objects } = readings(records, options.keys);
  const loader = content.load(`${name}-in`);
  const write = (from: number, to: number): Promise<void> =>
    loader.write(
      objects.slice(from, to).map((reading: Reading, index) => ({ at: reading.ts, key: reading.key, value: lines[from + index]!, partition: null })),
    );
  // More than a pipe holds: faults shall find a loader and workers that work.
  let sent = Math.min(records, HEAD_RECORDS), next = 0;
  await Promise.all([write(0, sent), run.started()]);
  const startedAt = performance.now();
  const times = faults.map((_, index) => inputMs * (index + 0.2 + 0.6 * random()) / faults.length);
  while (sent < records || next < faults.length) {
    const elapsedMs = performance.now() - startedAt;
    const until = Math.min(records, Math.ceil(records * elapsedMs / inputMs));
    if (until > sent) {
      await write(sent, until);
      sent = until;
    }
    while (next < faults.length && elapsedMs >= times[next]!) run.inject(faults[next++]!);
    await sleep(SLICE_MS);
  }
  await run.settled();
  if (job === "J3") {
    const at = START_MS + records + 3_600_000;
    const value = JSON.stringify({ id: -1, key: CLOSING_KEY, ts: at, value: 0 });
    await loader.write(Array.from({ length: partitions }, (_, partition) => ({ at, key: CLOSING_KEY, value, partition })));
  }
  await loader.end();

  const drainingAt = performance.now();
  const left = await awaitConsumed(content, name, `${name}-in`, options.drainMs);
  const drainedMs = Math.round(performance.now() - drainingAt);
  if (left !== null) run.wrong.push(`not all was processed within ${options.drainMs} ms: ${left}`, ...run.complaints());
  await run.stopAll();

  const verdict = verdictOn(job, options.guarantee === "exactly-once");
  await content.dump(`${name}-in`, (record) => verdict.input(record));
  await content.dump(`${name}-out`, (record) => verdict.output(record));
  const { wrong, ...figures } = verdict.end();
  return { ...figures, drainedMs, wrong: [...run.wrong, ...wrong] };
}

interface Slot {
  program: Program | null;
  /** It heeds signals, or has ended. */
  hasStarted: Promise<unknown>;
  /** Nobody does anything to it meanwhile. */
  isBusy: boolean;
  /** It was told to end. */
  isExpected: boolean;
}

/** The workers and the broker of a run, and what is being done to them. */
class Run {
  readonly wrong: string[] = [];
  readonly #options: ChaosOptions;
  readonly #name: string;
  readonly #random: () => number;
  readonly #slots: Slot[];
  readonly #underWay = new Set<Promise<void>>();
  #isBrokerBusy = false;
  /** Not longer ago than a start may take. */
  #wasBrokerAway = false;
  #isOver = false;

  constructor(options: ChaosOptions, name: string, random: () => number) {
    this.#options = options;
    this.#name = name;
    this.#random = random;
    this.#slots = Array.from({ length: options.workers }, () => ({ program: null, hasStarted: Promise.resolve(), isBusy: false, isExpected: false }));
    // A run that is broken off leaves nobody behind.
    process.on("exit", () => this.#slots.forEach(({ program }) => program?.kill("SIGKILL")));
  }

  startAll(): void {
    this.#slots.forEach((_, index) => this.#start(index));
  }

  /** Fulfils when each worker works, or has ended. */
  async started(): Promise<void> {
    await Promise.all(this.#slots.map(({ hasStarted }) => hasStarted));
  }

  /** Begins a fault; one whose victim is busy with another waits for it. */
  inject(fault: Fault): void {
    const work = (fault === "killBroker" || fault === "pauseBroker" ? this.#hitBroker(fault) : this.#hitWorker(fault)).finally(() =>
      this.#underWay.delete(work)
    );
    this.#underWay.add(work);
  }

  /** Fulfils when no fault is under way. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** The last that each worker has complained of. */
  complaints(): readonly string[] {
    return this.#slots.map(({ program }, index) => `worker ${index} says: ${program?.stderr().trim().slice(-3_000)}`);
  }

  /** SIGTERM to all; each must end in order. */
  async stopAll(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#slots.map((slot, index) => this.#stop(slot, index)));
  }

  #start(index: number): void {
    const { runtime, job, broker, client, guarantee, sessionTimeout, directory } = this.#options;
    const slot = this.#slots[index]!;
    const program = spawnProgram(runtime, fixture, [this.#name, job, broker.bootstrap, client, guarantee, sessionTimeout, `${directory}/worker-${index}`]);
    slot.program = program;
    slot.isExpected = false;
    let works = false;
    slot.hasStarted = program.line().then((line) => (works = line !== null));
    void program.exited.then(({ code, signal }) => {
      if (slot.isExpected || slot.program !== program) return;
      // One that is started while its broker is away gives up after a while, and says so.
      if (!works && this.#wasBrokerAway) {
        this.#say(`worker ${index} could not start`);
        return this.#isOver ? undefined : this.#start(index);
      }
      this.wrong.push(`worker ${index} ended by itself with ${code ?? signal}: ${program.stderr().trim().slice(-2_000)}`);
      this.#say(`worker ${index} ended by itself with ${code ?? signal}`);
      if (!this.#isOver) this.#start(index);
    });
  }

  async #hitWorker(fault: Fault): Promise<void> {
    const index = await this.#freeSlot();
    const slot = this.#slots[index]!;
    slot.isBusy = true;
    try {
      const program = slot.program!;
      this.#say(`${fault} ${index}`);
      if (fault === "pauseWorker") {
        program.kill("SIGSTOP");
        await sleep(this.#options.pauseMs);
        program.kill("SIGCONT");
        return;
      }
      if (fault === "killWorker") {
        slot.isExpected = true;
        program.kill("SIGKILL");
        await program.exited;
        await sleep(this.#random() * 2_000);
      } else await this.#stop(slot, index);
      this.#start(index);
    } finally {
      slot.isBusy = false;
    }
  }

  async #hitBroker(fault: Fault): Promise<void> {
    const { broker, pauseMs } = this.#options;
    while (this.#isBrokerBusy) await sleep(SLICE_MS);
    this.#isBrokerBusy = this.#wasBrokerAway = true;
    try {
      this.#say(fault);
      if (fault === "killBroker") {
        await broker.kill();
        await sleep(this.#random() * 2_000);
        await broker.restart();
      } else {
        await broker.pause();
        await sleep(pauseMs);
        await broker.resume();
      }
      this.#say(`the broker is back from ${fault}`);
    } finally {
      this.#isBrokerBusy = false;
      setTimeout(() => (this.#wasBrokerAway = this.#isBrokerBusy), 5_000).unref();
    }
  }

  async #freeSlot(): Promise<number> {
    for (;;) {
      const free = this.#slots.flatMap(({ isBusy }, index) => (isBusy ? [] : [index]));
      if (free.length > 0) return free[Math.floor(this.#random() * free.length)]!;
      await sleep(SLICE_MS);
    }
  }

  async #stop(slot: Slot, index: number): Promise<void> {
    const program = slot.program!;
    await slot.hasStarted;
    slot.isExpected = true;
    program.kill("SIGTERM");
    const late = setTimeout(() => {
      this.wrong.push(`worker ${index} did not end within 60 s of SIGTERM: ${program.stderr().trim().slice(-2_000)}`);
      program.kill("SIGKILL");
    }, 60_000);
    const { code, signal } = await program.exited;
    clearTimeout(late);
    // One that is stopped while its broker is away cannot commit, and says so.
    if (code !== 0 && signal !== "SIGKILL" && !this.#isBrokerBusy) {
      this.wrong.push(`worker ${index} ended with ${code ?? signal} after SIGTERM, wanted 0: ${program.stderr().trim().slice(-2_000)}`);
    }
  }

  #say(sentence: string): void {
    this.#options.onEvent?.(sentence);
  }
}

/** Numbers from 0 to 1: the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
