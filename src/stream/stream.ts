/** Streams: records of a source on their way through steps. Lazy; each call adds a step to the app's topology and gives the stream behind it. */
import type { Awaitable } from "../base/awaitable.ts";
import { anyKeys } from "../record/key.ts";
import type { RecordMeta } from "../record/meta.ts";
import type { TopicDefinition, TopologyNode } from "../topology/node.ts";
import { type Aggregator, type Aggregators, foldOf, reduceFold } from "./aggregator.ts";
import { iterateStep, RecordQueue } from "./iterate.ts";
import { armStep, branchStep, filterStep, flatMapStep, forEachStep, keyedStep, mapStep, passStep, rekeyStep, writeStep } from "./operators.ts";
import { sinkParts, sinkPolicy, sinkStep } from "./sink.ts";
import type { Skip } from "../base/skip.ts";
import { type InferKey, type InferValue, type Source, sourceParts, type SourceParts, sourceProperty, type Target, targetParts, type TopicView } from "./source.ts";
import { type KeptAggregates, type Migration, migrationFault, type StoredAggregates } from "./migration.ts";
import { madeTopic, viewOf } from "./topic.ts";
import type { Window, Windowed } from "./window.ts";
import { type Late, windowStep } from "./window-aggregate.ts";
import { windowStore } from "./window-store.ts";

/** What a predicate leaves of `V`. */
export type Narrowed<P, V> = P extends (value: V, ...rest: never) => value is (infer W extends V) ? W : V;

/** What a predicate surely takes away; one that narrows nothing takes nothing. */
export type Taken<P, V> = P extends (value: V, ...rest: never) => value is (infer W extends V) ? W : never;

/** The streams that `branch` makes, and the `rest` that matched none. */
export type Branches<K, V, B> =
  & { readonly [P in keyof B]: Stream<K, Narrowed<B[P], V>> }
  & { readonly rest: Stream<K, Exclude<V, Taken<B[keyof B], V>>> };

/** Why a record was too late. */
export interface LateRecord<K> extends RecordMeta<K> {
  /** How far the clock had passed the record's timestamp, ms. */
  readonly latenessMs: number;
  /** The windows that had closed. */
  readonly missed: readonly { readonly start: number; readonly end: number }[];
}

/** When windows speak and what happens to the late. */
export interface WindowEmitOptions<K, V> {
  /** Each change, or once and for all. @default "close" */
  readonly emit?: "close" | "update";
  /** Records whose window has closed: to `<source topic>-late`, away, or to a function. Counted in any case. @default "topic" */
  readonly late?: "topic" | "drop" | ((value: V, late: LateRecord<K>) => void);
  /** What its state is kept under; needed where two windows alike hang on one source. @default made of source, window and size */
  readonly name?: string;
}

/** Records of a source on their way through steps. Lazy: nothing runs until the app does. */
export interface Stream<out K, out V> extends Source<K, V>, AsyncIterable<V> {
  /** Makes another value of each. A promise is awaited; `skip()` leaves the record out. */
  map<W>(fn: (value: V, meta: RecordMeta<K>) => Awaitable<W | Skip>): Stream<K, W>;
  /** Keeps those for which the predicate holds; a type guard narrows. */
  filter<P extends (value: V, meta: RecordMeta<K>) => Awaitable<boolean>>(predicate: P): Stream<K, Narrowed<P, V>>;
  /** Makes any number of values of each. */
  flatMap<W>(fn: (value: V, meta: RecordMeta<K>) => Awaitable<Iterable<W>>): Stream<K, W>;
  /** Calls a function for each. Its effects are its own: it may be called again after a crash. */
  forEach(fn: (value: V, meta: RecordMeta<K>) => Awaitable<void>): void;

  /** Grouped by the key it has; never repartitions. Records without one go to the error policy. */
  groupByKey(): Stream<NonNullable<K>, V>;
  /** Grouped by another key, by way of an internal topic; by the topic's own key function it is `groupByKey()`. */
  groupBy<G>(key: (value: V, meta: RecordMeta<K>) => G | null | undefined, options?: { readonly name?: string; readonly partitions?: number }): Stream<G, V>;
  /** Cut into windows of event time, by key. */
  window(window: Window, options?: WindowEmitOptions<K, V>): WindowedStream<NonNullable<K>, V>;

  /** With the records of other sources, as they come. */
  merge<const S extends readonly Source<unknown, unknown>[]>(...others: S): Stream<K | InferKey<S[number]>, V | InferValue<S[number]>>;
  /** Each record to the first branch whose predicate holds, or to `rest`. */
  branch<const B extends { readonly [name: string]: (value: V, meta: RecordMeta<K>) => boolean }>(branches: B): Branches<K, V, B>;
  /** Sends each record on; a name makes a topic of this stream's types and returns it. */
  to<T extends string | Target<K, V>>(target: T | Target<K, V>): T extends string ? TopicView<K, V> : void;
  /** Sends each record on, and goes on from there. */
  through<TK = K, TV = V>(target: string | (Target<K, V> & Source<TK, TV>)): Stream<TK, TV>;
}

