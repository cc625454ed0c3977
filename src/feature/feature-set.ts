/** Features of an entity: a typed set, rows of it, and the topic its observations travel through. */
import { DefinitionError } from "../base/errors.ts";
import type { Format } from "../record/codec.ts";
import { isCodec } from "../record/codec.ts";
import { valueFormat } from "../record/format.ts";
import { codecKeys, type KeyFormat, textKeys } from "../record/key.ts";
import { check, type Schema, type SchemaOutput } from "../record/schema.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import { type Target, targetProperty } from "../stream/source.ts";
import { type Instant, madeTopic } from "../stream/topic.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { TopologyBuilder } from "../topology/topology.ts";
import { migrationFault } from "../stream/migration.ts";
import { featureStep } from "./online.ts";
import { featureStores, type KeptFeatures } from "./kept.ts";

/** A reply shape that shows flat in the editor. */
export type Simplify<T> = { [P in keyof T]: T[P] } & {};

/** Features by name: a schema each. */
export interface FeatureShape {
  /** The schema of what may be observed. */
  readonly [name: string]: Schema;
}

/** The features of a shape that resolvers may set. */
export type PlainFeatures<F> = Simplify<{ readonly [P in keyof F]: SchemaOutput<F[P]> }>;

/** What a query answers: null where nothing was observed. */
export type FeatureAnswer<V> = Simplify<{ readonly [P in keyof V]: V[P] | null }>;

/** Some features of one entity, observed together. */
export interface FeatureRow<out N extends string, out K, out V> {
  /** The name of the set. */
  readonly entity: N;
  /** Which one of them. */
  readonly key: K;
  /** What was observed. */
  readonly values: V;
  /** Milliseconds; undefined: the time of the record it is made of. */
  readonly observedAt?: number;
}

/** What a resolver may promise to give. */
export interface Output<out Row> {
  /** The rows that it takes; of types only. */
  readonly "~row": Row;
}

/** What `app.query` can answer. */
export interface Queryable<in K, out Answer> {
  /** What it is asked and answers; of types only. */
  readonly "~query": (key: K) => Answer;
}

/** The features of an entity. As a resolver's output: any of them. */
export interface FeatureSet<N extends string, K, V>
  extends Output<FeatureRow<N, K, Partial<V>>>, Target<unknown, FeatureRow<N, K, Partial<V>>>, Queryable<K, FeatureAnswer<V>> {
  /** The name of the entity. */
  readonly name: N;
  /** A row: the key and some features. Older observations never overwrite newer ones. */
  of<P extends keyof V>(key: K, values: Pick<V, P>, options?: { readonly observedAt?: Instant }): FeatureRow<N, K, Pick<V, P>>;
  /** Only these: a query answers no others, and a resolver must give all of them. */
  pick<P extends keyof V & string>(...names: readonly P[]): FeaturePick<N, K, Pick<V, P>>;
}

/** Some features of an entity. As a resolver's output: all of them. */
export interface FeaturePick<N extends string, K, V> extends Output<FeatureRow<N, K, V>>, Queryable<K, FeatureAnswer<V>> {
  /** The name of the entity. */
  readonly name: N;
}

/** How an entity is keyed, and how what is kept of it goes on in a new version of the app. */
export interface FeatureSetOptions<K, V = never> {
  /** Codec or schema of the keys. @default text */
  readonly keyFormat?: Format<K, K>;
  /** Raised, and then given with `migrate`, whenever kept values change their meaning: see {@linkcode Migration}. @default 1 */
  readonly version?: number;
  /** Makes features of one that version `version` kept, with its name, once an observation: an object without any gives it up. */
  readonly migrate?: (stored: Readonly<Record<string, unknown>>, version: number) => Partial<V>;
}

/** What a set or pick is made of. */
export interface FeatureParts {
  readonly entity: string;
  readonly topic: TopicDefinition;
  readonly keys: KeyFormat;
  readonly shape: FeatureShape;
  /** The features asked for or promised. */
  readonly names: readonly string[];
  /** Whether a resolver must give all of them. */
  readonly isPick: boolean;
}

/** The parts behind a resolver's output or a query. */
export function featureParts(features: Output<unknown> | Queryable<never, unknown>): FeatureParts {
  const parts: unknown = (features as Partial<Output<unknown>>)?.["~row"];
  if (typeof parts !== "object" || parts === null || !("shape" in parts)) {
    throw new DefinitionError("Cannot use these features: they were not made by app.features()");
  }
  return parts as FeatureParts;
}

