/**
 * J1 (parse, filter half, map, produce), J2 (running count and sum per key, every update produced), J3 (10 s tumbling window per key, grace 5 s, on close) over 1,000,000 records: on the
 * embedded log, with no log, and as a bare loop over the same JSON and a Map, in one process. Prints CPU us a record and the ratio to the bare loop.
 *
 * `node|bun bench/jobs/run.ts [--records n] [--keys n] [--rounds n]`, `deno run -A bench/jobs/run.ts`. A commit every 10,000 records. `JOB=J3` runs one job.
 */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { tempDirectory } from "../../tests/shim/temp.ts";
import { internalsOf, makeApp } from "../../src/app/app.ts";
import { embedded } from "../../src/app/log-driver.ts";
import type { LogDriver } from "../../src/log/driver.ts";
import { json } from "../../src/record/codec-json.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import { count, sum } from "../../src/stream/aggregator.ts";
import { tumbling } from "../../src/stream/window.ts";
import { type Reading, readings, START_MS } from "./input.ts";
import { batchesOf, nullLog } from "./null-log.ts";

const option = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const RECORDS = option("records", 1_000_000), KEYS = option("keys", 10_000), ROUNDS = option("rounds", 3);
const COMMIT_RECORDS = 10_000;
const runtime = await hostRuntime();
const { lines, objects } = readings(RECORDS, KEYS);
const keys = objects.map(({ key }) => key), timestamps = objects.map(({ ts }) => ts);

type Job = "J1" | "J2" | "J3";

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The job as anyone would write it by hand, without a log and without durability. */
function bareLoop(job: Job): { us: number; results: number } {
  const before = cpuUs();
  let results = 0;
  if (job === "J1") {
    const out: string[] = [];
    for (const line of lines) {
      const reading = JSON.parse(line) as Reading;
      if (reading.value % 2 === 0) out.push(JSON.stringify({ id: reading.id, double: reading.value * 2 }));
      if (out.length > COMMIT_RECORDS) {
        results += out.length;
        out.length = 0;
      }
    }
    results += out.length;
  } else if (job === "J2") {
    const state = new Map<string, { n: number; total: number }>();
    let bytes = 0;
    for (const line of lines) {
      const { key, value } = JSON.parse(line) as Reading;
      const entry = state.get(key);
      if (entry === undefined) state.set(key, { n: 1, total: value });
      else {
        entry.n++;
        entry.total += value;
      }
      bytes += JSON.stringify(state.get(key)).length;
      results++;
    }
    if (bytes === 0) throw new Error("nothing was written");
  } else {
    const windows = new Map<number, Map<string, { n: number; total: number }>>();
    let watermark = -Infinity;
    for (const line of lines) {
      const { key, value, ts } = JSON.parse(line) as Reading;
      if (ts > watermark) watermark = ts;
      const start = ts - ts % 10_000;
      if (start + 10_000 > watermark - 5_000) {
        let window = windows.get(start);
        if (window === undefined) windows.set(start, window = new Map());
        const entry = window.get(key);
        if (entry === undefined) window.set(key, { n: 1, total: value });
        else {
          entry.n++;
          entry.total += value;
        }
      }
      for (const [open, window] of windows) {
        if (open + 15_000 > watermark) break;
        for (const [id, { n, total }] of window) results += JSON.stringify({ key: id, start: open, n, total }).length > 0 ? 1 : 0;
        windows.delete(open);
      }
    }
  }
  return { us: cpuUs() - before, results };
}

function define(job: Job, driver: LogDriver) {
  const app = makeApp("bench", { log: driver }, async () => runtime);
  const input = app.topic<string, Reading>("in", { value: json<Reading>(), retention: "infinity" });
  const output = app.topic<string, unknown>("out", { value: json<unknown>() as never, retention: "infinity" });
  const stream = app.stream(input);
  if (job === "J1") stream.filter((r) => r.value % 2 === 0).map((r) => ({ id: r.id, double: r.value * 2 })).to(output);
  if (job === "J2") {
    stream.groupByKey().window(tumbling("52w", { offset: "7d" }), { emit: "update" }).aggregate({ n: count(), total: sum((r) => r.value) }).to(output);
  }
  if (job === "J3") {
    stream.groupByKey().window(tumbling("10s", { grace: "5s" }), { late: "drop" }).aggregate({ n: count(), total: sum((r) => r.value) }).to(output);
  }
  return app;
}

