/** The loop of hosts that have one: steps a worker whenever there is something to do, and lets everything else have its turn in between. */
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { Worker } from "../task/worker.ts";

/** A loop, for whoever watches it. */
interface Loop {
  /** Ends its sleep. */
  resume: (() => void) | null;
  /** Called at its next turn. */
  asked: (() => void) | null;
}

const loops = new WeakMap<Worker, Loop>();

function loopOf(worker: Worker): Loop {
  let loop = loops.get(worker);
  if (loop === undefined) loops.set(worker, loop = { resume: null, asked: null });
  return loop;
}

/** Has the loop of a worker turn at least every `everyMs`, and calls `tick` when it has; a loop that hangs calls nothing. Goes on until the returned function is called. */
export function watchLoop(worker: Worker, runtime: Runtime, { everyMs, tick }: { readonly everyMs: number; readonly tick: () => void }): () => void {
  const loop = loopOf(worker);
  let timer: Timer;
  const ask = (): void => {
    timer = runtime.setTimer(ask, everyMs);
    // Its loop has ended as it should: what is left to do is to close, and the host's own loop turns.
    if (worker.state === "stopped" || worker.state === "failed") return tick();
    loop.asked = tick;
    loop.resume?.();
  };
  ask();
  return () => {
    timer.cancel();
    loop.asked = null;
  };
}

/** Steps until the worker has stopped or failed; rejects with its failure. */
export async function drive(worker: Worker, runtime: Runtime): Promise<void> {
  let isWoken = false;
  const loop = loopOf(worker);
  const off = worker.onWake(() => {
    isWoken = true;
    loop.resume?.();
  });
  try {
    while (worker.state !== "stopped" && worker.state !== "failed") {
      isWoken = false;
      const { idle, nextWakeAt } = worker.step();
      if (loop.asked !== null) {
        const { asked } = loop;
        loop.asked = null;
        asked();
      }
      if (!idle) {
        await runtime.yield();
        continue;
      }
      if (isWoken) {
        await runtime.yield();
        continue;
      }
      let timer: Timer | null = null;
      await new Promise<void>((resolve) => {
        loop.resume = resolve;
        if (nextWakeAt !== Infinity) timer = runtime.setTimer(resolve, Math.max(0, nextWakeAt - runtime.monotonic()));
      });
      loop.resume = null;
      (timer as Timer | null)?.cancel();
      // Whoever woke it may have more to say: appends of one macrotask are worked on together.
      await runtime.yield();
    }
  } finally {
    off();
  }
  if (worker.state === "failed") throw worker.failure;
}
