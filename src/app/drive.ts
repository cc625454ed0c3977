/** The loop of hosts that have one: steps a worker whenever there is something to do, and lets everything else have its turn in between. */
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { Worker } from "../task/worker.ts";

/** Steps until the worker has stopped or failed; rejects with its failure. */
export async function drive(worker: Worker, runtime: Runtime): Promise<void> {
  let isWoken = false;
  let resume: (() => void) | null = null;
  const off = worker.onWake(() => {
    isWoken = true;
    resume?.();
  });
  try {
    while (worker.state !== "stopped" && worker.state !== "failed") {
      isWoken = false;
      const { idle, nextWakeAt } = worker.step();
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
        resume = resolve;
        if (nextWakeAt !== Infinity) timer = runtime.setTimer(resolve, Math.max(0, nextWakeAt - runtime.monotonic()));
      });
      resume = null;
      (timer as Timer | null)?.cancel();
      // Whoever woke it may have more to say: appends of one macrotask are worked on together.
      await runtime.yield();
    }
  } finally {
    off();
  }
  if (worker.state === "failed") throw worker.failure;
}
