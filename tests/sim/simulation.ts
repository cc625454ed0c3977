/**
 * The simulator: production code, from the app down to SQLite, on a simulated runtime and a disk that fails, driven one action at a time from a seed. Replays exactly.
 *
 * A run has two phases. In the first, actions and faults come as the seed draws them: processes die, power is lost, disks fail, clocks are set; each time the app is opened again on what is left.
 * In the second there are no faults, and everything must come to rest within a bound. Then the log is held against the model.
 */
import { appendOf } from "../../src/app/records.ts";
import type { Engine } from "../../src/app/engine.ts";
import { isStreamError, messageOf } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { embeddedLog } from "../../src/log/embedded.ts";
import type { Log } from "../../src/log/log.ts";
import type { ObservedEvent } from "../../src/observe/events.ts";
import type { Disk } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Task } from "../../src/task/task.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { FaultyDisk } from "../../src/testing/faulty-disk.ts";
import type { DiskFault, DiskOperation } from "../../src/testing/faulty-disk.ts";
import { type VirtualRuntime, virtualRuntime } from "../../src/testing/virtual-runtime.ts";
import { drawGenes, type Genes, type OperationFault } from "./genes.ts";
import { expectedOf } from "./model.ts";
import { must, readInput, readTopic, Violation } from "./logged.ts";
import { Operator } from "./operator.ts";
import { checkOutputs, seenOf } from "./outcome.ts";
import { policiesOf } from "./policies.ts";
import { type Shop, shopOf } from "./shop.ts";
import { hashText, type Input, START_MS, World } from "./world.ts";

/** A bug that is put in on purpose, from outside. */
export interface Plant {
  disk?(disk: FaultyDisk): Disk;
  log?(log: Log): Log;
  /** Hears of the file each time it is opened. */
  opened?(database: Database): void;
}

/** Options of {@linkcode simulate}. */
export interface SimulationOptions {
  readonly host: Runtime;
  readonly plant?: Plant;
  /** In place of what the seed draws. */
  readonly genes?: Partial<Genes>;
  /** One fault more, at an operation of the disk. */
  readonly crashAt?: CrashPoint;
  /** Hears each action, for the one who looks for a bug. */
  readonly onAction?: (text: string) => void;
}

/** A place for a process to die. */
export interface CrashPoint {
  /** Of the operation, counted over all lives. */
  readonly operation: number;
  readonly when: "before" | "after";
  readonly how: "power" | "kill";
}

/** How a run ended. */
export interface SimulationResult {
  readonly seed: number;
  readonly genes: Genes;
  /** Over all that happened: equal when the run is made again. */
  readonly hash: string;
  readonly actions: number;
  readonly lives: number;
  /** Of the disk. */
  readonly operations: number;
  /** What came out, in an order of its own: the same for the same input, whatever happened on the way. */
  readonly outputs: string;
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** What else did: orders of the operator, and what became of records. */
  readonly happened: Readonly<Record<string, number>>;
  readonly ok: boolean;
  /** What does not hold; null when all does. */
  readonly violation: string | null;
}

/** Actions of the first phase at most, and of the second: then it has not come to rest. */
const FAULTY_ACTIONS_MAX = 6_000;
const CALM_ACTIONS_MAX = 60_000;
/** Turns in which nothing waits for time or a turn, after which nothing will come. */
const TURNS_MAX = 50;
const UNANSWERED_MAX = 6;

/** Runs a seed. Never throws for what the run finds. */
export async function simulate(seed: number, options: SimulationOptions): Promise<SimulationResult> {
  // Compiled once, and outside of the run, which waits for nothing real.
  await Promise.all([options.host.wasm("sqlite"), options.host.wasm("vfs")]);
  const simulation = new Simulation(seed, options);
  let violation: string | null = null;
  try {
    await simulation.run();
  } catch (error) {
    violation = error instanceof Violation ? error.message : error instanceof Error ? error.stack ?? error.message : String(error);
  }
  return simulation.result(violation);
}

