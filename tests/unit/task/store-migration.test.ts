/** What a step kept goes on in a new version of the app, as a whole or not at all: on a log that holds state, and on one whose changelog says it anew. */
import { describe, expect, test } from "bun:test";
import { collect, count, createApp, embedded, first, hopping, json, mean, min, sum, tumbling } from "../../../mod.ts";
import type { App, LogDriver, TopicOptions } from "../../../mod.ts";
import type { Stream } from "../../../src/stream/stream.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { type Rig, rigOn } from "./durable-log.ts";
import { open, runtimeOf, type Stand, START, valuesOf } from "./harness.ts";

type Step = (values: Stream<string, number>) => Stream<string, { readonly value: unknown }>;

const runtime = runtimeOf();

/** An app that says what its one step says of numbers. */
function version(step: Step, options: TopicOptions<string, number, number> = {}): App {
  const app = createApp("t");
  step(app.stream(app.topic<string, number>("in", options)).groupByKey()).map(({ value }) => value).to("out");
  return app;
}

const hourly = (values: Stream<string, number>) => values.window(tumbling("1h"), { emit: "update", name: "hourly" });
const totals: Step = (values) => hourly(values).aggregate({ total: sum((value: number) => value) });

/** Where versions of an app take over from each other. */
interface Place {
  readonly name: string;
  make(): { readonly driver: LogDriver; readonly losesDisk: () => void };
}

const places: readonly Place[] = [
  { name: "embedded", make: () => ({ driver: embedded({ disk: memoryDisk() }), losesDisk: () => {} }) },
  {
    name: "by its changelog",
    make: () => {
      const driver: Rig = rigOn(runtime);
      return { driver, losesDisk: () => void (driver.disk = memoryDisk()) };
    },
  },
];

async function start(driver: LogDriver, step: Step): Promise<Stand> {
  const stand = await open(version(step), { runtime, driver, worker: { acceptsChange: true } });
  await stand.engine.worker.whenBuilt();
  return stand;
}

async function end(stand: Stand): Promise<void> {
  await stand.engine.worker.stop(0).catch(() => {});
  await stand.engine.log.close();
}

/** Adds numbers, of key `k` unless they are pairs, all in the first hour. */
async function add(stand: Stand, ...values: readonly (number | readonly [key: string, value: number])[]): Promise<void> {
  const pairs = values.map((value) => typeof value === "number" ? ["k", value] as const : value);
  await stand.append("in", pairs.map(([key, value]) => ({ key, value: String(value), timestamp: START })));
  await stand.drain();
}

/** What an attempt to start it is refused with. */
async function refusal(
  driver: LogDriver,
  step: Step,
  options: TopicOptions<string, number, number> = {},
): Promise<{ readonly code?: string; readonly message: string }> {
  const stand = await open(version(step, options), { runtime, driver, worker: { acceptsChange: true } }).catch((error: unknown) => error as Error);
  if (stand instanceof Error) return stand;
  const failure = await stand.engine.worker.whenBuilt().then(() => new Error("it started"), (error: unknown) => error as Error);
  const refused = [...stand.engine.worker.refused.values()][0];
  await end(stand);
  return refused ?? failure;
}