/** The engine; `done` when all input is taken and committed. */
async function engine(job: Job, driver: LogDriver, prepare: (engine: Awaited<ReturnType<typeof open>>) => Promise<void>, written: () => Promise<number>) {
  const app = define(job, driver);
  const opened = await open(app);
  await prepare(opened);
  const before = cpuUs();
  const startedAt = runtime.monotonic();
  const { worker } = opened;
  const inputs = worker.tasks.flatMap((task) => task.inputs);
  while (inputs.some((input) => input.position < RECORDS && input.topic.name === "in")) {
    worker.step();
    await runtime.yield();
  }
  await worker.commit();
  await opened.log.flush();
  const us = cpuUs() - before, wallMs = runtime.monotonic() - startedAt;
  const results = await written();
  await opened.stop();
  return { us, wallMs, results, commits: worker.stats.commits };
}

function open(app: ReturnType<typeof makeApp>) {
  return internalsOf(app).open({ worker: { commitRecords: COMMIT_RECORDS, commitIntervalMs: 60_000, stepMs: 1_000, stepRecords: COMMIT_RECORDS } });
}

async function onEmbedded(job: Job) {
  const directory = tempDirectory();
  const disk = runtime.disk(directory.path);
  let appendUs = 0;
  try {
    let log: Awaited<ReturnType<typeof open>>["log"];
    const measured = await engine(job, embedded({ disk }), async (opened) => {
      log = opened.log;
      const before = cpuUs();
      for (let from = 0; from < RECORDS; from += 1_000) {
        const to = Math.min(RECORDS, from + 1_000);
        const records = [];
        for (let i = from; i < to; i++) records.push({ key: keys[i]!, value: lines[i]!, timestamp: timestamps[i]! });
        await log.append([{ topic: "in", partition: 0, records }]);
      }
      appendUs = cpuUs() - before;
    }, async () => (await log.describe(["out"]))[0]!.end);
    return { ...measured, appendUs };
  } finally {
    directory.remove();
  }
}

async function withoutLog(job: Job) {
  const chunks = batchesOf(lines, keys, timestamps, 2_000);
  const log = nullLog("in", chunks);
  const driver: LogDriver = { "~log": "null", open: async () => ({ log, database: await openDatabase(runtime, memoryDisk(), "state.db"), place: "nowhere" }) };
  return await engine(job, driver, async () => {}, async () => log.written.records);
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
console.log(
  `${runtime.name} ${runtime.version}, ${RECORDS} records, ${KEYS} keys, a commit every ${COMMIT_RECORDS} records, median of ${ROUNDS} rounds; CPU us a record (user + system)`,
);
console.log("job  bare loop  no log (ratio)   embedded (ratio)  append   embedded records/s  results");
for (const job of (process.env.JOB ? [process.env.JOB as Job] : ["J1", "J2", "J3"] as const)) {
  const bare: number[] = [], none: number[] = [], durable: number[] = [], append: number[] = [], rate: number[] = [];
  let results = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const a = bareLoop(job), b = await withoutLog(job), c = await onEmbedded(job);
    if (a.results !== b.results || b.results !== c.results) {
      throw new Error(`${job}: results differ: bare loop ${a.results}, no log ${b.results}, embedded ${c.results}`);
    }
    results = a.results;
    bare.push(a.us / RECORDS),
      none.push(b.us / RECORDS),
      durable.push(c.us / RECORDS),
      append.push(c.appendUs / RECORDS),
      rate.push(RECORDS / c.wallMs * 1_000);
  }
  const base = median(bare);
  const cell = (us: number): string => `${us.toFixed(2)} (${(us / base).toFixed(2)}x)`;
  console.log(
    `${job}   ${base.toFixed(2).padEnd(9)}  ${cell(median(none)).padEnd(15)}  ${cell(median(durable)).padEnd(16)}  ${median(append).toFixed(2)}     ${
      Math.round(median(rate)).toLocaleString("en-US").padEnd(18)
    }  ${results}`,
  );
}
if (START_MS <= 0) throw new Error("event time begins in 1970");
process.exit(0);
