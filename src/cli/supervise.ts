/** The parent of `millrace run`: starts the workers, keeps them running, and ends when they have ended. Records pass by it: it only watches. */
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { RunArguments } from "./commands/run.ts";
import type { Told } from "./messages.ts";
import { WatchedWorker, type WorkerNews } from "./watched-worker.ts";

/** What the parent starts. */
export interface SuperviseOptions {
  /** The module that runs a worker, with these arguments. */
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Runs workers until all have ended. Gives the exit code: 0 when they were told to stop or ended by themselves, and drained; the code of the first that failed for good; 1 when one did not drain in time.
 *
 * Needs a runtime that `spawns`.
 */
export function supervise(asked: RunArguments, runtime: Runtime, { program, args }: SuperviseOptions): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { workers: count, stopWithinMs } = asked;
  let exitCode = 0;
  let isStopping = false;
  let deadline: Timer | null = null;
  /** What was printed of workers that fail in the same way: once is enough. */
  const printed = new Set<string>();

  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    deadline = runtime.setTimer(() => {
      for (const worker of workers) worker.kill(`it did not stop within ${stopWithinMs / 1_000} s and was ended`);
    }, stopWithinMs);
    for (const worker of workers) worker.stop();
  };
  const onNews = (news: WorkerNews): void => {
    if (news.type === "workerFailed") {
      if (!printed.has(news.text)) runtime.print(news.text, "error");
      printed.add(news.text);
      return;
    }
    if (news.type === "workerRestarts") {
      printed.clear();
      runtime.print(asked.json ? jsonLine(news, runtime) : textLine(news, count), "error");
      return;
    }
    if (news.exitCode !== 0) {
      exitCode ||= news.exitCode;
      if (!news.isSaid) runtime.print(asked.json ? jsonLine(news, runtime) : textLine(news, count), "error");
      stop();
    }
    if (workers.some((worker) => !worker.hasEnded)) return;
    deadline?.cancel();
    offSignal();
    resolve(exitCode);
  };
  const workers = Array.from({ length: count }, (_, index) => {
    const told: Told = { index, count };
    return new WatchedWorker({
      runtime,
      index,
      stuckAfterMs: asked.stuckAfterMs,
      spawn: (onMessage) => runtime.spawn!({ program, args, told: JSON.stringify(told), onMessage, sharesInput: count === 1 }),
      onNews,
    });
  });
  const offSignal = runtime.onSignal(stop);
  for (const worker of workers) worker.start();
  return promise;
}

function textLine(news: Exclude<WorkerNews, { readonly type: "workerFailed" }>, count: number): string {
  const who = `${count === 1 ? "The worker" : `Worker ${news.worker}`} (process ${news.processId})`;
  return news.type === "workerRestarts"
    ? `${who} starts again in ${news.pauseMs} ms: ${news.reason}`
    : `${who} has ended: ${news.reason}; what it had in hand is done again at the next start`;
}

function jsonLine(news: WorkerNews, runtime: Runtime): string {
  return JSON.stringify({ ...news, time: new Date(runtime.now()).toISOString() });
}
