/** Workers of two versions of an app in one group: what may run side by side does, and what would work from another state is refused before it joins. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { count, createApp, sum, tumbling } from "../../../mod.ts";
import type { App, Topic } from "../../../mod.ts";
import { type Rig, rigOn } from "./durable-log.ts";
import { open, recordsOf, runtimeOf, type Stand, START, valuesOf } from "./harness.ts";

const runtime = runtimeOf();
const CONTROL = "t-control";

interface Topics {
  readonly app: App;
  readonly input: Topic<string, number>;
  readonly other: Topic<string, number>;
}

/** A version of the app: what `define` adds to two topics. */
function version(define: (topics: Topics) => void): App {
  const app = createApp("t");
  const [input, other] = ["in", "other"].map((name) => app.topic<string, number>(name, { partitions: 2 }));
  define({ app, input: input!, other: other! });
  return app;
}

const hourly = ({ app, input }: Topics) => app.stream(input).groupByKey().window(tumbling("1h"), { emit: "update", name: "hourly" });
const counts = (topics: Topics): void => void hourly(topics).aggregate({ n: count() }).map(({ value }) => value.n).to("counts");
/** Each part of it is in all versions. */
const before = (topics: Topics): void => {
  const { app, input, other } = topics;
  counts(topics);
  app.stream(other).forEach(() => {});
  app.stream(input).groupBy((value) => value, { name: "by" }).window(tumbling("1h"), { name: "values" }).aggregate({ n: count() });
  app.features("account", { value: v.number() });
};

async function start(app: App, driver: Rig, acceptsChange = false): Promise<Stand> {
  const stand = await open(app, { runtime, driver, worker: { acceptsChange } });
  await stand.engine.worker.whenBuilt();
  return stand;
}

async function end(...stands: readonly Stand[]): Promise<void> {
  for (const stand of stands) await stand.engine.worker.stop(0).catch(() => {});
}

/** The faults that a start is refused with; the message as a whole where they are none of the check's. */
async function faultsOf(app: App, driver: Rig): Promise<readonly string[]> {
  const failure = await start(app, driver).then(async (stand) => {
    await end(stand);
    return new Error("it started");
  }, (error: unknown) => error as Error);
  const { code, faults } = failure as { readonly code?: string; readonly faults?: readonly string[] };
  return code === "TOPOLOGY_INCOMPATIBLE" ? faults! : [failure.message];
}

const compatible: readonly (readonly [string, (topics: Topics) => void])[] = [
  ["nothing is other", before],
  ["a step without state is added before and behind a window", (topics) => {
    const { app, input, other } = topics;
    const mapped = app.stream(input).filter(() => true).map((value) => value);
    mapped.groupByKey().window(tumbling("1h"), { emit: "update", name: "hourly" }).aggregate({ n: count() }).filter(() => true).map(({ value }) => value.n).to(
      "counts",
    );
    app.stream(other).forEach(() => {});
    app.stream(input).groupBy((value) => value, { name: "by" }).window(tumbling("1h"), { name: "values" }).aggregate({ n: count() });
    app.features("account", { value: v.number() });
  }],
  ["a window speaks at another time, and waits longer", ({ app, input, other }) => {
    app.stream(other).forEach(() => {});
    app.stream(input).groupByKey().window(tumbling("1h", { grace: "1d" }), { emit: "close", late: "drop", name: "hourly" }).aggregate({ n: count() });
  }],
  ["a window is added beside", (topics) => {
    before(topics);
    topics.app.stream(topics.input).groupByKey().window(tumbling("1d")).aggregate({ n: count() });
  }],
  ["a resolver is added", (topics) => {
    const { app, input, other } = topics;
    counts(topics);
    app.stream(other).forEach(() => {});
    app.stream(input).groupBy((value) => value, { name: "by" }).window(tumbling("1h"), { name: "values" }).aggregate({ n: count() });
    const account = app.features("account", { value: v.number() });
    app.resolver("value", { source: other, output: account }, (value) => account.of("a", { value }));
  }],
  ["a feature is added, another removed", ({ app, other }) => {
    app.stream(other).forEach(() => {});
    app.features("account", { name: v.string() });
  }],
  ["steps with state are taken away", ({ app, other }) => app.stream(other).forEach(() => {})],
  ["a source is added that is read by itself", (topics) => {
    before(topics);
    topics.app.stream(topics.app.topic("third")).to("copies");
  }],
];

