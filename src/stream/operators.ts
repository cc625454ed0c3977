/** Steps without state: one record in, none, one or several out. Tombstones pass: functions of the user's never see them. */
import { isThenable } from "../base/awaitable.ts";
import { DecodeError } from "../base/errors.ts";
import { fieldsOf, type RecordMeta } from "../record/meta.ts";
import type { KeyFormat } from "../record/key.ts";
import type { OperatorContext, Push, TopicDefinition, TopologyNode } from "../topology/node.ts";
import { isSkip } from "../base/skip.ts";

/** What the builders here leave to their caller. */
type Build = TopologyNode["build"];
type Fn = (value: never, meta: never) => unknown;

/** Calls a function of the user's; what it gives goes on now or when it is there. */
function call(context: OperatorContext, fn: Fn, value: unknown, meta: RecordMeta, then: (result: unknown, meta: RecordMeta) => void): void {
  context.enter();
  const result = fn(value as never, meta as never);
  if (isThenable(result)) context.suspend(result, (settled) => then(settled, meta));
  else then(result, meta);
}

export function mapStep(fn: Fn): Build {
  return (context, next) => {
    const then: Push = (result, meta) => isSkip(result) ? context.skipped(result["~skip"]) : next(result, meta);
    return { push: (value, meta) => value === undefined ? next(value, meta) : call(context, fn, value, meta, then) };
  };
}

export function filterStep(predicate: Fn): Build {
  return (context, next) => ({
    push: (value, meta) => {
      if (value === undefined) {
        next(value, meta);
        return;
      }
      context.enter();
      const passes = predicate(value as never, meta as never);
      if (isThenable(passes)) context.suspend(passes, (settled) => settled ? next(value, meta) : undefined);
      else if (passes) next(value, meta);
    },
  });
}

export function flatMapStep(fn: Fn): Build {
  return (context, next) => {
    const then = (results: unknown, meta: RecordMeta): void => {
      for (const result of results as Iterable<unknown>) next(result, meta);
    };
    return { push: (value, meta) => value === undefined ? next(value, meta) : call(context, fn, value, meta, then) };
  };
}

export function forEachStep(fn: Fn): Build {
  return (context) => ({
    push: (value, meta) => {
      if (value !== undefined) call(context, fn, value, meta, () => {});
    },
  });
}

/** Passes records on as they are. */
export function passStep(): Build {
  return (_context, next) => ({ push: next });
}

/** Gives each record the number of the first predicate that holds, for the arms behind it. */
export function branchStep(predicates: readonly Fn[]): Build {
  return (context, next) => ({
    push: (value, meta) => {
      if (value === undefined) return;
      context.enter();
      const index = predicates.findIndex((predicate) => predicate(value as never, meta as never));
      next([index, value] satisfies Chosen, meta);
    },
  });
}
type Chosen = readonly [index: number, value: unknown];

/** Takes the records that were given this number; -1: the rest. */
export function armStep(index: number): Build {
  return (_context, next) => ({
    push: (chosen, meta) => {
      if ((chosen as Chosen)[0] === index) next((chosen as Chosen)[1], meta);
    },
  });
}

/** Refuses records without a key. */
export function keyedStep(): Build {
  return (context, next) => ({
    push: (value, meta) => {
      context.enter();
      requireKey(meta.key, meta);
      next(value, meta);
    },
  });
}

/** Throws what the source's policy for missing keys takes. */
export function requireKey(key: unknown, meta: RecordMeta): asserts key is NonNullable<unknown> {
  if (key === null || key === undefined) {
    throw new DecodeError(
      "KEY_MISSING",
      `Cannot process a record of "${meta.topic}" partition ${meta.partition} position ${meta.position} by key: it has none`,
    );
  }
}

/** Writes each record to a topic, with its headers. */
export function writeStep(topic: TopicDefinition, keyOf: ((key: unknown, value: unknown) => unknown) | null): Build {
  return (context) => {
    const output = context.output(topic);
    return {
      push: (value, meta) => {
        context.enter();
        const key = (keyOf === null ? meta.key ?? (value === undefined ? null : topic.keyOf?.(value)) : keyOf(meta.key, value)) ?? null;
        context.emit(
          output,
          key === null ? null : topic.key.encode(key),
          value === undefined ? null : topic.value.encode(value),
          meta.timestamp,
          fieldsOf(meta),
        );
      },
    };
  };
}

/** Writes each record to an internal topic under the key a function gives. */
export function rekeyStep(topic: TopicDefinition, keyOf: Fn, keys: KeyFormat): Build {
  return (context) => {
    const output = context.output(topic);
    return {
      push: (value, meta) => {
        // A tombstone says nothing about a key that is made from the value.
        if (value === undefined) return;
        context.enter();
        const key = keyOf(value as never, meta as never);
        requireKey(key, meta);
        context.emit(output, keys.encode(key), topic.value.encode(value), meta.timestamp, fieldsOf(meta));
      },
    };
  };
}
