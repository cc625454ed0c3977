/** Waits until the tasks are done with letters whose replay was ordered, and tells what came of it. */
import type { Runtime } from "../../runtime/runtime.ts";
import type { LetterChoice } from "./letter-flags.ts";
import type { FilterQuery } from "./letter-flags.ts";
import { type LetterPages, PAGE_MAX } from "./letter-pages.ts";

/** What is waited for. */
export interface ReplayWaitOptions {
  readonly runtime: Pick<Runtime, "monotonic" | "setTimer">;
  readonly pages: LetterPages;
  /** The letters that were selected. */
  readonly choice: LetterChoice;
  readonly filter: FilterQuery;
  /** How many were queued, and which of them, as far as is known. */
  readonly queued: number;
  readonly ids: readonly number[];
  /** The topic of the letters. */
  readonly topic: string;
  /** The newest letter before they were. */
  readonly newest: number;
  /** Told how many are left, now and then. */
  readonly onProgress: (left: number) => void;
}

/** What became of them. */
export interface Replayed {
  readonly taken: number;
  /** Of those, how many became letters again. */
  readonly failedAgain: number;
  /** Not done, for a task that waits for another try, is paused or has stopped. */
  readonly left: number;
}

const ASK_FIRST_MS = 50;
const ASK_MAX_MS = 1_000;
/** With none done for so long nobody waits for them. */
const PATIENCE_MS = 30_000;
const PROGRESS_MS = 2_000;

/** Fulfils when all are done, or none has been for 30 s. */
export async function waitForReplay(options: ReplayWaitOptions): Promise<Replayed> {
  const { runtime, onProgress, queued } = options;
  let left = await countLeft(options);
  let movedAt = runtime.monotonic();
  let saidAt = movedAt;
  for (let pauseMs = ASK_FIRST_MS; left > 0; pauseMs = Math.min(ASK_MAX_MS, pauseMs * 2)) {
    await new Promise<void>((resolve) => void runtime.setTimer(resolve, pauseMs));
    const before = left;
    left = await countLeft(options);
    const now = runtime.monotonic();
    if (left < before) movedAt = now;
    else if (now - movedAt >= PATIENCE_MS) break;
    if (left === 0 || now - saidAt < PROGRESS_MS) continue;
    onProgress(left);
    saidAt = now;
  }
  return { taken: Math.max(0, queued - left), failedAgain: await countFailed(options), left };
}

/** Of more than a page of them it is enough to know that they are many. */
async function countLeft({ pages, choice, filter }: ReplayWaitOptions): Promise<number> {
  const ids = new Set(choice.ids);
  if (ids.size === 0) return (await pages.list({ ...filter, state: "queued", limit: PAGE_MAX })).letters.length;
  let left = 0;
  const last = Math.max(...ids);
  for await (const { id } of pages.each({ state: "queued", after: firstAfter(ids) })) {
    if (id > last) break;
    if (ids.has(id)) left++;
  }
  return left;
}

/** Letters that are newer than the order and say whose replay failed. */
async function countFailed({ pages, ids, queued, topic, newest }: ReplayWaitOptions): Promise<number> {
  const ordered = ids.length === queued ? new Set(ids.map((id) => `${topic}@${id}`)) : null;
  let failed = 0;
  for await (const { replayOf } of pages.each(newest < 0 ? {} : { after: newest })) {
    if (replayOf !== null && (ordered === null || ordered.has(replayOf))) failed++;
  }
  return failed;
}

/** What comes after it begins with the first of them; undefined: from the start. */
function firstAfter(ids: ReadonlySet<number>): number | undefined {
  const first = Math.min(...ids);
  return first === 0 ? undefined : first - 1;
}
