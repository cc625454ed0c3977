/** Bugs put in on purpose, without a hook in production code: by a disk, a log or a file that does not do what it says, or a method replaced for the time of a run. */
import type { Append, AppendReceipt, CommitReceipt, CommittedPosition, CommitUnit } from "../../src/log/log.ts";
import type { Disk, DiskFile } from "../../src/runtime/disk.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { EffectScope, type Overlay } from "../../src/state/scope.ts";
import { WrappedLog } from "../../src/testing/wrapped-log.ts";
import type { Plant } from "./simulation.ts";

/** A bug, and how it gets in and out. */
export interface Planted {
  readonly name: string;
  readonly plant: Plant;
  /** Puts in what a plant cannot; returns how to take it out. */
  readonly patch?: () => () => void;
}

type Apply = (changelogPositions: readonly CommittedPosition[]) => void;

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

function forget(database: Database, which: string): void {
  const statement = database.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'spaces'");
  const hasState = statement.step() && statement.number(0) > 0;
  statement.finalize();
  if (hasState) database.exec(`DELETE FROM state WHERE space IN (SELECT id FROM spaces WHERE ${which})`);
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
