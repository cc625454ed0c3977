/**
 * Drawn apps and mishaps, with records that are tried in turn and out of it at once: policies of each kind, letters that come back, handlers that take their time, pauses, restarts and crashes.
 * Each record has one fate, each window is said once, and whenever there is nothing to do the worker says so.
 */
import { expect, test } from "bun:test";
import { collect, createApp, type ErrorPolicy, sink, tumbling, type Windowed } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { Random } from "../../../src/base/random.ts";
import { unpackValue } from "../../../src/record/value-bytes.ts";
import { controlRecord, type Order } from "../../../src/task/control-topic.ts";
import { retryAppend, retryRecord } from "../../../src/task/retry-topic.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import { open, recordsOf, runtimeOf, SEED, type Stand, START, valuesOf } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

type Window = Windowed<string, { readonly all: readonly In[] }>;

const RECORDS = 60;
/** Where records fail. */
const PLACES = ["timestamp", "before", "after", "branch"] as const;

/** How often the record of a number fails at a place, still. */
class Faults {
  readonly #left = new Map<string, number>();

  plan(place: string, v: number, times: number): void {
    this.#left.set(`${place} ${v}`, times);
  }

  pass(place: string, v: number): void {
    const left = this.#left.get(`${place} ${v}`) ?? 0;
    if (left === 0) return;
    this.#left.set(`${place} ${v}`, left - 1);
    throw new Error(`not yet, ${place}`);
  }
}

function drawApp(random: Random, faults: Faults, runtime: VirtualRuntime): App {
  const policy = (): ErrorPolicy => {
    if (random.chance(0.15)) return { retry: false };
    const budget = random.chance(0.3) ? { budget: "5s" } as const : {};
    return {
      retry: { attempts: 2 + random.below(3), backOff: "2s", backOffMax: "4s", blocks: random.pick(["key", "partition", "nothing"] as const), ...budget },
    };
  };
  const slowly = async <T>(work: () => T): Promise<T> => {
    await new Promise<void>((resolve) => void runtime.setTimer(resolve, random.below(300)));
    return work();
  };
  const app = createApp("t", { errors: policy() });
  const input = app.topic<string, In>("in", {
    key: ({ k }) => k,
    timestamp: ({ v, at }) => {
      faults.pass("timestamp", v);
      return at;
    },
    errors: policy(),
    ...(random.chance(0.5) ? { idleTimeout: "5s" } : {}),
    ...(random.chance(0.3) ? { watermarkDelay: "2s" } : {}),
  });
  const pass = <T>(place: string, numberOf: (value: T) => number): (value: T) => T | Promise<T> => {
    const work = (value: T): T => {
      faults.pass(place, numberOf(value));
      return value;
    };
    return random.chance(0.5) ? (value) => slowly(() => work(value)) : work;
  };
  const stream = app.stream(input).map(pass<In>("before", ({ v }) => v));
  const keyed = random.chance(0.3) ? stream.groupBy(({ k }) => `g${k}`) : stream.groupByKey();
  const windows = keyed.window(tumbling("10s", random.chance(0.5) ? { grace: "3s" } : {})).aggregate({ all: collect<In>() });
  windows.map(pass<Window>("after", ({ value }) => value.all[0]!.v)).to("out");
  const branch = pass<In>("branch", ({ v }) => v);
  const drawn = random.below(3);
  if (drawn === 1) stream.forEach(async (value) => void await branch(value));
  if (drawn === 2) stream.to(sink("outside", async (value) => void await branch(value), { errors: policy() }));
  return app;
}

/** Runs as an app does, for so long; fails where the worker is busy with nothing. */
async function live(stand: Stand, ms: number): Promise<void> {
  const { runtime } = stand;
  const end = runtime.monotonic() + ms;
  for (;;) {
    await stand.settle(3_000);
    const { idle, nextWakeAt } = stand.engine.worker.step();
    if (!idle) continue;
    const now = runtime.monotonic();
    expect(nextWakeAt).toBeGreaterThan(now);
    if (now >= end) return;
    runtime.advance(Math.min(nextWakeAt, end, now + 150) - now);
  }
}

