/** When a worker is ended, when another takes its place and after which pause: by the clock, and with processes that do as they are told. `tests/runtime/workers.test.ts` has real ones. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import type { WorkerMessage } from "../../../src/cli/messages.ts";
import { WatchedWorker, type WorkerNews } from "../../../src/cli/watched-worker.ts";
import type { ProcessEnd } from "../../../src/runtime/processes.ts";
import { virtualRuntime } from "../../../src/testing/virtual-runtime.ts";

const host = await hostRuntime();

/** A process of the test's. */
interface Actor {
  readonly processId: number;
  say(message: WorkerMessage): void;
  end(end: Partial<ProcessEnd>): Promise<void>;
  readonly heard: readonly unknown[];
  readonly isKilled: boolean;
}

function watched(stuckAfterMs: number = 30_000) {
  const runtime = virtualRuntime({ host });
  const actors: Actor[] = [];
  const news: WorkerNews[] = [];
  const worker = new WatchedWorker({
    runtime,
    index: 0,
    stuckAfterMs,
    onNews: (one) => void news.push(one),
    spawn: (onMessage) => {
      const { promise: ended, resolve } = Promise.withResolvers<ProcessEnd>();
      const actor = { processId: 100 + actors.length, heard: [] as unknown[], isKilled: false };
      const end = async (how: Partial<ProcessEnd>): Promise<void> => {
        resolve({ code: null, signal: null, failure: null, ...how });
        await ended;
        // Whoever waits for the end has its turn.
        await host.yield();
      };
      actors.push(Object.assign(actor, { say: (message: WorkerMessage) => onMessage(JSON.stringify(message)), end }));
      return {
        processId: actor.processId,
        ended,
        send: (text) => void actor.heard.push(JSON.parse(text)),
        kill: () => {
          actor.isKilled = true;
        },
      };
    },
  });
  worker.start();
  return { runtime, actors, news, worker };
}

/** Lets time go by with a tick of the newest process each second. */
function live({ runtime, actors }: Pick<ReturnType<typeof watched>, "runtime" | "actors">, seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    runtime.advance(1_000);
    actors.at(-1)!.say({ type: "tick" });
  }
}

