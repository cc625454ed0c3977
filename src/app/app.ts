/** The app: where definitions meet, and the handle to run them. */
import { type Awaitable } from "../base/awaitable.ts";
import { DefinitionError, StreamError } from "../base/errors.ts";
import {
  defineFeatures,
  type FeatureAnswer,
  type FeatureParts,
  featureParts,
  type FeatureSet,
  type FeatureSetOptions,
  type FeatureShape,
  type PlainFeatures,
  type Queryable,
} from "../feature/feature-set.ts";
import { type CheckedParse, defineResolver, type Resolver, type ResolverDefinition, type ResolverResult } from "../feature/resolver.ts";
import { checkListen, isLoopbackHost } from "../http/admin/guard.ts";
import {
  type CheckedMap,
  defineWebhook,
  type HeaderRecord,
  type QueryValues,
  type WebhookDefinition,
  type WebhookMessage,
  type WebhookOptions,
} from "../http/ingest/webhook.ts";
import type { Observer } from "../observe/events.ts";
import { logger } from "../observe/logger.ts";
import { textKeys } from "../record/key.ts";
import type { RecordMeta } from "../record/meta.ts";
import { resolveSecret, type Secret } from "../runtime/env-value.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { compilePolicy, type ErrorPolicy } from "../stream/error-policy.ts";
import { type Source, sourceProperty, targetParts } from "../stream/source.ts";
import { type Stream, streamOf } from "../stream/stream.ts";
import { defineTopic, type Instant, madeTopic, type Topic, type TopicOptions } from "../stream/topic.ts";
import { defaultPolicy } from "../task/policy.ts";
import { describeTopology, mermaidOf, type TopologyDescription } from "../topology/describe.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { type Topology, TopologyBuilder } from "../topology/topology.ts";
import { sayAdminPlace } from "./admin-place.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { openForOperator, type OperatorAccess } from "./operator-access.ts";
import type { LogDriver, RestoredLog, RestoreFrom } from "../log/driver.ts";
import type { Guarantee } from "../log/log.ts";
import { restoreLog } from "./backup.ts";
import { watchLoop } from "./drive.ts";
import { embedded } from "./log-driver.ts";
import { checkShared, directoryOf, portOf, type WorkerPlace } from "./worker-place.ts";

/** How an app is set up. Everything has a default that needs no server. */
export interface AppOptions {
  /** Where records lie: `embedded()`, `memory()` or Kafka. @default what the environment says in `MILLRACE_LOG`; embedded, in `directory` */
  readonly log?: LogDriver;
  /** The host, where it is not to be guessed. @default the one the app runs on */
  readonly runtime?: Runtime;
  /** Where log and state lie, from where the program runs. @default ".millrace" */
  readonly directory?: string;
  /**
   * What is promised of records that leave by topics. "at-least-once": they are in before the commit, and may repeat after a failure; state never counts twice. Makes a difference on Kafka only.
   * @default "exactly-once"
   */
  readonly guarantee?: Guarantee;
  /** For sources and steps that have no policy of their own. @default 3 tries, then dead-letter */
  readonly errors?: ErrorPolicy;
  /**
   * Stores, by name, whose steps are gone: what is kept of them is deleted when their tasks start. Not while a worker runs that has the step. A step that gets the name later begins anew.
   * @default none: they are kept, and told of
   */
  readonly retired?: readonly string[];
}

/** How an app runs. */
export interface RunOptions {
  /** 0 picks a free one; null: it does not listen. @default 8080 */
  readonly port?: number | null;
  /** The address to listen on; any but a loopback one needs `token`. @default "127.0.0.1" */
  readonly host?: string;
  /** Who knows it may use queries and admin pages. Required on any address but loopback. */
  readonly token?: Secret;
  /** Where log and state lie, instead of the app's own `directory`. */
  readonly directory?: string;
  /** Aborted: the app drains and stops. */
  readonly signal?: AbortSignal;
  /** Hears what happens. @default warnings and errors are printed */
  readonly observer?: Observer;
  /** Told once everything stands. @default a line is printed */
  readonly onStart?: (started: Started) => void;
  /**
   * Runs what workers of the app that run, or ran last, do not agree with: after all of them were stopped, and once. Makes a difference on logs that processes share.
   * @default false: refused with `TOPOLOGY_INCOMPATIBLE`
   */
  readonly acceptChange?: boolean;
  /** Which of several processes this is. @default the only one */
  readonly worker?: WorkerPlace;
  /** Calls `tick` about every `everyMs` from within the loop that does the work, once everything stands: whoever misses it knows that the app is stuck. */
  readonly watchdog?: { readonly everyMs: number; readonly tick: () => void };
}

