/** Topics as users define them. */
import { type Duration, durationMs } from "../base/duration.ts";
import { type Format, isCodec } from "../record/codec.ts";
import { valueFormat } from "../record/format.ts";
import { codecKeys, type KeyFormat, textKeys } from "../record/key.ts";
import type { RecordMeta } from "../record/meta.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import type { Retention } from "../log/log.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { TopologyBuilder } from "../topology/topology.ts";
import { checkedDuration, compilePolicy, type ErrorPolicy } from "./error-policy.ts";
import { type Source, type SourceParts, sourceProperty, type Target, targetProperty, type TopicView } from "./source.ts";

/** A moment: a date, or milliseconds since the epoch. */
export type Instant = Date | number;

/** Overrides for a record that is sent. */
export interface SendOptions<K> {
  /** Of the record. @default what the topic's `key` makes of the value, else null */
  readonly key?: K;
  /** From 0. @default by the hash of the key */
  readonly partition?: number;
  /** Event time. @default the topic's `timestamp`, else now */
  readonly timestamp?: Instant;
  /** Carried with the record. Names that begin with `mr-` are the engine's. */
  readonly headers?: HeadersInit;
}

/** Where a sent record came to lie. */
export interface Receipt {
  /** Its name. */
  readonly topic: string;
  /** From 0. */
  readonly partition: number;
  /** In the partition; null while that is not known. */
  readonly position: number | null;
}

/** A named, partitioned log of records. `Input` differs from `V` where the schema transforms. */
export interface Topic<K, out V, in Input = V> extends TopicView<K, V>, Target<K | null, Input> {
  /** Appends one record; resolves once durable. */
  send(value: Input, options?: SendOptions<K>): Promise<Receipt>;
  /** Appends a tombstone: tables forget the key. */
  delete(key: K): Promise<Receipt>;
}

/** How a topic is read, written and kept. */
export interface TopicOptions<K, V, Input> {
  /** Standard Schema (over JSON) or codec of the values. @default JSON, unchecked: `unknown` */
  readonly value?: Format<V, Input>;
  /** Codec or schema of the keys. @default text */
  readonly keyFormat?: Format<K, K>;
  /** The key of a value that is sent without one: text, unless there is a `keyFormat`. */
  readonly key?: (value: V) => K;
  /** The event time of a record. @default the log's own timestamp */
  readonly timestamp?: (value: V, meta: RecordMeta) => Instant;
  /** Older than this on arrival, by the wall clock: its resolvers don't run. @default "infinity" */
  readonly lateArrivalDeadline?: Duration | "infinity";
  /** How far the watermark stays behind the largest timestamp. @default 0 */
  readonly watermarkDelay?: Duration;
  /** A quiet partition stops holding time back after this. @default "30s" on the embedded log; off on Kafka and in tests */
  readonly idleTimeout?: Duration;
  /** What is processed side by side, from 1 to 10,000; fixed once the topic exists. @default 1 */
  readonly partitions?: number;
  /** How long records are kept; `"compact"`: the newest of each key, for ever. @default 7 days or 10 GiB */
  readonly retention?: Duration | "infinity" | "compact";
  /** Times before 1970 are meant, not mistakes. @default false: such records are dropped and counted */
  readonly negativeTimestamps?: boolean;
  /** For records that cannot be read, and for steps behind it that have no policy of their own. @default the app's */
  readonly errors?: ErrorPolicy;
}

/** What a topic needs of its app to send. */
export interface Sender {
  send(definition: TopicDefinition, value: unknown, options: SendOptions<unknown>): Promise<Receipt>;
}

/** How long topics of the user's are kept by default. */
export const defaultRetention: Retention = { ageMs: 7 * 86_400_000, bytes: 10 * 2 ** 30 };

/** Any name that every log takes. */
const NAME = /^[A-Za-z0-9._-]{1,200}$/;

/** Defines a topic. */
export function defineTopic<K, V, Input>(builder: TopologyBuilder, sender: Sender, name: string, options: TopicOptions<K, V, Input>): Topic<K, V, Input> {
  const definition = builder.topic(topicDefinition(builder, name, options));
  const parts: SourceParts = {
    builder,
    node: () => builder.source(definition),
    key: definition.key,
    name,
    origin: name,
    keyOf: (options.key ?? null) as SourceParts["keyOf"],
  };
  return {
    name,
    "~source": sourceProperty<K, V>(parts),
    "~target": targetProperty<K | null, Input>({ definition }),
    send: (value, sendOptions = {}) => sender.send(definition, value, sendOptions),
    delete: (key) => sender.send(definition, undefined, { key }),
  };
}

