/**
 * Millrace: a stream runtime for TypeScript. Records come from topics and webhooks, pass through typed steps, resolvers and event-time windows, and leave as topics, feature values and HTTP
 * answers; state and positions are kept together, in one commit.
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { count, createApp, tumbling } from "millrace";
 *
 * const app = createApp("shop");
 * const orders = app.topic("orders", { value: v.object({ id: v.string(), customer: v.string() }), key: (order) => order.customer });
 * app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({ orders: count() }).to("orders-a-minute");
 * ```
 *
 * @module
 */
import { hostRuntime } from "./adapters/host/host.ts";
import { hostLog } from "./adapters/host/host-log.ts";
import { type App, type AppOptions, makeApp } from "./src/app/app.ts";
import { embedded, memory } from "./src/app/log-driver.ts";

/**
 * Makes an app on the runtime it runs on. Nothing is opened before it runs. `name` has 1 to 100 of `A-Z a-z 0-9 _ -` and names the app's group and files: with another name it starts anew. What is
 * wrong with a definition is told when the app starts: one DefinitionError with every fault.
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { createApp, sum, tumbling } from "millrace";
 * import { testApp } from "millrace/testing";
 *
 * const app = createApp("fraud");
 * const payments = app.topic("payments", { value: v.object({ account: v.string(), amount: v.number() }), key: (payment) => payment.account });
 * const alerts = app.stream(payments)
 *   .groupByKey()
 *   .window(tumbling("10m"))
 *   .aggregate({ total: sum((payment) => payment.amount) })
 *   .filter((window) => window.value.total > 10_000)
 *   .to("alerts");
 *
 * await using test = testApp(app);
 * await test.send(payments, { account: "ann", amount: 12_000 }, { timestamp: test.now });
 * await test.send(payments, { account: "bob", amount: 1 }, { timestamp: test.now + 600_000 });
 * const [alert] = await test.read(alerts);
 * if (alert?.key !== "ann" || alert.value.value.total !== 12_000) throw new Error("wanted one alert");
 * ```
 */
export function createApp(name: string, options: AppOptions = {}): App {
  return makeApp(name, options, hostRuntime, (runtime) => hostLog(runtime, { embedded, memory }));
}

export type { App, AppOptions, Health, RunOptions, Started, Webhook } from "./src/app/app.ts";
export type { WorkerPlace } from "./src/app/worker-place.ts";
export { embedded, memory } from "./src/app/log-driver.ts";
export type { EmbeddedOptions } from "./src/app/log-driver.ts";
export type { LogDriver } from "./src/log/driver.ts";
export type { Guarantee } from "./src/log/log.ts";
export type { Awaitable } from "./src/base/awaitable.ts";
export type { Duration, DurationDays, DurationHours, DurationMinutes, DurationMs, DurationSeconds } from "./src/base/duration.ts";
export {
  DecodeError,
  DefinitionError,
  errorCodes,
  ExternalError,
  FencedError,
  HandlerError,
  InvariantError,
  isStreamError,
  StoreError,
  StreamError,
} from "./src/base/errors.ts";
export type { ErrorCode, ErrorDomain, ErrorInfo } from "./src/base/errors.ts";
export type {
  FeatureAnswer,
  FeaturePick,
  FeatureRow,
  FeatureSet,
  FeatureSetOptions,
  FeatureShape,
  Output,
  PlainFeatures,
  Queryable,
  Simplify,
} from "./src/feature/feature-set.ts";
export type { CheckedParse, ParseNeeded, Resolver, ResolverDefinition, ResolverResult } from "./src/feature/resolver.ts";
export { github, hmac } from "./src/http/ingest/hmac.ts";
export type { HmacOptions } from "./src/http/ingest/hmac.ts";
export { standardWebhooks } from "./src/http/ingest/standard-webhooks.ts";
export type { Verifier, VerifierOptions } from "./src/http/ingest/verifier.ts";
export type { CheckedMap, HeaderRecord, MapNeeded, QueryValues, WebhookMessage, WebhookOptions } from "./src/http/ingest/webhook.ts";
export type {
  ErrorFacts,
  ObservedEvent,
  Observer,
  OrderDone,
  RecordDeadLettered,
  RecordPlace,
  RecordSkipped,
  RetryScheduled,
  StoreMigrated,
  TaskRestoring,
} from "./src/observe/events.ts";
export { codec } from "./src/record/codec.ts";
export type { Codec, CodecSpec, Format } from "./src/record/codec.ts";
export { json } from "./src/record/codec-json.ts";
export { msgpack } from "./src/record/codec-msgpack.ts";
export { bytes, text } from "./src/record/codec-text.ts";
export type { RecordMeta } from "./src/record/meta.ts";
export type { Payload } from "./src/record/record.ts";
export type { Schema, SchemaIssue, SchemaOutput, SchemaProps, SchemaResult } from "./src/record/schema.ts";
export { env } from "./src/runtime/env-value.ts";
export type { EnvValue, Secret } from "./src/runtime/env-value.ts";
export type { Disk, DiskFile, DiskLock, LockHolder, OpenFileOptions } from "./src/runtime/disk.ts";
export type { ParentProcess, ProcessEnd, SpawnedProcess, SpawnOptions } from "./src/runtime/processes.ts";
export type { HashAlgorithm, Runtime, RuntimeCapabilities, ServeOptions, Server, Timer } from "./src/runtime/runtime.ts";
export type { DatabaseOptions } from "./src/sqlite/database.ts";
export { collect, count, first, last, max, mean, min, sum } from "./src/stream/aggregator.ts";
export type { Aggregator, Aggregators, MergingAggregator } from "./src/stream/aggregator.ts";
export type { ErrorPolicy, RetryPolicy } from "./src/stream/error-policy.ts";
export { retryLater, skip, terminal } from "./src/stream/signals.ts";
export { sink } from "./src/stream/sink.ts";
export type { SinkOptions } from "./src/stream/sink.ts";
export type { Skip } from "./src/base/skip.ts";
export type { InferKey, InferValue, Source, Target, TopicView } from "./src/stream/source.ts";
export type { KeptAggregate, KeptAggregates, Migration, StoredAggregates } from "./src/stream/migration.ts";
export type { Branches, LateRecord, Narrowed, Stream, Taken, WindowedStream, WindowEmitOptions } from "./src/stream/stream.ts";
export type { Instant, Receipt, SendOptions, Topic, TopicOptions } from "./src/stream/topic.ts";
export { hopping, tumbling } from "./src/stream/window.ts";
export type { AlignedWindowOptions, Window, Windowed, WindowOptions } from "./src/stream/window.ts";
export type { TopologyDescription } from "./src/topology/describe.ts";
