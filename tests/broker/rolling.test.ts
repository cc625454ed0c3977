/** Versions of an app on Kafka: side by side in one group, partitions moving both ways; what cannot run beside another is refused, and a version of a store that cannot be read is left alone. */
import { expect } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Program, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { ownRecords } from "./own-records.ts";
import { awaitConsumed, type Loader, type Records } from "./records.ts";
import { healthOf, type Standing, standing, type WorkerHealth, wrongCounts } from "./worker-programs.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./rolling-fixture.ts", import.meta.url).pathname;

const PARTITIONS = 4;
const KEYS = 40;
const WAIT_MS = 40_000;
const TEST_MS = 240_000;

type Version = "first" | "more" | "migrated" | "together";

/** A worker that stands. */
interface Running extends Standing {
  readonly program: Program;
}

/** An app, its topics, and the directories of two workers. */
class Roll {
  readonly name: string;
  readonly content: Records;
  readonly #bootstrap: string;
  readonly #directories = [tempDirectory(), tempDirectory()] as const;
  readonly #programs: Program[] = [];
  readonly #loader: Loader;
  #made = 0;

  private constructor(name: string, bootstrap: string, content: Records) {
    this.name = name;
    this.content = content;
    this.#bootstrap = bootstrap;
    this.#loader = content.load(`${name}-in`);
  }

  static async make(what: string): Promise<Roll> {
    const { bootstrap, prefix } = await testBroker();
    const roll = new Roll(`${prefix()}${what}`, bootstrap, await ownRecords(bootstrap));
    await roll.content.create(PARTITIONS, ["in", "out", "other"].map((topic) => `${roll.name}-${topic}`));
    return roll;
  }