for (const { name, make } of places) {
  describe(`F31 a store is migrated, ${name}`, () => {
    test("an aggregate is added by migrate(stored, version), which is asked once a window and key; then it goes on, on any disk", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, 1, 2, ["l", 5]);
      await end(one);
      const asked: unknown[] = [];
      const both: Step = (values) =>
        hourly(values).aggregate({ n: count(), total: sum((value: number) => value) }, {
          version: 2,
          migrate: (stored, from) => {
            asked.push([stored, from]);
            return { n: 100, total: Number(stored["total"]) };
          },
        });

      losesDisk();
      const two = await start(driver, both);
      await two.drain();
      await add(two, 4);
      await end(two);
      losesDisk();
      const again = await start(driver, both);
      await add(again, ["l", 1]);

      expect(valuesOf(again.log, "out")).toEqual([{ total: 1 }, { total: 3 }, { total: 5 }, { n: 101, total: 7 }, { n: 101, total: 6 }]);
      expect(asked).toEqual([[{ total: 3 }, 1], [{ total: 5 }, 1]]);
      expect(two.events).toContainEqual(
        expect.objectContaining({ type: "storeMigrated", store: "hourly", rows: 2, to: "window 3600000/3600000+0 n:count,total:sum v2" }),
      );
      await end(again);
    });

    test("it is migrated though no record comes, and once only", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, 1);
      await end(one);
      const doubled: Step = (values) =>
        hourly(values).aggregate({ total: sum((value: number) => value) }, { version: 2, migrate: ({ total }) => ({ total: 2 * Number(total) }) });

      for (let starts = 0; starts < 3; starts++) {
        losesDisk();
        const two = await start(driver, doubled);
        await two.drain();
        await end(two);
      }
      const last = await start(driver, doubled);
      await add(last, 0);

      expect(valuesOf(last.log, "out")).toEqual([{ total: 1 }, { total: 2 }]);
      await end(last);
    });

    test("migrate throws, for the last row of all: the app does not start, and what it kept is as it was", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, ["a", 1], ["b", 2]);
      await end(one);
      const broken: Step = (values) =>
        hourly(values).aggregate({ total: sum((value: number) => value) }, {
          version: 2,
          migrate: ({ total }) => {
            if (total === 2) throw new Error("no idea");
            return { total: 0 };
          },
        });

      for (let tries = 0; tries < 2; tries++) {
        losesDisk();
        const failure = await refusal(driver, broken);
        expect(failure).toMatchObject({ code: "STORE_INCOMPATIBLE" });
        expect(failure.message).toContain('Cannot migrate store "hourly" of partition 0 from "window 3600000/3600000+0 total:sum"');
        expect(failure.message).toContain('no idea (row of key "b"). What is kept is as it was');
      }
      const back = await start(driver, totals);
      await add(back, ["a", 1], ["b", 1]);

      expect(valuesOf(back.log, "out").slice(2)).toEqual([{ total: 2 }, { total: 3 }]);
      await end(back);
    });

    test("it dies before the first commit of the new version: the old one goes on, and so does the new one", async () => {
      const { driver } = make();
      const one = await start(driver, totals);
      await add(one, 1);
      await end(one);
      const tenfold: Step = (values) =>
        hourly(values).aggregate({ total: sum((value: number) => value) }, { version: 2, migrate: ({ total }) => ({ total: 10 * Number(total) }) });

      await (await start(driver, tenfold)).crash();
      const back = await start(driver, totals);
      await add(back, 1);
      await back.crash();
      const again = await start(driver, tenfold);
      await add(again, 1);

      expect(valuesOf(again.log, "out")).toEqual([{ total: 1 }, { total: 2 }, { total: 21 }]);
      await end(again);
    });

    test("back to the version before is refused with STORE_NEWER, and changes nothing", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, 1);
      await end(one);
      const newer = (version: number): Step => (values) =>
        hourly(values).aggregate({ total: sum((value: number) => value) }, {
          version,
          migrate: ({ total }, from) => ({ total: Number(total) * 10 ** (version - from) }),
        });
      const three = await start(driver, newer(3));
      await three.drain();
      await end(three);

      for (const step of [totals, newer(2)]) {
        losesDisk();
        const failure = await refusal(driver, step);
        expect(failure).toMatchObject({ code: "STORE_NEWER" });
        expect(failure.message).toContain("a later version of the app has migrated it to version 3");
      }
      const four = await start(driver, newer(4));
      await add(four, 1);

      expect(valuesOf(four.log, "out").at(-1)).toEqual({ total: 1_001 });
      await end(four);
    });

    test("without a version an aggregate goes, and the others lie in another order: nothing of them is lost", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, (values) => hourly(values).aggregate({ n: count(), total: sum((value: number) => value), all: collect() }));
      await add(one, 1, 2);
      await end(one);

      losesDisk();
      const two = await start(driver, (values) => hourly(values).aggregate({ all: collect(), n: count() }));
      await add(two, 3);

      expect(valuesOf(two.log, "out").at(-1)).toEqual({ all: [1, 2, 3], n: 3 });
      await end(two);
    });

    test("without a version an aggregate comes: where no window is open it begins; where one is that is refused, with the ways out", async () => {
      const { driver, losesDisk } = make();
      const both: Step = (values) => hourly(values).aggregate({ total: sum((value: number) => value), n: count() });
      const one = await start(driver, totals);
      await add(one, 1);
      await end(one);

      losesDisk();
      const failure = await refusal(driver, both);

      expect(failure).toMatchObject({ code: "STORE_INCOMPATIBLE" });
      for (
        const way of [
          '"n" (count) has missed records of',
          "{ version: 2, migrate(stored, version) }",
          "or give the window another name",
          "let the earlier version of the app close them first",
        ]
      ) {
        expect(failure.message).toContain(way);
      }
      const back = await start(driver, totals);
      await add(back, 1);
      expect(valuesOf(back.log, "out").at(-1)).toEqual({ total: 2 });
      await end(back);
    });

    test("without a version an aggregate comes where nothing is kept: it begins with the first record, and with all of it", async () => {
      const { driver } = make();
      const one = await start(driver, (values) => hourly(values.filter((value) => value > 9)).aggregate({ total: sum((value: number) => value) }));
      await add(one, 1);
      await end(one);

      const two = await start(driver, (values) => hourly(values).aggregate({ total: sum((value: number) => value), n: count() }));
      await add(two, 2);

      expect(valuesOf(two.log, "out")).toEqual([{ total: 2, n: 1 }]);
      await end(two);
    });

    test("what reduce() kept is migrated from and to the value itself", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, (values) => hourly(values).reduce((left, right) => left + right));
      await add(one, 1, 2);
      await end(one);

      losesDisk();
      const texts: Step = (values) => hourly(values).reduce((left, right) => left + right, { version: 2, migrate: (stored) => Number(stored) * 100 });
      const two = await start(driver, texts);
      await add(two, 1);

      expect(valuesOf(two.log, "out")).toEqual([1, 3, 301]);
      await end(two);
    });

    test("every aggregate takes what it keeps, and refuses what it could not go on with", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, 3);
      await end(one);
      const all = (kept: object): Step => (values) =>
        hourly(values).aggregate({
          mean: mean((value: number) => value),
          least: min((value: number) => value),
          first: first((value: number) => value),
          all: collect(),
        }, {
          version: 2,
          migrate: () => kept as never,
        });
      const good = { mean: [3, 1], least: 3, first: [START, 3], all: [3] };

      for (
        const [wrong, message] of [
          [{ ...good, mean: 3 }, 'migrate() gave 3 for "mean" (mean), wanted [sum, count]'],
          [{ ...good, least: undefined }, 'migrate() gave undefined for "least" (min), wanted a number, text, bigint or date'],
          [{ ...good, first: [3] }, "wanted [timestamp, value]"],
          [{ ...good, all: [] }, "wanted a list that is not empty"],
          [null, "migrate() gave null, wanted an object of what is kept by aggregate"],
        ] as const
      ) {
        losesDisk();
        expect((await refusal(driver, all(wrong as object))).message).toContain(message);
      }
      const two = await start(driver, all(good));
      await add(two, 1);

      expect(valuesOf(two.log, "out").at(-1)).toEqual({ mean: 2, least: 1, first: 3, all: [3, 1] });
      await end(two);
    });

    test("other keys of the source are refused, with the ways out", async () => {
      const { driver, losesDisk } = make();
      const one = await start(driver, totals);
      await add(one, 1);
      await end(one);

      losesDisk();
      const failure = await refusal(driver, totals, { keyFormat: json<string>() });

      expect(failure).toMatchObject({ code: "STORE_INCOMPATIBLE" });
      expect(failure.message).toContain('is defined as "window by json 3600000/3600000+0 total:sum" now, of which nothing can be made');
    });

    for (
      const [what, step] of [
        ["size", (values) => values.window(tumbling("2h"), { emit: "update", name: "hourly" }).aggregate({ total: sum((value: number) => value) })],
        [
          "kind",
          (values) => values.window(hopping("1h", { every: "30m" }), { emit: "update", name: "hourly" }).aggregate({ total: sum((value: number) => value) }),
        ],
        [
          "offset",
          (values) => values.window(tumbling("1h", { offset: "30m" }), { emit: "update", name: "hourly" }).aggregate({ total: sum((value: number) => value) }),
        ],
      ] satisfies [string, Step][]
    ) {
      test(`another ${what} of the window under the same name is refused, with the ways out, and a version changes nothing about that`, async () => {
        const { driver, losesDisk } = make();
        const one = await start(driver, totals);
        await add(one, 1);
        await end(one);

        losesDisk();
        const failure = await refusal(driver, step);

        expect(failure).toMatchObject({ code: "STORE_INCOMPATIBLE" });
        expect(failure.message).toContain("of which nothing can be made. Put back what was, or give the step another name (the option name of window())");
      });
    }
  });
}

