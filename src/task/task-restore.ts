/** Where the state of a task comes from before it begins, on a log that does not hold it: its own changelog, or those of steps that were parted or joined otherwise. */
import { ExternalError } from "../base/errors.ts";
import type { Log, PartitionInfo } from "../log/log.ts";
import type { Observer } from "../observe/events.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StateStorage } from "../state/storage.ts";
import { changelogName, formerChangelogNames } from "../topology/changelog-name.ts";
import type { SubTopology, Topology } from "../topology/topology.ts";
import { restoreState } from "./restore.ts";

/** What a worker restores with. */
export interface TaskRestoreOptions {
  readonly topology: Topology;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly storage: StateStorage;
  readonly report: Observer;
  /** Calls back when a task may no longer be wanted, until the returned function is called. */
  readonly onChange: (fn: () => void) => () => void;
}

/** A task that is not built yet. */
export interface MissingTask {
  readonly sub: SubTopology;
  readonly partition: number;
}

/** Restores the tasks of a worker. */
export class TaskRestore {
  readonly #options: TaskRestoreOptions;
  /** The changelogs that the app writes. */
  readonly #current: ReadonlySet<string>;

  constructor(options: TaskRestoreOptions) {
    this.#options = options;
    this.#current = new Set(options.topology.subTopologies.map((sub) => this.changelogOf(sub)));
  }

  /** The name of the changelog of a task's kind. */
  changelogOf(sub: SubTopology): string {
    return changelogName(this.#options.topology.app, sub.name);
  }

  /** Reads the task's own changelog up to `changelog.end`; how many records that were, or null when the task is not wanted any more. */
  own(missing: MissingTask, changelog: PartitionInfo, isWanted: () => boolean): Promise<number | null> {
    return this.#read(missing, changelog, null, isWanted);
  }

  /**
   * Whether nothing was ever said of the state of a task whose inputs were read before. Throws `LOG_POSITION_OUT_OF_RANGE` where it is the other way round: every commit of state says a
   * position, so where there is none, the group has forgotten it, and what is in the state would be counted again.
   */
  beginsEmpty({ sub, partition }: MissingTask, position: (topic: string) => number | null): boolean {
    const { storage, topology: { app }, log } = this.#options;
    const changelog = this.changelogOf(sub);
    const isEmpty = storage.spacesOf(changelog, partition).length === 0;
    if (isEmpty) return sub.reads.some((topic) => (position(topic.name) ?? 0) > 0);
    if (sub.reads.some((topic) => position(topic.name) !== null)) return false;
    const inputs = sub.reads.filter((topic) => partition < (log.partitionsOf(topic.name) ?? 0)).map((topic) => `${topic.name}-${partition}`).join(", ");
    const task = `${sub.name}/${partition}`;
    throw new ExternalError(
      "LOG_POSITION_OUT_OF_RANGE",
      `Cannot begin task ${task}: its state is in changelog "${changelog}", but group "${app}" has no positions for ${inputs}, so that all would be counted again. ` +
        `Positions go when no worker has run for long, or when an input is deleted. Set the positions of group "${app}" to where it was, or, to begin anew, delete the changelog and the state of all workers`,
      { details: { task, changelog, group: app } },
    );
  }

  /** Brings in what former changelogs have of the task's state; how many records that were, or null when the task is not wanted any more. */
  async former(missing: MissingTask, isWanted: () => boolean): Promise<number | null> {
    const { topology: { app, subTopologies }, log, storage, report } = this.#options;
    const { sub, partition } = missing;
    const reads = sub.reads.map(({ name }) => name), all = subTopologies.flatMap((each) => each.reads.map(({ name }) => name));
    const names = formerChangelogNames(app, reads, all).filter((name) => !this.#current.has(name) && partition < (log.partitionsOf(name) ?? 0));
    let restored = 0;
    for (const changelog of names.length === 0 ? [] : await log.describe(names)) {
      if (changelog.partition !== partition) continue;
      const found = await this.#read(missing, changelog, (topic) => this.#current.has(topic), isWanted);
      if (found === null) return null;
      restored += found;
    }
    if (names.every((name) => storage.spacesOf(name, partition).length === 0) && sub.nodes.some((node) => node.stores.length > 0)) {
      const message = `Task ${sub.name}/${partition} begins without state, though its inputs were read before: its changelog "${
        this.changelogOf(sub)
      }" is empty`;
      report({ type: "warning", message, error: null });
    }
    return restored;
  }

  #read(
    { sub, partition }: MissingTask,
    changelog: PartitionInfo,
    isCurrent: ((topic: string) => boolean) | null,
    isWanted: () => boolean,
  ): Promise<number | null> {
    const { log, runtime, storage, report, onChange } = this.#options;
    return restoreState({ task: `${sub.name}/${partition}`, changelog, log, runtime, storage, isCurrent, report, isWanted, onChange });
  }
}
