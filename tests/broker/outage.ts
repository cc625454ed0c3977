/**
 * The log gone for a while under an app that runs: what that costs, what the app says of itself meanwhile, what senders of webhooks hear, how soon it works again, and whether what was acknowledged
 * is counted, each once.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Broker } from "../../scripts/kafka/broker-process.d.mts";
import { type Program, type ProgramRuntime, spawnProgram } from "../shim/spawn.ts";
import { type FaultyProxy, openProxy } from "./faulty-proxy.ts";
import { OutageSender } from "./outage-sender.ts";
import { ownRecords } from "./own-records.ts";

/** How the log goes away: the broker is killed and later started on the same data and port, stands still (SIGSTOP), or the network to it is cut: no packet comes through. */
export type OutageKind = "kill" | "pause" | "cut";

/** Each of them. */
export const outageKinds: readonly OutageKind[] = ["kill", "pause", "cut"];

/** What to do. */
export interface OutageOptions {
  readonly kind: OutageKind;
  /** How long the log is away; a killed broker starts only then. */
  readonly awayMs: number;
  /** Load before the outage: what the figures of CPU compare with. */
  readonly beforeMs: number;
  readonly runtime: ProgramRuntime;
  readonly client: "platformatic" | "confluent";
  readonly requestTimeout: string;
  readonly sessionTimeout: string;
  readonly broker: Broker;
  /** Where the app keeps its state. */
  readonly directory: string;
  readonly onEvent?: (sentence: string) => void;
}

/** What the app said of itself, when it began to say so. */
export interface SaidOfItself {
  /** Since the log went away. */
  readonly atMs: number;
  readonly status: string;
  readonly isReady: boolean;
  readonly reason: string | null;
}

/** What came of it. */
export interface OutageResult {
  readonly awayMs: number;
  /** How often the worker ended and was started again; with librdkafka it may. */
  readonly restarts: number;
  /** Of one core, of the worker, before the outage and during it; null where the system does not tell, or the worker did not stay. */
  readonly cpuBeforePercent: number | null;
  readonly cpuAwayPercent: number | null;
  readonly cpuAwaySeconds: number | null;
  /** Resident memory of the worker when the log went away, when it came back, and when all was done. */
  readonly memoryMb: readonly (number | null)[];
  /** From the log's return to the first commit, and to the first webhook that was taken. */
  readonly firstCommitMs: number;
  readonly firstTakenMs: number;
  /** From the log's return until all that was refused was taken. */
  readonly drainedMs: number;
  /** Answers during the outage, by status. */
  readonly answers: Readonly<Record<string, number>>;
  readonly slowestAnswerMs: number;
  readonly acknowledged: number;
  readonly said: readonly SaidOfItself[];
  /** One sentence for each thing that is wrong. */
  readonly wrong: readonly string[];
}

const APP = new URL("./outage-app.ts", import.meta.url);
/** What health says of itself when nobody is there to ask. */
const GONE: Omit<SaidOfItself, "atMs"> = { status: "gone", isReady: false, reason: "the worker is being started again" };
const COMMAND = new URL("../../bin/millrace.mjs", import.meta.url);
/** Light load, also during the outage. */
const REQUESTS_PER_SECOND = 5;
/** Afterwards. */
const DRAIN_PER_SECOND = 50;
const LOOK_MS = 100;
const HEALTH_EVERY_MS = 1_000;
const RECOVER_WITHIN_MS = 180_000;