/** What stands, once an app has started. */
export interface Started {
  /** Its name. */
  readonly app: string;
  /** Name and version of the host. */
  readonly runtime: string;
  /** Which log it is on: `embedded`, `memory`. */
  readonly log: string;
  /** Where records and state lie. */
  readonly place: string;
  /** null: it does not listen. */
  readonly url: string | null;
  /** The ids of its tasks. */
  readonly tasks: readonly string[];
  /** The paths of its webhooks. */
  readonly webhooks: readonly string[];
  /** The names of its features. */
  readonly features: readonly string[];
}

/** The state of an app, with its reason. */
export interface Health {
  /** `degraded`: it works, but something is stuck or fails; `error`: it has given up. */
  readonly status: "ok" | "degraded" | "stopped" | "error";
  /** Why it is not `ok`, for people. */
  readonly reason?: string;
}

/** A webhook is a source like any topic. */
export interface Webhook<Body, Query, HeaderValues> extends Source<string | null, WebhookMessage<Body, Query, HeaderValues>> {
  /** Where it takes requests. */
  readonly path: string;
}

/** A topology, and the handle to run it. */
export interface App extends AsyncDisposable {
  /** Its own: part of the names of its group and of the topics it makes. */
  readonly name: string;

  /**
   * A topic: a named, partitioned log of records. Its value type comes from the schema or codec in `value`, its key type from `key`. Options that cannot work are told when the app starts.
   *
   * @example
   * ```ts
   * import * as v from "valibot";
   * import { createApp } from "millrace";
   * import { testApp } from "millrace/testing";
   *
   * const app = createApp("shop");
   * const orders = app.topic("orders", { value: v.object({ id: v.string(), customer: v.string() }), key: (order) => order.customer });
   *
   * await using test = testApp(app);
   * await test.send(orders, { id: "1", customer: "ann" });
   * const [record] = await test.read(orders);
   * if (record?.key !== "ann") throw new Error("wanted the key that the function made");
   * ```
   */
  topic<K = string | null, V = unknown, Input = V>(name: string, options?: TopicOptions<K, V, Input>): Topic<K, V, Input>;
  /**
   * Takes requests at `path`, verified and checked, into a topic. Answers 202 once the record is durable, 401 where `verify` refuses, 400 where a schema does.
   *
   * @example
   * ```ts
   * import * as v from "valibot";
   * import { createApp } from "millrace";
   * import { testApp } from "millrace/testing";
   *
   * const app = createApp("shop");
   * const amounts = app.topic("amounts", { value: v.number() });
   * app.webhook("/hooks/payments", { verify: "none", body: v.object({ amount: v.number() }), topic: amounts, map: ({ body }) => body.amount });
   *
   * await using test = testApp(app);
   * const request = new Request("http://localhost/hooks/payments", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ amount: 12 }) });
   * const { status } = await test.fetch(request);
   * const [record] = await test.read(amounts);
   * if (status !== 202 || record?.value !== 12) throw new Error("wanted 202 and a record");
   * ```
   */
  webhook<Body = unknown, Query = QueryValues, HeaderValues = HeaderRecord, Input = unknown>(
    path: `/${string}`,
    options: WebhookOptions<Body, Query, HeaderValues, Input> & CheckedMap<NoInfer<Body>, NoInfer<Input>>,
  ): Webhook<Body, Query, HeaderValues>;
  /**
   * The records of a source, to work on: each step gives the stream behind it.
   *
   * @example
   * ```ts
   * import * as v from "valibot";
   * import { createApp } from "millrace";
   * import { testApp } from "millrace/testing";
   *
   * const app = createApp("words");
   * const lines = app.topic("lines", { value: v.string() });
   * const words = app.stream(lines).flatMap((line) => line.split(" ")).filter((word) => word.length > 3).to("words");
   *
   * await using test = testApp(app);
   * await test.send(lines, "a mill race turns the wheel");
   * const long = (await test.read(words)).map(({ value }) => value);
   * if (long.join() !== "mill,race,turns,wheel") throw new Error("wanted the long words");
   * ```
   */
  stream<K, V>(source: Source<K, V>): Stream<K, V>;
  /**
   * The features of an entity: a schema each. Rows of them come from resolvers, or from a stream by `.to(set)`.
   *
   * @example
   * ```ts
   * import * as v from "valibot";
   * import { createApp } from "millrace";
   *
   * const app = createApp("shop");
   * const customer = app.features("customer", { lastOrder: v.string(), orders: v.number() });
   * const row = customer.of("ann", { lastOrder: "1" });
   * if (row.key !== "ann" || row.values.lastOrder !== "1") throw new Error("wanted a row");
   * ```
   */
  features<const N extends string, F extends FeatureShape, K = string>(
    name: N,
    shape: F,
    options?: FeatureSetOptions<K, NoInfer<PlainFeatures<F>>>,
  ): FeatureSet<N, K, PlainFeatures<F>>;
  /**
   * From a source to features: name, definition, handler. The handler takes what `parse` makes, or what the source gives, and answers with rows of `output`.
   *
   * @example
   * ```ts
   * import * as v from "valibot";
   * import { createApp } from "millrace";
   * import { testApp } from "millrace/testing";
   *
   * const app = createApp("shop");
   * const orders = app.topic("orders", { value: v.object({ id: v.string(), customer: v.string(), total: v.number() }) });
   * const customer = app.features("customer", { lastOrder: v.string() });
   *
   * app.resolver(
   *   "last order",
   *   { source: orders, parse: (order) => (order.total > 0 ? order : null), output: customer.pick("lastOrder") },
   *   (order) => customer.of(order.customer, { lastOrder: order.id }),
   * );
   *
   * await using test = testApp(app);
   * await test.send(orders, { id: "1", customer: "ann", total: 12 });
   * const { lastOrder } = await app.query(customer, "ann");
   * if (lastOrder !== "1") throw new Error("wanted the order");
   * ```
   */
  resolver<K, V, Row, M = V>(
    name: string,
    definition: ResolverDefinition<K, V, M, Row> & CheckedParse<V, M>,
    handler: (message: M, meta: RecordMeta<K>) => ResolverResult<NoInfer<Row>>,
  ): Resolver<M, Row>;

