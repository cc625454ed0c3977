/** Bugs put in on purpose, without a hook in production code: by a disk, a log or a file that does not do what it says, or a method replaced for the time of a run. */
import type { Append, AppendReceipt, CommitReceipt, CommittedPosition, CommitUnit } from "../../src/log/log.ts";
import type { Disk, DiskFile } from "../../src/runtime/disk.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { EffectScope, type Overlay } from "../../src/state/scope.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import { Controls, type NumberedCommand } from "../../src/task/controls.ts";
import { Input, TaskClock } from "../../src/task/input.ts";
import type { Unit } from "../../src/task/unit.ts";
import { Units } from "../../src/task/units.ts";
import { WrappedLog } from "../../src/testing/wrapped-log.ts";
import type { Genes } from "./genes.ts";
import { nobody } from "./operator.ts";
import { plainPolicy } from "./policies.ts";
import type { Plant } from "./simulation.ts";

/** A bug, and how it gets in and out. */
export interface Planted {
  readonly name: string;
  readonly plant: Plant;
  /** For what seldom makes a difference. */
  readonly genes?: Partial<Genes>;
  /** Puts in what a plant cannot; returns how to take it out. */
  readonly patch?: () => () => void;
}

type Apply = (changelogPositions: readonly CommittedPosition[]) => void;

/** Records are tried out of turn often, and the disk fails for a moment in each life. */
const failingCommits: Partial<Genes> = {
  mode: "bounded",
  failing: 0.5,
  bad: 0,
  window: null,
  groups: null,
  slowSchema: false,
  policies: { app: { ...plainPolicy, blocks: "nothing" }, source: null, resolver: null },
  operator: nobody,
  faults: { powerLoss: 0, kill: 0, restart: 0.004, wallJump: 0, atOperation: 1, operationFaults: ["failed once", "torn"] },
};

/** The bugs. */
export const plantedBugs: readonly Planted[] = [
  { name: "acknowledgements go out before the flush has ended", plant: { disk: (disk) => new FlushingDisk(disk, "early") } },
  { name: "the disk says it flushed and did not", plant: { disk: (disk) => new FlushingDisk(disk, "never") } },
  { name: "what is read leaves before the commit is durable", plant: { log: (log) => new HastyLog(log) } },
  { name: "a commit skips a record: position + 1", plant: { log: (log) => new SkippingLog(log) } },
  { name: "outputs are committed before positions and state", plant: { log: (log) => new TornLog(log) } },
  { name: "ids are forgotten", plant: { log: (log) => new ForgetfulLog(log) } },
  { name: "pending records are lost at a start", plant: { opened: (database) => forget(database, "store LIKE '%#pending'") } },
  { name: "windows are lost at a start", plant: { opened: (database) => forget(database, "store IN ('spend', 'groups-window')") } },
  { name: "clocks are lost at a start", plant: { opened: (database) => forget(database, "store LIKE '%#clocks'") } },
  { name: "a dead letter is written, and the position stays", plant: { log: (log) => new StandingLog(log) } },
  { name: "a dead letter is written twice", plant: { log: (log) => new DoublingLog(log) } },
  { name: "a record for the topic of retries is lost when its commit fails", plant: { log: (log) => new LosingLog(log) }, genes: failingCommits },
  { name: "tries are forgotten at a start", plant: {}, patch: forgetTries },
  { name: "a later record of a key overtakes one that waits for another try", plant: {}, patch: overtakeRetries },
  {
    name: "what was taken of the topic of retries is forgotten at a start",
    plant: { opened: (database) => forget(database, "store LIKE '%#orders'", ["read", "taken", "letter"]) },
  },
  { name: "a seek is forgotten at a start, and done again", plant: { opened: (database) => forget(database, "store LIKE '%#orders'", ["seek"]) } },
  { name: "a pause is forgotten at a start", plant: {}, patch: forgetPauses },
  { name: "event time goes on in a paused partition", plant: {}, patch: passPaused },
  { name: "a seek goes one too far", plant: {}, patch: seekTooFar },
  { name: "the state of an async handler is committed before its record is done", plant: {}, patch: leakOverlays },
];

/** Flushes end early, or never happen. */
class FlushingDisk implements Disk {
  readonly name = "planted";
  readonly #inner: Disk;
  readonly #how: "early" | "never";

  constructor(inner: Disk, how: "early" | "never") {
    this.#inner = inner;
    this.#how = how;
  }

  open(path: string, options?: { readonly create?: boolean }): DiskFile {
    const file = this.#inner.open(path, options);
    const flush = async (): Promise<void> => {
      if (this.#how === "early") file.flush().catch(() => {});
    };
    return {
      read: (into, position) => file.read(into, position),
      write: (from, position) => file.write(from, position),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      sync: () => file.sync(),
      flush,
      close: () => file.close(),
    };
  }

  exists(path: string): boolean {
    return this.#inner.exists(path);
  }

  delete(path: string): void {
    this.#inner.delete(path);
  }

  rename(from: string, to: string): void {
    this.#inner.rename(from, to);
  }

  list(): readonly string[] {
    return this.#inner.list();
  }

  lock(path: string, facts?: Readonly<Record<string, string>>): ReturnType<Disk["lock"]> {
    return this.#inner.lock(path, facts);
  }

  lockHolder(path: string): ReturnType<Disk["lockHolder"]> {
    return this.#inner.lockHolder(path);
  }
}

/** Calls everything durable at once. */
class HastyLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt {
    const receipt = this.inner.commit(unit, apply) as CommitReceipt;
    receipt.durable?.catch(() => {});
    return { durable: null };
  }