/** One process. */
interface Life {
  readonly runtime: VirtualRuntime;
  readonly engine: Engine;
  readonly log: Log;
  isWoken: boolean;
  isIdle: boolean;
  nextWakeAt: number;
  commits: number;
  failedCommits: number;
}

/** Where an acknowledged record lies; position -1: the answer did not say. */
interface Place {
  readonly topic: Input["topic"];
  readonly partition: number;
  readonly position: number;
}

/** A record that was sent and not answered. */
interface Unanswered {
  readonly input: Input;
  readonly number: number;
}

class Simulation {
  readonly #seed: number;
  readonly #host: Runtime;
  readonly #options: SimulationOptions;
  readonly #genes: Genes;
  readonly #random: Random;
  readonly #world: World;
  readonly #shop: Shop;
  readonly #disk: FaultyDisk;
  readonly #operator: Operator;
  readonly #faults: Record<string, number> = {};
  readonly #happened: Record<string, number> = {};
  #hash = 0x811c9dc5;
  #actions = 0;
  #lives = 0;
  #life: Life | null = null;
  #runtime: VirtualRuntime;
  /** How the process at work died; null while it lives. */
  #died: "power" | "kill" | null = null;
  #violation: Violation | null = null;
  #isCalm = false;
  #wall = START_MS;
  /** The fault that waits for its operation. */
  #armed: { readonly at: number; readonly fault: OperationFault } | null = null;
  #isBroken = false;
  #appends = 0;
  /** Records to send before new ones. */
  #again: Input[] = [];
  readonly #unanswered = new Map<string, Unanswered>();
  readonly #answered = new Map<string, Place>();
  #sent = 0;
  /** By task: the clock of the last commit, and of the last one that was durable. */
  #committedClocks = new Map<string, number>();
  #durableClocks = new Map<string, number>();
  #clocks = new Map<string, number>();
  #clocksAtCommit: ReadonlyMap<string, number> = new Map();
  /** By entity: the newest observation that anybody was told of. */
  readonly #told = new Map<string, number>();
  #asking = 0;
  #outputs = "";
  /** The operation was done after which the process is to die. */
  #isDue = false;