describe("WatchedWorker", () => {
  test("a worker that ticks lives; one that is silent for stuckAfterMs is ended, and not before", () => {
    const one = watched(5_000);
    one.actors[0]!.say({ type: "started" });
    live(one, 100);
    one.runtime.advance(4_900);
    const before = one.actors[0]!.isKilled;
    one.runtime.advance(1_100);

    expect([before, one.actors[0]!.isKilled]).toEqual([false, true]);
  });

  test("before it stands it has 30 s, however short stuckAfterMs is", () => {
    const one = watched(1_000);
    one.runtime.advance(29_000);
    const before = one.actors[0]!.isKilled;
    one.runtime.advance(2_000);

    expect([before, one.actors[0]!.isKilled]).toEqual([false, true]);
  });

  test("F27 a watcher that slept itself does not take the sleep for silence", () => {
    const one = watched(5_000);
    one.actors[0]!.say({ type: "started" });
    // The clock has gone on by an hour when the timer of a second fires, as on a machine that was suspended.
    const { monotonic } = one.runtime;
    one.runtime.monotonic = () => monotonic() + 3_600_000;
    one.runtime.advance(2_500);
    const isSpared = !one.actors[0]!.isKilled;
    one.runtime.advance(5_000);

    expect([isSpared, one.actors[0]!.isKilled]).toEqual([true, true]);
  });

  test("pauses double from 100 ms to 10 s, and begin again after a minute without trouble", async () => {
    const one = watched();
    const pauseAfter = async (seconds: number): Promise<number> => {
      const actor = one.actors.at(-1)!;
      actor.say({ type: "started" });
      live(one, seconds);
      await actor.end({ signal: "SIGKILL" });
      const last = one.news.at(-1)!;
      if (last.type !== "workerRestarts") throw new Error(`wanted a restart, got ${JSON.stringify(last)}`);
      const { length } = one.actors;
      one.runtime.advance(last.pauseMs - 1);
      expect(one.actors).toHaveLength(length);
      one.runtime.advance(1);
      expect(one.actors).toHaveLength(length + 1);
      return last.pauseMs;
    };
    const all: number[] = [];
    for (let restart = 0; restart < 9; restart++) all.push(await pauseAfter(0));
    all.push(await pauseAfter(59), await pauseAfter(60));

    expect(all).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 100]);
  });

  test.each([
    ["it fails before it has ever stood", false, { code: 1 }, 1],
    ["it ends with a code of the runtime's before it has ever stood", false, { code: 13 }, 13],
    ["it is wrong by definition", true, { code: 2 }, 2],
    ["it ends by itself", true, { code: 0 }, 0],
    ["it cannot be started", false, { failure: "no such program" }, 1],
  ] as const)("no other takes its place when %s", async (_, hasStood, end, exitCode) => {
    const one = watched();
    if (hasStood) one.actors[0]!.say({ type: "started" });
    await one.actors[0]!.end(end);
    one.runtime.advance(100_000);

    expect(one.news).toEqual([expect.objectContaining({ type: "workerEnded", exitCode })]);
    expect([one.actors.length, one.worker.hasEnded]).toEqual([1, true]);
  });

  test.each([
    ["a signal ends it before it has ever stood", [], { signal: "SIGKILL" }],
    ["it fails after it has stood", [{ type: "started" }], { code: 1 }],
  ] as const)("another takes its place when %s", async (_, said, end) => {
    const one = watched();
    for (const message of said) one.actors[0]!.say(message);
    await one.actors[0]!.end(end);
    one.runtime.advance(100);

    expect([one.actors.length, one.worker.hasEnded]).toEqual([2, false]);
  });

  test("a failure is handed on, and its teller hears that it was", () => {
    const one = watched();
    one.actors[0]!.say({ type: "failed", text: "the reason", exitCode: 1 });

    expect(one.news).toEqual([{ type: "workerFailed", worker: 0, text: "the reason" }]);
    expect(one.actors[0]!.heard).toEqual([{ type: "heard" }]);
  });

  test("stop() asks it to drain, watches no more, and starts none again", async () => {
    const one = watched(1_000);
    one.actors[0]!.say({ type: "started" });
    one.worker.stop();
    one.runtime.advance(60_000);
    const wasKilled = one.actors[0]!.isKilled;
    await one.actors[0]!.end({ code: 0 });
    one.runtime.advance(60_000);

    expect([one.actors[0]!.heard, wasKilled, one.actors.length]).toEqual([[{ type: "stop" }], false, 1]);
    expect(one.news).toEqual([{ type: "workerEnded", worker: 0, processId: 100, exitCode: 0, reason: "it ended with exit code 0", isSaid: true }]);
  });

  test("stop() within a pause ends it at once", async () => {
    const one = watched();
    await one.actors[0]!.end({ signal: "SIGSEGV" });
    one.worker.stop();
    one.runtime.advance(60_000);

    expect([one.actors.length, one.worker.hasEnded]).toEqual([1, true]);
    expect(one.news.at(-1)).toMatchObject({ type: "workerEnded", exitCode: 0 });
  });

  test("one that is stopped and dies before it drained, or fails to, says so by its code", async () => {
    const died = watched();
    died.actors[0]!.say({ type: "started" });
    died.worker.stop();
    await died.actors[0]!.end({ signal: "SIGKILL" });
    const failed = watched();
    failed.actors[0]!.say({ type: "started" });
    failed.worker.stop();
    await failed.actors[0]!.end({ code: 1 });

    expect(died.news.at(-1)).toMatchObject({ exitCode: 1, isSaid: false, reason: "SIGKILL ended it" });
    expect(failed.news.at(-1)).toMatchObject({ exitCode: 1, isSaid: true });
  });
});