  /** The newest values, or as of a moment; null where nothing was observed. */
  query<K, Answer>(features: Queryable<K, Answer>, key: NoInfer<K>, options?: { readonly at?: Instant }): Promise<Answer>;

  /** What the app consists of. Throws one `DefinitionError` with every fault. */
  topology(): TopologyDescription & { readonly mermaid: string };
  /** Opens log and state and works, without listening; `run` and the first `fetch` do it by themselves. */
  start(): Promise<void>;
  /** Runs until a signal or `stop`. */
  run(options?: RunOptions): Promise<void>;
  /** Drains, commits, closes. */
  stop(): Promise<void>;
  /** How it is, and why. Never throws. */
  health(): Promise<Health>;
  /** Webhooks, queries and admin, as a handler that can be mounted anywhere. */
  readonly fetch: (request: Request, ...context: readonly unknown[]) => Promise<Response>;
}

/** What hosts and tests reach behind an app. */
export interface AppInternals {
  readonly builder: TopologyBuilder;
  /** The runtime the app was given, or the one it runs on. */
  runtime(): Promise<Runtime>;
  /** Opens an engine on what the app defines. */
  open(overrides: Partial<Pick<EngineOptions, "runtime" | "driver" | "directory" | "worker" | "observer">>): Promise<Engine>;
  /** What the app defines, and where its log and state lie: for whoever moves it. */
  definitions(): Pick<EngineOptions, "topology" | "webhooks" | "directory">;
  /** The driver of a log: the app's own where that is the one, else what the environment says. Throws DefinitionError `CONFIG_INVALID` where there is none of this name. */
  driver(name: string): Promise<LogDriver>;
  /** Opens its admin pages where no process works on the app, on a directory or its own. Rejects with `DISK_LOCKED` where one does. */
  openForOperator(directory: string): Promise<OperatorAccess>;
  /** Puts a copy in the place of its log, in a directory or its own. */
  restore(directory: string | undefined, from: RestoreFrom): Promise<RestoredLog>;
  /** Sends and queries go to this engine from here on; null: to none. */
  attach(engine: Engine | null): void;
}

const internals = new WeakMap<App, AppInternals>();

/** The internals of an app made by this copy of the package. */
export function internalsOf(app: App): AppInternals {
  const found = internals.get(app);
  if (found === undefined) throw new DefinitionError("Cannot use this app: it was made by another copy of the package");
  return found;
}

