/** What a task keeps beside the effects of its records: those that are unresolved, and its clocks. Written with each commit, read when a task is built. */
import type { Observer } from "../observe/events.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { StateStore } from "../state/store.ts";
import type { Inputs } from "./inputs.ts";
import type { Operators } from "./operators.ts";
import { clockStore, packPending, type PendingRecord, pendingStore, unpackPending } from "./pending.ts";
import { type Entrance, Unit } from "./unit.ts";
import type { Units } from "./units.ts";

/** What a checkpoint is of. */
export interface CheckpointOptions {
  readonly taskId: string;
  /** The sub-topology, whose stores are named after it. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly report: Observer;
  readonly inputs: Inputs;
  readonly operators: Operators;
  readonly units: Units;
  readonly entrances: ReadonlyMap<string, Entrance>;
  readonly concurrency: number;
  /** Whether clocks are written: not where no step goes by them and that would cost more than a row. */
  readonly keepsClocks: boolean;
  readonly openStore: (spec: StoreSpec) => StateStore;
}

/** A row of the store of clocks: version, late, safe, number of units, clocks of inputs, clocks of steps. */
type SavedClocks = readonly [
  version: number,
  late: number,
  safe: number,
  unitNumber: number,
  inputs: readonly (readonly [id: string, seen: number, writers: readonly (readonly [string, number])[]])[],
  steps: readonly (readonly [name: string, seen: number])[],
];