const incompatible: readonly (readonly [string, (topics: Topics) => void, string])[] = [
  ["two topics are read together", (topics) => {
    before(topics);
    topics.app.stream(topics.input).merge(topics.other).forEach(() => {});
  }, 'topic "in" is read as part of "in" by them and of "in+other" by this one'],
  [
    "a window has another size under its name",
    ({ app, input }) => {
      app.stream(input).groupByKey().window(tumbling("2h"), { name: "hourly" }).aggregate({ n: count() });
    },
    'Cannot open store "hourly": it is kept as "window 3600000/3600000+0 n:count" and is defined as "window 7200000/7200000+0 n:count" now, of which nothing can be made',
  ],
  ["an aggregate is added, and no version raised", (topics) => {
    hourly(topics).aggregate({ n: count(), total: sum((value: number) => value) });
  }, 'store "hourly" is kept as "window 3600000/3600000+0 n:count" by them and as "window 3600000/3600000+0 n:count,total:sum" by this one: raise its version'],
  ["an aggregate is removed, and no version raised", (topics) => {
    topics.app.stream(topics.input).groupBy((value) => value, { name: "by" }).window(tumbling("1h"), { name: "values" }).aggregate({ m: count() });
  }, 'store "values" is kept as "window by any 3600000/3600000+0 n:count" by them'],
  ["what goes through a topic of the app's own comes from elsewhere", ({ app, other }) => {
    app.stream(other).groupBy((value) => value, { name: "by" }).window(tumbling("1h"), { name: "values" }).aggregate({ n: count() });
  }, 'what lies in topic "t-by-repartition" is "keys any, from in" for them and "keys any, from other" for this one'],
  ["a step with state reads another source", (topics) => {
    const { app, input, other } = topics;
    app.stream(input).forEach(() => {});
    app.stream(other).groupByKey().window(tumbling("1h"), { emit: "update", name: "hourly" }).aggregate({ n: count() });
  }, 'store "hourly" is kept behind "in" by them and behind "other" by this one: give the step another name'],
  ["features have another version", ({ app }) => {
    app.features("account", { value: v.number() }, { version: 2, migrate: () => ({}) });
  }, 'what lies in topic "t-account" is "keys text" for them and "keys text, v2" for this one'],
  ["features have other keys", ({ app }) => {
    app.features("account", { value: v.number() }, { keyFormat: v.number() });
  }, 'what lies in topic "t-account" is "keys text" for them and "keys json" for this one'],
];

describe("F31 two versions in one group: what may run side by side", () => {
  test.each(compatible.map(([what, define]) => [what, define] as const))("%s: it starts beside, and the one before may start again", async (_what, define) => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const old = await start(version(before), one);
    const young = await start(version(define), two);
    await end(old);
    const again = await start(version(before), one);

    expect([young.engine.worker.state, again.engine.worker.state]).toEqual(["running", "running"]);
    await end(young, again);
  });

  test("partitions move both ways between a version and one with more steps, and each record counts once", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const [, more] = compatible[1]!;
    const add = async (...stands: readonly Stand[]): Promise<void> => {
      for (const partition of [0, 1]) await stands[0]!.append("in", [{ key: `k${partition}`, value: "1", timestamp: START }], partition);
      for (const stand of stands) await stand.drain();
    };
    const old = await start(version(before), one);
    await add(old);
    const young = await start(version(more), two);
    await old.engine.worker.whenBuilt();
    await add(old, young);
    const shares = [old, young].map(({ engine }) => engine.worker.tasks.filter((task) => task.name === "in").length);
    await end(young);
    await old.engine.worker.whenBuilt();
    await add(old);
    await end(old);
    const last = await start(version(more), two);
    await add(last);

    expect(shares).toEqual([1, 1]);
    const said = recordsOf(last.log, "counts").map(({ key }, index) => [key, valuesOf(last.log, "counts")[index]]);
    for (const key of ["k0", "k1"]) expect(said.filter(([of]) => of === key).map(([, n]) => n)).toEqual([1, 2, 3, 4]);
    await end(last);
  });
});

