/** The loop that steps a worker, and whoever watches that it turns. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { drive, watchLoop } from "../../../src/app/drive.ts";
import type { Worker, WorkerState } from "../../../src/task/worker.ts";
import { virtualRuntime } from "../../../src/testing/virtual-runtime.ts";

const host = await hostRuntime();

/** A worker that has nothing to do until it is stopped. */
function idleWorker() {
  const wakers = new Set<() => void>();
  const worker = {
    state: "running" as WorkerState,
    failure: null,
    steps: 0,
    step: () => {
      worker.steps++;
      return { idle: true, nextWakeAt: Infinity };
    },
    onWake: (fn: () => void) => {
      wakers.add(fn);
      return () => wakers.delete(fn);
    },
    end: (state: WorkerState) => {
      worker.state = state;
      for (const fn of wakers) fn();
    },
  };
  return { worker: worker as unknown as Worker & Pick<typeof worker, "steps" | "end">, runtime: virtualRuntime({ host }) };
}

/** Lets time go by, and what waits for it have its turns. */
async function pass(runtime: ReturnType<typeof virtualRuntime>, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    runtime.advance(500);
    for (let turn = 0; turn < 4; turn++) await host.yield();
  }
}

describe("watchLoop()", () => {
  test("a loop that sleeps turns for each tick, and none comes once the watch is over", async () => {
    const { worker, runtime } = idleWorker();
    let ticks = 0;
    const driven = drive(worker, runtime);
    const off = watchLoop(worker, runtime, { everyMs: 1_000, tick: () => ticks++ });
    await pass(runtime, 10_000);
    const [seen, steps] = [ticks, worker.steps];
    off();
    await pass(runtime, 10_000);
    worker.end("stopped");
    await driven;

    expect(seen).toBeGreaterThanOrEqual(10);
    expect(seen).toBeLessThanOrEqual(11);
    expect(steps).toBeGreaterThanOrEqual(seen);
    expect(ticks).toBe(seen);
    expect(runtime.nextTimerAt).toBe(Infinity);
  });

  test("a loop that does not turn gives no tick, although timers fire", async () => {
    const { worker, runtime } = idleWorker();
    let ticks = 0;
    const off = watchLoop(worker, runtime, { everyMs: 1_000, tick: () => ticks++ });
    await pass(runtime, 10_000);
    off();

    expect(ticks).toBe(0);
  });

  test("a worker that has stopped ticks on while what is behind it is closed", async () => {
    const { worker, runtime } = idleWorker();
    let ticks = 0;
    const driven = drive(worker, runtime);
    worker.end("stopped");
    await driven;
    const off = watchLoop(worker, runtime, { everyMs: 1_000, tick: () => ticks++ });
    await pass(runtime, 5_000);
    off();

    expect(ticks).toBe(6);
  });
});
