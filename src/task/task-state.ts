/** The stores of one task, and where they are said. */
import { assert } from "../base/assert.ts";
import type { CommittedPosition, OutputBatch } from "../log/log.ts";
import type { EffectScope } from "../state/scope.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import { StateStore } from "../state/store.ts";
import { TaskChangelog } from "./task-changelog.ts";

/** State of a task: read and written by its operators, brought into the commit by its worker. */
export class TaskState {
  readonly #storage: StateStorage;
  readonly #scope: EffectScope;
  readonly #partition: number;
  readonly #stores = new Map<string, StateStore>();
  /** null: the log holds the state, or it is as volatile as the log. */
  #changelog: TaskChangelog | null = null;

  constructor(storage: StateStorage, scope: EffectScope, partition: number) {
    this.#storage = storage;
    this.#scope = scope;
    this.#partition = partition;
  }

  get stores(): ReadonlyMap<string, StateStore> {
    return this.#stores;
  }

  open(spec: StoreSpec): StateStore {
    assert(!this.#stores.has(spec.name), `store "${spec.name}" is opened once a task`);
    const store = new StateStore(this.#storage, this.#scope, spec, this.#partition);
    this.#stores.set(spec.name, store);
    return store;
  }

  /** From here on what is written is said in a changelog; all stores are open. `isThere`: whether the log has a topic's partition of this number. */
  sayIn(changelog: string, isThere: (topic: string) => boolean): void {
    this.#changelog = new TaskChangelog(this.#storage, changelog, this.#partition, this.#stores.values(), isThere);
  }

  /** Writes it; inside of the commit. */
  flush(): void {
    for (const store of this.#stores.values()) store.flush();
  }

  /** What the commit says of it, on a log that does not hold it; none when that is nothing. `now`: wall clock, ms. */
  say(now: number): OutputBatch[] {
    return this.#changelog?.say(this.#stores.values(), now) ?? [];
  }

  /** Writes what was said; inside of a transaction. `positions`: behind the last record that the commit wrote to each changelog. */
  apply(positions: readonly CommittedPosition[], now: number): void {
    const changelog = this.#changelog!;
    const written = positions.find(({ topic, partition }) => topic === changelog.topic && partition === changelog.partition);
    if (written !== undefined) changelog.apply(written.position, now);
  }

  /** The commit has happened. */
  committed(): void {
    for (const store of this.#stores.values()) store.committed();
    this.#changelog?.committed();
  }

  /** Entries that differ from what is committed. */
  get dirtyCount(): number {
    let count = 0;
    for (const store of this.#stores.values()) count += store.dirtyCount;
    return count;
  }

  /** About how much memory the caches take. */
  get cachedBytes(): number {
    let bytes = 0;
    for (const store of this.#stores.values()) bytes += store.cachedBytes;
    return bytes;
  }

  /** Gives up cached entries that were not used for so many commits. */
  evict(epochs: number): void {
    for (const store of this.#stores.values()) store.evict(epochs);
  }
}