async function order(stand: Stand, order: Order): Promise<void> {
  const record = controlRecord({ topic: "in", partition: 0, order, at: stand.runtime.now(), by: "ann", reason: null });
  await stand.log.append([{ topic: "t-control", partition: 0, records: [record] }]);
}

/** A letter comes back; its number is 1,000 and more. */
async function putBack(stand: Stand, position: number, value: In): Promise<void> {
  const replay = { letter: { topic: "in-dlq", position: 100_000 + position }, run: 1 };
  const at = {
    entrance: "in",
    partition: 0,
    position,
    timestamp: value.at,
    key: null,
    attempts: 0,
    dueAt: 0,
    arrivedAt: START,
    budgetFrom: null,
    replay,
    missed: null,
  };
  await stand.log.append([retryAppend("t", 1, at, retryRecord(at, value.k, JSON.stringify(value), [], START))]);
}

/** By number: what became of it; and how often each window was said. */
function fatesOf(stand: Stand): { readonly fates: ReadonlyMap<number, readonly string[]>; readonly windows: ReadonlyMap<string, number> } {
  const fates = new Map<number, string[]>(), windows = new Map<string, number>();
  const add = ({ v }: In, fate: string): void => void fates.set(v, [...fates.get(v) ?? [], fate]);
  const addWindow = ({ key, start, value: { all } }: Window, fate: string): void => {
    const name = `${key} ${start - START}`;
    windows.set(name, (windows.get(name) ?? 0) + 1);
    for (const value of all) add(value, `${fate} ${name}`);
  };
  for (const window of valuesOf(stand.log, "out") as Window[]) addWindow(window, "counted");
  for (const { bytes, headers } of recordsOf(stand.log, "in-dlq")) {
    if (headers["mr-topic"]!.startsWith("step:")) addWindow(unpackValue(bytes!) as Window, "dead");
    else add((headers["mr-topic"] === "in" ? JSON.parse(new TextDecoder().decode(bytes!)) : unpackValue(bytes!)) as In, "dead");
  }
  for (const { bytes } of recordsOf(stand.log, "in-late")) add(unpackValue(bytes!) as In, "late");
  return { fates, windows };
}

for (let round = 0; round < 10; round++) {
  test(`each record has one fate, and each window is said once: seed ${SEED + round}`, async () => {
    const random = new Random(SEED + round), faults = new Faults(), runtime = runtimeOf(SEED + round);
    await using stand = await open(drawApp(random, faults, runtime), { runtime, worker: { commitIntervalMs: 100, clockIntervalMs: 100 } });
    const sent: number[] = [];
    let at = START, isPaused = false;
    for (let v = 0; v < RECORDS; v++) {
      for (const place of PLACES) if (random.chance(0.12)) faults.plan(place, v, 1 + random.below(random.chance(0.2) ? 9 : 2));
      at += random.below(2_000);
      const value = { k: `k${random.below(3)}`, v, at: at - (random.chance(0.15) ? random.below(15_000) : 0) };
      sent.push(v);
      await stand.append("in", [{ key: value.k, value: JSON.stringify(value), timestamp: value.at }]);
      if (random.chance(0.12)) {
        if (random.chance(0.4)) faults.plan(random.pick(["timestamp", "before", "branch"]), 1_000 + v, 1 + random.below(3));
        sent.push(1_000 + v);
        await putBack(stand, v, { k: `k${random.below(3)}`, v: 1_000 + v, at: at - random.below(20_000) + random.below(15_000) });
      }
      if (random.chance(0.4)) await live(stand, random.below(3_000));
      if (random.chance(0.06)) await stand.restart();
      if (random.chance(0.05)) await order(stand, { kind: "pause", isPaused: isPaused = !isPaused });
      if (random.chance(0.04)) await order(stand, { kind: "restart" });
    }
    await order(stand, { kind: "pause", isPaused: false });
    await live(stand, 60_000);
    const last = { k: "end", v: -1, at: at + 60_000 };
    await stand.append("in", [{ key: last.k, value: JSON.stringify(last), timestamp: last.at }]);
    await live(stand, 120_000);
    await stand.drain();

    const { fates, windows } = fatesOf(stand);
    expect([...windows].filter(([, times]) => times > 1)).toEqual([]);
    expect(sent.filter((v) => fates.get(v)?.length !== 1).map((v) => [v, fates.get(v)])).toEqual([]);
  });
}
