/** An errors run on a real broker: one of two workers is killed by SIGKILL again and again, records are written and read beside them. */
import { setTimeout as sleep } from "node:timers/promises";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import type { Log } from "../../src/log/log.ts";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";
import { Book } from "./book.ts";
import { closeWindows, makeSources, writeRecords } from "./content.ts";
import { Plan } from "./plan.ts";
import { DRAIN_MS, type ErrorsRunOptions, type ErrorsRunResult, generator, judgeNow, resultOf } from "./run.ts";
import type { WorkerArguments } from "./worker-fixture.ts";

/** What a run on a broker needs besides. */
export interface KafkaErrorsRunOptions extends ErrorsRunOptions {
  readonly runtime: ProgramRuntime;
  readonly client: "platformatic" | "confluent";
  readonly brokers: string;
  readonly sessionTimeout: string;
  /** Begins the names of its topics and its group. */
  readonly prefix: string;
}

const WORKERS = 2;
/** Each in a directory of its own. */
let readers = 0;
const fixture = new URL("./worker-fixture.ts", import.meta.url);

/** Does it all. Rejects when a worker ends by itself. */
export async function kafkaErrorsRun(options: KafkaErrorsRunOptions): Promise<ErrorsRunResult> {
  const { runtime, client, brokers, sessionTimeout, prefix, records, seed, crashes, directory, lifeMs, onEvent } = options;
  const name = `${prefix}errors`;
  const plan = new Plan(records, seed, Date.now());
  const random = generator(seed);
  new Book(directory, records).close();
  const workers: Program[] = [];
  let lives = 0, written = 0;
  const start = (index: number): Promise<unknown> => {
    const args: WorkerArguments = {
      name,
      records,
      seed,
      startAt: plan.startAt,
      life: ++lives,
      directory: `${directory}/worker-${index}`,
      book: directory,
      kafka: { brokers, client, sessionTimeout },
    };
    workers[index] = spawnProgram(runtime, fixture, [JSON.stringify(args)]);
    return workers[index].line();
  };
  const end = async (index: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> => {
    const program = workers[index]!;
    program.kill(signal);
    const { code, signal: by } = await program.exited;
    onEvent?.(`worker ${index} ended; ${program.stderr().trim()}`);
    const isAsTold = signal === "SIGTERM" ? code === 0 : by === "SIGKILL" || code === 137;
    if (!isAsTold) throw new Error(`Worker ${index} ended with ${code ?? by}, and was told to by ${signal} (seed ${seed}): ${program.stderr()}`);
  };
  const write = async (log: Log, until: number): Promise<void> => {
    await writeRecords(log, name, plan, written, until);
    written = until;
  };

  // Another one each time: it knows the topics that were there when it was opened.
  const judge = (): ReturnType<typeof judgeNow> => withLog(brokers, directory, (log) => judgeNow(log, name, plan, directory));
  return await withLog(brokers, directory, async (log) => {
    await makeSources(log, name);
    await write(log, Math.ceil(records / (crashes + 1)));
    await Promise.all(Array.from({ length: WORKERS }, (_, index) => start(index)));
    for (let crash = 1; crash <= crashes; crash++) {
      await sleep(lifeMs * (0.2 + random()));
      await end(crash % WORKERS, "SIGKILL");
      onEvent?.(`crash ${crash}`);
      const started = start(crash % WORKERS);
      // Now and then the other one finds out what the dead one left before it is back.
      if (random() < 0.9) await started;
      await write(log, Math.ceil(records * (crash + 1) / (crashes + 1)));
    }
    await closeWindows(log, name, plan);
    for (const deadline = performance.now() + DRAIN_MS;;) {
      await sleep(lifeMs);
      const { verdict, left } = await judge();
      onEvent?.(`${verdict.missing} records have not come to an end`);
      const isOver = performance.now() > deadline || (verdict.missing === 0 && left.length === 0);
      // In order, for that mends what has stopped; what they say at the last is judged too.
      for (let index = 0; index < WORKERS; index++) {
        await end(index, "SIGTERM");
        if (!isOver) await start(index);
      }
      if (!isOver) continue;
      const last = await judge();
      return resultOf(crashes, lives, last.verdict, last.left);
    }
  }).finally(() => workers.forEach((program) => program.kill("SIGKILL")));
}

async function withLog<T>(brokers: string, directory: string, work: (log: Log) => Promise<T>): Promise<T> {
  const runtime = await hostRuntime();
  const { log, database } = await kafka({ brokers: [brokers] }).open({
    app: "records",
    runtime,
    directory: `${directory}/reader-${readers++}`,
    report: () => undefined,
  });
  try {
    return await work(log);
  } finally {
    await log.close();
    database?.close();
  }
}