/** A stream cut into windows. */
export interface WindowedStream<K, V> {
  /** Several folds at once, by name. `migration`: for windows that are open when another version of the app takes over. */
  aggregate<R>(aggregators: Aggregators<V, R>, migration?: Migration<KeptAggregates<NoInfer<R>>, StoredAggregates>): Stream<K, Windowed<K, R>>;
  /** Puts two values together, from the first on. `migration`: for windows that are open when another version of the app takes over. */
  reduce(fn: (left: V, right: V) => V, migration?: Migration<V>): Stream<K, Windowed<K, V>>;
}

/** Of a fold that gives the whole value, which it keeps as the one of its list. */
function wholeMigration<V>({ version, migrate }: Migration<V>): Migration<unknown, StoredAggregates> {
  return { version, migrate: (stored, from) => ({ "": [migrate((stored[""] as readonly unknown[])[0], from)] }) };
}

/** The stream of a source. */
export function streamOf<K, V>(source: Source<K, V>): Stream<K, V> {
  return new Steps<K, V>(sourceParts(source));
}

/** What a new step says of itself; the rest follows from where it hangs. */
interface Step {
  readonly kind: string;
  /** Of a step with state, and of a sink; others are numbered. */
  readonly name?: string;
  readonly build: TopologyNode["build"];
  readonly writes?: TopicDefinition;
  readonly stores?: TopologyNode["stores"];
  readonly clockDelayMs?: number;
  readonly inputs?: readonly TopologyNode[];
  readonly policy?: TopologyNode["policy"];
}

class Steps<K, V> implements Stream<K, V> {
  readonly "~source": Source<K, V>["~source"];
  readonly #parts: SourceParts;

  constructor(parts: SourceParts) {
    this.#parts = parts;
    this["~source"] = sourceProperty<K, V>(parts);
  }

  map<W>(fn: (value: V, meta: RecordMeta<K>) => Awaitable<W | Skip>): Stream<K, W> {
    return this.#then<K, W>({ kind: "map", build: mapStep(fn) });
  }

  filter<P extends (value: V, meta: RecordMeta<K>) => Awaitable<boolean>>(predicate: P): Stream<K, Narrowed<P, V>> {
    return this.#then<K, Narrowed<P, V>>({ kind: "filter", build: filterStep(predicate) });
  }

  flatMap<W>(fn: (value: V, meta: RecordMeta<K>) => Awaitable<Iterable<W>>): Stream<K, W> {
    return this.#then<K, W>({ kind: "flatMap", build: flatMapStep(fn) });
  }

  forEach(fn: (value: V, meta: RecordMeta<K>) => Awaitable<void>): void {
    this.#add({ kind: "forEach", build: forEachStep(fn) });
  }

  groupByKey(): Stream<NonNullable<K>, V> {
    return this.#then<NonNullable<K>, V>({ kind: "groupByKey", build: keyedStep() });
  }

  groupBy<G>(key: (value: V, meta: RecordMeta<K>) => G | null | undefined, options: { readonly name?: string; readonly partitions?: number } = {}): Stream<G, V> {
    const { builder, name, origin, keyOf } = this.#parts;
    if (keyOf !== null && keyOf === (key as unknown)) return this.groupByKey() as unknown as Stream<G, V>;
    const group = options.name ?? `${name}-by`;
    const between = madeTopic({ name: `${builder.app}-${group}-repartition`, key: anyKeys, origin, isInternal: true, carriesClock: true, partitions: options.partitions ?? null });
    // Its records are still those of the source, and so is their policy.
    const made = { ...between, policy: builder.findTopic(origin)?.policy ?? null };
    const taken = builder.findTopic(made.name);
    if (taken !== undefined) builder.fault(`Two groupBy() would write the topic "${made.name}": give one of them a name of its own`);
    const topic = taken ?? builder.topic(made);
    this.#add({ kind: "groupBy", name: builder.freeName(group), build: rekeyStep(topic, key, anyKeys), writes: topic });
    return streamOf(viewOf<G, V>(builder, topic));
  }

