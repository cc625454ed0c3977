/** A running app: log, worker and HTTP face, opened in order and closed in reverse. */
import { ExternalError, messageOf, StreamError } from "../base/errors.ts";
import { featurePartition, readFeatures } from "../feature/online.ts";
import type { FeatureParts } from "../feature/feature-set.ts";
import type { AcceptedRequest, AppendResult, HealthReport, HttpHost, IdempotencyId } from "../http/host.ts";
import { type HttpApp, httpApp } from "../http/server.ts";
import { reportDiffering } from "../http/ingest/differing.ts";
import { ingestAppend, withIngestTopics } from "../http/ingest/ingest-topic.ts";
import type { WebhookDefinition } from "../http/ingest/webhook.ts";
import { LetterDesk } from "../letter/letter-desk.ts";
import type { Append, Log } from "../log/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { Observer } from "../observe/events.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Database } from "../sqlite/database.ts";
import { RECEIVED_HEADER } from "../feature/resolver.ts";
import type { Receipt, SendOptions } from "../stream/topic.ts";
import { ControlDesk } from "../task/control-desk.ts";
import { type Worker, Worker as Workers, type WorkerOptions } from "../task/worker.ts";
import { describeTopology, mermaidOf } from "../topology/describe.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { Topology } from "../topology/topology.ts";
import { copyLog } from "./backup.ts";
import { drive } from "./drive.ts";
import type { LogDriver, OpenLog } from "../log/driver.ts";
import { measureWorker, TaskGauges } from "./measure.ts";
import { checkMoveEnded } from "./migrate/move-note.ts";
import { appendOf } from "./records.ts";
import { version } from "./version.ts";

/** What an engine is made of. */
export interface EngineOptions {
  readonly topology: Topology;
  readonly runtime: Runtime;
  readonly driver: LogDriver;
  readonly directory: string;
  readonly webhooks: readonly { readonly definition: WebhookDefinition; readonly topic: TopicDefinition; readonly takesMessage: boolean }[];
  readonly features: ReadonlyMap<string, FeatureParts>;
  readonly observer: Observer;
  readonly worker: Partial<WorkerOptions>;
}

const RESTORING = "tasks are being restored";
const MOVING = "its group is sharing out partitions: none are here";

