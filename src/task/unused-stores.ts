/** Stores that are kept though no step has them any more: of steps that were taken away or have another name. They stay, and are told of, until they are named as retired. */
import type { Observer } from "../observe/events.ts";
import { RETIRED } from "../state/migration.ts";
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import type { Topology } from "../topology/topology.ts";
import type { MissingTask } from "./task-restore.ts";

/** What is known of the stores of an app. */
export interface UnusedStoresOptions {
  readonly storage: StateStorage;
  readonly topology: Topology;
  /** Stores, by name, of which nothing is to be left. */
  readonly retired: readonly string[];
  readonly report: Observer;
}

/** The engine's own, which go on under other names: see `formerNames`. */
const OWN = /#(?:pending|clocks|orders)$/;

/** The stores of a worker that have no step. */
export class UnusedStores {
  readonly #options: UnusedStoresOptions;
  readonly #used: ReadonlySet<string>;
  /** Those that were told of. */
  readonly #said = new Set<string>();

  constructor(options: UnusedStoresOptions) {
    this.#options = options;
    this.#used = new Set(options.topology.subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => node.stores.map(({ name }) => name))));
  }

  /**
   * What a task opens in the place of retired stores that are kept: nothing of them is left with its first commit. Those that `changelog` says are its own; where that is null they have no task, and
   * the first one of its partition takes them.
   */
  retiredBy({ sub, partition }: MissingTask, changelog: string | null, isFirst: (name: string) => boolean): StoreSpec[] {
    const { storage, retired } = this.#options;
    const isOwn = (name: string): boolean => {
      const kept = storage.kept(name, partition);
      return kept !== null && kept.fingerprint !== RETIRED && (changelog === null ? isFirst(sub.name) : storage.changelogOf(kept.space) === changelog);
    };
    return retired.filter(isOwn).map((name) => ({ name, fingerprint: RETIRED, migration: () => () => [], pack: packRow, unpack: unpackRow }));
  }

  /** Says once of each store what is kept for nobody. */
  say(): void {
    const { storage, topology: { app }, retired, report } = this.#options;
    for (const { id, store, fingerprint } of storage.spaces()) {
      if (this.#used.has(store) || this.#said.has(store) || retired.includes(store) || fingerprint === RETIRED || OWN.test(store) || !storage.hasRows(id)) {
        continue;
      }
      this.#said.add(store);
      const message = `Store "${store}" is kept, though no step has it any more. To go on with it, give a step like the one before its name; ` +
        `to delete it, write createApp("${app}", { retired: ["${store}"] }) once no worker runs that has the step`;
      report({ type: "warning", message, error: null });
    }
  }
}
