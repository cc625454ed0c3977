/** The changelog of one task: what a commit says of its state, on logs that do not hold it. */
import type { OutputBatch } from "../log/log.ts";
import { BatchEncoder } from "../record/encoder.ts";
import { ChangelogWriter } from "../state/changelog.ts";
import { Changes } from "../state/changes.ts";
import type { StateStorage } from "../state/storage.ts";
import type { StateStore } from "../state/store.ts";

/** Says the state of a task. */
export class TaskChangelog {
  readonly topic: string;
  readonly partition: number;
  readonly #storage: StateStorage;
  readonly #changes = new Changes();
  readonly #encoder = new BatchEncoder();
  readonly #writer: ChangelogWriter = new ChangelogWriter(this.#encoder);
  /** Stores of which this changelog has said nothing yet. */
  #unsaid: StateStore[] = [];

  constructor(storage: StateStorage, topic: string, partition: number, stores: Iterable<StateStore>) {
    this.topic = topic;
    this.partition = partition;
    this.#storage = storage;
    for (const store of stores) {
      this.#writer.name(store.space, store.spec.name);
      if (storage.changelogOf(store.space) !== topic) this.#unsaid.push(store);
    }
  }

  /** Packs what the stores' next flush writes, as records; null when that is nothing. */
  say(stores: Iterable<StateStore>, now: number): OutputBatch | null {
    this.#changes.reset();
    this.#encoder.reset();
    for (const store of stores) store.flush(this.#changes);
    if (this.#changes.count === 0) return null;
    this.#writer.now = now;
    for (const { space, spec } of this.#unsaid) {
      this.#writer.space(spec.name, spec.fingerprint);
      // It was said in the changelog of other steps, which are parted or joined otherwise now.
      if (this.#storage.changelogOf(space) !== null) this.#storage.writeTo(space, this.#writer);
    }
    this.#changes.writeTo(this.#writer);
    return { topic: this.topic, partition: this.partition, encoder: this.#encoder };
  }

  /** Writes what was said into the database; inside of a transaction. `position`: behind the last of its records. */
  apply(position: number, now: number): void {
    if (this.#changes.count === 0) return;
    this.#changes.writeTo(this.#storage);
    for (const { space } of this.#unsaid) this.#storage.setChangelog(space, this.topic);
    this.#storage.saveCheckpoint(this.topic, this.partition, { position, savedAt: now });
  }

  /** What was said last is in the log and in the database. */
  committed(): void {
    if (this.#changes.count > 0) this.#unsaid = [];
  }
}
