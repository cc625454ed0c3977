/** Workers and the parent that watches them, with real processes on the runtime that runs the tests. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive as isProcessAlive } from "../../adapters/shared/process-identity.ts";
import { type Program, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./workers-fixture.ts", import.meta.url).pathname;
const throwing = new URL("./cli-throwing-fixture.ts", import.meta.url).pathname;
const temp = tempDirectory();
const programs: Program[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.kill("SIGKILL");
});
afterAll(() => temp.remove());

type Log = "embedded" | "memory" | "shared";

interface Standing {
  readonly worker: number;
  readonly processId: number;
  readonly url: string;
  readonly place: string;
}

/** A directory of its own for each test. */
let directories = 0;

function run(log: Log, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Program & { readonly directory: string } {
  const directory = `${temp.path}/${directories++}`;
  const program = spawnProgram("self", command, ["run", fixture, "--port", "0", "--dir", directory, "--json", ...args], {
    env: { MILLRACE_FIXTURE_LOG: log, MILLRACE_FIXTURE_MARK: `${directory}-mark`, ...env },
  });
  programs.push(program);
  return { ...program, directory };
}

/** The next worker that stands. */
async function standing(program: Program): Promise<Standing> {
  for await (const line of program.lines()) {
    const said = JSON.parse(line) as Standing & { readonly type?: unknown };
    if (said.type === "started") return said;
  }
  throw new Error(`The program ended before a worker stood: ${program.stderr()}`);
}

/** What is left of the output. */
async function rest(program: Program): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of program.lines()) lines.push(line);
  return lines;
}

/** Whether it still runs; one that has ended and that nobody asked about is none. */
function isAlive(processId: number): boolean {
  return isProcessAlive({ processId, processStart: null, processSpace: null });
}

/** Fulfils when it holds; false after twenty seconds. */
async function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  for (const deadline = performance.now() + 20_000; performance.now() < deadline; await pause(20)) if (await holds()) return true;
  return false;
}

async function order({ url }: Standing, id: string, customer: string): Promise<number> {
  const headers = { "content-type": "application/json", "x-id": id };
  const response = await fetch(`${url}/hooks/orders`, { method: "POST", headers, body: JSON.stringify({ id, customer }) });
  await response.text();
  return response.status;
}

async function ordersOf({ url }: Standing, customer: string): Promise<unknown> {
  return (await (await fetch(`${url}/features/customer/${customer}`)).json() as { readonly orders?: unknown }).orders;
}

/** What the parent said of workers that start again. */
function restarts(program: Program): readonly { readonly worker: number; readonly reason: string; readonly pauseMs: number; readonly processId: number }[] {
  const said = program.stderr().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return said.filter(({ type }) => type === "workerRestarts").map(({ worker, reason, pauseMs, processId }) => ({ worker, reason, pauseMs, processId }));
}

async function stop(program: Program): Promise<number | null> {
  program.kill("SIGTERM");
  return (await program.exited).code;
}

