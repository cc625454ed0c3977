/** Operators' commands against two workers that share the partitions of Kafka, and against Kafka alone when nobody works. */
import { expect } from "bun:test";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./operators-fixture.ts", import.meta.url).pathname;
const ORDERS = 60;
const DEADLINE_MS = 60_000;

interface Partition {
  readonly topic: string;
  readonly partition: number;
  readonly status: string;
  readonly lag: number;
}

brokerTest("letters of two workers are repaired and replayed, their partitions are held and let go, whichever worker has them", async () => {
  const { bootstrap, prefix } = await testBroker();
  const name = `${prefix()}shop`;
  const directory = tempDirectory();
  const env = { MILLRACE_FIXTURE_NAME: name, MILLRACE_FIXTURE_BROKERS: bootstrap, USER: "ann" };

  const millrace = async (words: string, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: readonly string[]; readonly error: string }> => {
    const program = spawnProgram("self", command, [...words.split(" "), fixture, ...args, "--dir", directory.path], { env });
    const out: string[] = [];
    for await (const line of program.lines()) out.push(line);
    return { code: (await program.exited).code, out, error: program.stderr() };
  };
  /** The partitions of the orders, as the worker that has each tells it. */
  const partitions = async (): Promise<readonly Partition[]> => {
    const { out } = await millrace("status", "--json");
    const { workers } = JSON.parse(out.join("")) as { readonly workers: readonly { readonly partitions: readonly Partition[] }[] };
    return [0, 1, 2, 3].map((number) => {
      const told = workers.flatMap((worker) => worker.partitions.filter(({ topic, partition }) => topic === `${name}-orders` && partition === number));
      return told.find(({ status }) => status !== "elsewhere") ?? told[0]!;
    });
  };
  const until = async <T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> => {
    for (const end = performance.now() + DEADLINE_MS;;) {
      const answer = await ask();
      if (isRight(answer) || performance.now() > end) return answer;
    }
  };
  const run = async (): Promise<{ readonly program: ReturnType<typeof spawnProgram>; readonly url: string }> => {
    const program = spawnProgram("self", command, ["run", fixture, "--workers", "2", "--port", "0", "--dir", directory.path, "--json"], { env });
    const urls: string[] = [];
    for await (const line of program.lines()) {
      const { type, url } = JSON.parse(line) as { readonly type?: string; readonly url?: string };
      if (type === "started") urls.push(url!);
      if (urls.length === 2) return { program, url: urls[0]! };
    }
    throw new Error(`the workers did not start: ${program.stderr()}`);
  };
  const send = async (url: string, from: number, to: number): Promise<void> => {
    const posts = Array.from({ length: to - from }, (_, i) => {
      return fetch(`${url}/hooks/orders`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ id: `o${from + i}`, price: String(i) }) });
    });
    expect(new Set((await Promise.all(posts)).map(({ status }) => status))).toEqual(new Set([202]));
  };
  const open = async (): Promise<number> => {
    const { out } = await millrace("dlq list", "--json");
    const { sources } = JSON.parse(out.join("")) as { readonly sources: readonly { readonly open: number }[] };
    return sources.reduce((sum, source) => sum + source.open, 0);
  };

  const first = await run();
  try {
    expect((await until(partitions, (all) => all.every(({ status }) => status === "running"))).map(({ status }) => status)).toEqual(Array(4).fill("running"));
    await send(first.url, 0, ORDERS);
    expect(await until(open, (count) => count === ORDERS)).toBe(ORDERS);

    const edited = await millrace("dlq edit", `${name}-orders`, "--all", "--set", "price=1");
    const replayed = await millrace("dlq replay", `${name}-orders`, "--all");
    expect([edited.out[0], replayed.out, replayed.code]).toEqual([
      `${ORDERS} letters selected, ${ORDERS} changed`,
      [`${ORDERS} letters selected, ${ORDERS} to be replayed`, `${ORDERS} replayed: ${ORDERS} went through, 0 failed again`],
      0,
    ]);

    expect((await millrace("pause", `${name}-orders`, "--reason", "the bank is down")).code).toBe(0);
    expect((await until(partitions, (all) => all.every(({ status }) => status === "paused"))).map(({ status }) => status)).toEqual(Array(4).fill("paused"));
    await send(first.url, ORDERS, ORDERS + 20);
  } finally {
    first.program.kill("SIGTERM");
    expect((await first.program.exited).code).toBe(0);
  }

  const lag = (await partitions()).reduce((sum, partition) => sum + partition.lag, 0);
  const resumed = await millrace("resume", `${name}-orders`);
  expect([lag, await open()]).toEqual([20, 0]);
  expect(resumed.out).toEqual([
    ...[0, 1, 2, 3].map((number) => `${name}-orders/${number} will go on`),
    expect.stringMatching(/^No process of the app was found: it is ordered in the log at /),
  ]);
  const second = await run();
  try {
    expect(await until(open, (count) => count === 20)).toBe(20);
  } finally {
    second.program.kill("SIGTERM");
    expect((await second.program.exited).code).toBe(0);
    directory.remove();
  }
}, 180_000);
