/** Conformance of the part of a `Runtime` that starts processes: R8. That each hears of a kill -9 of the other needs a process between and is proven by tests of their own. */
import type { ProcessEnd, SpawnedProcess } from "../../runtime/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Case } from "./cases.ts";
import { check, checkEqual } from "./cases.ts";
import type { RuntimeSubject } from "./runtime-cases.ts";

/** A program that was started, and what it says. */
interface Talk {
  readonly spawned: SpawnedProcess;
  /** Its next message; rejects when it ends before. */
  next(): Promise<string>;
}

/**
 * Starts the subject's program: it sends `told <what it was told>` first, answers `echo <text>` by the text and `exit <code>` by ending, and ends with 0 when its parent has. One that was told `late` listens after a
 * while only.
 */
function start({ runtime, program }: RuntimeSubject, told: string): Talk {
  check(program !== undefined && runtime.spawn !== undefined, "a program, and spawn()");
  const said: string[] = [];
  const takers: ((message: string) => void)[] = [];
  const onMessage = (message: string): void => {
    const taker = takers.shift();
    if (taker === undefined) said.push(message);
    else taker(message);
  };
  const spawned = runtime.spawn({ program, args: [], told, onMessage });
  const tooEarly = spawned.ended.then((end) => {
    throw new Error(`it ended: ${JSON.stringify(end)}`);
  });
  tooEarly.catch(() => undefined);
  return {
    spawned,
    next: () => {
      const first = said.shift();
      return first !== undefined ? Promise.resolve(first) : Promise.race([new Promise<string>((resolve) => takers.push(resolve)), tooEarly]);
    },
  };
}

function spawnCase(name: string, run: (subject: RuntimeSubject) => Promise<void>): Case<RuntimeSubject> {
  return { name, needs: "spawns", run };
}

function endOf(runtime: Runtime, { ended }: SpawnedProcess): Promise<ProcessEnd | "it goes on"> {
  return Promise.race([ended, new Promise<"it goes on">((resolve) => void runtime.setTimer(() => resolve("it goes on"), 10_000))]);
}

/** The cases. */
export const spawnCases: readonly Case<RuntimeSubject>[] = [
  {
    name: "R8 spawn() is there where the capability is, and parent only with it",
    async run({ runtime }) {
      checkEqual(runtime.spawn !== undefined, runtime.capabilities.spawns, "spawn()");
      check(runtime.capabilities.spawns || (runtime.parent ?? null) === null, "no parent");
    },
  },
  spawnCase("R8 spawn() starts a program that finds what it was told; messages go both ways whole and in order", async (subject) => {
    const talk = start(subject, 'one "two" żółć');
    checkEqual(await talk.next(), 'told one "two" żółć', "the first message");
    const sent = Array.from({ length: 300 }, (_, index) => (index % 50 === 0 ? `${index} ${"ü\n".repeat(40_000)}` : `${index}`));
    for (const text of sent) talk.spawned.send(`echo ${text}`);
    for (const text of sent) check(await talk.next() === text, `message ${text.slice(0, 10)} came back whole and in its turn`);
    talk.spawned.kill();
    await talk.spawned.ended;
  }),
  spawnCase("R8 messages that come before anybody listens are kept", async (subject) => {
    const talk = start(subject, "late");
    for (const text of ["first", "second"]) talk.spawned.send(`echo ${text}`);
    checkEqual([await talk.next(), await talk.next(), await talk.next()], ["told late", "first", "second"], "messages");
    talk.spawned.kill();
    await talk.spawned.ended;
  }),
  spawnCase("R8 ended says the exit code, and a process that has ended takes messages and kills without a sound", async (subject) => {
    const { spawned, next } = start(subject, "ends");
    await next();
    check(spawned.processId > 0, "a process id");
    spawned.send("exit 7");
    checkEqual(await endOf(subject.runtime, spawned), { code: 7, signal: null, failure: null }, "end");
    spawned.send("echo late");
    spawned.kill();
    await subject.runtime.yield();
  }),
  spawnCase("R8 kill() ends it at once", async (subject) => {
    const { spawned, next } = start(subject, "killed");
    await next();
    spawned.kill();
    checkEqual(await endOf(subject.runtime, spawned), { code: null, signal: "SIGKILL", failure: null }, "end");
  }),
];
