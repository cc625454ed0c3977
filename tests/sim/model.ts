/**
 * What must come out of a simulated run, computed by brute force from the input as it lies in the log, in its order. Knows the semantics and the genes, and nothing of the engine.
 */
import type { Genes, WindowGenes } from "./genes.ts";
import type { Item, Spend } from "./shop.ts";
import { isCounted, isResolved, type Outcome, type Value, type World } from "./world.ts";

/** A record of the input, as it lies in the log. */
export interface LoggedInput {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly id: string;
  readonly key: string | null;
  /** null: a tombstone, or bytes that are no value. */
  readonly value: Value | null;
  readonly bytes: Uint8Array | null;
  /** Event time. */
  readonly timestamp: number;
}

/** A partition that was read again from an earlier position. */
export interface Seek {
  readonly to: number;
  /** Where it surely was when it was sought, or behind that; -1: whether the order was taken is not known. */
  readonly from: number;
  /** Positions of records that were unresolved then: they are read again, and need not go on from before. null: not known. */
  readonly unresolved: ReadonlySet<number> | null;
}

/**
 * What of the run the model goes by, where more than one thing may happen: it must have happened everywhere then. What became of records whose policy has a budget follows from how long things
 * took; whether a record that was tried out of turn was late, from the clock as it was then; from where a partition was read again, from when the order came.
 */
export interface Seen {
  /** How often the effects of a record are there. */
  effects(id: string): number;
  /** The same of a result, `key@start`. */
  results(place: string): number;
  /** Dead letters of either. */
  letters(id: string): number;
  /** How many of them were tried again. */
  replayed(id: string): number;
  seekOf(partition: number): Seek | null;
  /** Whether one more letter says that a record missed the window that begins at `start`. */
  takeLate(step: string, id: string, start: number): boolean;
}

/** The result of a window, or one of its updates. */
export interface ExpectedResult extends Spend {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly timestamp: number;
}

/** A record that is late for some windows of a step. */
export interface ExpectedLate {
  readonly step: string;
  readonly id: string;
  readonly missed: readonly number[];
}

