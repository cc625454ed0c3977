/** `millrace run --workers` on Kafka: two processes share the partitions, one of them is killed, and each record counts once. */
import { expect } from "bun:test";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Program, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { ownRecords } from "./own-records.ts";
import { awaitConsumed } from "./records.ts";
import { healthOf, type Standing, standing, wrongCounts } from "./worker-programs.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./workers-fixture.ts", import.meta.url).pathname;

const PARTITIONS = 4;
const KEYS = 40;
const CONSUMED_MS = 40_000;

/** How many partitions each worker has, once all are given out; the last state when that takes too long. */
async function shares(workers: readonly Standing[]): Promise<readonly number[]> {
  for (const deadline = performance.now() + CONSUMED_MS;; await sleep(100)) {
    const counts = await Promise.all(workers.map(async ({ url }) => (await healthOf(url)).tasks.length));
    if ((counts.every((count) => count > 0) && counts.reduce((sum, count) => sum + count) === PARTITIONS) || performance.now() > deadline) return counts;
  }
}

brokerTest("F01 F12 two workers of millrace run count each record once, one of them killed by kill -9 among the records", async () => {
  const { bootstrap, prefix } = await testBroker();
  const name = `${prefix()}workers`;
  const directory = tempDirectory();
  const content = await ownRecords(bootstrap);
  await content.create(PARTITIONS, [`${name}-in`, `${name}-out`]);
  const program = spawnProgram("self", command, ["run", fixture, "--workers", "2", "--port", "0", "--dir", directory.path, "--json"], {
    env: { MILLRACE_FIXTURE_NAME: name, MILLRACE_FIXTURE_BROKERS: bootstrap },
  });
  try {
    const workers = [await standing(program), await standing(program)].sort((left, right) => left.worker - right.worker);
    const shared = await shares(workers);
    const loader = content.load(`${name}-in`);
    let made = 0;
    const write = (records: number): Promise<void> =>
      loader.write(Array.from({ length: records }, () => ({ at: Date.UTC(2026, 0, 1), key: `key-${made % KEYS}`, value: String(made++), partition: null })));

    await write(4_000);
    const firstLeft = await awaitConsumed(content, name, `${name}-in`, CONSUMED_MS);
    const firstWrong = await wrongCounts(content, name);

    await write(3_000);
    process.kill(workers[1]!.processId, "SIGKILL");
    await write(3_000);
    await loader.end();
    const again = await standing(program);
    const left = await awaitConsumed(content, name, `${name}-in`, CONSUMED_MS);
    const wrong = await wrongCounts(content, name);
    program.kill("SIGTERM");
    const { code } = await program.exited;

    expect(workers.map(({ place }) => place)).toEqual([0, 1].map((index) => `${bootstrap} (state in ${directory.path}/worker-${index})`));
    expect(shared).toEqual([2, 2]);
    expect({ firstLeft, firstWrong }).toEqual({ firstLeft: null, firstWrong: [] });
    expect({ left, wrong, code, worker: again.worker }).toEqual({ left: null, wrong: [], code: 0, worker: 1 });
  } finally {
    program.kill("SIGKILL");
    await content.close();
    directory.remove();
  }
});

brokerTest("F06 a worker that stood still while another with its id took its place says why and ends, and does not put that one out in turn", async () => {
  const { bootstrap, prefix } = await testBroker();
  const name = `${prefix()}twins`;
  const directories = [tempDirectory(), tempDirectory()];
  const content = await ownRecords(bootstrap);
  await content.create(PARTITIONS, [`${name}-in`, `${name}-out`]);
  const programs = directories.map(() => null as Program | null);
  const start = async (index: number): Promise<{ readonly program: Program; readonly processId: number }> => {
    const program = programs[index] = spawnProgram("self", command, ["run", fixture, "--port", "0", "--dir", directories[index]!.path, "--json"], {
      env: { MILLRACE_FIXTURE_NAME: name, MILLRACE_FIXTURE_BROKERS: bootstrap },
    });
    return { program, processId: (await standing(program)).processId };
  };
  try {
    const loader = content.load(`${name}-in`);
    let made = 0;
    const write = (records: number): Promise<void> =>
      loader.write(Array.from({ length: records }, () => ({ at: Date.UTC(2026, 0, 1), key: `key-${made % KEYS}`, value: String(made++), partition: null })));

    const first = await start(0);
    await write(3_000);
    process.kill(first.processId, "SIGSTOP");
    const second = await start(1);
    await write(3_000);
    process.kill(first.processId, "SIGCONT");
    const { code } = await first.program.exited;
    await write(1_000);
    await loader.end();
    const left = await awaitConsumed(content, name, `${name}-in`, CONSUMED_MS);
    const wrong = await wrongCounts(content, name);
    second.program.kill("SIGTERM");
    const ended = await second.program.exited;

    expect({ code, left, wrong, ended: ended.code }).toEqual({ code: 2, left: null, wrong: [], ended: 0 });
    expect(first.program.stderr()).toContain("another one joined under its instance id");
  } finally {
    for (const program of programs) program?.kill("SIGKILL");
    await content.close();
    for (const directory of directories) directory.remove();
  }
});