/** A running app. */
export class Engine {
  readonly worker: Worker;
  readonly log: Log;
  /** Where records and state lie, for people. */
  readonly place: string;
  /** What did not go through. */
  readonly letters: LetterDesk;
  readonly control: ControlDesk;
  /** Set when it listens. */
  admin: { readonly token: string | null; readonly isLoopback: boolean } = { token: null, isLoopback: false };
  readonly #options: EngineOptions;
  readonly #database: Database | null;
  readonly #http: HttpApp;
  readonly #metrics: Metrics;
  readonly #gauges: TaskGauges;
  /** By the topic they lead to; empty where the log itself keeps ids. */
  readonly #ingestTopics: ReadonlyMap<string, TopicDefinition>;
  #driven: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  private constructor(
    options: EngineOptions,
    { log, database, place }: OpenLog,
    worker: Worker,
    metrics: Metrics,
    ingestTopics: ReadonlyMap<string, TopicDefinition>,
  ) {
    this.#options = options;
    this.#metrics = metrics;
    this.#ingestTopics = ingestTopics;
    this.log = log;
    this.place = place;
    this.worker = worker;
    const { topology, runtime } = options;
    this.letters = new LetterDesk({ topology, log, runtime });
    this.control = new ControlDesk({ topology, log, runtime, worker });
    this.#database = database;
    measureWorker(metrics, worker);
    this.#gauges = new TaskGauges(metrics, worker);
    this.#http = httpApp(this.#host());
  }

  /** Opens log and worker; nothing moves before `drive` or `step`. */
  static async open(options: EngineOptions): Promise<Engine> {
    const { runtime, driver, directory, observer } = options;
    const opened = await driver.open({ app: options.topology.app, runtime, directory, report: observer });
    const { log, database } = opened;
    const metrics = new Metrics();
    let worker: Worker | null = null;
    try {
      await checkMoveEnded(log, options.topology.app);
      const { topology, topics } = log.capabilities.deduplicates
        ? { topology: options.topology, topics: new Map<string, TopicDefinition>() }
        : withIngestTopics(options.topology, options.webhooks, (topic) => log.partitionsOf(topic), (...of) => reportDiffering(metrics, observer, ...of));
      const idle = log.capabilities.holdsState ? { idleTimeoutMs: 30_000 } : {};
      worker = await Workers.start({ ...idle, ...options.worker, runtime, log, database, topology, observer });
      return new Engine({ ...options, topology }, opened, worker, metrics, topics);
    } catch (error) {
      // It may be building its tasks; what it would say of a log closed under it is not what went wrong.
      await worker?.stop(0).catch(() => {});
      database?.close();
      await log.close();
      throw error;
    }
  }

  /** As of now: tasks come and go with their partitions. */
  get metrics(): Metrics {
    this.#gauges.update();
    return this.#metrics;
  }

  /** Steps the worker until it stops; rejects when it fails. */
  drive(): Promise<void> {
    return this.#driven ??= drive(this.worker, this.#options.runtime);
  }

  /** Drains, commits and closes; a second call waits for the first. */
  stop(deadlineMs?: number): Promise<void> {
    return this.#stopping ??= this.#stop(deadlineMs);
  }

  async #stop(deadlineMs: number | undefined): Promise<void> {
    try {
      await this.worker.stop(deadlineMs);
    } finally {
      await this.#driven?.catch(() => {});
      this.#database?.close();
      await this.log.close();
    }
  }

  fetch(request: Request, info?: { readonly remoteAddress: string | null }): Promise<Response> {
    return this.#http.fetch(request, info);
  }

  async send(topic: TopicDefinition, value: unknown, options: SendOptions<unknown>): Promise<Receipt> {
    const append = await appendOf(this.#options.runtime, topic, this.log.partitionsOf(topic.name) ?? 1, value, options);
    const [receipt] = await this.log.append([append]);
    return { topic: topic.name, partition: append.partition, position: receipt!.position };
  }

  /** Committed and durable values of features. Throws `PARTITION_ABSENT` where another worker has them, or this one not yet. */
  async query(parts: FeatureParts, key: unknown, names: readonly string[], at: number | null): Promise<Record<string, unknown>> {
    const partitions = this.log.partitionsOf(parts.topic.name) ?? 1;
    this.#checkIsHere({ topic: parts.topic.name, partition: featurePartition(parts.keys, key, partitions) });
    const answer = readFeatures(this.worker.storage, parts.entity, partitions, parts.keys, key, names, at);
    // What was read is committed, but nothing leaves the process before it is durable.
    if (!this.worker.isDurable) await this.log.flush();
    return answer;
  }

  /** What lies here of a partition that another worker has is old. */
  #checkIsHere(at: TopicPartition): void {
    if (!this.log.capabilities.rebalances) return;
    const place = this.worker.whereIs(at);
    if (place === "here") return;
    const isRestoring = place === "restoring";
    const why = isRestoring ? "is being restored by this worker: try again" : "is owned by another worker: ask that one";
    throw new ExternalError("PARTITION_ABSENT", `Cannot read state: partition ${at.partition} of "${at.topic}" ${why}`, {
      details: { ...at, isRestoring },
      ...(isRestoring ? { retryAfterMs: 1_000 } : {}),
    });
  }

  health(): HealthReport {
    const { worker } = this;
    const atWork = worker.tasks.map((task) => ({
      id: task.id,
      status: task.stopped !== null ? "stopped" : task.inputs.some(({ isPaused }) => isPaused) ? "paused" : "running",
      ...(task.stopReason === null ? {} : { reason: task.stopReason }),
      lag: task.inputs.reduce<number | null>((sum, { lag }) => sum === null || lag === null ? null : sum + lag, 0),
      watermark: Number.isFinite(task.clock.safe) ? task.clock.safe : null,
    }));
    const restoring = worker.state === "stopped" || worker.state === "failed" ? [] : worker.restoring;
    const refused = [...worker.refused].map(([id, { message }]) => ({ id, status: "stopped", reason: message, lag: null, watermark: null }));
    const tasks = [...atWork, ...refused, ...restoring.map((id) => ({ id, status: "restoring", lag: null, watermark: null }))];
    const failure = worker.failure;
    const base = { tasks, ready: failure === null && this.#away === null && (worker.state === "running" || worker.state === "committing") };
    switch (worker.state) {
      case "failed":
        return { ...base, status: "error", reason: messageOf(failure), live: false };
      case "stopped":
        return { ...base, status: "stopped", reason: "the app was stopped", live: false };
      case "starting":
        return { ...base, status: "degraded", reason: this.#away ?? worker.commitTrouble ?? RESTORING, live: true };
      default:
        if (failure !== null) return { ...base, status: "error", reason: atWork.find(({ reason }) => reason !== undefined)?.reason ?? messageOf(failure), live: false };
        return this.#workingHealth(base);
    }
  }

  get #away(): string | null {
    const { trouble } = this.log;
    return trouble === null ? null : `the log does not answer: ${trouble}`;
  }

  /** Of an app that works: whether something keeps it from getting on. */
  #workingHealth(base: Pick<HealthReport, "tasks" | "ready">): HealthReport {
    const { worker } = this;
    const waiting = worker.isMoving ? MOVING : base.tasks.some(({ status }) => status === "restoring") ? RESTORING : null;
    const [refused] = worker.refused;
    const stopped = refused === undefined ? null : `task ${refused[0]} does not run here: ${refused[1].message}`;
    const trouble = this.#away ?? stopped ?? worker.commitTrouble ?? this.#standstill() ?? waiting ?? this.#paused();
    return trouble === null ? { ...base, status: "ok", live: true } : { ...base, status: "degraded", reason: trouble, live: true };
  }

  /** Somebody wanted it so, and may have forgotten. */
  #paused(): string | null {
    const [first, ...others] = this.worker.paused;
    if (first === undefined) return null;
    const { topic, partition, by, at, reason } = first;
    const more = others.length === 0 ? "" : `, and ${others.length} more`;
    return `${topic}/${partition} has been paused by ${by} since ${new Date(at).toISOString()}${
      reason === null ? "" : ` (${reason})`
    }${more}: resume it to go on`;
  }

  #standstill(): string | null {
    const found = this.worker.standstill;
    if (found === null) return null;
    const { step, record: { topic, partition, position } } = found;
    const seconds = Math.round(found.ageMs / 1_000);
    return step === null
      ? `task ${found.task.id} has been given nothing of ${topic}-${partition} from position ${position} on for ${seconds} s, though there is more, or nobody knows`
      : `step "${step}" has worked on record ${topic}-${partition}@${position} for ${seconds} s: its promise has not settled`;
  }

  #host(): HttpHost {
    const { runtime, topology, webhooks, features } = this.#options;
    const engine = this;
    return {
      name: topology.app,
      version,
      runtime,
      webhooks: webhooks.map(({ definition }) => definition),
      append: (definition, request) => this.#append(definition, request),
      query: async (entity, key, { names, at }) => {
        const parts = features.get(entity);
        if (parts === undefined) return null;
        for (const name of names ?? []) {
          if (!parts.names.includes(name)) {
            throw new StreamError("OPTION_INVALID", "user", `Features "${entity}" have no "${name}": there are ${parts.names.join(", ")}`);
          }
        }
        return await this.query(parts, parts.keys.fromId(key), names ?? parts.names, at);
      },
      health: async () => this.health(),
      topology: () => this.describe(),
      mermaid: () => mermaidOf(this.describe()),
      letters: this.letters,
      control: this.control,
      copy: (signal) => copyLog(this.log, topology.app, signal),
      get metrics() {
        return engine.metrics;
      },
      get admin() {
        return engine.admin;
      },
      log: this.#options.observer,
    };
  }

  describe(): ReturnType<typeof describeTopology> {
    return describeTopology(this.#options.topology, (topic) => this.log.partitionsOf(topic));
  }

  async #append(definition: WebhookDefinition, request: AcceptedRequest): Promise<AppendResult> {
    if (this.worker.state === "failed" || this.worker.state === "stopped") {
      throw new ExternalError("LOG_CLOSED", "Cannot take a webhook: the app has stopped", { retryAfterMs: 5_000 });
    }
    const webhook = this.#options.webhooks.find((candidate) => candidate.definition === definition)!;
    const { topic, takesMessage } = webhook;
    const { body, query, headers, receivedAt } = request;
    const value = takesMessage ? { body, query, headers } : request.value !== undefined ? request.value : body;
    const append = await appendOf(this.#options.runtime, topic, this.log.partitionsOf(topic.name) ?? 1, value, {
      fields: [{ name: RECEIVED_HEADER, value: String(receivedAt) }],
      ...(topic.timestamp === null ? { timestamp: receivedAt } : {}),
    });
    const { idempotencyId } = request;
    const [receipt] = await this.log.append([idempotencyId === null ? append : this.#withId(append, idempotencyId, receivedAt)]);
    return { duplicate: receipt!.duplicate, differs: receipt!.differs };
  }

  /** The log keeps the id, or a topic of ids is on the way. */
  #withId(append: Append, id: IdempotencyId, receivedAt: number): Append {
    const ingestTopic = this.#ingestTopics.get(append.topic);
    return ingestTopic === undefined ? { ...append, id } : ingestAppend(ingestTopic, append, id, receivedAt);
  }
}
