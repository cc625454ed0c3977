/** Anything that records can be read from or sent to, as types; and what the engine finds behind it. */
import { DefinitionError } from "../base/errors.ts";
import type { KeyFormat } from "../record/key.ts";
import type { TopicDefinition, TopologyNode } from "../topology/node.ts";
import type { TopologyBuilder } from "../topology/topology.ts";

/** Anything records can be read from: a topic, a webhook, a stream. */
export interface Source<out K, out V> {
  /** What flows; opaque at run time. */
  readonly "~source": { readonly key: K; readonly value: V };
}

/** Anything records can be sent to: a topic, a feature set, a sink. */
export interface Target<in K, in V> {
  /** What it takes; opaque at run time. */
  readonly "~target": (key: K, value: V) => void;
}

/** The value type of a source. */
export type InferValue<S> = S extends Source<unknown, infer V> ? V : never;
/** The key type of a source. */
export type InferKey<S> = S extends Source<infer K, unknown> ? K : never;

/** The reading side of a topic: what a stream writes, others only read. */
export interface TopicView<out K, out V> extends Source<K, V> {
  /** Of the topic. */
  readonly name: string;
}

/** What a source is made of. */
export interface SourceParts {
  readonly builder: TopologyBuilder;
  /** The step whose records these are. */
  readonly node: () => TopologyNode;
  readonly key: KeyFormat;
  /** What steps behind it are named after. */
  readonly name: string;
  /** The topic of the user's that the records stem from. */
  readonly origin: string;
  /** The key function of a topic that is read as it is; null behind any step. */
  readonly keyOf: ((value: never) => unknown) | null;
}

/** What a target is made of. */
export interface TargetParts {
  readonly definition: TopicDefinition;
  /** The topic's key and value of what is sent; a target without it takes them as they are. */
  readonly keyOf?: (key: unknown, value: unknown) => unknown;
}

/** The phantom properties carry the parts: types say what flows, the values say from where. */
export function sourceParts(source: Source<unknown, unknown>): SourceParts {
  const parts: unknown = source?.["~source"];
  if (!isParts(parts, "node")) throw new DefinitionError("Cannot read from this source: it was not made by an app");
  return parts as unknown as SourceParts;
}

export function targetParts(target: Target<never, never>): TargetParts {
  const parts: unknown = target?.["~target"];
  if (isParts(parts, "sink")) throw new DefinitionError(`Cannot send to sink "${String(parts.sink)}" from here: it takes what a stream gives it, by .to()`);
  if (!isParts(parts, "definition")) throw new DefinitionError("Cannot send to this target: it was not made by an app");
  return parts as unknown as TargetParts;
}

/** The property that makes an object a source. */
export function sourceProperty<K, V>(parts: SourceParts): Source<K, V>["~source"] {
  return parts as unknown as Source<K, V>["~source"];
}

/** The property that makes an object a target. */
export function targetProperty<K, V>(parts: TargetParts | object): Target<K, V>["~target"] {
  return parts as unknown as Target<K, V>["~target"];
}

function isParts<P extends string>(value: unknown, property: P): value is { readonly [Name in P]: unknown } {
  return typeof value === "object" && value !== null && property in value;
}
