/** An errors run on the log in memory: the worker dies inside of this process, and a new one is opened on what it left. */
import { hostRuntime } from "../../adapters/host/host.ts";
import { internalsOf } from "../../src/app/app.ts";
import type { Engine } from "../../src/app/engine.ts";
import type { ObservedEvent } from "../../src/observe/events.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { keptMemoryLog } from "../../src/testing/test-log.ts";
import { errorsApp } from "./app.ts";
import { Book } from "./book.ts";
import { closeWindows, makeSources, writeRecords } from "./content.ts";
import { Plan } from "./plan.ts";
import { drainMs, type ErrorsRunOptions, type ErrorsRunResult, generator, judgeNow, resultOf, RUN_NAME, STOPPED_BY_POLICY } from "./run.ts";
import { Sender } from "./sender.ts";

const IDLE_MS_MAX = 5;

/** Does it all. */
export async function memoryErrorsRun({ records, seed, crashes, directory, lifeMs, onEvent }: ErrorsRunOptions): Promise<ErrorsRunResult> {
  const runtime = await hostRuntime();
  const plan = new Plan(records, seed, runtime.now());
  const random = generator(seed);
  const kept = keptMemoryLog();
  const book = new Book(directory, records);
  const observer = (event: ObservedEvent): void => {
    if (event.type === "taskStopped" && event.reason.includes(STOPPED_BY_POLICY)) hasStopped = true;
    if (["taskStopped", "commitFailed", "warning", "taskStuck"].includes(event.type)) onEvent?.(JSON.stringify(event));
  };
  const sender = new Sender(plan);
  let lives = 0, written = 0, hasStopped = false;
  const write = async ({ log }: Engine, until: number): Promise<void> => {
    if (written === 0) await makeSources(log, RUN_NAME);
    await writeRecords(log, RUN_NAME, plan, written, until);
    sender.add(written, until);
    written = until;
  };
  const open = (): Promise<Engine> => {
    const app = errorsApp({ name: RUN_NAME, plan, book, life: ++lives });
    return internalsOf(app).open({ runtime, driver: kept.driver, directory, observer });
  };
  try {
    for (let crash = 1; crash <= crashes; crash++) {
      const engine = await open();
      await write(engine, Math.ceil(records * crash / (crashes + 1)));
      await live(engine, runtime, lifeMs * (0.2 + random()), sender);
      await kept.kill();
      onEvent?.(`crash ${crash}`);
    }
    // Each longer than the one before it: on a busy machine a start takes most of a short one.
    for (let lastMs = 2 * lifeMs, deadline = runtime.monotonic() + drainMs(records);; lastMs *= 1.5) {
      const engine = await open();
      if (written < records) {
        await write(engine, records);
        await closeWindows(engine.log, RUN_NAME, plan);
      }
      // Sooner when a task has stopped, for a start mends it.
      hasStopped = false;
      for (let ms = 0; ms < (hasStopped ? 2 * lifeMs : lastMs); ms += lifeMs) await live(engine, runtime, lifeMs, sender);
      await stop(engine, runtime);
      const { verdict, left } = await judgeNow(engine.log, RUN_NAME, plan, directory);
      onEvent?.(`${verdict.missing} records have not come to an end`);
      const isDone = verdict.missing === 0 && left.length === 0 && sender.left === 0;
      if (isDone || runtime.monotonic() > deadline) return resultOf({ crashes, lives, sent: sender.taken }, verdict, left);
    }
  } finally {
    book.close();
    await kept.close();
  }
}

/** Steps the worker for so long, while records come in by webhook; whoever steps it no more has killed it. */
async function live(engine: Engine, runtime: Runtime, ms: number, sender: Sender): Promise<void> {
  const end = runtime.monotonic() + ms;
  const over = stepWhile(engine, runtime, () => runtime.monotonic() < end);
  await Promise.all([over, sender.send((request) => engine.fetch(request), over)]);
}

/** Ends it in order. */
async function stop(engine: Engine, runtime: Runtime): Promise<void> {
  let isStopped = false;
  const stopping = engine.stop().finally(() => (isStopped = true));
  await Promise.all([stopping, stepWhile(engine, runtime, () => !isStopped)]);
}

async function stepWhile({ worker }: Engine, runtime: Runtime, isWanted: () => boolean): Promise<void> {
  let wake: () => void = () => undefined;
  const off = worker.onWake(() => wake());
  while (isWanted()) {
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const { idle, nextWakeAt } = worker.step();
    if (worker.state === "failed") throw worker.failure;
    const waitMs = idle ? Math.min(IDLE_MS_MAX, nextWakeAt - runtime.monotonic()) : 0;
    if (waitMs <= 0) await runtime.yield();
    else await Promise.race([woken, new Promise((resolve) => setTimeout(resolve, waitMs))]);
  }
  off();
}