describe("F31 a store is migrated once, whatever happens to the commit that says so", () => {
  const tenfold: Step = (values) =>
    hourly(values).aggregate({ total: sum((value: number) => value) }, { version: 2, migrate: ({ total }) => ({ total: 10 * Number(total) }) });

  /** One version has counted, and the next one's first commit meets its fate. */
  async function fateOf(meet: (driver: Rig) => () => void): Promise<unknown> {
    const driver = rigOn(runtime);
    const one = await start(driver, totals);
    await add(one, 1, 2);
    await end(one);
    const endFate = meet(driver);
    const two = await start(driver, tenfold);
    await two.settle();
    await two.engine.worker.commit().catch(() => {});
    endFate();
    await two.engine.worker.stop(0).catch(() => {});
    const three = await start(driver, tenfold);
    await add(three, 1);
    await end(three);
    return valuesOf(three.log, "out").at(-1);
  }

  test("it is in the log, and the disk does not hear of it", async () => {
    expect(
      await fateOf(({ log }) => {
        log.losesApply = true;
        return () => void (log.losesApply = false);
      }),
    ).toEqual({ total: 31 });
  });

  test("the log refuses it", async () => {
    expect(
      await fateOf(({ log }) => {
        const { commit } = log;
        log.commit = () => {
          throw new ExternalError("LOG_COMMIT_FAILED", "[memory] refused");
        };
        return () => void (log.commit = commit);
      }),
    ).toEqual({ total: 31 });
  });

  test("the disk is lost right after it", async () => {
    expect(await fateOf((driver) => () => void (driver.disk = memoryDisk()))).toEqual({ total: 31 });
  });

  test("it is refused, and made again by the same worker", async () => {
    const driver = rigOn(runtime);
    const one = await start(driver, totals);
    await add(one, 1, 2);
    await end(one);
    const { commit } = driver.log;
    driver.log.commit = () => {
      throw new ExternalError("LOG_COMMIT_FAILED", "[memory] refused");
    };
    const two = await start(driver, tenfold);
    await two.settle();
    await two.engine.worker.commit().catch(() => {});
    driver.log.commit = commit;
    await two.advance(60_000);
    await two.engine.worker.whenBuilt();
    await add(two, 1);

    expect(valuesOf(two.log, "out").at(-1)).toEqual({ total: 31 });
    expect(two.events.filter(({ type }) => type === "storeMigrated").length).toBeGreaterThan(1);
    await end(two);
  });
});

describe("F31 a version and its function", () => {
  const faultOf = (migration: object): string => {
    try {
      version((values) => hourly(values).aggregate({ total: sum((value: number) => value) }, migration as never)).topology();
      return "none";
    } catch (error) {
      return (error as Error).message;
    }
  };

  test.each([
    [{ version: 1, migrate: () => ({}) }, 'version of window "hourly" is 1, wanted a whole number from 2 on'],
    [{ version: 2.5, migrate: () => ({}) }, "is 2.5, wanted a whole number from 2 on"],
    [{ version: 2 }, 'window "hourly" has version 2 and no migrate(stored, version)'],
    [{ migrate: () => ({}) }, 'version of window "hourly" is undefined'],
  ])("%j is a fault of the definition", (migration, message) => {
    expect(faultOf(migration)).toContain(message);
  });
});
