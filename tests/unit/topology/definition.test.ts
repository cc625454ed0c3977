/** What is wrong with a definition is said when it is looked at: all of it at once, a sentence each. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { count, createApp, DefinitionError, hopping, isStreamError, retryLater, sum, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { open } from "../task/harness.ts";

/** The faults of an app; empty when there are none. */
function faultsOf(app: App): readonly string[] {
  try {
    app.topology();
    return [];
  } catch (error) {
    if (error instanceof DefinitionError) return error.faults;
    throw error;
  }
}

/** Types refuse most of what follows; programs in JavaScript do not. */
const untyped = (value: unknown): never => value as never;

const unusable: readonly (readonly [name: string, define: (app: App) => void, sentence: string])[] = [
  ["a topic's name", (app) => void app.topic("a b"), 'The name of topic "a b" cannot be used: wanted 1 to 200 of A-Z a-z 0-9 . _ -'],
  ["an empty topic name", (app) => void app.topic(""), 'The name of topic "" cannot be used: wanted 1 to 200 of A-Z a-z 0-9 . _ -'],
  ["partitions", (app) => void app.topic("t", { partitions: 0 }), 'partitions of topic "t" is 0, wanted a whole number from 1 to 10,000'],
  ["half a partition", (app) => void app.topic("t", { partitions: 1.5 }), 'partitions of topic "t" is 1.5, wanted a whole number from 1 to 10,000'],
  [
    "watermarkDelay",
    (app) => void app.topic("t", { watermarkDelay: untyped("soon") }),
    'watermarkDelay of topic "t" is "soon", wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once',
  ],
  [
    "lateArrivalDeadline",
    (app) => void app.topic("t", { lateArrivalDeadline: -1 }),
    'lateArrivalDeadline of topic "t" is -1, wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once',
  ],
  [
    "idleTimeout",
    (app) => void app.topic("t", { idleTimeout: untyped("infinity") }),
    'idleTimeout of topic "t" is "infinity", wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once',
  ],
  [
    "retention",
    (app) => void app.topic("t", { retention: NaN }),
    'retention of topic "t" is NaN, wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once',
  ],
  ["attempts", (app) => void app.topic("t", { errors: { retry: { attempts: 0 } } }), 'errors.retry.attempts of topic "t" is 0, wanted a whole number from 1'],
  ["then", (app) => void app.topic("t", { errors: { then: untyped("explode") } }), 'errors.then of topic "t" is "explode", wanted "dead-letter", "skip" or "stop"'],
  [
    "two topics of one name",
    (app) => {
      app.topic("t");
      app.topic("t");
    },
    'Topic "t" is defined twice: use the first definition, or another name',
  ],
  [
    "a made topic of a name that exists",
    (app) => {
      const topic = app.topic("t");
      app.topic("u");
      app.stream(topic).to("u");
    },
    'Topic "u" is defined twice: use the first definition, or another name',
  ],
  [
    "two windows alike on one source",
    (app) => {
      const topic = app.topic("t");
      for (let i = 0; i < 2; i++) app.stream(topic).groupByKey().window(tumbling("1m")).aggregate({ n: count() });
    },
    'Two steps are named "t-tumbling-60000": give one of them a name of its own',
  ],
  [
    "two resolvers of one name",
    (app) => {
      const topic = app.topic<string, number>("t");
      const set = app.features("s", { n: v.number() });
      for (let i = 0; i < 2; i++) app.resolver("r", { source: topic, output: set }, (n) => set.of("a", { n }));
    },
    'Two steps are named "r": give one of them a name of its own',
  ],
  ["an unknown feature in a pick", (app) => void app.features("s", { n: v.number() }).pick(untyped("m")), 'Features "s" have no "m": there are n'],
  ["no features", (app) => void app.features("s", {}), 'Features "s" are empty, wanted at least one'],
  ["a feature without a schema", (app) => void app.features("s", { n: untyped(7) }), 'Feature "n" of "s" has no schema: wanted a Standard Schema'],
  ["a name of features", (app) => void app.features("s/x", { n: v.number() }), 'The name of features "s/x" cannot be used: wanted 1 to 100 of A-Z a-z 0-9 _ -'],
  ["emit", (app) => void app.stream(app.topic("t")).window(tumbling(1), { emit: untyped("never") }).aggregate({ n: count() }), 'emit of window "t-tumbling-1" is "never", wanted "close" or "update"'],
  [
    "late",
    (app) => void app.stream(app.topic("t")).window(tumbling(1), { late: untyped("keep") }).aggregate({ n: count() }),
    'late of window "t-tumbling-1" is "keep", wanted "topic", "drop" or a function',
  ],
  ["no aggregators", (app) => void app.stream(app.topic("t")).window(tumbling(1)).aggregate({}), 'aggregate() of window "t-tumbling-1" got no aggregators, wanted at least one'],
  ["a branch named rest", (app) => void app.stream(app.topic("t")).branch({ rest: () => true }), 'branch() of "t" has a branch "rest", which is the name for what matches none'],
  [
    "a resolver without a handler",
    (app) => void app.resolver("r", { source: app.topic("t"), output: app.features("s", { n: v.number() }) }, untyped(undefined)),
    'resolver "r" has no handler: wanted a function as third argument',
  ],
  [
    "a parse that is no function",
    (app) => void app.resolver("r", { source: app.topic("t"), parse: untyped("x"), output: app.features("s", { n: v.number() }) }, () => null),
    'parse of resolver "r" is of type string, wanted a function',
  ],
];

