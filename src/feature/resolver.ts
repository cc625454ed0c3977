/** Resolvers: from a source, by `parse` and a handler, to rows of features. A webhook and a topic are the same kind of source. */
import { type Awaitable, isThenable } from "../base/awaitable.ts";
import { DefinitionError } from "../base/errors.ts";
import { headerOf, type RecordMeta } from "../record/meta.ts";
import { compilePolicy, type ErrorPolicy } from "../stream/error-policy.ts";
import { isSkip, type Skip } from "../base/skip.ts";
import { type Source, sourceParts } from "../stream/source.ts";
import { isPastDeadline } from "../time/lateness.ts";
import type { OperatorContext, TopicDefinition, TopologyNode } from "../topology/node.ts";
import type { TopologyBuilder } from "../topology/topology.ts";
import { checkedRow, type FeatureParts, featureParts, type FeatureRow, type Output } from "./feature-set.ts";

/** From source to features, in this order: `source`, `parse`, `output`, then the handler. */
export interface ResolverDefinition<K, V, M, Row> {
  /** Whose records it takes: a topic, a webhook, a stream. */
  readonly source: Source<K, V>;
  /** Narrows or transforms; null and undefined skip the resolver. */
  readonly parse?: (value: V, meta: RecordMeta<K>) => Awaitable<M | Skip | null | undefined>;
  /** The features it gives: a set, any of them; a pick, all of them. */
  readonly output: Output<Row>;
  /** For records that `parse` or the handler fail on. @default the app's */
  readonly errors?: ErrorPolicy;
  /** Who answers for it, for people. */
  readonly owner?: string;
  /** What it is found by, for people. */
  readonly tags?: readonly string[];
}

/** Demanded of a definition whose handler takes something else than the source gives. */
export interface ParseNeeded {
  /** Makes what the handler takes of what the source gives. */
  readonly parse: unknown;
}

/**
 * What a definition needs besides: `parse`, when the handler does not take `V`.
 *
 * The handler's parameter, where it is written out, says what `M` is before `parse` is looked at: so a named function can be a handler. Without `parse` nothing else would compare it with the source.
 */
export type CheckedParse<V, M> = [V] extends [M] ? unknown : ParseNeeded;

/** What a resolver's handler may give: a row, rows, nothing, or a promise of it. */
export type ResolverResult<Row> = Row | readonly Row[] | Skip | null | undefined | PromiseLike<Row | readonly Row[] | Skip | null | undefined>;

/** A resolver is the function it was made of: call it in tests. */
export interface Resolver<in M, out Row> {
  /** Calls the handler alone: no `parse`, no checks of the rows. */
  (message: M): Promise<readonly Row[]>;
  /** Its name in the topology. */
  readonly resolverName: string;
}

/** When a webhook's request was received; lateness of its record is judged by it, not by when it is processed. */
export const RECEIVED_HEADER = "mr-received-at";

/** Defines a resolver. */
export function defineResolver<K, V, Row, M>(
  builder: TopologyBuilder,
  name: string,
  definition: ResolverDefinition<K, V, M, Row>,
  handler: (message: M, meta: RecordMeta<K>) => ResolverResult<Row>,
): Resolver<M, Row> {
  const what = `resolver "${name}"`;
  const fault = (sentence: string): void => builder.fault(sentence);
  if (typeof handler !== "function") fault(`${what} has no handler: wanted a function as third argument`);
  if (definition.parse !== undefined && typeof definition.parse !== "function") {
    fault(`parse of ${what} is of type ${typeof definition.parse}, wanted a function`);
  }
  const output = featureParts(definition.output);
  const node = sourceParts(definition.source).node();
  builder.add({
    kind: "resolver",
    name,
    inputs: [node],
    reads: null,
    writes: output.topic,
    stores: [],
    policy: compilePolicy(definition.errors, what, fault),
    clockDelayMs: null,
    concurrency: 1,
    build: resolverStep(definition.parse as Parse | undefined, handler as Handler, output, sourceTopic(node)),
  });
  const resolver = async (message: M): Promise<readonly Row[]> => {
    const meta: RecordMeta<K> = { key: null as K, timestamp: 0, headers: new Headers(), topic: name, partition: 0, position: -1 };
    return rowsOf(await handler(message, meta));
  };
  return Object.assign(resolver, { resolverName: name });
}

type Parse = (value: unknown, meta: RecordMeta) => unknown;
type Handler = (message: unknown, meta: RecordMeta) => unknown;
type Row = FeatureRow<string, unknown, Readonly<Record<string, unknown>>>;

function resolverStep(parse: Parse | undefined, handler: Handler, output: FeatureParts, source: TopicDefinition): TopologyNode["build"] {
  const deadline = source.lateArrivalDeadlineMs;
  return (context) => {
    const target = context.output(output.topic);
    const emit = (row: Row, meta: RecordMeta): void => {
      context.emit(target, output.keys.encode(row.key), output.topic.value.encode(row), row.observedAt ?? meta.timestamp, null);
    };
    const take = (rows: readonly Row[], meta: RecordMeta): void => {
      for (const row of rows) {
        const checked = checkedRow(output, row);
        if (checked === undefined) emit(row, meta);
        else context.suspend(checked, () => emit(row, meta));
      }
    };
    const resolve = (message: unknown, meta: RecordMeta): void => {
      if (message === null || message === undefined) context.skipped("parse gave nothing");
      else if (isSkip(message)) context.skipped(message["~skip"]);
      else later(context, handler(message, meta), (result) => isSkip(result) ? context.skipped(result["~skip"]) : take(rowsOf<Row>(result), meta));
    };
    return {
      push: (value, meta) => {
        if (value === undefined) return;
        if (deadline !== Infinity && isPastDeadline(meta.timestamp, Number(headerOf(meta, RECEIVED_HEADER) ?? context.arrivedAt()), deadline)) {
          context.skipped("past the late-arrival deadline");
          return;
        }
        context.enter();
        if (parse === undefined) resolve(value, meta);
        else later(context, parse(value, meta), (message) => resolve(message, meta));
      },
    };
  };
}

function later(context: OperatorContext, result: unknown, then: (result: unknown) => void): void {
  if (isThenable(result)) {
    context.suspend(result, (settled) => {
      context.enter();
      then(settled);
    });
  } else then(result);
}

function rowsOf<R>(result: unknown): readonly R[] {
  if (result === null || result === undefined || isSkip(result)) return [];
  return Array.isArray(result) ? result : [result as R];
}

/** The topic that a step's records come from. */
function sourceTopic(node: TopologyNode): TopicDefinition {
  let at = node;
  while (at.reads === null) {
    const [input] = at.inputs;
    if (input === undefined) throw new DefinitionError(`Cannot resolve from step "${node.name}": it has no source`);
    at = input;
  }
  return at.reads;
}