describe("millrace run keeps a worker running", () => {
  test("kill -9 of the worker: another takes its place, and what was acknowledged is there once", async () => {
    const program = run("embedded");
    const first = await standing(program);
    const statuses = [await order(first, "1", "ann"), await order(first, "2", "ann")];
    process.kill(first.processId, "SIGKILL");
    const second = await standing(program);
    statuses.push(await order(second, "2", "ann"), await order(second, "3", "ann"));
    const isCounted = await eventually(async () => await ordersOf(second, "ann") === 3);
    const code = await stop(program);

    expect(statuses).toEqual([202, 202, 202, 202]);
    expect(isCounted).toBe(true);
    expect(second.processId).not.toBe(first.processId);
    expect(second.place).toBe(first.place);
    expect(restarts(program)).toEqual([{ worker: 0, reason: "SIGKILL ended it", pauseMs: 100, processId: first.processId }]);
    expect(code).toBe(0);
  });

  test("F06 SIGSTOP of the worker: it is ended after --stuck-after, and another takes its place", async () => {
    const program = run("embedded", ["--stuck-after", "1s"]);
    const first = await standing(program);
    // Its parent has heard from it by then that it stands.
    await order(first, "1", "ann");
    process.kill(first.processId, "SIGSTOP");
    const second = await standing(program);
    const status = await order(second, "2", "ann");
    const wasEnded = !isAlive(first.processId);
    const code = await stop(program);

    expect(restarts(program)).toEqual([{ worker: 0, reason: "its loop has not turned for 1 s", pauseMs: 100, processId: first.processId }]);
    expect([status, wasEnded, code]).toEqual([202, true, 0]);
  });

  test("a handler that keeps the loop busy for good: its worker is ended, and the record is worked on again", async () => {
    const program = run("embedded", ["--stuck-after", "1s"]);
    const first = await standing(program);
    // It may be answered before the loop hangs, or not.
    void order(first, "1", "spin").catch(() => undefined);
    const second = await standing(program);
    await order(second, "1", "spin");
    const isCounted = await eventually(async () => await ordersOf(second, "spin") === 1);
    const code = await stop(program);

    expect(restarts(program).map(({ reason }) => reason)).toEqual(["its loop has not turned for 1 s"]);
    expect([isCounted, code]).toEqual([true, 0]);
  });

  test("what nobody catches ends the worker, and another takes its place", async () => {
    const program = run("embedded");
    // It may be answered before the worker ends, or not.
    void order(await standing(program), "1", "crash").catch(() => undefined);
    const second = await standing(program);
    await order(second, "1", "crash");
    const isCounted = await eventually(async () => await ordersOf(second, "crash") === 1);
    const code = await stop(program);

    expect(program.stderr()).toContain("nobody catches this");
    expect(restarts(program).map(({ reason }) => reason)).toEqual(["it ended with exit code 1"]);
    expect([isCounted, code]).toEqual([true, 0]);
  });
});

describe("millrace run --workers", () => {
  test("two workers stand side by side, each with a directory and a port of its own; SIGTERM drains both, exit 0, no stray", async () => {
    const program = run("shared", ["--workers", "2"]);
    const both = [await standing(program), await standing(program)].sort((left, right) => left.worker - right.worker);
    const health = await Promise.all(both.map(async ({ url }) => (await fetch(`${url}/admin/live`)).status));
    program.kill("SIGTERM");
    const last = (await rest(program)).map((line) => JSON.parse(line) as { readonly worker: number; readonly event?: string });
    const { code } = await program.exited;

    expect(both.map(({ worker }) => worker)).toEqual([0, 1]);
    expect(new Set(both.map(({ url }) => url)).size).toBe(2);
    expect(health).toEqual([200, 200]);
    expect(last.filter(({ event }) => event === "appStopped").map(({ worker }) => worker).sort()).toEqual([0, 1]);
    expect({ code, error: program.stderr() }).toEqual({ code: 0, error: "" });
    expect(both.map(({ processId }) => isAlive(processId))).toEqual([false, false]);
  });

  test("one of two killed by kill -9 comes back, and the other goes on", async () => {
    const program = run("shared", ["--workers", "2"]);
    const both = [await standing(program), await standing(program)];
    const [killed, kept] = both as [Standing, Standing];
    process.kill(killed.processId, "SIGKILL");
    const again = await standing(program);
    const isKept = isAlive(kept.processId);
    const code = await stop(program);

    expect([again.worker, isKept, code]).toEqual([killed.worker, true, 0]);
    expect(again.processId).not.toBe(killed.processId);
  });

  test("lines for people say which worker they are from", async () => {
    const program = spawnProgram("self", command, ["run", fixture, "--port", "0", "--dir", `${temp.path}/people`, "--workers", "2"], { env: { MILLRACE_FIXTURE_LOG: "shared" } });
    programs.push(program);
    const lines: string[] = [];
    for await (const line of program.lines()) {
      lines.push(line);
      if (line.includes("  stop  ") && lines.filter((one) => one.includes("  stop  ")).length === 2) program.kill("SIGINT");
    }
    const { code } = await program.exited;

    for (const index of [0, 1]) {
      const own = lines.filter((line) => line.startsWith(`[${index}] `));
      expect(own[0]).toMatch(new RegExp(`millrace .* runs "workers" on .*, worker ${index} of 2, process \\d+$`));
      expect(own).toContainEqual(expect.stringMatching(/ {2}health {4}http:\/\/127\.0\.0\.1:\d+\/admin\/health$/));
      expect(own.at(-1)).toBe(`[${index}] "workers" has stopped; what was done is committed`);
    }
    expect(code).toBe(0);
  });

  test.each(["embedded", "memory"] as const)("the %s log refuses two workers with one message, before anything is made", async (log) => {
    const program = run(log, ["--workers", "2"]);
    const { code } = await program.exited;
    const messages = program.stderr().trimEnd().split("\n").map((line) => JSON.parse(line) as { readonly code: string; readonly message: string });

    expect(code).toBe(2);
    expect(messages.map((message) => message.code)).toEqual(["CONFIG_INVALID"]);
    expect(messages[0]?.message).toContain(`Cannot run 2 workers of "workers" on the ${log} log`);
    expect(messages[0]?.message).toContain("kafka({ brokers:");
    expect(existsSync(program.directory)).toBe(false);
  });

  test("a wrong definition ends all workers with 2, told once", async () => {
    const program = run("shared", ["--workers", "3"], { MILLRACE_FIXTURE_BAD: "1" });
    const { code } = await program.exited;

    expect(code).toBe(2);
    expect(program.stderr().trimEnd().split("\n").map((line) => (JSON.parse(line) as { readonly code: string }).code)).toEqual(["DEFINITION_INVALID"]);
  });

  test("a program that throws when it is loaded ends with 1 and its message, once", async () => {
    const program = spawnProgram("self", command, ["run", throwing, "--workers", "2"], { directory: temp.path });
    const { code } = await program.exited;

    expect([code, program.stderr()]).toEqual([1, "TypeError: this module is broken\n(--debug shows the stack)\n"]);
  });
});

