/** Says the state of tasks in their changelogs, as their own commits would have: whoever restores them finds what they left. Said again as a whole by a move that was cut off. */
import { BatchEncoder } from "../../record/encoder.ts";
import { ChangelogWriter } from "../../state/changelog.ts";
import type { OutputBatch } from "../../log/log.ts";
import type { StateStorage, StoredRow, StoreSpec } from "../../state/storage.ts";
import type { EmbeddedContents } from "../../log/embedded-contents.ts";
import { rowsOfId, storesOfIds } from "../../http/ingest/ingest-topic.ts";
import type { TopicDefinition } from "../../topology/node.ts";
import type { MovedPositions } from "./moved-positions.ts";
import type { SurveyedSpace } from "./survey.ts";

/** How state is said. */
export interface MoveStateOptions {
  /** Makes it true in the log. */
  readonly commit: (changelog: readonly OutputBatch[]) => Promise<void>;
  /** Wall clock of the records, ms. */
  readonly now: number;
  /** Told how many rows more are there. */
  readonly onMoved: (rows: number) => void;
}

const COMMIT_BYTES = 4_194_304;
const PAGE_ROWS = 2_048;

/** Moves the stores of one task. */
export async function moveTask(
  { store, changelog, partition, spaces, positions }: {
    readonly store: StateStorage;
    readonly changelog: string;
    readonly partition: number;
    readonly spaces: readonly SurveyedSpace[];
    readonly positions: MovedPositions;
  },
  options: MoveStateOptions,
): Promise<void> {
  const out = new ChangelogOut(changelog, partition, options);
  for (const space of spaces) {
    const rewrite = positions.ofRows(space.store, partition);
    out.begin(space.id, space.store, space.fingerprint);
    for (const page of store.pages(space.id, PAGE_ROWS)) {
      for (const row of page) {
        const moved = rewrite === null ? row : rewrite(row);
        if (moved !== null) out.put(space.id, moved);
      }
      if (out.isFull) await out.commit();
    }
  }
  await out.commit();
}

/** Moves the ids of webhooks into the state of the tasks that keep them where the log does not. `topics`: those of ids, by the topic they lead to; `changelogOf` names the changelog of such a topic. */
export async function moveIds(
  contents: EmbeddedContents,
  topics: ReadonlyMap<string, TopicDefinition>,
  changelogOf: (topic: TopicDefinition) => string,
  options: MoveStateOptions,
): Promise<void> {
  const outs = new Map([...topics].map(([target, topic]) => {
    const changelog = changelogOf(topic), stores = storesOfIds(topic);
    return [target, Array.from({ length: topic.partitions ?? 1 }, (_, partition) => idsOut(changelog, partition, stores, options))];
  }));
  for (const page of contents.ids(options.now, PAGE_ROWS)) {
    for (const id of page) {
      const topic = topics.get(id.topic);
      if (topic === undefined) continue;
      const { partition, rows } = rowsOfId(topic, id);
      const out = outs.get(id.topic)![partition]!;
      rows.forEach((row, store) => out.put(store, row));
    }
    for (const out of [...outs.values()].flat()) if (out.isFull) await out.commit();
  }
  for (const out of [...outs.values()].flat()) await out.commit();
}

function idsOut(changelog: string, partition: number, stores: readonly StoreSpec[], options: MoveStateOptions): ChangelogOut {
  const out = new ChangelogOut(changelog, partition, options);
  stores.forEach(({ name, fingerprint }, space) => out.begin(space, name, fingerprint));
  return out;
}

/** One partition of a changelog, on its way. */
class ChangelogOut {
  readonly #topic: string;
  readonly #partition: number;
  readonly #options: MoveStateOptions;
  readonly #encoder = new BatchEncoder();
  readonly #writer = new ChangelogWriter(this.#encoder);
  #rows = 0;

  constructor(topic: string, partition: number, options: MoveStateOptions) {
    this.#topic = topic;
    this.#partition = partition;
    this.#options = options;
    this.#writer.now = options.now;
  }

  /** Says what a store is; its rows follow. Whatever a cut move has said of it counts no more. */
  begin(space: number, store: string, fingerprint: string): void {
    this.#writer.name(space, store);
    this.#writer.space(store, fingerprint);
  }

  put(space: number, { time, key, value }: StoredRow): void {
    this.#writer.put(space, time, key, value);
    this.#rows++;
  }

  get isFull(): boolean {
    return this.#encoder.sizeBytes >= COMMIT_BYTES;
  }

  async commit(): Promise<void> {
    if (this.#encoder.count === 0) return;
    await this.#options.commit([{ topic: this.#topic, partition: this.#partition, encoder: this.#encoder }]);
    this.#encoder.reset();
    this.#options.onMoved(this.#rows);
    this.#rows = 0;
  }
}
