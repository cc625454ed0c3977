/**
 * An app in a test: its whole topology on a log in memory, under a clock that only the test moves.
 *
 * Each call works until nothing is left to do, so that results are there when it fulfils. The app is opened by the first call that needs it.
 */
import { type App, type AppInternals, internalsOf } from "../app/app.ts";
import type { Engine } from "../app/engine.ts";
import { type Duration, finiteDurationMs } from "../base/duration.ts";
import { DefinitionError } from "../base/errors.ts";
import type { Health } from "../app/app.ts";
import type { Observer } from "../observe/events.ts";
import { type Source, sourceParts, type Target, targetParts } from "../stream/source.ts";
import type { Instant, SendOptions } from "../stream/topic.ts";
import type { WorkerOptions } from "../task/worker.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { keptEmbeddedLog, keptMemoryLog, type TestLog } from "./test-log.ts";
import { type DeadLetter, deadLetterOf, lateRecordOf, type LateTestRecord, type TestRecord, testRecordOf, TopicReader } from "./test-records.ts";
import { VIRTUAL_START_MS, type VirtualRuntime, virtualRuntime } from "./virtual-runtime.ts";

/** How an app runs in a test. */
export interface TestAppOptions {
  /** Of everything random. @default 1 */
  readonly seed?: number;
  /** The wall clock at first. A timestamp more than a day ahead of it becomes a dead letter. @default 2026-01-01T00:00:00Z */
  readonly startAt?: Instant;
  /** What `env()` finds. @default nothing */
  readonly env?: Readonly<Record<string, string>>;
  /** The log in memory, or the one an app runs on by default, on a disk in memory. @default "memory" */
  readonly log?: "memory" | "embedded";
  /** Hears what happens. @default nothing */
  readonly observer?: Observer;
  /** How the engine works. @default one commit when all is done */
  readonly worker?: TestWorkerOptions;
}

/** Which letters a test has tried again, and how. */
export interface TestReplayOptions {
  /** @default "dead" */
  readonly letters?: "dead" | "late";
  /** Their positions. @default all that were not tried again before */
  readonly ids?: readonly number[];
  /** Those too that were tried again before. @default false */
  readonly again?: boolean;
  /** Their event time: their own; or "now", which is that of the replay, and for late letters the earliest that is not late. @default "original" */
  readonly at?: "original" | "now";
}

/** What tests change about the engine. */
export type TestWorkerOptions = Partial<Omit<WorkerOptions, "runtime" | "log" | "topology" | "database" | "observer" | "policy">>;

/** An app under test. */
export interface TestApp extends AsyncDisposable {
  /** The wall clock, ms since the epoch. */
  readonly now: number;
  /** Appends a record, as the topic's own `send` does, and works until all is done. Rejects when a step stopped its task. */
  send<K, Input>(target: Target<K, Input>, value: NoInfer<Input>, options?: SendOptions<NoInfer<K>>): Promise<void>;
  /** Appends a record as another program could have written it: bytes that nobody has checked; null is a tombstone. */
  sendBytes(
    target: Target<never, never>,
    value: Uint8Array | null,
    options?: { readonly key?: Uint8Array | string | null; readonly timestamp?: Instant; readonly partition?: number },
  ): Promise<void>;
  /** The records of a topic, webhook or view that were not read before: partition by partition, in order. */
  read<K, V>(source: Source<K, V>): Promise<readonly TestRecord<K, V>[]>;
  /** The late letters of a source that were not read before. */
  late<K, V>(source: Source<K, V>): Promise<readonly LateTestRecord<K>[]>;
  /** The dead letters of a source that were not read before. */
  deadLetters(source: Source<unknown, unknown>): Promise<readonly DeadLetter[]>;
  /** Has letters of a source tried again, as an operator does, and works until all is done; how many there were. */
  replay(source: Source<unknown, unknown>, options?: TestReplayOptions): Promise<number>;
  /** Moves the clock on: what waits for it happens, each thing at its moment. */
  advance(by: Duration): Promise<void>;
  /** A request to the app; its records are worked on before the answer is given. */
  fetch(request: Request): Promise<Response>;
  /** Works until nothing is left to do; for records that came by other ways, such as `topic.send()`. */
  settle(): Promise<void>;
  /** Stops the app and opens it again on what it left. `drain: false`: without a last commit, as if the process had been killed. @default drain */
  restart(options?: { readonly drain?: boolean }): Promise<void>;
  /** The state of the app, with its reason. */
  health(): Promise<Health>;
}