describe("F31 two versions in one group: what may not", () => {
  for (const [what, define, fault] of incompatible) {
    test(`${what}: it is refused, those that run go on, and it starts once they are stopped and it is told so`, async () => {
      const one = rigOn(runtime), two = rigOn(runtime, one.log);
      const old = await start(version(before), one);
      await old.append("in", [{ key: "k", value: "1", timestamp: START }]);
      await old.drain();

      const refused = await start(version(define), two).then(() => null, (error: unknown) => error as Error & { readonly faults: readonly string[] });
      await old.append("in", [{ key: "k", value: "1", timestamp: START }]);
      await old.drain();
      const counted = valuesOf(old.log, "counts");
      await end(old);
      const stopped = await faultsOf(version(define), two);

      expect(refused).toMatchObject({ code: "TOPOLOGY_INCOMPATIBLE", name: "DefinitionError" });
      expect(refused!.faults.some((sentence) => sentence.startsWith(fault))).toBe(true);
      expect(refused!.message).toContain('stop all workers of "t" and then start this one once with --accept-change, or run({ acceptChange: true })');
      expect(counted).toEqual([1, 2]);
      expect(stopped).toEqual([...refused!.faults]);
    });
  }

  test("a step with state that reads another source is refused, accepted or not: its store would be in two changelogs", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const [, elsewhere, fault] = incompatible.find(([what]) => what === "a step with state reads another source")!;
    const [, together] = incompatible[0]!;
    await end(await start(version(before), one));

    for (let tries = 0; tries < 2; tries++) {
      await expect(start(version(elsewhere), two, true)).rejects.toMatchObject({
        code: "TOPOLOGY_INCOMPATIBLE",
        faults: [fault],
        message: expect.stringContaining("it cannot be accepted"),
      });
    }
    await end(await start(version(together), one, true));
  });

  test("accepted after all were stopped it goes on with the state, and from then on the one before is refused", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const old = await start(version(before), one);
    await old.append("in", [{ key: "k", value: "1", timestamp: START }]);
    await old.drain();
    await end(old);
    const [, together] = incompatible[0]!;

    const young = await start(version(together), two, true);
    await young.append("in", [{ key: "k", value: "1", timestamp: START }]);
    await young.drain();
    await end(young);
    const again = await start(version(together), two);
    await end(again);
    const back = await faultsOf(version(before), one);

    expect(valuesOf(young.log, "counts")).toEqual([1, 2]);
    expect(back).toContain('topic "in" is read as part of "in+other" by them and of "in" by this one');
  });

  test("another number of partitions of a topic of the app's own is refused by the topic itself", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const regrouped = (partitions: number) =>
      version(({ app, input }) => void app.stream(input).groupBy((value) => value, { name: "by", partitions }).to("by-value"));
    const old = await start(regrouped(2), one);

    await expect(start(regrouped(3), two)).rejects.toMatchObject({ code: "LOG_TOPIC_MISMATCH" });
    await end(old);
  });

  for (const turns of [0, 1, 2, 3, 5, 8]) {
    test(`two that start at once, the second ${turns} turns after the first: one of them stands`, async () => {
      const one = rigOn(runtime), two = rigOn(runtime, one.log);
      const outcome = (app: App, driver: Rig): Promise<Stand | Error> => start(app, driver).catch((error: unknown) => error as Error);

      const first = outcome(version(before), one);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const both = await Promise.all([first, outcome(version(incompatible[0]![1]), two)]);

      const stands = both.filter((each) => !(each instanceof Error));
      expect(stands.length).toBe(1);
      expect(both.find((each) => each instanceof Error)).toMatchObject({ code: "TOPOLOGY_INCOMPATIBLE" });
      // Whoever stood may start again, though the other said something.
      await end(...stands as Stand[]);
      const again = await outcome(version(both[0] === stands[0] ? before : incompatible[0]![1]), both[0] === stands[0] ? one : two);
      expect(again).not.toBeInstanceOf(Error);
      await end(again as Stand);
    });
  }

  test("what it does is said once, not at every start", async () => {
    const driver = rigOn(runtime);
    for (let starts = 0; starts < 3; starts++) await end(await start(version(before), driver));

    expect(recordsOf(driver.log, CONTROL).filter(({ key }) => key === "topology").length).toBe(1);
  });

  test("what a later version of Millrace says is not understood, and refused", async () => {
    const driver = rigOn(runtime);
    await end(await start(version(before), driver));
    await driver.log.append([{ topic: CONTROL, partition: 0, records: [{ key: "topology", value: '{"version":2}', timestamp: START }] }]);

    expect(await faultsOf(version(before), driver)).toEqual([expect.stringContaining("it is of format 2, this version of Millrace reads 1")]);
  });
});

