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
  /** Stores that other changelogs, which are still there, lose with the next commit. */
  readonly #leaving = new Map<string, string[]>();

  /** `isThere` tells of changelogs of an app that was parted otherwise. */
  constructor(storage: StateStorage, topic: string, partition: number, stores: Iterable<StateStore>, isThere: (topic: string) => boolean = () => false) {
    this.topic = topic;
    this.partition = partition;
    this.#storage = storage;
    for (const store of stores) {
      this.#writer.name(store.space, store.spec.name);
      const before = storage.changelogOf(store.space);
      if (before === topic && !store.isMigrated) continue;
      this.#unsaid.push(store);
      if (before === null || before === topic || !isThere(before) || isShared(store.spec.name)) continue;
      this.#leaving.set(before, [...this.#leaving.get(before) ?? [], store.spec.name]);
    }
  }

  /** Packs what the stores' next flush writes, as records: first those of this changelog, then, once, what others lose by it; none when that is nothing. */
  say(stores: Iterable<StateStore>, now: number): OutputBatch[] {
    this.#changes.reset();
    this.#encoder.reset();
    for (const store of stores) store.flush(this.#changes);
    if (!this.#hasNews) return [];
    this.#writer.now = now;
    for (const { space, spec, isMigrated } of this.#unsaid) {
      this.#writer.space(spec.name, spec.fingerprint);
      if (isMigrated) this.#storage.writeGone(space, this.#writer);
      // It was said in the changelog of other steps, which are parted or joined otherwise now, or its rows are in another form now.
      if (this.#storage.changelogOf(space) !== null) this.#storage.writeTo(space, this.#writer);
    }
    this.#changes.writeTo(this.#writer);
    const { partition } = this;
    return [
      { topic: this.topic, partition, encoder: this.#encoder },
      ...[...this.#leaving].map(([topic, names]) => {
        const encoder = new BatchEncoder();
        const writer = new ChangelogWriter(encoder);
        writer.now = now;
        for (const name of names) writer.space(name, null);
        return { topic, partition, encoder };
      }),
    ];
  }

  /** Writes what was said into the database; inside of a transaction. `position`: behind the last of its records. */
  apply(position: number, now: number): void {
    if (!this.#hasNews) return;
    this.#changes.writeTo(this.#storage);
    for (const { space, isMigrated } of this.#unsaid) {
      if (isMigrated) this.#storage.adopt(space);
      this.#storage.setChangelog(space, this.topic);
    }
    this.#storage.saveCheckpoint(this.topic, this.partition, { position, savedAt: now });
  }

  /** What was said last is in the log and in the database. */
  committed(): void {
    if (!this.#hasNews) return;
    this.#unsaid = [];
    this.#leaving.clear();
  }

  /** Whether there is anything to say: rows that changed, or a store whose rows are in another form now. */
  get #hasNews(): boolean {
    return this.#changes.count > 0 || this.#unsaid.some(({ isMigrated }) => isMigrated);
  }
}

/** Pending records, clocks and orders: of a part that is parted each new one takes its own. */
function isShared(store: string): boolean {
  return store.endsWith("#pending") || store.endsWith("#clocks") || store.endsWith("#orders");
}
