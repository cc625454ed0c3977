/** Folds over the values of a window: one factory each, several at once by name. */
import { DefinitionError } from "../base/errors.ts";

/** Folds values of `T` into an `R`. */
export interface Aggregator<in T, out R> {
  /** How it works; opaque. */
  readonly "~aggregator": { add(value: T): void; readonly result: R };
  /** Contravariant mark: method parameters would compare both ways. */
  readonly "~takes": (value: T) => void;
}

/** An aggregator whose parts can be put together. */
export interface MergingAggregator<in T, out R> extends Aggregator<T, R> {
  /** The state of both parts, the left one earlier. */
  merge(left: unknown, right: unknown): unknown;
}

/** Aggregators by name; `R` is read off them. */
export type Aggregators<V, R> = { readonly [P in keyof R]: Aggregator<V, R[P]> };

/** What is kept of an aggregator, of a window and key. */
interface KeptForm {
  /** For people. */
  readonly says: string;
  is(kept: unknown): boolean;
}

const keptNumber: KeptForm = { says: "a number", is: (kept) => typeof kept === "number" };
const keptMean: KeptForm = {
  says: "[sum, count]",
  is: (kept) => Array.isArray(kept) && kept.length === 2 && kept.every((part) => typeof part === "number"),
};
const keptExtreme: KeptForm = {
  says: "a number, text, bigint or date",
  is: (kept) => ["number", "string", "bigint"].includes(typeof kept) || kept instanceof Date,
};
const keptTimed: KeptForm = { says: "[timestamp, value]", is: (kept) => Array.isArray(kept) && kept.length === 2 && typeof kept[0] === "number" };
const keptList: KeptForm = { says: "a list that is not empty", is: (kept) => Array.isArray(kept) && kept.length > 0 };

/** How an aggregator works. States are never changed in place; undefined is the state of nothing. */
export interface Fold<T, S, R> {
  /** Part of what must not change while state is kept. */
  readonly name: string;
  /** Also takes tombstones, as undefined. */
  readonly takesTombstones?: boolean;
  add(state: S | undefined, value: T, timestamp: number): S;
  merge(left: S, right: S): S;
  result(state: S | undefined): R;
  /** What a state is when it is kept: for migrations, which bring it from elsewhere. */
  readonly kept: KeptForm;
  /** To and from what can be kept; the state itself by default. */
  pack?(state: S): unknown;
  unpack?(kept: unknown): S;
}

/** The fold behind an aggregator. */
export function foldOf(aggregator: Aggregator<never, unknown>): Fold<unknown, unknown, unknown> {
  const fold: unknown = aggregator?.["~aggregator"];
  if (typeof fold !== "object" || fold === null || typeof (fold as { readonly add?: unknown }).add !== "function") {
    throw new DefinitionError("Cannot aggregate by this value: it was not made by count(), sum() or another aggregator");
  }
  return fold as unknown as Fold<unknown, unknown, unknown>;
}

function aggregator<T, S, R>(fold: Fold<T, S, R>): MergingAggregator<T, R> {
  return {
    "~aggregator": fold as unknown as Aggregator<T, R>["~aggregator"],
    "~takes": () => {},
    merge: (left, right) => fold.merge(left as S, right as S),
  };
}

/**
 * How many; with a predicate, how many of those. Counts tombstones too, unless there is a predicate.
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { count, createApp, tumbling } from "millrace";
 * import { testApp } from "millrace/testing";
 *
 * const app = createApp("shop");
 * const orders = app.topic("orders", { value: v.object({ total: v.number() }) });
 * const hourly = app.stream(orders).groupByKey().window(tumbling("1h")).aggregate({ all: count(), large: count((order) => order.total > 100) }).to("hourly");
 *
 * await using test = testApp(app);
 * for (const total of [12, 120, 7]) await test.send(orders, { total }, { key: "ann", timestamp: test.now });
 * await test.send(orders, { total: 1 }, { key: "ann", timestamp: test.now + 3_600_000 });
 * const [first] = await test.read(hourly);
 * if (first?.value.value.all !== 3 || first.value.value.large !== 1) throw new Error("wanted three, one of them large");
 * ```
 */
export function count<T>(where?: (value: T) => boolean): MergingAggregator<T, number> {
  return aggregator<T, number, number>({
    name: "count",
    kept: keptNumber,
    takesTombstones: where === undefined,
    add: where === undefined ? (state = 0) => state + 1 : (state = 0, value) => where(value) ? state + 1 : state,
    merge: (left, right) => left + right,
    result: (state = 0) => state,
  });
}