/** Handlers that have not come back after so many turns of the event loop wait for something else. */
const HANDLER_TURNS = 20;
/** Steps without coming to rest after which a topology is taken to run in circles. */
const STEPS_MAX = 1_000_000;

/**
 * Runs an app in memory.
 *
 * @example
 * ```ts
 * import { count, createApp, tumbling } from "millrace";
 * import { testApp } from "millrace/testing";
 *
 * const app = createApp("shop");
 * const orders = app.topic("orders");
 * const perMinute = app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({ orders: count() }).to("per-minute");
 *
 * await using test = testApp(app);
 * await test.send(orders, { id: 1 }, { key: "ann", timestamp: test.now });
 * await test.send(orders, { id: 2 }, { key: "bob", timestamp: test.now + 60_000 });
 *
 * const [first] = await test.read(perMinute);
 * if (first?.key !== "ann" || first.value.value.orders !== 1) throw new Error();
 * ```
 */
export function testApp(app: App, options: TestAppOptions = {}): TestApp {
  return new RunningTestApp(app, options);
}

class RunningTestApp implements TestApp {
  readonly #internals: AppInternals;
  readonly #name: string;
  readonly #options: TestAppOptions;
  readonly #startAt: number;
  readonly #readers = new Map<string, TopicReader>();
  #runtime: VirtualRuntime | null = null;
  #log: TestLog | null = null;
  #opening: Promise<Engine> | null = null;
  /** Calls run one after the other, however they are awaited. */
  #turn: Promise<unknown> = Promise.resolve();
  #reported = new Set<unknown>();
  #isDisposed = false;