/** Makes an app. `defaultRuntime` and `defaultDriver` are asked when it starts and none was given. */
export function makeApp(
  name: string,
  options: AppOptions,
  defaultRuntime: () => Promise<Runtime>,
  defaultDriver: (runtime: Pick<Runtime, "env">) => Promise<LogDriver> = async () => embedded(),
): App {
  const app = new MillraceApp(name, options, defaultRuntime, defaultDriver);
  internals.set(app, app.internals());
  return app;
}

interface WebhookEntry {
  readonly definition: WebhookDefinition;
  readonly topic: TopicDefinition;
  readonly takesMessage: boolean;
}

class MillraceApp implements App {
  readonly name: string;
  readonly fetch: App["fetch"];
  readonly #options: AppOptions;
  readonly #defaultRuntime: () => Promise<Runtime>;
  readonly #defaultDriver: (runtime: Pick<Runtime, "env">) => Promise<LogDriver>;
  readonly #builder: TopologyBuilder;
  readonly #webhooks: WebhookEntry[] = [];
  readonly #features = new Map<string, FeatureParts>();
  /** Whoever runs the app; a `fetch` or `send` may have started it before. */
  #observer: Observer = () => {};
  #built: Topology | null = null;
  #opening: Promise<Engine> | null = null;
  #engine: Engine | null = null;