  override async flush(): Promise<void> {}
}

/** Commits positions one too far, where there is one more. */
class SkippingLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt | Promise<CommitReceipt> {
    const positions = unit.positions.map((at) => {
      const reader = this.inner.reader(at, 0, () => {});
      const { end } = reader;
      reader.close();
      return { ...at, position: Math.min(at.position + 1, end!) };
    });
    return super.commit({ ...unit, positions }, apply);
  }
}

/** Commits in two steps. */
class TornLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt | Promise<CommitReceipt> {
    void super.commit({ ...unit, positions: [] }, () => {});
    return super.commit({ ...unit, outputs: [] }, apply);
  }
}

/** Appends without ids. */
class ForgetfulLog extends WrappedLog {
  override append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    return super.append(appends.map((append) => ({ ...append, id: null })));
  }
}

/** Commits no positions with a dead letter. */
class StandingLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt | Promise<CommitReceipt> {
    return super.commit(unit.outputs.some(({ topic }) => topic === "events-dlq") ? { ...unit, positions: [] } : unit, apply);
  }
}

/** Commits dead letters twice. */
class DoublingLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt | Promise<CommitReceipt> {
    return super.commit({ ...unit, outputs: [...unit.outputs, ...unit.outputs.filter(({ topic }) => topic === "events-dlq")] }, apply);
  }
}

/** Makes a commit that failed once more, without what is to be tried again. */
class LosingLog extends WrappedLog {
  override commit(unit: CommitUnit, apply: Apply): CommitReceipt | Promise<CommitReceipt> {
    try {
      return super.commit(unit, apply);
    } catch {
      return super.commit({ ...unit, outputs: unit.outputs.filter(({ topic }) => topic !== "shop-retry") }, apply);
    }
  }
}

function forgetTries(): () => void {
  const { add } = Units.prototype;
  Units.prototype.add = function (this: Units, unit: Unit): void {
    if (unit.storedAs !== null) unit.attempts = 0;
    add.call(this, unit);
  };
  return () => {
    Units.prototype.add = add;
  };
}

function overtakeRetries(): () => void {
  const { isBlocked } = Units.prototype;
  Units.prototype.isBlocked = function (this: Units, chain: string | null): boolean {
    return isBlocked.call(this, chain) && [...this].some((unit) => unit.chain === chain && unit.state !== "waiting");
  };
  return () => {
    Units.prototype.isBlocked = isBlocked;
  };
}

function forgetPauses(): () => void {
  const { catchUp, paused } = Controls.prototype;
  const forgotten = new WeakMap<Controls, number>();
  Controls.prototype.catchUp = async function (this: Controls): Promise<void> {
    await catchUp.call(this);
    if (!forgotten.has(this)) forgotten.set(this, this.position);
  };
  Controls.prototype.paused = function (this: Controls, at: TopicPartition): NumberedCommand | null {
    const command = paused.call(this, at);
    return command === null || command.id < (forgotten.get(this) ?? 0) ? null : command;
  };
  return () => {
    Object.assign(Controls.prototype, { catchUp, paused });
  };
}

/** Event time goes on by a minute where all partitions of a task are paused, as if they were idle. */
function passPaused(): () => void {
  const { update } = TaskClock.prototype;
  const passed = new WeakSet<TaskClock>();
  TaskClock.prototype.update = function (this: TaskClock, inputs: readonly Input[], idleMs: (input: Input) => number | null): void {
    update.call(this, inputs, idleMs);
    if (passed.has(this) || !inputs.every(({ isPaused }) => isPaused)) return;
    passed.add(this);
    this.late += 60_000;
    this.safe += 60_000;
  };
  return () => {
    TaskClock.prototype.update = update;
  };
}

function seekTooFar(): () => void {
  const { seek } = Input.prototype;
  Input.prototype.seek = function (this: Input, position: number): void {
    seek.call(this, Math.min(position + 1, this.position));
  };
  return () => {
    Input.prototype.seek = seek;
  };
}

/** `keys`: how those begin that are forgotten; none: all. */
function forget(database: Database, which: string, keys: readonly string[] = [""]): void {
  const statement = database.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'spaces'");
  const hasState = statement.step() && statement.number(0) > 0;
  statement.finalize();
  if (!hasState) return;
  for (const key of keys) database.exec(`DELETE FROM state WHERE space IN (SELECT id FROM spaces WHERE ${which}) AND CAST(key AS TEXT) LIKE '${key}%'`);
}

function leakOverlays(): () => void {
  const { detach } = EffectScope.prototype;
  EffectScope.prototype.detach = function (this: EffectScope): Overlay {
    const overlay = detach.call(this);
    for (const [entry, value] of overlay) this.write(entry, value);
    return overlay;
  };
  return () => {
    EffectScope.prototype.detach = detach;
  };
}
