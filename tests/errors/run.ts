/** What all errors runs share: what to do, what came of it, and when a run is over. */
import type { Log } from "../../src/log/log.ts";
import { readBook } from "./book.ts";
import { leftOver, readContent } from "./content.ts";
import type { Plan } from "./plan.ts";
import { type ErrorsVerdict, verdictOn } from "./verdict.ts";

/** What to do. */
export interface ErrorsRunOptions {
  readonly records: number;
  /** Of the plan and of the moments of the crashes. */
  readonly seed: number;
  /** Kills while records come in; the last records come after the last one. */
  readonly crashes: number;
  /** Where the book lies, and what the log needs. */
  readonly directory: string;
  /** How long a life lasts that is killed, ms, about. */
  readonly lifeMs: number;
  readonly onEvent?: (sentence: string) => void;
}

/** What came of it. */
export interface ErrorsRunResult extends ErrorsVerdict, ErrorsRunFigures {}

/** What happened meanwhile. */
export interface ErrorsRunFigures {
  readonly crashes: number;
  /** Starts in all. */
  readonly lives: number;
  /** Records that webhooks took. */
  readonly sent: number;
}

/** Of every run's app. */
export const RUN_NAME = "errors";
/** What an app says of a task that its policy has stopped. */
export const STOPPED_BY_POLICY = "its policy is to stop";

/** How long all may take after the last crash, ms, on a machine that has other things to do. */
export function drainMs(records: number): number {
  return 100_000 + 6 * records;
}

/** The verdict as of now; `left`: what the app has not come to. */
export async function judgeNow(
  log: Log,
  name: string,
  plan: Plan,
  directory: string,
): Promise<{ readonly verdict: ErrorsVerdict; readonly left: readonly string[] }> {
  const left = await leftOver(log, name);
  return { verdict: verdictOn(name, plan, await readContent(log, name), readBook(directory)), left };
}

/** What is left at the end of its time is wrong. */
export function resultOf(figures: ErrorsRunFigures, verdict: ErrorsVerdict, left: readonly string[]): ErrorsRunResult {
  const wrong = [...verdict.wrong, ...left, ...(verdict.missing > 0 ? [`${verdict.missing} records have not come to an end`] : [])];
  return { ...verdict, ...figures, wrong, wrongCount: verdict.wrongCount + left.length + (verdict.missing > 0 ? 1 : 0) };
}

/** Numbers from 0 to 1: the same for the same seed. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
