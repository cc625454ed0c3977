/**
 * What operators see of dead and late letters, and do about them. It needs the log alone, not a worker: what is ordered here is done by whoever works on the app, now or later.
 *
 * - **O1** A record to be tried again is durable before the audit says so.
 * - **O2** Each change is in the audit, with who made it.
 * - **O3** However many letters there are, some hundred are in memory at once, and what became of a hundred thousand.
 */
import { StreamError } from "../base/errors.ts";
import type { Log } from "../log/log.ts";
import type { RecordCursor } from "../record/cursor.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Change } from "../task/audit.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { Topology } from "../topology/topology.ts";
import { type Letter, type LetterBoxName, type LetterState, letterTopicName, readLetter } from "./letter.ts";
import { auditPage, eachLetter, editsAt, historyOf, type LetterHost } from "./letter-box.ts";
import { LetterGroups } from "./letter-groups.ts";
import { afterEntry, type LetterStatus, stateOf, untouched } from "./letter-status.ts";
import { givenBytes, type GivenValue } from "./letter-values.ts";
import { type AuditView, auditViewOf, type LetterCounts, type LetterGroup, type LetterSummary, type LetterView, summaryOf, viewOf } from "./letter-view.ts";
import { appendChanges, letterId, ReplayOrders } from "./order-book.ts";
import { type Entrances, entrancesOf, type ReplayTime, unfitBecause } from "./replay.ts";
import { checkSelection, fits, type LetterFilter, type Selection } from "./selection.ts";
import { wholePage } from "./whole-page.ts";

/** Which letters are listed. */
export interface LetterQuery extends LetterFilter {
  /** @default all but those that were purged */
  readonly state?: LetterState | undefined;
  /** Behind this one. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/** A new value for a letter. */
export interface LetterEdit extends GivenValue {
  readonly id: number;
}

/** What was selected, and what came of it. */
export interface ReplayAnswer {
  readonly selected: number;
  /** To be tried again; with `dryRun`, that would be. */
  readonly queued: number;
  /** Left alone: queued, replayed or purged before. */
  readonly already: number;
  /** Left alone: they cannot go back to where they were. */
  readonly unfit: number;
  /** Those that were queued, the first thousand. */
  readonly ids: readonly number[];
  /** Why letters are unfit, the first twenty. */
  readonly problems: readonly { readonly id: number; readonly reason: string }[];
}

/** What was selected, and what came of it. */
export interface PurgeAnswer {
  readonly selected: number;
  readonly purged: number;
  /** Left alone: purged before, or waiting to be tried again. */
  readonly already: number;
  /** Those that were purged, the first thousand. */
  readonly ids: readonly number[];
}

/** Whose letters. */
export interface LetterDeskOptions {
  readonly topology: Topology;
  /** With the topics of the app: whoever opens it makes them. */
  readonly log: Log;
  readonly runtime: Runtime;
}

const IDS_SHOWN_MAX = 1_000;
const PROBLEMS_SHOWN_MAX = 20;

/** Reads letters and has them edited, tried again or purged. Methods reject with `OPTION_INVALID` for what cannot be done (`details.reason`: `missing` or `state`), and as the log does. */
export class LetterDesk {
  readonly #host: LetterHost;
  readonly #topics: ReadonlyMap<string, TopicDefinition>;
  readonly #entrances: Entrances;
  readonly #boxes: readonly LetterBoxName[];
  /** Changes are made one after the other: each sees what those before it wrote. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ topology, log, runtime }: LetterDeskOptions) {
    this.#host = { app: topology.app, log, runtime };
    this.#topics = new Map(topology.topics.map((topic) => [topic.name, topic]));
    this.#entrances = entrancesOf(topology);
    this.#boxes = boxesOf(topology);
  }

  /** Whether the app has such letters, be there none for now. */
  has({ kind, source }: LetterBoxName): boolean {
    return this.#boxes.some((box) => box.kind === kind && box.source === source);
  }

  /** The sources that have letters of a kind, be there none for now. */
  sources(kind: LetterBoxName["kind"]): readonly string[] {
    return this.#boxes.filter((box) => box.kind === kind).map(({ source }) => source);
  }

  /** How many letters of each state there are, for each source. */
  async counts(): Promise<readonly LetterCounts[]> {
    const all: LetterCounts[] = [];
    for (const box of this.#boxes) {
      const states: Record<LetterState, number> = { open: 0, queued: 0, replayed: 0, purged: 0 };
      await eachLetter(this.#host, box, 0, (_cursor, status) => {
        states[stateOf(status)]++;
      });
      all.push({ ...box, topic: letterTopicName(box), ...states });
    }
    return all;
  }