/** What must come out. */
export interface Expected {
  /** By topic: ids under each key, in the order of the log. */
  readonly plain: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
  /** By key and start: all updates in order, or the one result. */
  readonly spend: ReadonlyMap<string, readonly ExpectedResult[]>;
  readonly groups: ReadonlyMap<string, readonly ExpectedResult[]>;
  /** All; the letters of a step that sends none included. */
  readonly late: readonly ExpectedLate[];
  /** Ids that the sink has to have. */
  readonly sunk: ReadonlySet<string>;
  /** Ids of records, and `key@start` of results, that are given up; once for each time. */
  readonly dead: readonly string[];
  /** Ids of records that were read more than once. */
  readonly reread: ReadonlySet<string>;
  /** By entity: the ids of its newest observations, of which one must be kept. */
  readonly features: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A record on its way into a window, with the clock it is judged by. */
interface Counted {
  readonly id: string;
  readonly key: string;
  /** null: a tombstone, which counts and adds nothing. */
  readonly item: Item | null;
  readonly timestamp: number;
  readonly clock: number;
  readonly isLoose: boolean;
}

/** Computes it. `events` and `others` hold all partitions, each in the order of positions. */
export function expectedOf(genes: Genes, world: World, events: readonly LoggedInput[], others: readonly LoggedInput[], seen: Seen): Expected {
  const keyless = (genes.policies.source ?? genes.policies.app).then ?? "skip";
  const plain = new Map<string, Map<string, string[]>>();
  const dead: string[] = [];
  const sunk = new Set<string>(), reread = new Set<string>();
  const features = new Map<string, { at: number; ids: Set<string> }>();
  const spending: Counted[] = [], grouping: Counted[] = [];
  const say = (topic: string, record: LoggedInput): void => push(mapOf(plain, topic), record.key ?? "", record.id);
  const clocks = new Map<number, number>();

  const passed = new Map<string, number>();
  for (const record of readingsOf(events, world, seen)) {
    const { id, key, partition } = record;
    const value = world.badnessOf(id) === null ? record.value : world.rightValueOf(id);
    const { timestamp } = value === null ? record : { timestamp: value.at };
    // Without a key the whole record is left out where a step needs one: its other effects too.
    const isKeyless = key === null && genes.window !== null && (value === null || isCounted(value));
    const outcome = isKeyless ? keyless === "dead-letter" ? "dead" : "skipped" : world.outcomeOf(id);
    const pass = passed.get(id) ?? 0;
    passed.set(id, pass + 1);
    const isAgain = pass > 0;
    const ends = endsOf(id, outcome, seen.effects(id), isKeyless ? "dead" : world.givenUp(id), record.times, world.isStopping(id), seen);
    if (isAgain) reread.add(id);
    else for (let count = ends.letters; count > 0; count--) dead.push(id);
    if (pass >= ends.passes) continue;
    const isLoose = isAgain || world.isLoose(id) || seen.replayed(id) > 0;
    const largest = Math.max(clocks.get(partition) ?? -Infinity, timestamp);
    clocks.set(partition, largest);
    const clock = largest - genes.watermarkDelayMs;
    say("seen", record);
    if (genes.merge) say("merged", record);
    if (genes.enrich && (value === null || !world.isSkipped("enrich", id))) say("enriched", record);
    if (genes.window !== null && (value === null || isCounted(value))) {
      spending.push({ id, key: key!, item: value === null ? null : { id, amount: value.amount }, timestamp, clock, isLoose });
    }
    // Tombstones pass functions by.
    if (genes.split) { for (let part = value === null ? 1 : world.partsOf(id); part > 0; part--) say("split", record); }
    if (genes.sieve && (value === null || world.isSieved(id))) say("sieved", record);
    if (value === null) continue;
    if (genes.groups !== null) grouping.push({ id, key: value.group, item: { id, amount: value.amount }, timestamp, clock, isLoose });
    if (genes.sink) sunk.add(id);
    if (genes.branch) say(value.amount > 60 ? "large" : value.amount > 30 ? "middle" : "rest", record);
    if (genes.resolver !== null && isResolved(value)) observe(features, genes.resolver === "key" ? key ?? "nobody" : value.group, value);
  }
  if (genes.merge) { for (const record of others) say("merged", record); }

  const late: ExpectedLate[] = [];
  const spend = genes.window === null ? new Map<string, ExpectedResult[]>() : windowed(genes.window, "spend", spending, late, seen);
  const groups = genes.groups === null ? new Map<string, ExpectedResult[]>() : windowed(genes.groups, "groups-window", grouping, late, seen);
  const isFailing = genes.after && genes.window?.emit === "close";
  for (const place of [...spend.keys()]) {
    if (!isFailing) continue;
    const ends = endsOf(place, world.outcomeOf(place), seen.results(place), world.givenUp(place), 1, false, seen);
    for (let count = ends.letters; count > 0; count--) dead.push(place);
    if (ends.passes === 0) spend.delete(place);
  }
  return { plain, spend, groups, late, sunk, dead, reread, features: new Map([...features].map(([entity, { ids }]) => [entity, ids])) };
}

/** A record, as often as it is read. */
interface Reading extends LoggedInput {
  /** How often that is. */
  readonly times: number;
}

/** All records of a partition in order, and once more those from where it was sought to up to where it was. */
function* readingsOf(events: readonly LoggedInput[], world: World, seen: Seen): Generator<Reading> {
  for (const partition of new Set(events.map(({ partition }) => partition))) {
    const all = events.filter((event) => event.partition === partition);
    const seek = seen.seekOf(partition);
    const again = all.filter(({ id }) => seen.effects(id) + seen.letters(id) > 1 && seen.replayed(id) === 0).at(-1);
    const from = seek === null ? -1 : Math.max(seek.from, again === undefined ? -1 : again.position + 1);
    const times = (event: LoggedInput): 1 | 2 => timesOf(event, from, seek, seen);
    const isAgain = ({ position }: LoggedInput): boolean => seek !== null && from >= 0 && position >= seek.to;
    for (const event of all) if (!isAgain(event) || times(event) === 2) yield { ...event, times: times(event) };
    for (const event of all) if (isAgain(event)) yield { ...event, times: times(event) };
  }
}

/** How often a record goes through its task. */
function timesOf({ id, position }: LoggedInput, from: number, seek: Seek | null, seen: Seen): 1 | 2 {
  if (seek === null || position < seek.to || position >= from) return 1;
  const mayBeOne = seek.unresolved === null || seek.unresolved.has(position);
  return mayBeOne && seen.effects(id) + seen.letters(id) < 2 ? 1 : 2;
}

/** What becomes of a record or a result in all, where it is begun so many times, by reading or by a letter. */
interface Ends {
  readonly passes: number;
  readonly letters: number;
}

/** `times`: how often it is read. `givenUp`: what its policy does with what is given up. */
function endsOf(id: string, outcome: Outcome, effects: number, givenUp: Outcome, times: number, isPassable: boolean, seen: Seen): Ends {
  const letters = seen.letters(id), begun = times + seen.replayed(id);
  // What has no cause to go through but that somebody mended it goes through by a letter only.
  const passed = (most: number): Ends => {
    const passes = Math.max(0, Math.min(begun - letters, most));
    return { passes, letters: begun - passes };
  };
  switch (outcome) {
    case "processed":
      return { passes: isPassable ? Math.min(times, effects) : times, letters: 0 };
    case "skipped":
      return { passes: 0, letters: 0 };
    case "dead":
      return passed(seen.replayed(id));
    case "open":
      return givenUp === "skipped" ? { passes: Math.min(times, effects), letters: 0 } : passed(begun);
  }
}

/** Windows of a step; what is open at the end, and not said before, is left out. */
function windowed(window: WindowGenes, step: string, records: readonly Counted[], late: ExpectedLate[], seen: Seen): Map<string, ExpectedResult[]> {
  const { sizeMs, advanceMs, offsetMs, graceMs, emit } = window;
  const open = new Map<string, ExpectedResult[]>();
  for (const { id, key, item, timestamp, clock, isLoose } of records) {
    const missed: number[] = [];
    for (let start = Math.floor((timestamp - offsetMs) / advanceMs) * advanceMs + offsetMs; start > timestamp - sizeMs; start -= advanceMs) {
      const end = start + sizeMs;
      if (isLoose ? seen.takeLate(step, id, start) : end <= clock - graceMs) {
        missed.unshift(start);
        continue;
      }
      const updates = listOf(open, `${key}@${start}`);
      const before = updates.at(-1) ?? { n: 0, total: 0, items: [], timestamp: -Infinity };
      updates.push({
        key,
        start,
        end,
        n: before.n + 1,
        total: before.total + (item?.amount ?? 0),
        items: item === null ? before.items : [...before.items, item],
        timestamp: Math.max(before.timestamp, timestamp),
      });
    }
    if (missed.length > 0) late.push({ step, id, missed });
  }
  if (emit === "update") return open;
  return new Map([...open].filter(([, updates]) => !updates[0]!.key.startsWith("last")).map(([place, updates]) => [place, [updates.at(-1)!]]));
}

function observe(features: Map<string, { at: number; ids: Set<string> }>, entity: string, { id, at }: Value): void {
  const known = features.get(entity);
  if (known === undefined || at > known.at) features.set(entity, { at, ids: new Set([id]) });
  else if (at === known.at) known.ids.add(id);
}

function mapOf<V>(maps: Map<string, Map<string, V>>, name: string): Map<string, V> {
  let map = maps.get(name);
  if (map === undefined) maps.set(name, map = new Map());
  return map;
}

function listOf<V>(lists: Map<string, V[]>, name: string): V[] {
  let list = lists.get(name);
  if (list === undefined) lists.set(name, list = []);
  return list;
}

function push<V>(lists: Map<string, V[]>, name: string, value: V): void {
  listOf(lists, name).push(value);
}
