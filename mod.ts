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
import { type App, type AppOptions, makeApp } from "./src/app/app.ts";

/** Makes an app on the runtime it runs on. Nothing is opened before it runs. */
export function createApp(name: string, options: AppOptions = {}): App {
  return makeApp(name, options, hostRuntime);
}

export type { App, AppOptions, Health, RunOptions, Started, Webhook } from "./src/app/app.ts";
export { embedded, memory } from "./src/app/log-driver.ts";
export type { EmbeddedOptions, LogDriver, LogDriverContext, OpenLog } from "./src/app/log-driver.ts";
export type { Awaitable } from "./src/base/awaitable.ts";
export type { Duration } from "./src/base/duration.ts";
export { DecodeError, DefinitionError, errorCodes, ExternalError, FencedError, HandlerError, InvariantError, isStreamError, StoreError, StreamError } from "./src/base/errors.ts";
export type { ErrorCode, ErrorDomain, ErrorInfo } from "./src/base/errors.ts";
export type { FeatureAnswer, FeaturePick, FeatureRow, FeatureSet, FeatureSetOptions, FeatureShape, Output, PlainFeatures, Queryable } from "./src/feature/feature-set.ts";
export type { Resolver, ResolverDefinition, ResolverResult } from "./src/feature/resolver.ts";
export { github, hmac } from "./src/http/ingest/hmac.ts";
export { standardWebhooks } from "./src/http/ingest/standard-webhooks.ts";
export type { Verifier, VerifierOptions } from "./src/http/ingest/verifier.ts";
export type { HeaderRecord, QueryValues, WebhookMessage, WebhookOptions } from "./src/http/ingest/webhook.ts";
export type { ObservedEvent, Observer } from "./src/observe/events.ts";
export { codec } from "./src/record/codec.ts";
export type { Codec, CodecSpec, Format } from "./src/record/codec.ts";
export { json } from "./src/record/codec-json.ts";
export { msgpack } from "./src/record/codec-msgpack.ts";
export { bytes, text } from "./src/record/codec-text.ts";
export type { RecordMeta } from "./src/record/meta.ts";
export type { Schema, SchemaIssue, SchemaOutput } from "./src/record/schema.ts";
export { env } from "./src/runtime/env-value.ts";
export type { EnvValue, Secret } from "./src/runtime/env-value.ts";
export type { Runtime } from "./src/runtime/runtime.ts";
export { collect, count, first, last, max, mean, min, sum } from "./src/stream/aggregator.ts";
export type { Aggregator, Aggregators, MergingAggregator } from "./src/stream/aggregator.ts";
export type { ErrorPolicy, RetryPolicy } from "./src/stream/error-policy.ts";
export { retryLater, skip, terminal } from "./src/stream/signals.ts";
export type { Skip } from "./src/stream/signals.ts";
export type { InferKey, InferValue, Source, Target, TopicView } from "./src/stream/source.ts";
export type { Branches, LateRecord, Narrowed, Stream, Taken, WindowedStream, WindowEmitOptions } from "./src/stream/stream.ts";
export type { Instant, Receipt, SendOptions, Topic, TopicOptions } from "./src/stream/topic.ts";
export { hopping, tumbling } from "./src/stream/window.ts";
export type { AlignedWindowOptions, Windowed, WindowOptions, Window } from "./src/stream/window.ts";