/** Does it all. Rejects when the app does not start or the broker gives up. */
export async function outageRun(options: OutageOptions): Promise<OutageResult> {
  const { kind, broker, directory, awayMs, onEvent = () => undefined } = options;
  const proxy = kind === "cut" ? await openProxy(broker.bootstrap) : null;
  const port = await freePort();
  const name = `outage-${Math.random().toString(36).slice(2, 8)}`;
  const program = spawnProgram(options.runtime, COMMAND, ["run", fileURLToPath(APP), "--port", String(port), "--dir", directory, "--json"], {
    env: {
      MILLRACE_FIXTURE_NAME: name,
      MILLRACE_FIXTURE_BROKERS: proxy?.bootstrap ?? broker.bootstrap,
      MILLRACE_FIXTURE_CLIENT: options.client,
      MILLRACE_FIXTURE_REQUEST_TIMEOUT: options.requestTimeout,
      MILLRACE_FIXTURE_SESSION_TIMEOUT: options.sessionTimeout,
    },
  });
  const wrong: string[] = [];
  try {
    const worker = watched(program);
    await worker.started;
    const url = `http://127.0.0.1:${port}`;
    const mayEnd = options.client === "confluent";
    const sender = new OutageSender(`${url}/amounts`, mayEnd);
    const page = pages(url);
    const firstPid = worker.pid();

    onEvent(`${name} works`);
    sender.start(REQUESTS_PER_SECOND);
    await until(() => sender.acknowledged.size > 0, RECOVER_WITHIN_MS, "the first webhook was not taken");
    const quietFrom = usageOf(firstPid);
    await sleep(options.beforeMs);
    const atOutage = usageOf(firstPid);

    sender.forgetAnswers();
    const wentAt = performance.now();
    await takeAway(kind, broker, proxy);
    onEvent(`${kind}: the log is away`);
    const said: SaidOfItself[] = [];
    while (performance.now() - wentAt < awayMs) {
      const now = await page.health();
      const last = said.at(-1);
      if (last === undefined || last.status !== now.status || last.isReady !== now.isReady || last.reason !== now.reason) {
        said.push({ atMs: Math.round(performance.now() - wentAt), ...now });
        onEvent(`${now.status}${now.isReady ? "" : ", not ready"}${now.reason === null ? "" : `: ${now.reason}`}`);
      }
      await sleep(Math.min(HEALTH_EVERY_MS, Math.max(0, awayMs - (performance.now() - wentAt))));
    }
    const answers = sender.answers();
    const atReturn = usageOf(firstPid);
    const commits = await page.commits();
    const isNew = (): boolean => worker.pid() !== firstPid;

    await bringBack(kind, broker, proxy);
    const backAt = performance.now();
    sender.expectTaken();
    onEvent("the log is back");
    const since = (): number => Math.round(performance.now() - backAt);
    await until(async () => (await page.commits()) > (isNew() ? 0 : commits), RECOVER_WITHIN_MS, "there was no commit after the log's return");
    const firstCommitMs = since();
    onEvent(`first commit after ${firstCommitMs} ms`);
    await until(() => sender.takenAt !== null, RECOVER_WITHIN_MS, "no webhook was taken after the log's return");
    const firstTakenMs = Math.max(0, Math.round(sender.takenAt! - backAt));
    sender.drain(DRAIN_PER_SECOND);
    await until(() => sender.isDone, RECOVER_WITHIN_MS, "not all webhooks were taken after the log's return");
    const drainedMs = since();
    await until(async () => (await page.health()).status === "ok", RECOVER_WITHIN_MS, "health was not ok again");

    const records = await ownRecords(broker.bootstrap);
    try {
      wrong.push(...sender.wrong, ...await resultsOf(records, name, sender));
    } finally {
      await records.close();
    }
    const atEnd = usageOf(worker.pid());
    program.kill("SIGTERM");
    const { code } = await program.exited;
    if (code !== 0) wrong.push(`the app ended with ${code}`);
    const restarts = program.stderr().split("\n").filter((line) => line.includes('"workerRestarts"'));
    if (restarts.length > 0 && !mayEnd) wrong.push(`the worker did not stay: ${restarts[0]}`);
    const last = said.at(-1);
    if (last === undefined || last.status === "ok" || last.reason === null) wrong.push(`health said ${last?.status}: ${last?.reason} at the end of the outage`);
    const cpuAway = minus(atReturn.cpuMs, atOutage.cpuMs);
    const lastedMs = atReturn.at - atOutage.at;
    return {
      awayMs: Math.round(backAt - wentAt),
      restarts: restarts.length,
      cpuBeforePercent: percent(minus(atOutage.cpuMs, quietFrom.cpuMs), atOutage.at - quietFrom.at),
      cpuAwayPercent: percent(cpuAway, lastedMs),
      cpuAwaySeconds: cpuAway === null ? null : cpuAway / 1_000,
      memoryMb: [atOutage.memoryMb, atReturn.memoryMb, atEnd.memoryMb],
      ...{ firstCommitMs, firstTakenMs, drainedMs },
      answers,
      slowestAnswerMs: Math.round(sender.slowestMs),
      acknowledged: sender.acknowledged.size,
      said,
      wrong,
    };
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${program.stderr().slice(-4_000)}`, { cause: error });
  } finally {
    program.kill("SIGKILL");
    await program.exited;
    await proxy?.close();
  }
}

async function takeAway(kind: OutageKind, broker: Broker, proxy: FaultyProxy | null): Promise<void> {
  if (kind === "kill") await broker.kill();
  else if (kind === "pause") await broker.pause();
  else proxy!.request = proxy!.answer = () => "lose";
}

async function bringBack(kind: OutageKind, broker: Broker, proxy: FaultyProxy | null): Promise<void> {
  if (kind === "kill") await broker.restart();
  else if (kind === "pause") await broker.resume();
  else proxy!.request = proxy!.answer = () => "pass";
}

/** Which process is the worker now, by the lines that say so. */
function watched(program: Program): { readonly started: Promise<void>; pid(): number } {
  const { promise: started, resolve, reject } = Promise.withResolvers<void>();
  let pid = 0;
  void (async () => {
    for await (const line of program.lines()) {
      if (!line.includes('"started"')) continue;
      pid = (JSON.parse(line) as { readonly processId: number }).processId;
      resolve();
    }
    reject(new Error("the app did not start"));
  })();
  return { started, pid: () => pid };
}

/** A worker that is started again listens on the same. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

function pages(url: string): { health(): Promise<Omit<SaidOfItself, "atMs">>; commits(): Promise<number> } {
  const get = (path: string): Promise<Response> => fetch(`${url}${path}`, { signal: AbortSignal.timeout(10_000) });
  return {
    async health() {
      const answers = await Promise.all([get("/admin/health"), get("/admin/ready")]).catch(() => null);
      if (answers === null) return GONE;
      const [health, ready] = answers;
      await ready.body?.cancel();
      const { status, reason } = await health.json() as { readonly status: string; readonly reason?: string };
      return { status, isReady: ready.ok, reason: reason ?? null };
    },
    async commits() {
      const text = await get("/metrics").then((answer) => answer.text(), () => "");
      return Number(/^millrace_commits_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? Number.NaN);
    },
  };
}

/** What a process has used so far. */
interface Usage {
  readonly at: number;
  readonly cpuMs: number | null;
  readonly memoryMb: number | null;
}

/** By Linux's own files; elsewhere nothing is known. */
function usageOf(pid: number): Usage {
  const at = performance.now();
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may hold anything; user and system time in hundredths of a second.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const memory = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return { at, cpuMs: 10 * (Number(fields[11]) + Number(fields[12])), memoryMb: memory === undefined ? null : Math.round(Number(memory) / 1_024) };
  } catch {
    return { at, cpuMs: null, memoryMb: null };
  }
}

function minus(left: number | null, right: number | null): number | null {
  return left === null || right === null ? null : left - right;
}

function percent(cpuMs: number | null, lastedMs: number): number | null {
  return cpuMs === null ? null : Math.round(1_000 * cpuMs / lastedMs) / 10;
}

async function until(isDone: () => boolean | Promise<boolean>, timeoutMs: number, otherwise: string): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !await isDone();) {
    if (performance.now() > deadline) throw new Error(`${otherwise} within ${timeoutMs} ms`);
    await sleep(LOOK_MS);
  }
}

/** What lies on the broker at last, against what was sent and acknowledged; waits until all of it was worked on. */
async function resultsOf(records: Awaited<ReturnType<typeof ownRecords>>, name: string, sender: OutageSender): Promise<string[]> {
  const wrong: string[] = [];
  await records.create(2, [`${name}-in`, `${name}-out`]);
  const seen = new Map<string, number>();
  const totals = new Map<string, number[]>();
  await records.dump(`${name}-in`, ({ value }) => {
    const { id, key, n } = JSON.parse(value) as { readonly id: string; readonly key: string; readonly n: number };
    seen.set(id, (seen.get(id) ?? 0) + 1);
    const sums = totals.get(key) ?? [];
    if (sums.length === 0) totals.set(key, sums);
    sums.push((sums.at(-1) ?? 0) + n);
  });
  for (const id of sender.acknowledged) if (!seen.has(id)) wrong.push(`webhook ${id} was acknowledged and is lost`);
  for (const [id, times] of seen) if (times > 1 || !sender.sent.has(id)) wrong.push(`webhook ${id} is in ${times} times`);
  const wanted = [...totals].flatMap(([key, sums]) => sums.map((total, index) => `${key}: ${index + 1} of ${total}`)).sort();
  let found: string[] = [];
  for (const deadline = performance.now() + RECOVER_WITHIN_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
    found = [];
    await records.dump(`${name}-out`, ({ key, value }) => {
      const { count, total } = JSON.parse(value) as { readonly count: number; readonly total: number };
      found.push(`${key}: ${count} of ${total}`);
    });
    if (found.length >= wanted.length) break;
  }
  found.sort();
  const differs = wanted.findIndex((line, index) => line !== found[index]);
  if (differs >= 0 || found.length !== wanted.length) {
    wrong.push(`there are ${found.length} results, wanted ${wanted.length}; at ${differs}: ${found[differs]}, wanted ${wanted[differs]}`);
  }
  return wrong;
}