  /** A page of letters, the oldest first; `next`: what to say as `after` for the next page, null on the last one. */
  async list(box: LetterBoxName, query: LetterQuery): Promise<{ readonly letters: readonly LetterSummary[]; readonly next: number | null }> {
    const letters: LetterSummary[] = [];
    let hasMore = false;
    await eachLetter(this.#host, box, (query.after ?? -1) + 1, (cursor, status) => {
      if (!isShown(query, cursor, status)) return;
      hasMore = letters.length === query.limit;
      if (hasMore) return false;
      const letter = readLetter(box, cursor);
      letters.push(summaryOf(letter, status, this.#topics.get(letter.place.topic)));
    });
    return { letters, next: hasMore ? letters.at(-1)!.id : null };
  }

  /** As `list`, with all of the letters but their history; fewer of them where they are large. */
  async whole(box: LetterBoxName, query: LetterQuery): Promise<{ readonly letters: readonly LetterView[]; readonly next: number | null }> {
    return await wholePage(this.#host, box, {
      start: (query.after ?? -1) + 1,
      limit: query.limit,
      isShown: (cursor, status) => isShown(query, cursor, status),
      topicOf: ({ place }) => this.#topics.get(place.topic),
    });
  }

  /** Letters that failed alike, those with the most open ones first. `others`: letters of kinds beyond a thousand. */
  async groups(
    box: LetterBoxName,
    query: LetterFilter & Pick<LetterQuery, "state">,
  ): Promise<{ readonly groups: readonly LetterGroup[]; readonly others: number }> {
    const groups = new LetterGroups(box);
    await eachLetter(this.#host, box, 0, (cursor, status) => {
      if (isShown(query, cursor, status)) groups.add(cursor, stateOf(status) === "open");
    });
    return { groups: groups.list(), others: groups.others };
  }

  /** All of a letter; null where there is none. */
  async letter(box: LetterBoxName, id: number): Promise<LetterView | null> {
    const found = await this.#find(box, new Set([id]));
    const letter = found.get(id);
    if (letter === undefined) return null;
    const history = await historyOf(this.#host, box, id);
    const status = history.reduce((before, entry) => afterEntry(before, entry, entry.position), untouched);
    const { editedAt } = status;
    const edit = editedAt === null ? undefined : (await editsAt(this.#host, [editedAt])).get(editedAt);
    return await viewOf(letter.letter, status, edit, history, this.#topics.get(letter.letter.place.topic));
  }

  /** Gives letters other values, which the next replay takes; all of them are checked before the first is written. */
  edit(box: LetterBoxName, edits: readonly LetterEdit[], by: string): Promise<{ readonly edited: number }> {
    return this.#inTurn(async () => {
      const ids = new Set(edits.map(({ id }) => id));
      const found = await this.#find(box, ids);
      this.#checkAllFound(box, ids, found);
      const changes: Change[] = [];
      for (const edit of edits) {
        const { letter, status } = found.get(edit.id)!;
        const state = stateOf(status);
        if (state === "purged") throw refused(`Letter ${edit.id} was purged.`, "state");
        if (state === "queued") throw refused(`Letter ${edit.id} waits to be tried again as it is: edit it when that is done.`, "state");
        changes.push({ action: "edit", letter: letterId(letter), value: await givenBytes(edit, letter, this.#topics.get(letter.place.topic)) });
      }
      await appendChanges(this.#host, by, changes, this.#host.runtime.now());
      return { edited: ids.size };
    });
  }

  /** Has letters tried again, each once however often this is said; with `again`, those too that were before. Cut off, it can be said again. */
  replay(
    box: LetterBoxName,
    selection: Selection,
    { by, dryRun = false, again = false, at = "original" }: {
      readonly by: string;
      readonly dryRun?: boolean;
      readonly again?: boolean;
      readonly at?: ReplayTime;
    },
  ): Promise<ReplayAnswer> {
    return this.#inTurn(async () => {
      let already = 0, unfit = 0, queued = 0;
      const ids: number[] = [];
      const problems: { readonly id: number; readonly reason: string }[] = [];
      const orders = new ReplayOrders(this.#host, by, at);
      const selected = await this.#select(box, selection, (cursor, status) => {
        const state = stateOf(status);
        if (state !== "open" && !(again && state === "replayed")) {
          already++;
          return;
        }
        const letter = readLetter(box, cursor);
        const reason = unfitBecause(letter, this.#entrances);
        if (reason !== null) {
          unfit++;
          if (problems.length < PROBLEMS_SHOWN_MAX) problems.push({ id: letter.id, reason });
          return;
        }
        queued++;
        if (ids.length < IDS_SHOWN_MAX) ids.push(letter.id);
        return dryRun ? undefined : orders.add({ letter, status });
      });
      await orders.write();
      return { selected, queued, already, unfit, ids, problems };
    });
  }

  /** Marks letters as done with: they are listed no more, and not tried again. Their bytes go when the log lets go of them. */
  purge(box: LetterBoxName, selection: Selection, { by, dryRun = false }: { readonly by: string; readonly dryRun?: boolean }): Promise<PurgeAnswer> {
    return this.#inTurn(async () => {
      let already = 0, purged = 0;
      const ids: number[] = [];
      const topic = letterTopicName(box);
      let changes: Change[] = [];
      const write = async (): Promise<void> => {
        const written = changes;
        changes = [];
        await appendChanges(this.#host, by, written, this.#host.runtime.now());
      };
      const selected = await this.#select(box, selection, ({ position }, status) => {
        const state = stateOf(status);
        if (state === "purged" || state === "queued") {
          already++;
          return;
        }
        purged++;
        if (ids.length < IDS_SHOWN_MAX) ids.push(position);
        if (dryRun) return;
        changes.push({ action: "purge", letter: { topic, position } });
        return changes.length === IDS_SHOWN_MAX ? write() : undefined;
      });
      await write();
      return { selected, purged, already, ids };
    });
  }

  /** A page of the audit: all changes, the newest first. `next`: what to say as `before` for the next page, null on the last one. */
  async audit(before: number, limit: number): Promise<{ readonly entries: readonly AuditView[]; readonly next: number | null }> {
    const { entries, hasOlder } = await auditPage(this.#host, before, limit);
    return { entries: entries.map(auditViewOf), next: hasOlder ? entries.at(-1)!.position : null };
  }

  /** Shows the letters that are meant; how many they are. Of letters that were purged only those count that are named. */
  async #select(
    box: LetterBoxName,
    selection: Selection,
    visit: (cursor: RecordCursor, status: LetterStatus) => void | Promise<void>,
  ): Promise<number> {
    checkSelection(selection);
    const ids = selection.ids === undefined ? null : new Set(selection.ids);
    if (ids !== null) this.#checkAllFound(box, ids, await this.#positions(box, ids));
    let selected = 0;
    const [first, last] = ids === null ? [0, Infinity] : rangeOf(ids);
    await eachLetter(this.#host, box, first, (cursor, status) => {
      if (ids === null ? status.isPurged || !fits(selection, cursor) : !ids.has(cursor.position)) return;
      selected++;
      return visit(cursor, status);
    }, last);
    return selected;
  }

  async #positions(box: LetterBoxName, ids: ReadonlySet<number>): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    const [first, last] = rangeOf(ids);
    await eachLetter(this.#host, box, first, ({ position }) => void (ids.has(position) && found.add(position)), last);
    return found;
  }

  async #find(box: LetterBoxName, ids: ReadonlySet<number>): Promise<ReadonlyMap<number, { readonly letter: Letter; readonly status: LetterStatus }>> {
    const found = new Map<number, { readonly letter: Letter; readonly status: LetterStatus }>();
    const [first, last] = rangeOf(ids);
    await eachLetter(this.#host, box, first, (cursor, status) => {
      if (ids.has(cursor.position)) found.set(cursor.position, { letter: readLetter(box, cursor), status });
    }, last);
    return found;
  }

  #checkAllFound(box: LetterBoxName, ids: ReadonlySet<number>, found: { has(id: number): boolean }): void {
    const missing = [...ids].filter((id) => !found.has(id));
    if (missing.length === 0) return;
    const shown = missing.slice(0, 5).join(", ");
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : "";
    throw refused(`There is no letter ${shown}${more} in "${letterTopicName(box)}".`, "missing");
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

/** Sources of the user's have both kinds; what webhooks with ids take has dead letters of its own. */
function boxesOf({ subTopologies }: Topology): LetterBoxName[] {
  const reads = subTopologies.flatMap((sub) => sub.reads);
  return reads.flatMap(({ isInternal, name, origin }): LetterBoxName[] => {
    if (isInternal) return origin === name ? [{ kind: "dead", source: origin }] : [];
    return [{ kind: "dead", source: origin }, { kind: "late", source: origin }];
  });
}

function isShown(query: LetterFilter & Pick<LetterQuery, "state">, cursor: RecordCursor, status: LetterStatus): boolean {
  const { state } = query;
  return (state === undefined ? !status.isPurged : stateOf(status) === state) && fits(query, cursor);
}

/** From the first to behind the last. */
function rangeOf(ids: ReadonlySet<number>): readonly [number, number] {
  let first = Infinity, last = -1;
  for (const id of ids) {
    first = Math.min(first, id);
    last = Math.max(last, id);
  }
  return [first, last + 1];
}

function refused(message: string, reason: "missing" | "state"): StreamError {
  return new StreamError("OPTION_INVALID", "user", message, { details: { reason } });
}