/** The sum of numbers, in floating point, in the order the records were processed; 0 of nothing. */
export function sum<T>(of: (value: T) => number): MergingAggregator<T, number> {
  return aggregator<T, number, number>({
    name: "sum",
    kept: keptNumber,
    add: (state = 0, value) => state + of(value),
    merge: (left, right) => left + right,
    result: (state = 0) => state,
  });
}

/** The mean; null of nothing. */
export function mean<T>(of: (value: T) => number): MergingAggregator<T, number | null> {
  type State = readonly [sum: number, count: number];
  return aggregator<T, State, number | null>({
    name: "mean",
    kept: keptMean,
    add: (state, value) => state === undefined ? [of(value), 1] : [state[0] + of(value), state[1] + 1],
    merge: (left, right) => [left[0] + right[0], left[1] + right[1]],
    result: (state) => state === undefined ? null : state[0] / state[1],
  });
}

/** The smallest: numbers, bigints and dates by size, text by its code units. The first of equal ones. */
export function min<T, R extends number | string | bigint | Date>(of: (value: T) => R): MergingAggregator<T, R> {
  return extreme("min", of, (candidate, best) => candidate < best);
}

/** The largest: numbers, bigints and dates by size, text by its code units. The first of equal ones. */
export function max<T, R extends number | string | bigint | Date>(of: (value: T) => R): MergingAggregator<T, R> {
  return extreme("max", of, (candidate, best) => candidate > best);
}

function extreme<T, R>(name: string, of: (value: T) => R, isBetter: (candidate: R, best: R) => boolean): MergingAggregator<T, R> {
  const better = (best: R | undefined, candidate: R): R => best === undefined || isBetter(candidate, best) ? candidate : best;
  return aggregator<T, R, R>({
    name,
    kept: keptExtreme,
    add: (state, value) => better(state, of(value)),
    merge: (left, right) => better(left, right),
    result: (state) => state as R,
  });
}

type Timed<R> = readonly [timestamp: number, value: R];

/** The first by event time; of equal times, the one that came first. */
export function first<T, R>(of: (value: T) => R): MergingAggregator<T, R> {
  return byTime("first", of, (candidate, kept) => candidate < kept);
}

/** The last by event time; of equal times, the one that came last. */
export function last<T, R>(of: (value: T) => R): MergingAggregator<T, R> {
  return byTime("last", of, (candidate, kept) => candidate >= kept);
}

function byTime<T, R>(name: string, of: (value: T) => R, isBetter: (candidate: number, kept: number) => boolean): MergingAggregator<T, R> {
  return aggregator<T, Timed<R>, R>({
    name,
    kept: keptTimed,
    add: (state, value, timestamp) => state === undefined || isBetter(timestamp, state[0]) ? [timestamp, of(value)] : state,
    merge: (left, right) => isBetter(right[0], left[0]) ? right : left,
    result: (state) => state?.[1] as R,
  });
}

/** A list that shares its tail with the list it was made from, so that adding one value copies nothing. */
interface Chain<T> {
  readonly before: Chain<T> | null;
  readonly value: T;
  readonly length: number;
}

/** All values, in the order they were processed; at most `max`, then the newest are left out. */
export function collect<T>(options: { readonly max?: number } = {}): MergingAggregator<T, readonly T[]> {
  const { max: limit = Infinity } = options;
  const append = (before: Chain<T> | undefined, value: T): Chain<T> => {
    if (before === undefined) return { before: null, value, length: 1 };
    return before.length >= limit ? before : { before, value, length: before.length + 1 };
  };
  const list = (chain: Chain<T> | undefined): T[] => {
    const values: T[] = [];
    for (let at: Chain<T> | null = chain ?? null; at !== null; at = at.before) values.push(at.value);
    return values.reverse();
  };
  const chain = (values: readonly T[]): Chain<T> => values.reduce<Chain<T> | undefined>(append, undefined)!;
  return aggregator<T, Chain<T>, readonly T[]>({
    name: "collect",
    kept: keptList,
    add: append,
    merge: (left, right) => list(right).reduce(append, left),
    result: list,
    pack: list,
    unpack: (kept) => chain(kept as readonly T[]),
  });
}

/** The fold behind `reduce`. */
export function reduceFold<V>(fn: (left: V, right: V) => V): Fold<V, { readonly value: V }, V> {
  return {
    name: "reduce",
    kept: { says: "a value", is: (kept) => Array.isArray(kept) && kept[0] !== undefined },
    add: (state, value) => ({ value: state === undefined ? value : fn(state.value, value) }),
    merge: (left, right) => ({ value: fn(left.value, right.value) }),
    result: (state) => state!.value,
    pack: (state) => [state.value],
    unpack: (kept) => ({ value: (kept as readonly [V])[0] }),
  };
}
