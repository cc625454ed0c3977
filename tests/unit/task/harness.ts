/**
 * What the tests of the engine share: clocks that stand still until they are told, an app opened as an engine and stepped by hand, crashes, restarts, and topics read back as plain values.
 *
 * Nothing here waits for real time: `settle` steps until there is nothing to do at hand, `advance` moves both clocks.
 */
import { hostRuntime } from "../../../adapters/host/host.ts";
import { embedded } from "../../../mod.ts";
import type { App, LogDriver } from "../../../mod.ts";
import type { Engine, EngineOptions } from "../../../src/app/engine.ts";
import { internalsOf } from "../../../src/app/app.ts";
import type { Log } from "../../../src/log/log.ts";
import type { ObservedEvent } from "../../../src/observe/events.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { headerText } from "../../../src/record/headers.ts";
import type { NewRecord } from "../../../src/record/record.ts";
import { unpackValue } from "../../../src/record/value-bytes.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { virtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";

/** Wall clock at the start of every test, ms. */
export const START: number = Date.UTC(2026, 0, 1);
/** The seed of property tests. */
export const SEED = 20_261_120;
/** Turns of the event loop after which nobody has anything more to say. */
const TURNS = 4;

const host = await hostRuntime();

/** A runtime whose time passes by `advance` alone. */
export function runtimeOf(seed: number = SEED): VirtualRuntime {
  return virtualRuntime({ host, seed, startAt: START });
}

/** A record of a topic as tests compare it. */
export interface ReadRecord {
  readonly partition: number;
  readonly position: number;
  readonly key: string | null;
  /** Raw bytes; null: a tombstone. */
  readonly bytes: Uint8Array | null;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** All records of a topic, partition by partition. */
export function recordsOf(log: Log, topic: string): ReadRecord[] {
  const found: ReadRecord[] = [];
  const partitions = log.partitionsOf(topic) ?? 0;
  for (let partition = 0; partition < partitions; partition++) {
    const reader = log.reader({ topic, partition }, 0, () => {});
    const cursor = new RecordCursor();
    for (let from = 0, chunk = reader.take(1_000_000); chunk !== null; from = chunk.nextPosition, chunk = reader.take(1_000_000)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, from);
      while (cursor.next()) {
        const headers = Object.fromEntries(cursor.headers().map(({ name, value }) => [name, headerText(value)]));
        found.push({ partition, position: cursor.position, key: cursor.keyText(), bytes: cursor.valueBytes()?.slice() ?? null, timestamp: cursor.timestamp, headers });
      }
    }
    reader.close();
  }
  return found;
}

/** The values of a topic that an app made. */
export function valuesOf(log: Log, topic: string): unknown[] {
  return recordsOf(log, topic).map(({ bytes }) => bytes === null ? undefined : unpackValue(bytes));
}

/** The values of a topic of JSON. */
export function jsonOf(log: Log, topic: string): unknown[] {
  return recordsOf(log, topic).map(({ bytes }) => bytes === null ? undefined : JSON.parse(new TextDecoder().decode(bytes)) as unknown);
}

/** Options of {@linkcode open}. */
export interface StandOptions {
  readonly runtime?: VirtualRuntime;
  /** @default embedded, on a memory disk */
  readonly driver?: LogDriver;
  readonly worker?: EngineOptions["worker"];
}

/** An app at work, stepped by hand. */
export class Stand {
  readonly app: App;
  readonly runtime: VirtualRuntime;
  readonly events: ObservedEvent[] = [];
  engine!: Engine;
  #driver: LogDriver;
  #worker: EngineOptions["worker"];
  #isWoken = false;

  constructor(app: App, { runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() }), worker = {} }: StandOptions = {}) {
    this.app = app;
    this.runtime = runtime;
    this.#driver = driver;
    // Commits come when a test asks for them, unless it says otherwise.
    this.#worker = { commitIntervalMs: 1e12, idleTimeoutMs: null, ...worker };
  }

  async start(): Promise<this> {
    const { app, runtime } = this;
    const engine = await internalsOf(app).open({ runtime, driver: this.#driver, worker: this.#worker, observer: (event) => void this.events.push(event) });
    engine.worker.onWake(() => this.#isWoken = true);
    internalsOf(app).attach(engine);
    this.engine = engine;
    return this;
  }

  get log(): Log {
    return this.engine.log;
  }

  /** Steps until there is nothing to do at hand. */
  async settle(stepsMax = 100_000): Promise<void> {
    for (let quiet = 0, steps = 0; quiet < TURNS;) {
      this.#isWoken = false;
      if (++steps > stepsMax) throw new Error(`still not settled after ${stepsMax} steps`);
      if (!this.engine.worker.step().idle) {
        quiet = 0;
        continue;
      }
      await this.runtime.yield();
      quiet = this.#isWoken ? 0 : quiet + 1;
    }
  }

  /** Settles and commits until nothing more comes of it. */
  async drain(): Promise<void> {
    for (let rounds = 0; rounds < 50; rounds++) {
      await this.settle();
      const before = this.engine.worker.stats.commits;
      await this.engine.worker.commit();
      await this.settle();
      if (this.engine.worker.stats.commits === before) return;
    }
    throw new Error("still not drained after 50 commits");
  }

  /** Moves the clocks and settles. */
  async advance(ms: number): Promise<void> {
    this.runtime.advance(ms);
    await this.settle();
  }

  /** Ends without a commit: what was not committed is gone. */
  async crash(): Promise<void> {
    await this.engine.log.close();
    await this.runtime.yield();
  }

  /** Ends without a commit and starts again. */
  async restart(worker?: EngineOptions["worker"]): Promise<void> {
    await this.crash();
    if (worker !== undefined) this.#worker = { ...this.#worker, ...worker };
    await this.start();
  }

  /** Appends records as they are. */
  async append(topic: string, records: readonly Partial<NewRecord>[], partition = 0): Promise<void> {
    const full = records.map((record) => ({ key: null, value: "null", timestamp: START, headers: [], ...record }));
    await this.log.append([{ topic, partition, records: full }]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }
}

/** Opens an app to be stepped by hand. */
export async function open(app: App, options: StandOptions = {}): Promise<Stand> {
  return await new Stand(app, options).start();
}

/** A promise that a test ends. */
export interface Gate {
  readonly promise: Promise<void>;
  open(): void;
  fail(error: unknown): void;
}

export function gate(): Gate {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, open: () => resolve(), fail: reject };
}