describe("topology() refuses", () => {
  for (const [name, define, sentence] of unusable) {
    test(`${name} that cannot work, in a sentence`, () => {
      const app = createApp("t");

      define(app);

      expect(faultsOf(app)).toEqual([sentence]);
    });
  }

  test("everything at once, each fault once, however often it is asked", () => {
    const app = createApp("not a name", { errors: { then: untyped("explode") } });
    app.topic("a b");
    app.topic("t", { partitions: -1, errors: { retry: { attempts: 1.5, backOff: -5 } } });
    app.features("s", {});

    const first = faultsOf(app);
    const second = faultsOf(app);

    expect(first).toHaveLength(7);
    expect(second).toEqual(first);
    expect(() => app.topology()).toThrow(/^Cannot use app "not a name":\s+- The name of app "not a name" cannot be used/);
  });

  test("and start() refuses the same, before anything is opened", async () => {
    const app = createApp("t");
    app.topic("a b");

    await expect(open(app)).rejects.toMatchObject({ code: "DEFINITION_INVALID" });
  });
});

const thrown: readonly (readonly [name: string, define: (app: App) => unknown, message: RegExp])[] = [
  ["a window without size", () => tumbling("0s"), /^Cannot use tumbling\(\): its size and advance are 0 and 0 ms, wanted more than 0$/],
  ["a window of a size that is none", () => tumbling(untyped("1 hour")), /^The size of tumbling\(\) is "1 hour", wanted/],
  ["a hop beyond the size", () => hopping("1m", { every: "2m" }), /^Cannot use hopping\(\): every is 120000 ms and size 60000 ms, wanted at most the size/],
  ["a negative grace", () => tumbling("1m", { grace: -1 }), /^grace of tumbling\(\) is -1, wanted/],
  ["an offset of fractions", () => tumbling("1m", { offset: 0.5 }), /^offset of tumbling\(\) is 0\.5, wanted/],
  ["retryLater() without a time", () => retryLater(untyped("soon")), /^retryLater\(\) is "soon", wanted/],
  ["a source of no app", (app) => app.stream(untyped({})), /^Cannot read from this source: it was not made by an app$/],
  ["no source at all", (app) => app.stream(untyped(undefined)), /^Cannot read from this source: it was not made by an app$/],
  ["a target of no app", (app) => app.stream(app.topic("t")).to(untyped({})), /^Cannot send to this target: it was not made by an app$/],
  ["an aggregator that is none", (app) => app.stream(app.topic("t")).window(tumbling(1)).aggregate({ n: untyped(5) }), /^Cannot aggregate by this value: it was not made by count\(\), sum\(\) or another aggregator$/],
  [
    "a stream of a webhook whose records go to a topic",
    (app) => app.stream(app.webhook("/hook", { topic: app.topic("t"), verify: "none" })).map((value) => value),
    /^Cannot read from webhook "\/hook": its records go to topic "t": read that$/,
  ],
  ["features that are none", (app) => app.resolver("r", { source: app.topic("t"), output: untyped({}) }, () => null), /^Cannot use these features: they were not made by app\.features\(\)$/],
];

describe("a definition that cannot be made throws at once", () => {
  for (const [name, define, message] of thrown) {
    test(`${name}: a DefinitionError that says what, where and what is wanted`, () => {
      let error: unknown = null;
      try {
        define(createApp("t"));
      } catch (caught) {
        error = caught;
      }

      expect(isStreamError(error) && error.domain).toBe("user");
      expect((error as Error).message).toMatch(message);
    });
  }

  test("after the app has started nothing more can be defined: by the app, or by streams and topics it gave before", async () => {
    const app = createApp("t");
    const topic = app.topic<string, number>("t");
    const stream = app.stream(topic);
    stream.to("out");
    const stand = await open(app);

    const attempts: readonly (() => unknown)[] = [
      () => app.topic("u"),
      () => app.stream(topic).map((value) => value),
      () => app.features("s", { n: v.number() }),
      () => stream.map((value) => value),
      () => stream.to("more"),
      () => stream[Symbol.asyncIterator](),
      () => stream.groupByKey().window(tumbling(1)).aggregate({ total: sum((value) => value) }),
    ];
    for (const attempt of attempts) expect(attempt).toThrow('Cannot define more of app "t": it has started');

    await stand.crash();
  });
});