  constructor(name: string, options: AppOptions, defaultRuntime: () => Promise<Runtime>, defaultDriver: (runtime: Pick<Runtime, "env">) => Promise<LogDriver>) {
    this.name = name;
    this.#options = options;
    this.#defaultRuntime = defaultRuntime;
    this.#defaultDriver = defaultDriver;
    this.#builder = new TopologyBuilder(name);
    if (!/^[A-Za-z0-9_-]{1,100}$/.test(name)) this.#builder.fault(`The name of app "${name}" cannot be used: wanted 1 to 100 of A-Z a-z 0-9 _ -`);
    this.fetch = async (request, ...context) => (await this.#started()).fetch(request, infoOf(context));
  }

  topic<K = string | null, V = unknown, Input = V>(name: string, options: TopicOptions<K, V, Input> = {}): Topic<K, V, Input> {
    return defineTopic(this.#defining(), { send: async (topic, value, sendOptions) => (await this.#started()).send(topic, value, sendOptions) }, name, options);
  }

  webhook<Body = unknown, Query = QueryValues, HeaderValues = HeaderRecord, Input = unknown>(
    path: `/${string}`,
    options: WebhookOptions<Body, Query, HeaderValues, Input> & CheckedMap<NoInfer<Body>, NoInfer<Input>>,
  ): Webhook<Body, Query, HeaderValues> {
    const builder = this.#defining();
    const definition = defineWebhook(path, options, (sentence) => builder.fault(sentence));
    const own = options.topic === undefined ? builder.topic(this.#webhookTopic(path)) : null;
    const topic = own ?? targetParts(options.topic!).definition;
    this.#webhooks.push({ definition, topic, takesMessage: own !== null });
    const node = (): ReturnType<TopologyBuilder["source"]> => {
      if (own === null) throw new DefinitionError(`Cannot read from webhook "${path}": its records go to topic "${topic.name}": read that`);
      return builder.source(own);
    };
    return { path, "~source": sourceProperty({ builder, node, key: textKeys, name: topic.name, origin: topic.name, keyOf: null }) };
  }

  #webhookTopic(path: string): TopicDefinition {
    const name = path.slice(1).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
    return madeTopic({ name: name === "" ? "webhook" : name, key: textKeys, origin: name, isInternal: false });
  }

  stream<K, V>(source: Source<K, V>): Stream<K, V> {
    this.#defining();
    return streamOf(source);
  }

  features<const N extends string, F extends FeatureShape, K = string>(
    name: N,
    shape: F,
    options: FeatureSetOptions<K, NoInfer<PlainFeatures<F>>> = {},
  ): FeatureSet<N, K, PlainFeatures<F>> {
    const set = defineFeatures<N, F, K>(this.#defining(), name, shape, options);
    this.#features.set(name, featureParts(set as unknown as Queryable<never, unknown>));
    return set;
  }

  resolver<K, V, Row, M = V>(
    name: string,
    definition: ResolverDefinition<K, V, M, Row> & CheckedParse<V, M>,
    handler: (message: M, meta: RecordMeta<K>) => ResolverResult<NoInfer<Row>>,
  ): Resolver<M, Row> {
    return defineResolver<K, V, Row, M>(this.#defining(), name, definition, handler);
  }

  async query<K, Answer>(features: Queryable<K, Answer>, key: NoInfer<K>, { at }: { readonly at?: Instant } = {}): Promise<Answer> {
    const parts = featureParts(features as Queryable<never, unknown>);
    const moment = at === undefined ? null : at instanceof Date ? at.getTime() : at;
    if (Number.isNaN(moment)) {
      throw new StreamError(
        "OPTION_INVALID",
        "user",
        `Cannot query "${parts.entity}" as of ${String(at)}: wanted a valid date, or milliseconds since the epoch`,
      );
    }
    const engine = await this.#started();
    return await engine.query(parts, key, parts.names, moment) as Answer;
  }

  topology(): TopologyDescription & { readonly mermaid: string } {
    const description = this.#engine?.describe() ?? describeTopology(this.#build(), () => null);
    return { ...description, mermaid: mermaidOf(description) };
  }

  async start(): Promise<void> {
    const engine = await this.#started();
    await engine.worker.whenBuilt();
  }

  async run(options: RunOptions = {}): Promise<void> {
    const runtime = await this.#runtime();
    const { host = "127.0.0.1", signal, observer = logger({ runtime, level: "warn" }), worker = { index: 0, count: 1 } } = options;
    const port = portOf(worker, options.port === undefined ? 8080 : options.port);
    const {
      onStart = (started) => runtime.print(`${started.app} runs on ${started.runtime}, ${started.url ?? "without listening"}; log and state: ${started.place}`),
    } = options;
    const token = options.token === undefined ? null : resolveSecret(runtime, options.token, "admin token");
    if (port !== null) checkListen(host, token);
    this.#observer = observer;
    const driver = checkShared(worker, this.name, await this.#driver(runtime));
    const directory = directoryOf(worker, options.directory ?? this.#directory());
    const engine = await this.#started({ driver, directory, ...(options.acceptChange === true ? { worker: { acceptsChange: true } } : {}) });
    engine.admin = { token, isLoopback: isLoopbackHost(host) };
    const stop = (): void => void this.stop().catch(() => {});
    const offSignal = runtime.capabilities.hasProcess ? runtime.onSignal(stop) : () => {};
    let offWatchdog = (): void => {};
    let offAdminPlace = (): void => {};
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) stop();
    try {
      const server = port === null ? null : await runtime.serve({ fetch: (request, info) => engine.fetch(request, info), hostname: host, port });
      const url = server === null ? null : `http://${server.hostname.includes(":") ? `[${server.hostname}]` : server.hostname}:${server.port}`;
      if (url !== null) offAdminPlace = sayAdminPlace(runtime, directory, { app: this.name, url, token }, observer);
      onStart?.(this.#standing(engine, runtime, url));
      observer({ type: "appStarted", app: this.name, runtime: runtime.name, tasks: engine.worker.tasks.length });
      if (options.watchdog !== undefined) offWatchdog = watchLoop(engine.worker, runtime, options.watchdog);
      try {
        await engine.drive();
      } finally {
        await server?.stop();
      }
    } finally {
      offWatchdog();
      offAdminPlace();
      offSignal();
      signal?.removeEventListener("abort", stop);
      await this.stop();
    }
    observer({ type: "appStopped", app: this.name, reason: "stopped" });
  }

  async stop(): Promise<void> {
    const opening = this.#opening;
    if (opening === null) return;
    const engine = await opening.catch(() => null);
    await engine?.stop();
    if (this.#opening === opening) {
      this.#opening = null;
      this.#engine = null;
    }
  }

  async health(): Promise<Health> {
    if (this.#engine === null) return { status: "stopped", reason: "the app does not run" };
    const { status, reason } = this.#engine.health();
    return reason === undefined ? { status } : { status, reason };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** What `internalsOf` gives. */
  internals(): AppInternals {
    return {
      builder: this.#builder,
      runtime: () => this.#runtime(),
      open: (overrides) => this.#open(overrides),
      definitions: () => ({ topology: this.#build(), webhooks: this.#webhooks, directory: this.#directory() }),
      driver: (name) => this.#driverNamed(name),
      openForOperator: async (directory) => {
        const runtime = await this.#runtime();
        return await openForOperator({ topology: this.#build(), runtime, driver: await this.#driver(runtime), directory, webhooks: this.#webhooks });
      },
      restore: async (directory, from) => {
        const runtime = await this.#runtime();
        return await restoreLog(await this.#driver(runtime), { app: this.name, runtime, directory: directory ?? this.#directory() }, from);
      },
      attach: (engine) => {
        this.#engine = engine;
        this.#opening = engine === null ? null : Promise.resolve(engine);
      },
    };
  }

  #standing(engine: Engine, runtime: Runtime, url: string | null): Started {
    return {
      app: this.name,
      runtime: `${runtime.name} ${runtime.version}`,
      log: engine.log.name,
      place: engine.place,
      url,
      tasks: engine.worker.tasks.map(({ id }) => id),
      webhooks: this.#webhooks.map(({ definition }) => definition.path),
      features: [...this.#features.keys()],
    };
  }

  #defining(): TopologyBuilder {
    if (this.#built !== null) throw new DefinitionError(`Cannot define more of app "${this.name}": it has started`);
    return this.#builder;
  }

  #build(): Topology {
    const { errors, guarantee = "exactly-once" } = this.#options;
    compilePolicy(errors, `app "${this.name}"`, (sentence) => this.#builder.fault(sentence));
    if (guarantee !== "exactly-once" && guarantee !== "at-least-once") {
      this.#builder.fault(`The guarantee of app "${this.name}" is ${JSON.stringify(guarantee)}: wanted "exactly-once" or "at-least-once"`);
    }
    const topology = this.#builder.build();
    const used = new Set(topology.subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => node.stores.map((store) => store.name))));
    const both = (this.#options.retired ?? []).filter((store) => used.has(store));
    if (both.length === 0) return topology;
    for (const store of both) this.#builder.fault(`Store "${store}" is retired, and a step has it: take one of the two away`);
    return this.#builder.build();
  }

  async #driver(runtime: Runtime): Promise<LogDriver> {
    return this.#options.log ?? await this.#defaultDriver(runtime);
  }

  async #driverNamed(name: string): Promise<LogDriver> {
    const own = this.#options.log;
    if (own?.["~log"] === name) return own;
    const runtime = await this.#runtime();
    const driver = await this.#defaultDriver({ env: (variable) => variable === "MILLRACE_LOG" ? name : runtime.env(variable) });
    if (driver["~log"] === name) return driver;
    throw new DefinitionError(`Cannot open the ${name} log of app "${this.name}": its host has none of this name`, { code: "CONFIG_INVALID" });
  }

  #directory(): string {
    return this.#options.directory ?? ".millrace";
  }

  #runtime(): Promise<Runtime> {
    return this.#options.runtime === undefined ? this.#defaultRuntime() : Promise.resolve(this.#options.runtime);
  }

  async #open(overrides: Partial<Pick<EngineOptions, "runtime" | "driver" | "directory" | "worker" | "observer">>): Promise<Engine> {
    const topology = this.#built ??= this.#build();
    this.#builder.seal();
    const { errors, guarantee, retired } = this.#options;
    const runtime = overrides.runtime ?? await this.#runtime();
    const policy = compilePolicy(errors, "app", () => {}) ?? defaultPolicy;
    return await Engine.open({
      topology,
      runtime,
      driver: overrides.driver ?? await this.#driver(runtime),
      directory: overrides.directory ?? this.#directory(),
      webhooks: this.#webhooks,
      features: this.#features,
      observer: overrides.observer ?? ((event) => this.#observer(event)),
      worker: { policy, ...(guarantee === undefined ? {} : { guarantee }), ...(retired === undefined ? {} : { retiredStores: retired }), ...overrides.worker },
    });
  }

  async #started(overrides: Partial<Pick<EngineOptions, "driver" | "directory" | "worker">> = {}): Promise<Engine> {
    if (this.#opening === null) {
      const opening = this.#open(overrides);
      this.#opening = opening;
      try {
        this.#engine = await opening;
      } catch (error) {
        this.#opening = null;
        throw error;
      }
      // Whoever waits for the app hears of a failure; nobody else must be hurt by it.
      this.#engine.drive().catch(() => {});
    }
    return await this.#opening;
  }
}

/** What a host passes beside the request, where it is ours. */
function infoOf(context: readonly unknown[]): { readonly remoteAddress: string | null } | undefined {
  const [info] = context;
  return typeof info === "object" && info !== null && "remoteAddress" in info ? info as { readonly remoteAddress: string | null } : undefined;
}

export type { Awaitable, FeatureAnswer };