/** Defines the features of an entity and the step that keeps them. */
export function defineFeatures<const N extends string, F extends FeatureShape, K>(
  builder: TopologyBuilder,
  name: N,
  shape: F,
  options: FeatureSetOptions<K, NoInfer<PlainFeatures<F>>>,
): FeatureSet<N, K, PlainFeatures<F>> {
  type V = PlainFeatures<F>;
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(name)) builder.fault(`The name of features "${name}" cannot be used: wanted 1 to 100 of A-Z a-z 0-9 _ -`);
  const names = Object.keys(shape);
  if (names.length === 0) builder.fault(`Features "${name}" are empty, wanted at least one`);
  for (const feature of names) {
    if (typeof shape[feature]?.["~standard"]?.validate !== "function") {
      builder.fault(`Feature "${feature}" of "${name}" has no schema: wanted a Standard Schema`);
    }
    if (feature.includes("\0")) builder.fault(`A feature of "${name}" has NUL in its name`);
  }
  const keys = options.keyFormat === undefined
    ? textKeys
    : codecKeys(isCodec(options.keyFormat) ? options.keyFormat["~codec"] : valueFormat(options.keyFormat));
  const fault = migrationFault(`features "${name}"`, options);
  if (fault !== null) builder.fault(fault);
  const kept: KeptFeatures = { entity: name, keys, names, version: options.version ?? 1, migrate: options.migrate ?? null };
  const made = madeTopic({ name: `${builder.app}-${name}`, key: keys, origin: `${builder.app}-${name}`, isInternal: true, retention: "forever" });
  // Rows are packed without the key, which is the record's.
  const topic = builder.topic({
    ...made,
    value: { encode: (row) => packValue(rowValues(row as FeatureRow<string, unknown, object>, kept.version)), decode: unpackValue },
    ...(kept.version === 1 ? {} : { form: `v${kept.version}` }),
  });
  const source = builder.source(topic);
  builder.add({
    kind: "features",
    name: `${name}-features`,
    inputs: [source],
    reads: null,
    writes: null,
    stores: featureStores(kept),
    policy: null,
    clockDelayMs: null,
    concurrency: 1,
    build: featureStep(kept),
  });
  const parts = (picked: readonly string[], isPick: boolean): FeatureParts => ({ entity: name, topic, keys, shape, names: picked, isPick });
  const phantom = <T>(value: unknown): T => value as T;
  const whole = parts(names, false);
  return {
    name,
    "~row": phantom(whole),
    "~query": phantom(whole),
    "~target": targetProperty({ definition: topic, keyOf: (_key, row) => (row as FeatureRow<N, K, object>).key }),
    of: <P extends keyof V>(key: K, values: Pick<V, P>, { observedAt }: { readonly observedAt?: Instant } = {}) => {
      const row: FeatureRow<N, K, Pick<V, P>> = { entity: name, key, values };
      return observedAt === undefined ? row : { ...row, observedAt: observedAt instanceof Date ? observedAt.getTime() : observedAt };
    },
    pick: <P extends keyof V & string>(...picked: readonly P[]): FeaturePick<N, K, Pick<V, P>> => {
      for (const feature of picked) if (!names.includes(feature)) builder.fault(`Features "${name}" have no "${feature}": there are ${names.join(", ")}`);
      const some = parts(picked, true);
      return { name, "~row": phantom(some), "~query": phantom(some) };
    },
  };
}

/** Checks a row's values by their schemas; a promise only when a schema answers with one. */
export function checkedRow(parts: FeatureParts, row: FeatureRow<string, unknown, Readonly<Record<string, unknown>>>): void | Promise<void> {
  if (row.entity !== parts.entity) throw new DefinitionError(`Cannot take a row of "${row.entity}": the resolver's output is "${parts.entity}"`);
  // An identifier that is missing would otherwise be kept under the text "undefined".
  if (row.key === null || row.key === undefined) throw new DefinitionError(`Cannot take a row of "${row.entity}": it has no key`);
  const missing = parts.isPick ? parts.names.filter((feature) => row.values[feature] === undefined) : [];
  if (missing.length > 0) {
    throw new DefinitionError(`Cannot take a row of "${row.entity}": it lacks ${missing.join(", ")}, which the resolver's output promises`);
  }
  let later: Promise<unknown> | null = null;
  for (const [feature, value] of Object.entries(row.values)) {
    const schema = parts.shape[feature];
    if (schema === undefined) throw new DefinitionError(`Cannot take a row of "${row.entity}": it has no feature "${feature}"`);
    if (value === undefined || value === null) continue;
    const checked = check(schema, value);
    if (checked instanceof Promise) later = later === null ? checked : Promise.all([later, checked]);
  }
  return later === null ? undefined : later.then(() => {});
}

/** The part of a row that is kept under its key: `[values, observedAt | null]`, and the version of the set where it has one. */
function rowValues(row: FeatureRow<string, unknown, object>, version: number): readonly unknown[] {
  return version === 1 ? [row.values, row.observedAt ?? null] : [row.values, row.observedAt ?? null, version];
}