/** Pending records and clocks of one task. */
export class Checkpoint {
  readonly #options: CheckpointOptions;
  readonly #pending: StateStore;
  readonly #clocks: StateStore;
  /** Stored units that were resolved since the last commit. */
  #gone: string[] = [];
  #unitNumber = 0;
  #savedClocks = "";

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#pending = options.openStore(pendingStore(options.name));
    this.#clocks = options.openStore(clockStore(options.name));
  }

  /** Units were resolved that the last commit has. */
  get hasNews(): boolean {
    return this.#gone.length > 0;
  }

  /** The unit is resolved: the next commit does not have it. */
  resolved(unit: Unit): void {
    if (unit.storedAs !== null) this.#gone.push(unit.storedAs);
  }

  /** Brings units and clocks into their stores. */
  prepare(): void {
    for (const id of this.#gone) this.#pending.set(0, id, undefined);
    this.#gone.length = 0;
    for (const unit of this.#options.units) this.#storeUnit(unit);
    if (this.#options.keepsClocks) this.#saveClocks();
  }

  /** Takes up what the last commit left, and what tasks of former names left for the inputs of this one. */
  restore(formerNames: readonly string[]): void {
    for (const name of formerNames) this.#adopt(name);
    const saved = this.#clocks.get(0, "") as SavedClocks | undefined;
    if (saved !== undefined) this.#loadClocks(saved);
    for (const [id, packed] of this.#pending.all()) this.#restoreUnit(id, unpackPending(packed as Uint8Array));
  }

  #storeUnit(unit: Unit): void {
    if (unit.storedAs !== null && unit.storedAttempts === unit.attempts) return;
    unit.storedAs ??= this.#idOf(unit);
    unit.storedAttempts = unit.attempts;
    const { runtime } = this.#options;
    const waitMs = unit.state === "waiting" ? Math.max(0, unit.nextTryAt - runtime.monotonic()) : 0;
    const row: PendingRecord = {
      entrance: unit.entrance.id,
      record: unit.record,
      resultKey: unit.resultKey,
      chain: unit.chain,
      heldClock: unit.heldClock,
      judgedClock: unit.judgedClock,
      arrivedAt: unit.arrivedAt,
      attempts: unit.attempts,
      nextTryAt: waitMs === 0 ? 0 : waitMs === Infinity ? -1 : runtime.now() + Math.ceil(waitMs),
      blocksPartition: unit.blocksPartition,
      retryPosition: unit.retryPosition,
      replay: unit.replay,
      budgetFrom: unit.budgetFrom,
    };
    this.#pending.set(0, unit.storedAs, packPending(row));
  }

  /** The same position may be here twice: in its turn, and of a letter that is replayed. */
  #idOf({ entrance, record, retryPosition }: Unit): string {
    if (retryPosition >= 0) return `${entrance.id}\nretry ${String(retryPosition).padStart(16, "0")}`;
    return `${entrance.id}\n${String(record.position >= 0 ? record.position : this.#unitNumber++).padStart(16, "0")}`;
  }

  #restoreUnit(id: string, row: PendingRecord): void {
    const { entrances, units, runtime, report, taskId } = this.#options;
    const entrance = entrances.get(row.entrance);
    if (entrance === undefined) {
      report({ type: "warning", message: `A pending record of ${taskId} stays where it is: "${row.entrance}" is no longer part of the app`, error: null });
      return;
    }
    const unit = new Unit(entrance, row.record, row.resultKey, row.chain, row.heldClock, row.judgedClock, row.arrivedAt);
    unit.attempts = row.attempts;
    unit.storedAs = id;
    unit.storedAttempts = row.attempts;
    unit.retryPosition = row.retryPosition;
    unit.replay = row.replay;
    unit.budgetFrom = row.budgetFrom;
    units.add(unit);
    if (row.blocksPartition) units.block(unit);
    const now = runtime.now();
    if (row.nextTryAt > now || unit.retryPosition >= 0) units.wait(unit, runtime.monotonic() + Math.max(0, row.nextTryAt - now));
    // It had stopped its task: it is tried again at once, unless a seek passes it.
    if (row.nextTryAt < 0 && unit.state === "queued") unit.nextTryAt = Infinity;
    if (unit.retryPosition < 0) entrance.hold(unit);
  }

  #saveClocks(): void {
    const { inputs: { all, clock }, units, concurrency, operators } = this.#options;
    // A record under way runs again after a restart, and moves the clock then, or never.
    const running = units.running === 0 || concurrency > 1 ? null : [...units].find((unit) => unit.state === "running" && unit.clockBefore !== null) ?? null;
    const inputs = all.map((input) => {
      const [seen, writers] = input.clock.save();
      return [input.id, running?.entrance === input && !input.clock.isCarried ? running.clockBefore!.seen : seen, writers];
    });
    const row = [1, running?.clockBefore?.late ?? clock.late, clock.safe, this.#unitNumber, inputs, operators.saveClocks()];
    const text = JSON.stringify(row);
    if (text === this.#savedClocks) return;
    this.#savedClocks = text;
    this.#clocks.set(0, "", row);
  }

  #loadClocks(saved: SavedClocks): void {
    const { inputs: { all, clock }, operators } = this.#options;
    clock.late = Math.max(clock.late, saved[1]);
    clock.safe = Math.max(clock.safe, saved[2]);
    this.#unitNumber = Math.max(this.#unitNumber, saved[3]);
    for (const input of all) {
      const own = saved[4].find(([id]) => id === input.id);
      if (own !== undefined) input.clock.load([own[1], own[2]]);
    }
    operators.loadClocks(saved[5]);
  }

  /** Moves what a task of another name left for these inputs: its pending records would be lost, and what it closed be said again. */
  #adopt(name: string): void {
    const pending = this.#options.openStore(pendingStore(name)), clocks = this.#options.openStore(clockStore(name));
    for (const [id, packed] of [...pending.all()]) {
      if (!this.#options.entrances.has(unpackPending(packed as Uint8Array).entrance)) continue;
      this.#pending.set(0, id, packed);
      pending.set(0, id, undefined);
    }
    const saved = clocks.get(0, "") as SavedClocks | undefined;
    if (saved === undefined) return;
    if (this.#clocks.get(0, "") === undefined) this.#loadClocks(saved);
    clocks.set(0, "", undefined);
  }
}
