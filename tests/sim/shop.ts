/** The app of a simulated run: a family of topologies around one topic, by the genes of the run. */
import { type App, type AppInternals, internalsOf, makeApp } from "../../src/app/app.ts";
import { type FeatureParts, featureParts } from "../../src/feature/feature-set.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { collect, count, sum } from "../../src/stream/aggregator.ts";
import { skip } from "../../src/stream/signals.ts";
import { targetParts } from "../../src/stream/source.ts";
import type { Topic } from "../../src/stream/topic.ts";
import { hopping, tumbling, type Window, type Windowed } from "../../src/stream/window.ts";
import type { Schema, SchemaResult } from "../../src/record/schema.ts";
import type { TopicDefinition } from "../../src/topology/node.ts";
import type { Genes, WindowGenes } from "./genes.ts";
import { errorsOf } from "./policies.ts";
import { isCounted, isResolved, type Value, type World } from "./world.ts";

/** What of a value goes into windows. */
export interface Item {
  readonly id: string;
  readonly amount: number;
}

/** The result of a window. */
export interface Spend {
  readonly n: number;
  readonly total: number;
  readonly items: readonly Item[];
}

/** The app and what the simulation needs of it. */
export interface Shop {
  readonly app: App;
  readonly internals: AppInternals;
  readonly events: TopicDefinition;
  readonly others: TopicDefinition;
  /** null where the run has no resolver. */
  readonly features: FeatureParts | null;
}

const NAME = "shop";

/** Of the input: an amount is a number. */
function schemaOf(isSlow: boolean): Schema<Value> {
  const judge = (value: unknown): SchemaResult<Value> => {
    const { amount } = value as Value;
    return typeof amount === "number" ? { value: value as Value } : { issues: [{ message: "wanted a number", path: ["amount"] }] };
  };
  return { "~standard": { version: 1, vendor: "simulation", validate: (value) => isSlow ? Promise.resolve(value).then(judge) : judge(value) } };
}

const anything: Schema<{ readonly id: string; readonly at: number }> = {
  "~standard": { version: 1, vendor: "simulation", validate: (value) => ({ value: value as { id: string; at: number } }) },
};

/** Defines the app. */
export function shopOf(genes: Genes, world: World, host: Runtime): Shop {
  const { policies } = genes;
  const app = makeApp(NAME, { errors: errorsOf(policies.app) }, () => Promise.resolve(host));
  const topicOptions = {
    key: (value: Value) => value.key as string,
    retention: "infinity",
    watermarkDelay: genes.watermarkDelayMs,
  } as const;
  const events: Topic<string, Value> = app.topic("events", {
    ...topicOptions,
    value: schemaOf(genes.slowSchema),
    timestamp: ({ id, at }: Value) => world.callNow("timestamp", id, world.fateOf(id), at),
    partitions: genes.partitions,
    ...(policies.source === null ? {} : { errors: errorsOf(policies.source) }),
  });
  const others: Topic<string, Value> = app.topic("others", { ...topicOptions, timestamp: (value: Value) => value.at, partitions: 1 });
  app.webhook("/events", { topic: events as Topic<string, unknown>, verify: "none", idempotencyKey: ({ body }) => (body as Value).id });

  app.stream(events).map(({ id }) => world.call("first", id, world.fateOf(id), () => ({ id }))).to("seen");
  const features = genes.resolver === null ? null : defineResolver(app, events, genes.resolver, genes, world);
  if (genes.window !== null) defineWindow(app, events, genes.window, genes, world);
  if (genes.enrich) {
    app.stream(events).map(({ id, amount }) =>
      world.call("enrich", id, world.fateOf(id), () => world.isSkipped("enrich", id) ? skip("left out") : { id, amount: amount * 2 })
    ).to("enriched");
  }
  if (genes.split) {
    app.stream(events).flatMap(({ id }) => world.call("split", id, world.fateOf(id), () => Array.from({ length: world.partsOf(id) }, () => ({ id })))).to(
      "split",
    );
  }
  if (genes.sieve) {
    app.stream(events).filter(({ id }) => world.call("sieve", id, world.fateOf(id), () => world.isSieved(id))).map(({ id }) => ({ id })).to("sieved");
  }
  if (genes.sink) app.stream(events).forEach(({ id }) => world.call("sink", id, world.fateOf(id), () => void world.sunk.add(id)));
  if (genes.groups !== null) {
    app.stream(events).map(({ id, amount, group }) => ({ id, amount, group })).groupBy(({ group }) => group)
      .window(windowOf(genes.groups), { name: "groups-window" }).aggregate({ n: count(), total: sum((item: Item) => item.amount), items: collect<Item>() }).to(
        "groups",
      );
  }
  if (genes.merge) app.stream(events).merge(others).map(({ id }) => ({ id })).to("merged");
  if (genes.branch) {
    const { large, middle, rest } = app.stream(events).branch({ large: ({ amount }) => amount > 60, middle: ({ amount }) => amount > 30 });
    for (const [name, stream] of [["large", large], ["middle", middle], ["rest", rest]] as const) stream.map(({ id }) => ({ id })).to(name);
  }

  const internals = internalsOf(app);
  // No step of the language asks for it yet: handlers of several keys at once.
  for (const { nodes } of internals.builder.build().subTopologies) for (const node of nodes) (node as { concurrency: number }).concurrency = genes.concurrency;
  return { app, internals, events: targetParts(events).definition, others: targetParts(others).definition, features };
}

function defineResolver(app: App, events: Topic<string, Value>, by: "key" | "group", { policies }: Genes, world: World): FeatureParts {
  const account = app.features("account", { last: anything });
  app.resolver(
    "last",
    {
      source: events,
      parse: (value) => world.call("parse", value.id, world.fateOf(value.id), () => isResolved(value) ? value : null),
      output: account,
      ...(policies.resolver === null ? {} : { errors: errorsOf(policies.resolver) }),
    },
    ({ id, at, key, group }) => world.call("resolve", id, world.fateOf(id), () => account.of(by === "key" ? key ?? "nobody" : group, { last: { id, at } })),
  );
  return featureParts(account);
}

function defineWindow(app: App, events: Topic<string, Value>, window: WindowGenes, { after, lateTo }: Genes, world: World): void {
  const late = lateTo === "function" ? ({ id }: Item) => void world.tardy.add(id) : lateTo;
  const results = app.stream(events).filter(isCounted).map(({ id, amount }) => ({ id, amount })).groupByKey()
    .window(windowOf(window), { emit: window.emit, late, name: "spend" }).aggregate({
      n: count(),
      total: sum((item: Item) => item.amount),
      items: collect<Item>(),
    });
  if (!after) {
    results.to("spend");
    return;
  }
  results.map((result: Windowed<string, Spend>) => {
    const { key, start, value } = result;
    if (window.emit === "close") return world.call("after", `${key}@${start}`, world.fateOf(`${key}@${start}`), () => result);
    const id = value.items.at(-1)?.id ?? "";
    return world.call("after", id, world.fateOf(id), () => result);
  }).to("spend");
}

function windowOf({ sizeMs, advanceMs, offsetMs, graceMs }: WindowGenes): Window {
  return advanceMs === sizeMs
    ? tumbling(sizeMs, { offset: offsetMs, grace: graceMs })
    : hopping(sizeMs, { every: advanceMs, offset: offsetMs, grace: graceMs });
}
