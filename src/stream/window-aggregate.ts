/** Aggregates per key and window: one state entry a key and window, said on each change or once when the window closes. */
import { fieldsOf, headerOf, type RecordMeta, RecordView } from "../record/meta.ts";
import { firstStart, lastStart } from "../time/aligned.ts";
import { firstOpenStart, latenessMs } from "../time/lateness.ts";
import { MISSED_HEADER } from "../task/letters.ts";
import { intoStep } from "../task/step-input.ts";
import type { TopologyNode } from "../topology/node.ts";
import { requireKey } from "./operators.ts";
import { type KeptAggregation, resultOf, type WindowState as State, windowStore } from "./window-store.ts";
import type { Windowed } from "./window.ts";

/** What is done with records whose window has closed, besides counting them. */
export type Late = "topic" | "drop" | ((value: never, late: never) => void);

/** A windowed aggregation. */
export interface WindowAggregation extends KeptAggregation {
  readonly emit: "close" | "update";
  readonly late: Late;
}

/** Builds the step. */
export function windowStep(aggregation: WindowAggregation): TopologyNode["build"] {
  const { windows, emit, keys, folds, late } = aggregation;
  const { sizeMs, advanceMs, graceMs } = windows;
  const spec = windowStore(aggregation);
  const count = folds.length;
  const takesTombstones = folds.some(([, fold]) => fold.takesTombstones === true);

  return (context, next) => {
    const store = context.store(spec);
    const into = intoStep(context.step);
    let value: unknown, timestamp = 0;
    // Between these times the windows are those of the record before.
    let memoFrom = NaN, memoTo = NaN, first = 0, last = 0;
    const takes = (index: number): boolean => value !== undefined || folds[index]![1].takesTombstones === true;
    const fold = (kept: unknown): State => {
      if (kept === undefined) {
        // Grown by one element after the other, an array of numbers stays one.
        const first: unknown[] = [];
        for (let i = 0; i < count; i++) first.push(takes(i) ? folds[i]![1].add(undefined, value, timestamp) : undefined);
        first.push(timestamp);
        return first;
      }
      const state = (kept as State).slice();
      for (let i = 0; i < count; i++) if (takes(i)) state[i] = folds[i]![1].add(state[i], value, timestamp);
      if (timestamp > (state[count] as number)) state[count] = timestamp;
      return state;
    };
    const result = (key: unknown, end: number, state: State): Windowed<unknown, unknown> => ({
      key,
      start: end - sizeMs,
      end,
      value: context.handOut(resultOf(folds, state)),
    });

    const push = (pushed: unknown, meta: RecordMeta): void => {
      context.enter();
      const key = meta.key;
      requireKey(key, meta);
      if (pushed === undefined && !takesTombstones) return;
      value = pushed;
      timestamp = meta.timestamp;
      const clock = context.clock.late;
      // Most records lie where the one before them did, and the remainder of a large number is dear.
      if (!(timestamp >= memoFrom && timestamp < memoTo)) {
        last = lastStart(windows, timestamp);
        first = firstStart(windows, timestamp);
        memoFrom = Math.max(last, first - advanceMs + sizeMs);
        memoTo = Math.min(first + sizeMs, last + advanceMs);
      }
      const open = clock - graceMs < first + sizeMs ? first : firstOpenStart(windows, timestamp, clock);
      const id = keys.toId(key);
      const to = meta.topic === into ? Math.min(last, lastMissed(meta)) : last;
      for (let start = open; start <= to; start += advanceMs) {
        const end = start + sizeMs;
        const state = store.update(end, id, fold) as State;
        if (emit === "update") next(result(key, end, state), at(meta, state[count] as number));
      }
      if (open > first) sayLate(pushed, meta, first, Math.min(open - advanceMs, to), clock);
    };

    const sayLate = (pushed: unknown, meta: RecordMeta, from: number, to: number, clock: number): void => {
      const missed: { start: number; end: number }[] = [];
      for (let start = from; start <= to; start += advanceMs) missed.push({ start, end: start + sizeMs });
      const lateness = latenessMs(meta.timestamp, clock);
      context.late(meta, pushed, lateness, missed, late === "topic");
      if (typeof late === "function" && pushed !== undefined) {
        const { key, timestamp, topic, partition, position } = meta;
        const record = { key, timestamp, topic, partition, position, headers: meta.headers, latenessMs: lateness, missed };
        late(pushed as never, record as never);
      }
    };

    return {
      push,
      timed: {
        dueAt: () => store.nextTime + graceMs,
        fire: (budget) => {
          while (store.nextTime + graceMs <= context.clock.safe) {
            const end = store.nextTime;
            const isDone = store.drain(end, (id, state) => {
              const key = keys.fromId(id);
              budget.left--;
              return (emit !== "close" || context.fire(key, id, result(key, end, state as State), (state as State)[count] as number)) && budget.left > 0;
            });
            if (!isDone) return false;
          }
          return true;
        },
      },
    };
  };
}

/** Of a late letter that comes back: the start of the last window it missed, for the others have it. */
function lastMissed(meta: RecordMeta): number {
  const missed = headerOf(meta, MISSED_HEADER);
  return missed === null ? Infinity : Math.max(...(JSON.parse(missed) as readonly { readonly start: number }[]).map(({ start }) => start));
}

/** The record with the timestamp of the result. */
function at(meta: RecordMeta, timestamp: number): RecordMeta {
  if (meta.timestamp === timestamp) return meta;
  return new RecordView(meta.topic, meta.partition, null).of(meta.key, timestamp, meta.position, fieldsOf(meta));
}