  window(window: Window, options: WindowEmitOptions<K, V> = {}): WindowedStream<NonNullable<K>, V> {
    type Keyed = NonNullable<K>;
    const { builder, name, key } = this.#parts;
    const { aligned } = window;
    const { emit = "close", late = "topic" } = options;
    const step = options.name ?? `${name}-${window["~window"]}-${aligned.sizeMs}${aligned.advanceMs === aligned.sizeMs ? "" : `-${aligned.advanceMs}`}`;
    if (emit !== "close" && emit !== "update") builder.fault(`emit of window "${step}" is ${JSON.stringify(emit)}, wanted "close" or "update"`);
    if (late !== "topic" && late !== "drop" && typeof late !== "function") builder.fault(`late of window "${step}" is ${JSON.stringify(late)}, wanted "topic", "drop" or a function`);
    const aggregate = <R>(
      folds: readonly (readonly [string, ReturnType<typeof foldOf>])[],
      migration: Migration<unknown, StoredAggregates> | undefined,
    ): Stream<Keyed, Windowed<Keyed, R>> => {
      const fault = migrationFault(`window "${step}"`, migration);
      if (fault !== null) builder.fault(fault);
      const aggregation = { name: step, windows: aligned, emit, late: late as Late, keys: key, folds, migration: fault === null ? migration ?? null : null };
      return this.#then<Keyed, Windowed<Keyed, R>>({
        kind: `${window["~window"]} window`,
        name: step,
        build: windowStep(aggregation),
        stores: [windowStore(aggregation)],
        ...(emit === "close" ? { clockDelayMs: aligned.graceMs } : {}),
      });
    };
    return {
      aggregate: <R>(aggregators: Aggregators<V, R>, migration?: Migration<KeptAggregates<NoInfer<R>>, StoredAggregates>) => {
        const named = Object.entries<Aggregator<V, unknown>>(aggregators);
        if (named.length === 0) builder.fault(`aggregate() of window "${step}" got no aggregators, wanted at least one`);
        return aggregate<R>(named.map(([as, aggregator]) => [as, foldOf(aggregator as Aggregator<never, unknown>)]), migration);
      },
      reduce: (fn, migration) => aggregate<V>([["", reduceFold(fn) as unknown as ReturnType<typeof foldOf>]], migration && wholeMigration(migration)),
    };
  }

  merge<const S extends readonly Source<unknown, unknown>[]>(...others: S): Stream<K | InferKey<S[number]>, V | InferValue<S[number]>> {
    const inputs = [this.#parts.node(), ...others.map((other) => sourceParts(other).node())];
    return this.#then({ kind: "merge", build: passStep(), inputs });
  }

  branch<const B extends { readonly [name: string]: (value: V, meta: RecordMeta<K>) => boolean }>(branches: B): Branches<K, V, B> {
    const names = Object.keys(branches);
    if (names.includes("rest")) this.#parts.builder.fault(`branch() of "${this.#parts.name}" has a branch "rest", which is the name for what matches none`);
    const chosen = this.#then<K, V>({ kind: "branch", build: branchStep(names.map((name) => branches[name]!)) });
    const arms = [...names, "rest"].map((name) => [name, chosen.#then<K, V>({ kind: `branch ${name}`, build: armStep(names.indexOf(name)) })]);
    return Object.fromEntries(arms) as Branches<K, V, B>;
  }

  to<T extends string | Target<K, V>>(target: T | Target<K, V>): T extends string ? TopicView<K, V> : void {
    const { builder } = this.#parts;
    const outside = typeof target === "string" ? null : sinkParts(target as Target<never, never>);
    if (outside !== null) {
      const policy = sinkPolicy(outside, (sentence) => builder.fault(sentence));
      this.#add({ kind: "sink", name: outside.sink, policy, build: sinkStep(builder.app, outside) });
      return undefined as T extends string ? TopicView<K, V> : void;
    }
    const { definition, keyOf } = typeof target === "string" ? { definition: this.#made(target), keyOf: undefined } : targetParts(target as Target<never, never>);
    this.#add({ kind: "to", name: builder.freeName(`${this.#parts.name}-to-${definition.name}`), build: writeStep(definition, keyOf ?? null), writes: definition });
    return (typeof target === "string" ? viewOf<K, V>(builder, definition) : undefined) as T extends string ? TopicView<K, V> : void;
  }

  through<TK = K, TV = V>(target: string | (Target<K, V> & Source<TK, TV>)): Stream<TK, TV> {
    if (typeof target === "string") return streamOf(this.to(target) as unknown as TopicView<TK, TV>);
    this.to(target);
    return streamOf<TK, TV>(target);
  }

  [Symbol.asyncIterator](): AsyncIterator<V> {
    const queue = new RecordQueue<V>();
    this.#add({ kind: "for await", build: iterateStep(queue) });
    return queue;
  }

  #made(name: string): TopicDefinition {
    const { builder, key, origin } = this.#parts;
    return builder.topic(madeTopic({ name, key, origin, isInternal: false }));
  }

  #then<TK, TV>(step: Step): Steps<TK, TV> {
    const node = this.#add(step);
    return new Steps<TK, TV>({ ...this.#parts, node: () => node, keyOf: null });
  }

  #add(step: Step): TopologyNode {
    const { builder, name, node } = this.#parts;
    return builder.add({
      kind: step.kind,
      name: step.name ?? builder.freeName(`${name}-${step.kind.replaceAll(" ", "-")}`),
      inputs: step.inputs ?? [node()],
      reads: null,
      writes: step.writes ?? null,
      stores: step.stores ?? [],
      policy: step.policy ?? null,
      clockDelayMs: step.clockDelayMs ?? null,
      concurrency: 1,
      build: step.build,
    });
  }
}