  constructor(app: App, options: TestAppOptions) {
    this.#internals = internalsOf(app);
    this.#name = app.name;
    this.#options = options;
    const { startAt = VIRTUAL_START_MS } = options;
    this.#startAt = startAt instanceof Date ? startAt.getTime() : startAt;
    if (!Number.isSafeInteger(this.#startAt)) {
      throw new DefinitionError(`Cannot test app "${app.name}": startAt is ${String(startAt)}, wanted a date or whole milliseconds`, {
        code: "OPTION_INVALID",
      });
    }
  }

  get now(): number {
    return this.#runtime?.now() ?? this.#startAt;
  }

  send<K, Input>(target: Target<K, Input>, value: NoInfer<Input>, options: SendOptions<NoInfer<K>> = {}): Promise<void> {
    return this.#inTurn("send", async (engine) => {
      const { definition, keyOf } = targetParts(target as Target<never, never>);
      this.#checkTopic(definition, "send to");
      const key = options.key ?? keyOf?.(null, value);
      await engine.send(definition, value, key === undefined ? options : { ...options, key });
      await this.#work(engine);
    });
  }

  sendBytes(target: Target<never, never>, value: Uint8Array | null, options: Parameters<TestApp["sendBytes"]>[2] = {}): Promise<void> {
    return this.#inTurn("sendBytes", async (engine) => {
      const { definition } = targetParts(target);
      this.#checkTopic(definition, "send to");
      const { key = null, timestamp = this.now, partition = 0 } = options;
      await engine.log.append([{
        topic: definition.name,
        partition,
        records: [{ key, value, timestamp: timestamp instanceof Date ? timestamp.getTime() : timestamp }],
      }]);
      await this.#work(engine);
    });
  }

  read<K, V>(source: Source<K, V>): Promise<readonly TestRecord<K, V>[]> {
    return this.#inTurn("read", async (engine) => {
      const topic = this.#topicOf(source);
      const records = await this.#reader(topic.name).take(engine.log);
      return await Promise.all(records.map((record) => testRecordOf<K, V>(topic, record)));
    });
  }

  late<K, V>(source: Source<K, V>): Promise<readonly LateTestRecord<K>[]> {
    return this.#inTurn("late", async (engine) => {
      const { origin } = sourceParts(source);
      const records = await this.#reader(`${origin}-late`).take(engine.log);
      return records.map((record) => lateRecordOf<K>(record));
    });
  }

  deadLetters(source: Source<unknown, unknown>): Promise<readonly DeadLetter[]> {
    return this.#inTurn("deadLetters", async (engine) => {
      const { origin } = sourceParts(source);
      const records = await this.#reader(`${origin}-dlq`).take(engine.log);
      return await Promise.all(records.map((record) => deadLetterOf(record, (name) => this.#internals.builder.findTopic(name))));
    });
  }

  replay(source: Source<unknown, unknown>, { letters = "dead", ids, again = false, at = "original" }: TestReplayOptions = {}): Promise<number> {
    return this.#inTurn("replay", async (engine) => {
      const { origin } = sourceParts(source);
      const selection = ids === undefined ? { all: true } : { ids };
      const { queued } = await this.#worked(engine, engine.letters.replay({ kind: letters, source: origin }, selection, { by: "test", again, at }));
      return queued;
    });
  }

  advance(by: Duration): Promise<void> {
    const ms = finiteDurationMs(by, "advance()");
    return this.#inTurn("advance", async (engine) => {
      const runtime = this.#runtime!;
      const until = runtime.monotonic() + ms;
      do {
        const nextWakeAt = await this.#work(engine);
        const next = Math.min(until, nextWakeAt, runtime.nextTimerAt);
        runtime.advance(Math.max(0, next - runtime.monotonic()));
      } while (runtime.monotonic() < until);
      await this.#work(engine);
    });
  }

  fetch(request: Request): Promise<Response> {
    return this.#inTurn("fetch", (engine) => this.#worked(engine, engine.fetch(request)));
  }

  settle(): Promise<void> {
    return this.#inTurn("settle", async (engine) => {
      await this.#work(engine);
    });
  }

  restart({ drain = true }: { readonly drain?: boolean } = {}): Promise<void> {
    return this.#inTurn("restart", async (engine) => {
      if (drain) await engine.stop(0);
      else await this.#log!.kill();
      this.#opening = this.#openEngine();
      await this.#work(await this.#opening);
    });
  }

  health(): Promise<Health> {
    return this.#inTurn("health", async (engine) => {
      const { status, reason } = engine.health();
      return reason === undefined ? { status } : { status, reason };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#turn.catch(() => {});
    const engine = await this.#opening?.catch(() => null);
    if (engine === null || engine === undefined) return;
    try {
      await engine.stop(0);
    } catch {
      // Whoever waits for the app to fail has seen it: what failed does not stop well either.
    } finally {
      this.#internals.attach(null);
      await this.#log?.close();
    }
  }

  #inTurn<T>(call: string, work: (engine: Engine) => Promise<T>): Promise<T> {
    if (this.#isDisposed) {
      return Promise.reject(new DefinitionError(`Cannot call ${call}() of the test of app "${this.#name}": it has ended`, { code: "OPTION_INVALID" }));
    }
    const result = this.#turn.then(async () => work(await (this.#opening ??= this.#open())));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #open(): Promise<Engine> {
    const { seed = 1, env = {}, log = "memory" } = this.#options;
    const host = await this.#internals.runtime();
    this.#runtime = virtualRuntime({ host, seed, startAt: this.#startAt, env });
    this.#log = log === "embedded" ? keptEmbeddedLog(seed) : keptMemoryLog();
    return await this.#openEngine();
  }

  async #openEngine(): Promise<Engine> {
    const engine = await this.#internals.open({
      runtime: this.#runtime!,
      driver: this.#log!.driver,
      worker: {
        commitIntervalMs: Infinity,
        commitWaitMs: 0,
        clockIntervalMs: 0,
        freezesValues: true,
        idleTimeoutMs: null,
        stepMs: Infinity,
        ...this.#options.worker,
      },
      ...(this.#options.observer === undefined ? {} : { observer: this.#options.observer }),
    });
    // Nobody else can ask.
    engine.admin = { token: null, isLoopback: true };
    this.#internals.attach(engine);
    return engine;
  }

  /** Works while an answer is on its way, and on what it leaves to do. */
  async #worked<T>(engine: Engine, answer: Promise<T>): Promise<T> {
    let isAnswered = false;
    const answered = answer.finally(() => {
      isAnswered = true;
    });
    answered.catch(() => {});
    while (!isAnswered) {
      await this.#runtime!.yield();
      await this.#work(engine);
    }
    await this.#work(engine);
    return await answered;
  }

  /** Works until nothing is left to do at hand; returns when there will be, monotonic ms. */
  async #work(engine: Engine): Promise<number> {
    const { worker } = engine;
    const runtime = this.#runtime!;
    for (let steps = 0;; steps++) {
      if (steps === STEPS_MAX) {
        throw new DefinitionError(`Cannot go on testing app "${this.#name}": it has made ${STEPS_MAX} steps and is not at rest; does a topic feed itself?`);
      }
      const { idle, nextWakeAt } = worker.step();
      if (worker.state === "failed") throw worker.failure;
      if (!idle) continue;
      if (worker.commitTrouble !== null) {
        // A commit that failed is made again after a pause: let time pass, but let the test move it.
        await runtime.yield();
        return nextWakeAt;
      }
      if (await this.#handlersTurn(engine)) continue;
      const taken = worker.stats.commits;
      try {
        await worker.commit();
      } catch (error) {
        if (!worker.isIsolating) throw error;
        await worker.whenBuilt();
        continue;
      }
      if (worker.stats.commits > taken || nextWakeAt <= runtime.monotonic()) continue;
      this.#throwIfStopped(engine);
      return nextWakeAt;
    }
  }

  /** Gives handlers under way some turns of the event loop; true when one came back. */
  async #handlersTurn({ worker }: Engine): Promise<boolean> {
    for (let turn = 0; turn < HANDLER_TURNS; turn++) {
      if (worker.tasks.some((task) => task.hasArrivals)) return true;
      if (!worker.tasks.some((task) => task.isRunning)) return false;
      await this.#runtime!.yield();
    }
    return worker.tasks.some((task) => task.hasArrivals);
  }

  /** The call during which a step stops its task rejects, so that no test passes by for want of results. */
  #throwIfStopped({ worker }: Engine): void {
    for (const { stopped } of worker.tasks) {
      if (stopped === null || this.#reported.has(stopped)) continue;
      this.#reported.add(stopped);
      throw stopped;
    }
  }

  #topicOf(source: Source<unknown, unknown>): TopicDefinition {
    const parts = sourceParts(source);
    const topic = parts.node().reads;
    if (topic === null) {
      throw new DefinitionError(
        `Cannot read the records of a step behind "${parts.name}": no topic keeps them. Send them on by .to("a-name") and read what that returns`,
        { code: "OPTION_INVALID" },
      );
    }
    this.#checkTopic(topic, "read from");
    return topic;
  }

  #checkTopic(topic: TopicDefinition, call: string): void {
    if (this.#internals.builder.findTopic(topic.name) === topic) return;
    throw new DefinitionError(`Cannot ${call} topic "${topic.name}" in the test of app "${this.#name}": it belongs to another app`, { code: "OPTION_INVALID" });
  }

  #reader(topic: string): TopicReader {
    let reader = this.#readers.get(topic);
    if (reader === undefined) this.#readers.set(topic, reader = new TopicReader(topic));
    return reader;
  }
}