describe("the end of a parent", () => {
  test("kill -9 of the parent: its worker drains and ends in order", async () => {
    const program = run("embedded");
    const { processId } = await standing(program);
    const held = existsSync(`${program.directory}/millrace.db.lock`);
    program.kill("SIGKILL");

    expect(await eventually(() => !isAlive(processId))).toBe(true);
    // Whoever is killed leaves its name behind.
    expect([held, existsSync(`${program.directory}/millrace.db.lock`)]).toEqual([true, false]);
  });

  test("kill -9 of the parent ends all of its workers", async () => {
    const program = run("shared", ["--workers", "2"]);
    const both = [await standing(program), await standing(program)];
    program.kill("SIGKILL");

    expect(await eventually(() => both.every(({ processId }) => !isAlive(processId)))).toBe(true);
  });

  test("a worker that does not drain within --stop-within is ended: exit 1, and a message", async () => {
    const program = run("embedded", ["--stop-within", "500ms"]);
    const { processId } = await standing(program);
    process.kill(processId, "SIGSTOP");
    const code = await stop(program);

    expect(code).toBe(1);
    expect(JSON.parse(program.stderr())).toMatchObject({ type: "workerEnded", worker: 0, processId, reason: "it did not stop within 0.5 s and was ended" });
    expect(isAlive(processId)).toBe(false);
  });

  test("a second SIGINT ends parent and worker at once with 130", async () => {
    const program = run("embedded");
    const worker = await standing(program);
    await order(worker, "1", "hang");
    let hasEnded = false;
    const exited = program.exited.finally(() => (hasEnded = true));
    // The drain waits for the handler, ten seconds; signals that come too close to each other may count as one.
    await eventually(() => {
      program.kill("SIGINT");
      return hasEnded;
    });
    const { code } = await exited;

    expect(code).toBe(130);
    expect(await eventually(() => !isAlive(worker.processId))).toBe(true);
  });

  test("--no-supervise runs the app in the process itself", async () => {
    const program = run("embedded", ["--no-supervise"]);
    const { processId } = await standing(program);
    const code = await stop(program);

    expect([processId, code]).toEqual([null as unknown as number, 0]);
  });
});
