/** An errors run on a real broker: one of two workers is killed by SIGKILL again and again, records are written and read beside them. */
import { setTimeout as sleep } from "node:timers/promises";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import type { Log } from "../../src/log/log.ts";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";
import { Book } from "./book.ts";
import { closeWindows, makeSources, writeRecords } from "./content.ts";
import { Plan } from "./plan.ts";
import { drainMs, type ErrorsRunOptions, type ErrorsRunResult, generator, judgeNow, resultOf, STOPPED_BY_POLICY } from "./run.ts";
import { addressIn, type Post, postTo, Sender } from "./sender.ts";
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
  const sender = new Sender(plan);
  const workers: Program[] = [];
  /** Where each listens; null: it does not. */
  const addresses: (string | null)[] = [];
  let lives = 0, written = 0, turns = 0;
  const start = async (index: number): Promise<void> => {
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
    addresses[index] = addressIn(await workers[index].line());
  };
  /** To whoever listens; nobody knows of those that have died before they are asked. */
  const post: Post = async (request) => {
    const urls = addresses.filter((url) => url !== null);
    const url = urls[turns++ % urls.length];
    if (url === undefined) throw new Error("No worker listens");
    return await postTo(url)(request);
  };
  const sendFor = async (ms: number): Promise<void> => {
    const over = sleep(ms);
    await Promise.all([over, sender.send(post, over)]);
  };
  const end = async (index: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> => {
    const program = workers[index]!;
    addresses[index] = null;
    program.kill(signal);
    const { code, signal: by } = await program.exited;
    onEvent?.(`worker ${index} ended; ${program.stderr().trim()}`);
    const isAsTold = signal === "SIGTERM" ? code === 0 : by === "SIGKILL" || code === 137;
    if (!isAsTold) throw new Error(`Worker ${index} ended with ${code ?? by}, and was told to by ${signal} (seed ${seed}): ${program.stderr()}`);
  };
  const write = async (log: Log, until: number): Promise<void> => {
    await writeRecords(log, name, plan, written, until);
    sender.add(written, until);
    written = until;
  };

  // Another one each time: it knows the topics that were there when it was opened.
  const judge = (): ReturnType<typeof judgeNow> => withLog(brokers, directory, (log) => judgeNow(log, name, plan, directory));
  return await withLog(brokers, directory, async (log) => {
    await makeSources(log, name);
    await write(log, Math.ceil(records / (crashes + 1)));
    await Promise.all(Array.from({ length: WORKERS }, (_, index) => start(index)));
    for (let crash = 1; crash <= crashes; crash++) {
      await sendFor(lifeMs * (0.2 + random()));
      await end(crash % WORKERS, "SIGKILL");
      onEvent?.(`crash ${crash}`);
      const started = start(crash % WORKERS);
      // Now and then the other one finds out what the dead one left before it is back.
      if (random() < 0.9) await started;
      await write(log, Math.ceil(records * (crash + 1) / (crashes + 1)));
    }
    await closeWindows(log, name, plan);
    for (const deadline = performance.now() + drainMs(records);;) {
      await sendFor(lifeMs);
      const { verdict, left } = await judge();
      onEvent?.(`${verdict.missing} records have not come to an end`);
      const isOver = performance.now() > deadline || (verdict.missing === 0 && left.length === 0 && sender.left === 0);
      // In order, for what they say at the last is judged too; before that only whoever has stopped a task, for that mends it.
      for (const [index, program] of workers.entries()) {
        if (!isOver && !program.stderr().includes(STOPPED_BY_POLICY)) continue;
        await end(index, "SIGTERM");
        if (!isOver) await start(index);
      }
      if (!isOver) continue;
      const last = await judge();
      return resultOf({ crashes, lives, sent: sender.taken }, last.verdict, last.left);
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