  constructor(seed: number, options: SimulationOptions) {
    this.#seed = seed;
    this.#host = options.host;
    this.#options = options;
    this.#genes = { ...drawGenes(seed), ...options.genes };
    this.#random = new Random(seed ^ 0xac710);
    this.#world = new World(seed, this.#genes);
    this.#shop = shopOf(this.#genes, this.#world, options.host);
    this.#runtime = this.#newRuntime();
    const { sectorBytes, flushMs } = this.#genes.storage;
    const delays = this.#random.fork();
    this.#disk = new FaultyDisk({
      random: this.#random.fork(),
      sectorBytes,
      flushDelay: () => flushMs === 0 ? Promise.resolve() : new Promise((resolve) => this.#runtime.setTimer(resolve, delays.below(flushMs + 1))),
    });
    this.#operator = new Operator({
      genes: this.#genes,
      world: this.#world,
      random: new Random(seed ^ 0x0be7a702),
      say: (text) => this.#say(text),
      note: (what) => this.#note(what),
      failed: (violation) => this.#violation ??= violation,
    });
    this.#disk.onOperation = (operation) => this.#onOperation(operation);
  }

  result(violation: string | null): SimulationResult {
    const hash = this.#hash.toString(16).padStart(8, "0");
    return {
      seed: this.#seed,
      genes: this.#genes,
      hash,
      actions: this.#actions,
      lives: this.#lives,
      operations: this.#disk.operations,
      outputs: this.#outputs,
      faults: this.#faults,
      happened: this.#happened,
      ok: violation === null,
      violation,
    };
  }

  async run(): Promise<void> {
    while (this.#sent < this.#genes.records && this.#actions < FAULTY_ACTIONS_MAX) {
      if (this.#life === null) await this.#begin();
      else await this.#act();
    }
    this.#isCalm = true;
    this.#armed = null;
    this.#isBroken = false;
    this.#say("calm");
    await this.#rest();
    for (const topic of ["events", "others"] as const) {
      const { partitions } = this.#shop[topic];
      for (let partition = 0; partition < partitions!; partition++) this.#again.push(this.#world.last(topic, partition));
    }
    await this.#rest();
    await this.#check();
  }

  // ── Lives ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #newRuntime(): VirtualRuntime {
    return virtualRuntime({ host: this.#host, seed: this.#random.word(), startAt: this.#wall, yields: "caller" });
  }

  /** A process begins. Where the disk fails it there is none, and the next one tries again. */
  async #begin(): Promise<void> {
    must(++this.#lives < 300, () => "300 lives were not enough");
    this.#runtime = this.#world.runtime = this.#newRuntime();
    this.#died = null;
    this.#arm();
    const { worker, storage } = this.#genes;
    let log: Log | null = null;
    const opening = this.#shop.internals.open({
      runtime: this.#runtime,
      worker,
      observer: (event) => this.#observe(event),
      driver: {
        "~log": "embedded",
        open: async ({ runtime }) => {
          const { pageBytes, checkpointBytes, cacheBytes, tailBytesMax } = storage;
          const { plant = {} } = this.#options;
          const disk = plant.disk?.(this.#disk) ?? this.#disk;
          const opened = await embeddedLog(runtime, disk, { tailBytesMax, database: { pageBytes, checkpointBytes, cacheBytes } });
          plant.opened?.(opened.database!);
          log = plant.log?.(opened) ?? opened;
          const append = log.append.bind(log);
          log.append = (appends) => {
            this.#appends++;
            return append(appends);
          };
          const commit = log.commit.bind(log);
          log.commit = (unit, apply) => {
            const receipt = commit(unit, apply);
            this.#atCommit();
            return receipt;
          };
          return { log, database: null, place: "simulated" };
        },
      },
    });
    const outcome = await this.#settled(opening);
    if (outcome.state !== "done" || this.#died !== null) {
      this.#say(`not begun: ${outcome.state === "failed" ? messageOf(outcome.error) : "it died"}`);
      const isOurs = this.#died === null && !this.#isBroken && this.#faultsOfLife === 0;
      if (isOurs && outcome.state === "failed") throw outcome.error;
      must(!isOurs, () => "the app did not open, without any fault");
      if (this.#died === null) this.#leave("kill");
      this.#end(this.#died!);
      return;
    }
    const engine = outcome.value;
    this.#shop.internals.attach(engine);
    const life: Life = { runtime: this.#runtime, engine, log: log!, isWoken: true, isIdle: false, nextWakeAt: 0, commits: 0, failedCommits: 0 };
    engine.worker.onWake(() => {
      life.isWoken = true;
    });
    this.#life = life;
    this.#say("begun");
    this.#operator.begin(life);
    this.#clocks = new Map();
    this.#sampleClocks();
  }

  /** The process is no more. What it had not answered is sent again where that does no harm. */
  #end(how: "power" | "kill"): void {
    this.#say(`ended by ${how}`);
    if (how === "power") this.#committedClocks = new Map(this.#durableClocks);
    this.#world.undo(how === "power");
    for (const { input } of this.#unanswered.values()) if (input.isWebhook || input.isLast) this.#again.push(input);
    this.#unanswered.clear();
    this.#operator.end();
    this.#asking = 0;
    this.#wall = this.#runtime.now() + this.#random.below(3_000);
    this.#isBroken = false;
    this.#armed = null;
    this.#life = null;
  }

  #die(how: "power" | "kill"): void {
    if (this.#died !== null) return;
    this.#count(how);
    this.#leave(how);
  }

  /**
   * The process goes, and the machine with it where `how` says so. After a flush that failed it always does: the system takes the pages for clean and the next process cannot know that the
   * device lacks them, so that whoever sees a flush fail has to start from what the device holds.
   */
  #leave(how: "power" | "kill"): void {
    this.#died = this.#hasDropped ? "power" : how;
    this.#hasDropped = false;
    if (this.#died === "power") this.#disk.crash();
    else this.#disk.kill();
  }

  /** Stops the app in order; where that fails its process ends. */
  async #stop(life: Life, why: string): Promise<void> {
    this.#say(`stop: ${why}`);
    const outcome = await this.#settled(life.engine.stop(50));
    if (this.#died === null) {
      if (outcome.state === "done") this.#sampleClocks();
      this.#leave("kill");
    }
    this.#end(this.#died!);
  }

  // ── Faults ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #faultsOfLife = 0;

  #count(kind: string): void {
    this.#faults[kind] = (this.#faults[kind] ?? 0) + 1;
    this.#faultsOfLife++;
    this.#say(`fault: ${kind}`);
  }

  #arm(): void {
    const { atOperation, operationFaults } = this.#genes.faults;
    this.#faultsOfLife = 0;
    this.#armed = null;
    if (this.#isCalm || !this.#random.chance(atOperation)) return;
    const within = this.#random.pick([60, 300, 1_500]);
    this.#armed = { at: this.#disk.operations + this.#random.below(within), fault: this.#random.pick(operationFaults) };
  }

  #onOperation(operation: DiskOperation): DiskFault | null {
    const fault = this.#faultAt(operation);
    if (fault !== null && (operation.operation === "flush" || operation.operation === "sync")) this.#hasDropped = true;
    return fault;
  }

  #faultAt({ operation, index }: DiskOperation): DiskFault | null {
    const { crashAt } = this.#options;
    if (this.#isDue || (crashAt !== undefined && index === crashAt.operation)) {
      if (!this.#isDue && crashAt!.when === "after") this.#isDue = true;
      else this.#dieAsAsked();
      return null;
    }
    const armed = this.#armed;
    if (armed !== null && index >= armed.at && (armed.fault !== "flush" || operation === "flush" || operation === "sync")) {
      this.#armed = null;
      switch (armed.fault) {
        case "power":
        case "kill":
          this.#die(armed.fault);
          return null;
        case "failed on":
        case "full":
          this.#count(armed.fault);
          this.#isBroken = true;
          this.#brokenBy = armed.fault;
          break;
        default:
          this.#count(armed.fault);
          return armed.fault === "torn" ? "torn" : "failed";
      }
    }
    if (!this.#isBroken) return null;
    if (this.#brokenBy === "full") return operation === "write" || operation === "truncate" ? "full" : null;
    return "failed";
  }

  #dieAsAsked(): void {
    this.#isDue = false;
    this.#die(this.#options.crashAt!.how);
  }

  #brokenBy: "failed on" | "full" = "full";
  /** A flush failed since the machine started. */
  #hasDropped = false;

  // ── Actions ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One action, and sometimes a fault with it. */
  async #act(): Promise<void> {
    const life = this.#life!;
    const random = this.#random;
    const { powerLoss, kill, restart, wallJump } = this.#genes.faults;
    this.#actions++;
    const draw = random.float();
    if (draw < powerLoss + kill) {
      // Somewhere within what the action sets going.
      const awaits = random.pick([0, 1, 2, 3, 5, 10, 30]);
      await this.#doSomething(life);
      for (let i = 0; i < awaits; i++) await Promise.resolve();
      this.#die(draw < powerLoss ? "power" : "kill");
    } else if (draw < powerLoss + kill + restart) {
      this.#count("restart");
      await this.#stop(life, "restart");
      return;
    } else if (draw < powerLoss + kill + restart + wallJump) {
      this.#count("wall jump");
      life.runtime.jump(random.between(-3_600_000, 3_600_000));
    } else if (!this.#operator.act()) await this.#doSomething(life);
    if (this.#isBroken && random.chance(0.02)) this.#isBroken = false;
    await this.#afterAction(life);
  }

  async #afterAction(life: Life): Promise<void> {
    if (this.#isDue) this.#dieAsAsked();
    await this.#host.yield();
    if (this.#violation !== null) throw this.#violation;
    if (this.#died !== null) {
      this.#end(this.#died);
      return;
    }
    this.#sampleClocks();
    const { overtried } = this.#world;
    must(overtried === null, () => overtried!);
    this.#operator.check();
    const stopped = life.engine.worker.tasks.find((task) => task.stopped !== null);
    if (stopped !== undefined) {
      const isByPolicy = policiesOf(this.#genes.policies).some(({ then }) => then === "stop");
      must(isByPolicy, () => `task ${stopped.id} stopped: ${messageOf(stopped.stopped)}`);
      // Some time later somebody sees to it.
      if (!this.#isCalm && this.#random.chance(0.9)) return;
      await this.#releaseStopped(life, stopped);
      return;
    }
    if (life.engine.worker.state === "failed") {
      must(this.#faultsOfLife > 0, () => `the worker failed without any fault: ${messageOf(life.engine.worker.failure)}`);
      await this.#stop(life, `failed: ${messageOf(life.engine.worker.failure)}`);
    }
  }

  /** What cannot be mended is left out. */
  async #releaseStopped(life: Life, stopped: Task): Promise<void> {
    this.#count("stopped task");
    const why = `task ${stopped.id}: ${messageOf(stopped.stopped)}`;
    const isBad = isStreamError(stopped.stopped) && (stopped.stopped.domain === "data" || stopped.stopped.code === "KEY_MISSING");
    this.#say(`${isBad ? "passes" : "mends"} what stopped ${why}`);
    if (isBad) {
      this.#operator.release(stopped, "pass");
      return;
    }
    this.#world.mendStopped();
    if (this.#random.chance(0.5)) this.#operator.release(stopped, "restart");
    else await this.#stop(life, `after ${why}`);
  }

  async #doSomething(life: Life): Promise<void> {
    const { runtime } = life;
    const canStep = life.isWoken || !life.isIdle || life.nextWakeAt <= runtime.monotonic();
    const canSend = this.#canSend();
    const weights = [canStep ? 40 : 0, runtime.waitingYields > 0 ? 20 : 0, 12, canSend ? 12 : 0, this.#shop.features !== null && this.#asking < 2 ? 2 : 0];
    let draw = this.#random.below(weights.reduce((sum, weight) => sum + weight, 0));
    const action = weights.findIndex((weight) => (draw -= weight) < 0);
    switch (action) {
      case 0:
        return this.#step(life);
      case 1:
        return this.#say(`yields ${runtime.releaseYields()}`);
      case 2:
        return this.#passTime(life, this.#random.chance(0.3) ? this.#random.below(20) : Infinity);
      case 3:
        return await this.#send(life);
      default:
        return this.#ask(life);
    }
  }

  #step(life: Life): void {
    life.isWoken = false;
    this.#operator.beforeStep();
    const { idle, nextWakeAt } = life.engine.worker.step();
    life.isIdle = idle;
    life.nextWakeAt = nextWakeAt;
    const { commits, processed } = life.engine.worker.stats;
    this.#say(`step ${idle} ${processed} ${commits}`);
  }

  /** To the next thing that waits for time, but not further than `mostMs`. */
  #passTime({ runtime, nextWakeAt }: Life, mostMs: number): void {
    const next = Math.min(runtime.nextTimerAt, nextWakeAt > runtime.monotonic() ? nextWakeAt : Infinity) - runtime.monotonic();
    const ms = Math.max(0, Math.min(mostMs, next === Infinity ? this.#random.below(50) : next));
    runtime.advance(ms);
    this.#say(`time ${ms}`);
  }

  #canSend(): boolean {
    if (this.#unanswered.size >= UNANSWERED_MAX) return false;
    if (this.#again.length > 0) return true;
    // Sends must not overtake each other by more than the windows' grace allows.
    const [oldest] = this.#unanswered.values();
    return this.#sent < this.#genes.records && (oldest === undefined || oldest.number > this.#sent - 8);
  }

  async #send(life: Life): Promise<void> {
    const again = this.#again.shift();
    const input = again ?? this.#world.next();
    const number = again === undefined ? this.#sent++ : this.#sent;
    const { id } = input;
    this.#say(`send ${id}`);
    this.#unanswered.set(id, { input, number });
    const answer = input.isWebhook ? this.#post(life, input) : this.#append(life, input);
    answer.then((place) => {
      if (this.#life !== life || this.#died !== null) return;
      this.#say(`answered ${id} ${JSON.stringify(place)}`);
      this.#unanswered.delete(id);
      this.#answered.set(id, place);
      if (input.isWebhook && this.#random.chance(this.#genes.repeats) && !this.#isCalm) this.#again.push(input);
    }, (error) => {
      if (this.#life !== life || this.#died !== null) return;
      if (error instanceof Violation) this.#violation = error;
      this.#say(`refused ${id}: ${messageOf(error)}`);
      this.#unanswered.delete(id);
      // A request may have waited too long: time passes as it likes here.
      if (this.#faultsOfLife === 0 && !input.isWebhook) this.#violation ??= new Violation(`sending ${id} failed without any fault: ${messageOf(error)}`);
      if (input.isWebhook || input.isLast) this.#again.push(input);
    });
    if (input.isWebhook) await this.#untilAppended(life);
  }

  async #append({ engine, runtime }: Life, { id, topic, value, key, at, isLast, bytes }: Input): Promise<Place> {
    const definition = this.#shop[topic];
    const options = { key, timestamp: at, headers: { id } };
    if (bytes !== null) {
      // Where a tombstone of its key would lie.
      const append = await appendOf(runtime, definition, definition.partitions!, undefined, options);
      const [receipt] = await engine.log.append([{ ...append, records: append.records.map((record) => ({ ...record, value: bytes })) }]);
      return { topic, partition: receipt!.partition, position: receipt!.position };
    }
    if (!isLast) {
      const { partition, position } = await engine.send(definition, value ?? undefined, options);
      return { topic, partition, position: position! };
    }
    // These must not be missing, and not be there twice.
    const append = await appendOf(runtime, definition, definition.partitions!, value, { ...options, partition: Number(id.split("-")[2]) });
    const [receipt] = await engine.log.append([{ ...append, id: { scope: "last", value: id, keepMs: 86_400_000 } }]);
    return { topic, partition: receipt!.partition, position: receipt!.position };
  }

  async #post({ engine }: Life, { id, topic, value }: Input): Promise<Place> {
    const isKnown = this.#answered.has(id);
    const response = await engine.fetch(
      new Request("http://simulated/events", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) }),
    );
    if (response.status !== 202) throw new Error(`status ${response.status}`);
    const { status } = await response.json() as { readonly status: string };
    if (isKnown && status !== "duplicate") throw new Violation(`webhook ${id} was answered before and is answered as ${status}`);
    return { topic, partition: -1, position: -1 };
  }

  /** Requests are read by the host, which takes turns of its own: none that depend on anything but the request. */
  async #untilAppended(life: Life): Promise<void> {
    const before = this.#appends, unanswered = this.#unanswered.size;
    for (let turn = 0; turn < TURNS_MAX && this.#appends === before && this.#unanswered.size === unanswered && this.#life === life; turn++) {
      await this.#host.yield();
    }
  }

  /** Somebody asks for features: what was told once must stay true. */
  #ask(life: Life): void {
    const features = this.#shop.features!;
    const entity = this.#genes.resolver === "key" ? `k${this.#random.below(this.#genes.keys)}` : `g${this.#random.below(3)}`;
    const before = this.#told.get(entity) ?? -Infinity;
    this.#say(`ask ${entity}`);
    this.#asking++;
    life.engine.query(features, entity, features.names, null).then((answer) => {
      if (this.#life !== life || this.#died !== null) return;
      this.#asking--;
      const last = answer["last"] as { readonly at: number } | null;
      const now = last?.at ?? -Infinity;
      this.#say(`told ${entity} ${now}`);
      if (now < before) this.#violation ??= new Violation(`features of ${entity}: an observation of ${before} was told, and later one of ${now}`);
      this.#told.set(entity, Math.max(this.#told.get(entity) ?? -Infinity, now));
    }, (error) => {
      if (this.#life !== life || this.#died !== null) return;
      this.#asking--;
      if (this.#faultsOfLife === 0) this.#violation ??= new Violation(`asking for ${entity} failed without any fault: ${messageOf(error)}`);
    });
  }

  // ── Rest ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Without faults: works until nothing is left to do. */
  async #rest(): Promise<void> {
    for (let turns = 0; turns < TURNS_MAX;) {
      must(++this.#actions < CALM_ACTIONS_MAX, () => "it does not come to rest");
      const life = this.#life;
      if (life === null) {
        await this.#begin();
        continue;
      }
      const { runtime } = life;
      turns = 0;
      if (this.#operator.settle()) this.#say("settled");
      else if (this.#canSend()) await this.#send(life);
      else if (life.isWoken || !life.isIdle || life.nextWakeAt <= runtime.monotonic()) this.#step(life);
      else if (runtime.waitingYields > 0) this.#say(`yields ${runtime.releaseYields()}`);
      else if (Math.min(runtime.nextTimerAt, life.nextWakeAt) < Infinity) this.#passTime(life, Infinity);
      else if (this.#isAtRest(life)) return;
      else turns = TURNS_MAX;
      await this.#afterAction(life);
    }
    const { tasks } = this.#life!.engine.worker;
    const state = tasks.map((task) => `${task.id}: ${task.unresolved.size} unresolved, lag ${task.inputs.map(({ lag }) => lag).join()}`).join("; ");
    throw new Violation(`nothing is left to do, and all is not done: ${this.#unanswered.size} unanswered, worker ${this.#life!.engine.worker.state}; ${state}`);
  }

  #isAtRest({ engine: { worker } }: Life): boolean {
    return worker.isQuiet && worker.isDurable && this.#unanswered.size === 0 && !this.#operator.isBusy && worker.tasks.length > 0 &&
      worker.tasks.every(({ unresolved, inputs }) => unresolved.size === 0 && inputs.every(({ lag }) => lag === 0));
  }

  /** Waits for a promise while time and turns go on. */
  async #settled<T>(
    promise: Promise<T>,
  ): Promise<{ readonly state: "done"; readonly value: T } | { readonly state: "failed"; readonly error: unknown } | { readonly state: "died" }> {
    let outcome: { readonly state: "done"; readonly value: T } | { readonly state: "failed"; readonly error: unknown } | null = null;
    promise.then((value) => outcome = { state: "done", value }, (error) => outcome = { state: "failed", error });
    const runtime = this.#runtime;
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      await this.#host.yield();
      if (outcome !== null) return outcome;
      if (this.#died !== null) return { state: "died" };
      if (runtime.waitingYields > 0) runtime.releaseYields();
      else if (runtime.nextTimerAt < Infinity) runtime.advance(runtime.nextTimerAt - runtime.monotonic());
      else continue;
      turns = 0;
    }
    throw new Violation("opening or stopping waits for something that never comes");
  }

  // ── Checks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #observe(event: ObservedEvent): void {
    this.#note(event.type === "orderDone" ? event.order : event.type);
    const { error } = event as { readonly error?: { readonly code?: string; readonly message?: string } | null };
    if (event.type === "retryScheduled") this.#world.retried((event.error.cause ?? event.error).message);
    if (event.type === "orderDone") {
      this.#operator.done(event);
      // It begins at the last commit, which it makes only where there is something to commit.
      if (event.order === "restart") this.#clocks.delete(event.task);
    }
    if (error?.code === "INVARIANT") this.#violation ??= new Violation(`an invariant is broken: ${error.message}`);
  }

  /** A commit has happened, maybe with more to be done in the same action. */
  #atCommit(): void {
    this.#clocksAtCommit = new Map(this.#life?.engine.worker.tasks.map(({ id, clock }) => [id, clock.safe]) ?? []);
    this.#world.committed();
  }

  /** Clocks never go back: not within a life, but for a commit that failed; not behind the last commit; and not, when power was lost, behind the last durable one. */
  #sampleClocks(): void {
    const { engine: { worker }, ...life } = this.#life!;
    const { commits, failedCommits } = worker.stats;
    if (failedCommits !== life.failedCommits) {
      this.#clocks = new Map();
      this.#world.undo(false);
    }
    for (const { id, clock } of worker.tasks) {
      const before = Math.max(this.#clocks.get(id) ?? -Infinity, this.#committedClocks.get(id) ?? -Infinity);
      must(clock.safe >= before, () => `the clock of task ${id} went back from ${before} to ${clock.safe}`);
      this.#clocks.set(id, clock.safe);
    }
    if (commits !== life.commits) this.#committedClocks = new Map([...this.#committedClocks, ...this.#clocksAtCommit]);
    if (worker.isDurable) {
      this.#durableClocks = new Map(this.#committedClocks);
      this.#world.durable();
    }
    Object.assign(this.#life!, { commits, failedCommits });
  }

  async #check(): Promise<void> {
    const life = this.#life!;
    const { log } = life;
    for (const topic of ["events", "others"] as const) {
      const records = readInput(log, topic);
      const places = new Map<string, { readonly partition: number; readonly position: number }>();
      for (const { id, partition, position } of records) {
        must(!places.has(id), () => `${id} is in the log twice: at ${JSON.stringify(places.get(id))} and ${JSON.stringify({ partition, position })}`);
        places.set(id, { partition, position });
      }
      for (const [id, place] of this.#answered) {
        if (place.topic !== topic) continue;
        const found = places.get(id);
        must(found !== undefined, () => `${id} was acknowledged and is not in the log`);
        must(
          place.position < 0 || (place.partition === found.partition && place.position === found.position),
          () => `${id} was acknowledged at ${JSON.stringify(place)} and lies at ${JSON.stringify(found)}`,
        );
      }
    }
    this.#outputs = checkOutputs(log, this.#genes, this.#world, this.#operator);
    this.#say(this.#outputs);
    await this.#checkFeatures(life);
    this.#checkFile(log.database!);
    if (this.#seed % 4 !== 0) return;
    // A start on what is all done says nothing more.
    const before = countsOf(log);
    await this.#stop(life, "the end");
    await this.#rest();
    const after = countsOf(this.#life!.log);
    must(before === after, () => `a start on what was all done changed outputs: ${before} became ${after}`);
  }

  async #checkFeatures({ engine, log }: Life): Promise<void> {
    const { features } = this.#shop;
    if (features === null) return;
    const expected = expectedOf(this.#genes, this.#world, readInput(log, "events"), [], seenOf(log, this.#operator)).features;
    for (const [entity, ids] of expected) {
      const outcome = await this.#settled(engine.query(features, entity, features.names, null));
      must(outcome.state === "done", () => `features of ${entity} cannot be asked for`);
      const last = outcome.value["last"] as { readonly id: string } | null;
      must(last !== null && ids.has(last.id), () => `features of ${entity} are ${JSON.stringify(last)}, wanted ${[...ids].join(" or ")}`);
    }
  }

  #checkFile(database: Database): void {
    const read = (sql: string): string => {
      const statement = database.prepare(sql);
      try {
        return statement.step() ? statement.text(0) : "";
      } finally {
        statement.finalize();
      }
    };
    const integrity = read("PRAGMA integrity_check");
    must(integrity === "ok", () => `the file is damaged: ${integrity}`);
    const pending = read("SELECT count(*) || '' FROM state JOIN spaces ON space = id WHERE store LIKE '%#pending'");
    must(pending === "0", () => `${pending} records are still pending`);
  }

  #note(what: string): void {
    this.#happened[what] = (this.#happened[what] ?? 0) + 1;
  }

  #say(text: string): void {
    this.#hash = hashText(text, this.#hash);
    this.#options.onAction?.(text);
  }
}

/** How many records lie in the topics that the app writes. */
function countsOf(log: Log): string {
  const topics = ["seen", "spend", "groups", "enriched", "merged", "split", "sieved", "events-dlq", "events-late", "shop-retry", "shop-audit"];
  return topics.map((topic) => `${topic} ${log.partitionsOf(topic) === null ? 0 : readTopic(log, topic).length}`).join(", ");
}