  /** Starts a version in one of the two directories. */
  spawn(version: Version, place: 0 | 1, ...flags: readonly string[]): Program {
    const args = ["run", fixture, "--no-supervise", "--port", "0", "--dir", this.#directories[place].path, "--json", ...flags];
    const program = spawnProgram("self", command, args, {
      env: { MILLRACE_FIXTURE_NAME: this.name, MILLRACE_FIXTURE_BROKERS: this.#bootstrap, MILLRACE_FIXTURE_VERSION: version },
    });
    this.#programs.push(program);
    return program;
  }

  async start(version: Version, place: 0 | 1, ...flags: readonly string[]): Promise<Running> {
    const program = this.spawn(version, place, ...flags);
    return { program, ...await standing(program) };
  }

  async write(records: number): Promise<void> {
    const line = (): Parameters<Loader["write"]>[0][number] => ({
      at: Date.UTC(2026, 0, 1),
      key: `key-${this.#made % KEYS}`,
      value: String(this.#made++),
      partition: null,
    });
    await this.#loader.write(Array.from({ length: records }, line));
    await this.#loader.end();
  }

  /** Waits until workers are as wanted; how they are when that takes too long. */
  async until(workers: readonly Running[], isSo: (healths: readonly WorkerHealth[]) => boolean): Promise<readonly WorkerHealth[]> {
    for (const deadline = performance.now() + WAIT_MS;; await sleep(100)) {
      const healths = await Promise.all(workers.map(({ url }) => healthOf(url)));
      if (isSo(healths) || performance.now() > deadline) return healths;
    }
  }

  /** How many of the tasks that count each has, at work, once that is so. */
  async shares(workers: readonly Running[], wanted: readonly number[]): Promise<readonly number[]> {
    const of = ({ tasks }: WorkerHealth): number => tasks.filter(({ id, status }) => id.startsWith(`${this.name}-in`) && status === "running").length;
    return (await this.until(workers, (healths) => healths.every((health, index) => of(health) === wanted[index]))).map(of);
  }

  async stop({ program }: Running): Promise<number | null> {
    program.kill("SIGTERM");
    return (await program.exited).code;
  }

  consumed(): Promise<string | null> {
    return awaitConsumed(this.content, this.name, `${this.name}-in`, WAIT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) program.kill("SIGKILL");
    await this.content.close();
    for (const directory of this.#directories) directory.remove();
  }
}

brokerTest("F31 F12 a version with more steps rolls in beside the one before, and back, partitions moving both ways: each record counts once", async () => {
  await using roll = await Roll.make("roll");
  const first = await roll.start("first", 0);
  await roll.write(2_000);
  const more = await roll.start("more", 1);
  const beside = await roll.shares([first, more], [2, 2]);
  await roll.write(2_000);
  const stopped = await roll.stop(first);
  const alone = await roll.shares([more], [4]);
  await roll.write(2_000);
  const back = await roll.start("first", 0);
  const again = await roll.shares([back, more], [2, 2]);
  await roll.write(2_000);
  more.program.kill("SIGKILL");
  await more.program.exited;
  await roll.write(2_000);
  const left = await roll.consumed();
  await roll.stop(back);
  const told = back.program.stderr();

  // In the place of the one before, under its id.
  const instead = await roll.start("more", 0);
  await roll.write(2_000);
  const leftInstead = await roll.consumed();
  const wrong = await wrongCounts(roll.content, roll.name);
  const ended = await roll.stop(instead);

  expect({ beside, alone, again }).toEqual({ beside: [2, 2], alone: [4], again: [2, 2] });
  expect(told).toContain(`Store \\"${roll.name}-in-tumbling-3600000\\" is kept, though no step has it any more`);
  expect({ left, leftInstead, wrong }).toEqual({ left: null, leftInstead: null, wrong: [] });
  expect([stopped, ended]).toEqual([0, 0]);
}, TEST_MS);

brokerTest(
  "F31 a version that reads topics together otherwise is refused with exit code 2 beside the one that runs; with all stopped --accept-change takes over its state",
  async () => {
    await using roll = await Roll.make("refused");
    const first = await roll.start("first", 0);
    await roll.write(2_000);
    const beside = roll.spawn("together", 1);
    const refused = await beside.exited;
    await roll.write(2_000);
    const left = await roll.consumed();
    const health = await healthOf(first.url);
    await roll.stop(first);
    const unasked = await roll.spawn("together", 1).exited;

    const accepted = await roll.start("together", 1, "--accept-change");
    await roll.write(2_000);
    const leftAccepted = await roll.consumed();
    await roll.stop(accepted);
    const next = await roll.start("together", 0);
    await roll.write(2_000);
    const leftNext = await roll.consumed();
    await roll.stop(next);
    const wrong = await wrongCounts(roll.content, roll.name);

    expect([refused.code, unasked.code]).toEqual([2, 2]);
    const { code, message } = JSON.parse(beside.stderr().trim().split("\n").at(-1)!) as { readonly code: string; readonly message: string };
    expect(code).toBe("TOPOLOGY_INCOMPATIBLE");
    expect(message).toContain(`topic "${roll.name}-in" is read as part of "${roll.name}-in" by them and of "${roll.name}-in+${roll.name}-other" by this one`);
    expect(message).toContain("--accept-change");
    expect(health.status).toBe("ok");
    expect({ left, leftAccepted, leftNext, wrong }).toEqual({ left: null, leftAccepted: null, leftNext: null, wrong: [] });
  },
  TEST_MS,
);

brokerTest(
  "F31 a version that migrates a store rolls in partition by partition; the one before leaves those alone that come back to it, says so, and nothing is lost",
  async () => {
    await using roll = await Roll.make("migrated");
    const first = await roll.start("first", 0);
    await roll.write(2_000);
    const migrated = await roll.start("migrated", 1);
    const beside = await roll.shares([first, migrated], [2, 2]);
    await roll.write(2_000);
    const left = await roll.consumed();
    await roll.stop(migrated);
    const [health] = await roll.until([first], ([own]) => own!.tasks.filter(({ status }) => status === "stopped").length === 2 && own!.tasks.length === 4);
    await roll.write(2_000);

    const again = await roll.start("migrated", 1);
    await roll.shares([again], [2]);
    await roll.stop(first);
    const alone = await roll.shares([again], [4]);
    const leftAgain = await roll.consumed();
    const wrong = await wrongCounts(roll.content, roll.name);
    const ended = await roll.stop(again);

    expect({ beside, alone }).toEqual({ beside: [2, 2], alone: [4] });
    expect(health!.status).toBe("degraded");
    expect(health!.tasks.map(({ status }) => status).toSorted()).toEqual(["running", "running", "stopped", "stopped"]);
    expect(health!.reason).toContain("a later version of the app has migrated it to version 2");
    expect({ left, leftAgain, wrong, ended }).toEqual({ left: null, leftAgain: null, wrong: [], ended: 0 });
  },
  TEST_MS,
);