describe("F31 a raised version rolls through a group", () => {
  const doubled = (topics: Topics): void =>
    void hourly(topics).aggregate({ n: count() }, { version: 2, migrate: ({ n }) => ({ n: 10 * Number(n) }) }).map(({ value }) => value.n).to("counts");

  test("a partition that went to the new version and comes back is left alone by the old one, which says so and goes on with its others", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const old = await start(version(counts), one);
    const add = async (stand: Stand, partition: number): Promise<void> => {
      await stand.append("in", [{ key: `k${partition}`, value: "1", timestamp: START }], partition);
      await stand.drain();
    };
    for (const partition of [0, 1]) await add(old, partition);
    const young = await start(version(doubled), two);
    await old.engine.worker.whenBuilt();
    await young.drain();
    const moved = young.engine.worker.tasks[0]!.partition, stayed = 1 - moved;
    await add(young, moved);
    await end(young);
    await old.engine.worker.whenBuilt();
    for (const partition of [0, 1]) await add(old, partition);

    expect([...old.engine.worker.refused]).toEqual([[`in/${moved}`, expect.objectContaining({ code: "STORE_NEWER" })]]);
    expect(old.engine.health()).toMatchObject({
      status: "degraded",
      live: true,
      ready: true,
      reason: expect.stringContaining(`task in/${moved} does not run here: Cannot open store "hourly"`),
    });
    expect(old.engine.health().tasks.map(({ id, status }) => [id, status]).toSorted()).toEqual(
      [[`in/${moved}`, "stopped"], [`in/${stayed}`, "running"]].toSorted(),
    );
    expect(old.events).toContainEqual(
      expect.objectContaining({ type: "taskStopped", task: `in/${moved}`, reason: "a later version of the app keeps its state" }),
    );

    await end(old);
    const last = await start(version(doubled), two);
    await last.drain();
    const values = valuesOf(last.log, "counts"), keys = recordsOf(last.log, "counts").map(({ key }) => key);
    const of = (partition: number) => values.filter((_, index) => keys[index] === `k${partition}`);
    expect([of(moved), of(stayed)]).toEqual([[1, 11, 12], [1, 2]]);
    await add(last, stayed);
    expect(valuesOf(last.log, "counts").filter((_, index) => recordsOf(last.log, "counts")[index]!.key === `k${stayed}`)).toEqual([1, 2, 21]);
    await end(last);
  });

  test("the old version may start again meanwhile, and one that failed to migrate is rolled back", async () => {
    const one = rigOn(runtime), two = rigOn(runtime, one.log);
    const old = await start(version(counts), one);
    await old.append("in", [{ key: "k", value: "1", timestamp: START }]);
    await old.drain();
    await end(old);
    const failing = version((topics) =>
      void hourly(topics).aggregate({ n: count() }, {
        version: 2,
        migrate: () => {
          throw new Error("no idea");
        },
      })
    );
    await expect(start(failing, two)).rejects.toMatchObject({ code: "STORE_INCOMPATIBLE" });
    runtime.advance(60_000);

    const again = await start(version(counts), one);
    await again.append("in", [{ key: "k", value: "1", timestamp: START }]);
    await again.drain();

    expect(valuesOf(again.log, "counts")).toEqual([1, 2]);
    // It does not take back what the later one said: a third version is compared with that.
    expect(recordsOf(again.log, CONTROL).filter(({ key }) => key === "topology").length).toBe(2);
    await end(again);
  });
});
