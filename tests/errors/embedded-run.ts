/** An errors run on the embedded log: the process is killed by SIGKILL, records are written while nobody has the log, and read when all is over. */
import { setTimeout as sleep } from "node:timers/promises";
import { hostRuntime } from "../../adapters/host/host.ts";
import { embedded } from "../../src/app/log-driver.ts";
import type { Log } from "../../src/log/log.ts";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";
import { Book } from "./book.ts";
import { closeWindows, makeSources, writeRecords } from "./content.ts";
import { Plan } from "./plan.ts";
import { drainMs, type ErrorsRunOptions, type ErrorsRunResult, generator, judgeNow, resultOf, RUN_NAME, STOPPED_BY_POLICY } from "./run.ts";
import { addressIn, postTo, Sender } from "./sender.ts";
import type { WorkerArguments } from "./worker-fixture.ts";

const LOOK_AGAIN_MS = 100;
const fixture = new URL("./worker-fixture.ts", import.meta.url);

/** Does it all. Rejects when the app ends by itself. */
export async function embeddedErrorsRun(options: ErrorsRunOptions & { readonly runtime: ProgramRuntime }): Promise<ErrorsRunResult> {
  const { runtime, records, seed, crashes, directory, lifeMs, onEvent } = options;
  const plan = new Plan(records, seed, Date.now());
  const random = generator(seed);
  new Book(directory, records).close();
  let lives = 0, written = 0;
  const start = (): Program => {
    const args: WorkerArguments = { name: RUN_NAME, records, seed, startAt: plan.startAt, life: ++lives, directory, book: directory, kafka: null };
    return spawnProgram(runtime, fixture, [JSON.stringify(args)]);
  };
  const write = (until: number): Promise<void> =>
    withLog(directory, async (log) => {
      await makeSources(log, RUN_NAME);
      await writeRecords(log, RUN_NAME, plan, written, until);
      if (until === records) await closeWindows(log, RUN_NAME, plan);
      sender.add(written, until);
      written = until;
    });
  const sender = new Sender(plan);

  for (let crash = 1; crash <= crashes; crash++) {
    await write(Math.ceil(records * crash / (crashes + 1)));
    const program = start();
    // Now and then before it works.
    const url = random() < 0.9 ? addressIn(await program.line()) : null;
    const over = Promise.race([sleep(lifeMs * (0.2 + random())), program.exited]).then(() => program.kill("SIGKILL"));
    if (url !== null) await sender.send(postTo(url), over);
    await over;
    const { code, signal } = await program.exited;
    onEvent?.(`crash ${crash}; ${program.stderr().trim()}`);
    if (signal !== "SIGKILL" && code !== 137) throw new Error(`The app ended with ${code ?? signal} by itself (seed ${seed}): ${program.stderr()}`);
  }
  await write(records);
  // Each longer than the one before it: on a busy machine a start takes most of a short one.
  for (let lastMs = 2 * lifeMs, deadline = performance.now() + drainMs(records);; lastMs *= 1.5) {
    const program = start();
    const url = addressIn(await program.line());
    const over = enough(program, 2 * lifeMs, lastMs);
    if (url !== null) await sender.send(postTo(url), over);
    await over;
    program.kill("SIGTERM");
    const { code, signal } = await program.exited;
    if (code !== 0) throw new Error(`The app ended with ${code ?? signal} after SIGTERM, wanted 0 (seed ${seed}): ${program.stderr()}`);
    const { verdict, left } = await withLog(directory, (log) => judgeNow(log, RUN_NAME, plan, directory));
    onEvent?.(`${verdict.missing} records have not come to an end; ${program.stderr().trim()}`);
    const isDone = verdict.missing === 0 && left.length === 0 && sender.left === 0;
    if (isDone || performance.now() > deadline) return resultOf({ crashes, lives, sent: sender.taken }, verdict, left);
  }
}

/** Fulfils after so long; sooner when a task has stopped, for a start mends it. */
async function enough(program: Program, leastMs: number, mostMs: number): Promise<void> {
  const since = performance.now();
  const hasStopped = (): boolean => program.stderr().includes(STOPPED_BY_POLICY) && performance.now() - since > leastMs;
  while (!hasStopped() && performance.now() - since < mostMs) await sleep(LOOK_AGAIN_MS);
}

async function withLog<T>(directory: string, work: (log: Log) => Promise<T>): Promise<T> {
  const runtime = await hostRuntime();
  const { log } = await embedded().open({ app: RUN_NAME, runtime, directory, report: () => undefined });
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}
