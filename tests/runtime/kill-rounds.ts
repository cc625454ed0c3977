/**
 * Kills `millrace run` by SIGKILL at random moments while webhooks come in, starts it again, and holds the final state against what was acknowledged.
 *
 * After the rounds it is stopped once by SIGTERM under the same load. The sender does what senders do: a hit without an answer is posted again under the same id until it has one, and now and then one that was acknowledged long ago is posted once more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";

/** What to do. */
export interface KillOptions {
  readonly runtime: ProgramRuntime;
  readonly directory: string;
  readonly rounds: number;
  readonly seed: number;
  /** Requests under way at once. @default 16 */
  readonly senders?: number;
  readonly onRound?: (round: number, acknowledged: number) => void;
}

/** What came of it. */
export interface KillResult {
  readonly rounds: number;
  /** Of these, so many before the app listened. */
  readonly killedAtStart: number;
  readonly acknowledged: number;
  /** Answers that said the id was known. */
  readonly duplicates: number;
  /** Requests that a kill cut off. */
  readonly cutOff: number;
  /** From the start of the process to its first line, the longest, ms. */
  readonly startMsMax: number;
  /** One sentence for each number that is wrong. */
  readonly wrong: readonly string[];
}

interface Hit {
  readonly id: string;
  readonly account: string;
  readonly amount: number;
  readonly at: number;
}

const ACCOUNTS = 10;
/** Long inside of one window of the fixture, so that the date of the run does not matter. */
const FIRST_AT = Date.UTC(2025, 0, 1);
const LOAD_MS_MAX = 800;
const SETTLE_MS = 20_000;

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./kill-fixture.ts", import.meta.url).pathname;

/** Does all rounds and the check. Rejects when the app does not start, or ends by itself. */
export async function killRounds({ runtime, directory, rounds, seed, senders = 16, onRound }: KillOptions): Promise<KillResult> {
  const random = generator(seed);
  const book = new Map<string, Hit>();
  const open: Hit[] = [];
  let made = 0, duplicates = 0, cutOff = 0, killedAtStart = 0, startMsMax = 0;

  // The process that is killed is the one that works.
  const start = (): Program => spawnProgram(runtime, command, ["run", fixture, "--no-supervise", "--port", "0", "--dir", directory, "--json"]);
  const listening = async (program: Program): Promise<string> => {
    for await (const line of program.lines()) {
      const said = JSON.parse(line) as { readonly type?: unknown; readonly url?: unknown };
      if (said.type === "started" && typeof said.url === "string") return said.url;
    }
    const { code, signal } = await program.exited;
    throw new Error(`The app ended with ${code ?? signal} before it listened (seed ${seed}): ${program.stderr()}`);
  };
  const nextHit = (): Hit => open.shift() ?? (random() < 0.05 && book.size > 0 ? pick([...book.values()].slice(-200), random) : make());
  const make = (): Hit => {
    const n = made++;
    return { id: `hit-${seed}-${n}`, account: `account-${n % ACCOUNTS}`, amount: 1 + (n % 7), at: FIRST_AT + n };
  };
  /** Posts one hit after the other until told to stop or cut off. */
  const send = async (url: string, isOver: () => boolean): Promise<void> => {
    while (!isOver()) {
      const hit = nextHit();
      try {
        const response = await fetch(`${url}/hits`, { method: "POST", headers: { "content-type": "application/json", "x-id": hit.id }, body: JSON.stringify(hit) });
        const answer = await response.json() as { readonly status?: unknown };
        if (response.status === 503) open.push(hit);
        else if (response.status !== 202) throw new TypeError(`answered ${response.status} ${JSON.stringify(answer)}`);
        else {
          if (answer.status === "duplicate") duplicates++;
          book.set(hit.id, hit);
        }
      } catch (error) {
        if (!isOver()) throw new Error(`A request failed while the app was alive (seed ${seed}): ${String(error)}`, { cause: error });
        // It may be in or not: only the answer to another try will tell.
        cutOff++;
        open.push(hit);
      }
    }
  };

  const stops: string[] = [];
  // One more than asked for: the last one is stopped by SIGTERM under the same load, and must end in order.
  for (let round = 1; round <= rounds + 1; round++) {
    const isKilled = round <= rounds;
    const program = start();
    const startedAt = performance.now();
    if (isKilled && round > 1 && random() < 0.2) {
      await sleep(random() * startMsMax);
      killedAtStart++;
      program.kill("SIGKILL");
    } else {
      const url = await listening(program);
      startMsMax = Math.max(startMsMax, performance.now() - startedAt);
      let isOver = false;
      const sending = Array.from({ length: senders }, () => send(url, () => isOver));
      const all = Promise.all(sending);
      await Promise.race([sleep(random() * LOAD_MS_MAX), all]);
      isOver = true;
      program.kill(isKilled ? "SIGKILL" : "SIGTERM");
      await all;
    }
    const { code, signal } = await program.exited;
    if (!isKilled && code !== 0) stops.push(`the app ended with ${code ?? signal} after SIGTERM under load, wanted 0: ${program.stderr()}`);
    onRound?.(round, book.size);
  }

  const program = start();
  try {
    const url = await listening(program);
    // What was cut off gets its answer, and a share of all that were acknowledged comes again.
    for (const hit of [...book.values()].filter(() => random() < 0.1)) open.push(hit);
    await Promise.all(Array.from({ length: senders }, () => send(url, () => open.length === 0)));
    if (open.length > 0) throw new Error(`${open.length} hits got no answer from an app that was alive (seed ${seed}): ${program.stderr()}`);
    const wrong = await findWrong(url, [...book.values()]);
    program.kill("SIGTERM");
    const { code, signal } = await program.exited;
    const last = code === 0 ? [] : [`the app ended with ${code ?? signal} after SIGTERM, wanted 0: ${program.stderr()}`];
    return { rounds, killedAtStart, acknowledged: book.size, duplicates, cutOff, startMsMax: Math.round(startMsMax), wrong: [...wrong, ...stops, ...last] };
  } finally {
    program.kill("SIGKILL");
  }
}

/** Waits until every number is right; what stays wrong is returned. */
async function findWrong(url: string, hits: readonly Hit[]): Promise<readonly string[]> {
  const accounts = new Map<string, { hits: number; amount: number }>();
  for (const { account, amount } of hits) {
    const sums = accounts.get(account) ?? { hits: 0, amount: 0 };
    accounts.set(account, { hits: sums.hits + 1, amount: sums.amount + amount });
  }
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const wrong: string[] = [];
    for (const [key, wanted] of accounts) {
      const got = await read(url, "account", key);
      if (got["hits"] !== wanted.hits || got["amount"] !== wanted.amount) wrong.push(`${key}: ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
    }
    // A number above the wanted one never gets right again; one below may still grow.
    for (let at = 0; at < hits.length; at += 16) {
      const some = hits.slice(at, at + 16);
      const answers = await Promise.all(some.map(({ id }) => read(url, "hit", id)));
      answers.forEach((answer, index) => answer["times"] !== 1 && wrong.push(`${some[index]!.id}: seen ${String(answer["times"])} times, wanted 1`));
    }
    if (wrong.length === 0 || performance.now() > deadline) return wrong;
    await sleep(100);
  }
}

async function read(url: string, entity: string, key: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${url}/features/${entity}/${key}`);
  if (response.status !== 200) throw new Error(`GET ${response.url} was answered ${response.status}: ${await response.text()}`);
  return await response.json() as Readonly<Record<string, unknown>>;
}

function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

/** A small generator of numbers from 0 to 1: the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