function topicDefinition<K, V, Input>(builder: TopologyBuilder, name: string, options: TopicOptions<K, V, Input>): TopicDefinition {
  const what = `topic "${name}"`;
  const fault = (sentence: string): void => builder.fault(sentence);
  if (!NAME.test(name)) fault(`The name of ${what} cannot be used: wanted 1 to 200 of A-Z a-z 0-9 . _ -`);
  const { partitions } = options;
  if (partitions !== undefined && (!Number.isInteger(partitions) || partitions < 1 || partitions > 10_000)) {
    fault(`partitions of ${what} is ${String(partitions)}, wanted a whole number from 1 to 10,000`);
  }
  let deadline = Infinity;
  try {
    deadline = durationMs(options.lateArrivalDeadline ?? "infinity", `lateArrivalDeadline of ${what}`);
  } catch (error) {
    fault(error instanceof Error ? error.message : String(error));
  }
  return {
    name,
    isInternal: false,
    partitions: partitions ?? null,
    retention: retentionOf(options.retention, what, fault),
    key: keyFormatOf(options.keyFormat),
    value: valueFormat(options.value) as TopicDefinition["value"],
    keyOf: (options.key ?? null) as TopicDefinition["keyOf"],
    timestamp: (options.timestamp ?? null) as TopicDefinition["timestamp"],
    lateArrivalDeadlineMs: deadline,
    watermarkDelayMs: options.watermarkDelay === undefined ? 0 : checkedDuration(options.watermarkDelay, `watermarkDelay of ${what}`, fault),
    idleTimeoutMs: options.idleTimeout === undefined ? null : checkedDuration(options.idleTimeout, `idleTimeout of ${what}`, fault),
    negativeTimestamps: options.negativeTimestamps ?? false,
    policy: compilePolicy(options.errors, what, fault),
    carriesClock: false,
    origin: name,
  };
}

function retentionOf(retention: Duration | "infinity" | "compact" | undefined, what: string, fault: (sentence: string) => void): Retention {
  if (retention === undefined) return defaultRetention;
  if (retention === "compact") return "compact";
  if (retention === "infinity") return "forever";
  return { ageMs: checkedDuration(retention, `retention of ${what}`, fault) };
}

function keyFormatOf<K>(format: Format<K, K> | undefined): KeyFormat {
  if (format === undefined) return textKeys;
  return codecKeys(isCodec(format) ? format["~codec"] : valueFormat(format));
}

/** What differs between the topics that an app makes. */
export interface MadeTopicOptions {
  readonly name: string;
  readonly key: KeyFormat;
  /** The topic of the user's that its records stem from. */
  readonly origin: string;
  readonly isInternal: boolean;
  readonly carriesClock?: boolean;
  readonly partitions?: number | null;
  readonly retention?: Retention;
}

/** A topic that an app makes: values of any plain type survive it. */
export function madeTopic(options: MadeTopicOptions): TopicDefinition {
  return {
    name: options.name,
    isInternal: options.isInternal,
    partitions: options.partitions ?? null,
    retention: options.retention ?? defaultRetention,
    key: options.key,
    value: { encode: packValue, decode: unpackValue },
    keyOf: null,
    timestamp: null,
    lateArrivalDeadlineMs: Infinity,
    watermarkDelayMs: 0,
    idleTimeoutMs: null,
    negativeTimestamps: true,
    policy: null,
    carriesClock: options.carriesClock ?? false,
    origin: options.origin,
  };
}

/** The reading side of a topic that an app makes. */
export function viewOf<K, V>(builder: TopologyBuilder, definition: TopicDefinition): TopicView<K, V> {
  const parts: SourceParts = {
    builder,
    node: () => builder.source(definition),
    key: definition.key,
    name: definition.name,
    origin: definition.origin,
    keyOf: null,
  };
  return { name: definition.name, "~source": sourceProperty<K, V>(parts) } satisfies Source<K, V> & { readonly name: string };
}
