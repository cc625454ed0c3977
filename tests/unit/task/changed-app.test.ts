/** An app whose steps have changed goes on with what the others kept, on a log that holds state, and on one whose changelogs bring it back to an empty disk. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { count, createApp, embedded, tumbling } from "../../../mod.ts";
import type { App, AppOptions, LogDriver, Topic } from "../../../mod.ts";
import type { Log } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { type Rig, rigOn } from "./durable-log.ts";
import { open, runtimeOf, type Stand, START, valuesOf } from "./harness.ts";

const runtime = runtimeOf();

interface Topics {
  readonly app: App;
  readonly input: Topic<string, number>;
  readonly other: Topic<string, number>;
}

type Version = (topics: Topics) => void;

function version(define: Version, options: AppOptions = {}): App {
  const app = createApp("t", options);
  define({ app, input: app.topic<string, number>("in"), other: app.topic<string, number>("other") });
  return app;
}

const hourly: Version = ({ app, input }) =>
  void app.stream(input).groupByKey().window(tumbling("1h"), { emit: "update" }).aggregate({ n: count() }).map(({ value }) => value.n).to("counts");
const others: Version = ({ app, other }) =>
  void app.stream(other).groupByKey().window(tumbling("1h"), { emit: "update", name: "others" }).aggregate({ n: count() }).map(({ value }) => value.n).to(
    "other-counts",
  );

interface Place {
  readonly driver: LogDriver;
  /** Also a disk that was lost must not change the outcome. */
  losesDisk(): void;
}

const places: readonly (readonly [string, () => Place])[] = [
  ["embedded", () => ({ driver: embedded({ disk: memoryDisk() }), losesDisk: () => {} })],
  ["by changelogs", () => {
    const driver: Rig = rigOn(runtime);
    return { driver, losesDisk: () => void (driver.disk = memoryDisk()) };
  }],
];

/** Starts a version, sends each topic one record, looks at it, and ends it. */
async function round({ driver, losesDisk }: Place, app: App, isAccepted = false, look: (stand: Stand) => void = () => {}): Promise<Stand> {
  losesDisk();
  const stand = await open(app, { runtime, driver, worker: { acceptsChange: isAccepted } });
  await stand.engine.worker.whenBuilt();
  for (const topic of ["in", "other"]) await stand.append(topic, [{ key: "k", value: "7", timestamp: START }]);
  await stand.drain();
  look(stand);
  await stand.engine.worker.stop(0);
  await stand.log.close();
  return stand;
}

/** What compaction leaves of a topic, as text. */
function newestOf(log: Log, topic: string): Map<string, string | null> {
  const decoder = new TextDecoder("latin1");
  const reader = log.reader({ topic, partition: 0 }, 0, () => {});
  const cursor = new RecordCursor();
  const newest = new Map<string, string | null>();
  for (let from = 0, chunk = reader.take(1_000_000); chunk !== null; from = chunk.nextPosition, chunk = reader.take(1_000_000)) {
    cursor.open(chunk.bytes, chunk.start, chunk.end, from);
    while (cursor.next()) {
      const value = cursor.valueBytes();
      newest.set(decoder.decode(cursor.bytes.subarray(cursor.keyStart, cursor.keyEnd)), value === null ? null : decoder.decode(value));
    }
  }
  reader.close();
  return newest;
}

/** What was said of stores that no step has. */
const told = ({ events }: Stand): string[] =>
  events.flatMap((event) => event.type === "warning" && event.message.includes("no step has it any more") ? [event.message] : []);

for (const [where, make] of places) {
  describe(`F31 a changed app, ${where}`, () => {
    /** The values of a topic, afterwards. */
    async function said(place: Place, topic: string, app: App): Promise<unknown[]> {
      const stand = await open(app, { runtime, driver: place.driver, worker: { acceptsChange: true } });
      const values = valuesOf(stand.log, topic);
      await stand.engine.worker.stop(0);
      await stand.log.close();
      return values;
    }

    test("a step without state before and behind a window: the window goes on", async () => {
      const place = make();
      const more: Version = ({ app, input }) =>
        void app.stream(input).filter((value) => value > 0).map((value) => value).groupByKey().window(tumbling("1h"), { emit: "update" }).aggregate({
          n: count(),
        })
          .filter(() => true).map(({ value }) => value.n).to("counts");
      for (const define of [hourly, more, hourly]) await round(place, version(define));

      expect(await said(place, "counts", version(hourly))).toEqual([1, 2, 3]);
    });

    test("a window speaks at another time, waits longer and drops the late: it goes on", async () => {
      const place = make();
      const patient: Version = ({ app, input }) =>
        void app.stream(input).groupByKey().window(tumbling("1h", { grace: "1d" }), { emit: "close", late: "drop" }).aggregate({ n: count() }).map((
          { value },
        ) => value.n).to("counts");
      for (const define of [hourly, patient, hourly]) await round(place, version(define));

      expect(await said(place, "counts", version(hourly))).toEqual([1, 3]);
    });

    test("a window beside: the first goes on, the new one begins with the next record", async () => {
      const place = make();
      const beside: Version = (topics) => {
        hourly(topics);
        topics.app.stream(topics.input).groupByKey().window(tumbling("1d"), { emit: "update" }).aggregate({ n: count() }).map(({ value }) => value.n).to(
          "daily",
        );
      };
      for (const define of [hourly, beside, beside]) await round(place, version(define));

      expect(await said(place, "counts", version(hourly))).toEqual([1, 2, 3]);
      expect(await said(place, "daily", version(beside))).toEqual([1, 2]);
    });

    test("a resolver: windows go on, features come from the next record on", async () => {
      const place = make();
      const resolved: Version = (topics) => {
        hourly(topics);
        const account = topics.app.features("account", { value: v.number() });
        topics.app.resolver("value", { source: topics.input, output: account.pick("value") }, (value) => account.of("ann", { value }));
      };
      for (const define of [hourly, resolved, resolved]) await round(place, version(define));

      expect(await said(place, "counts", version(hourly))).toEqual([1, 2, 3]);
      expect((await said(place, "t-account", version(resolved))).length).toBe(2);
    });

    test("a source that is read together with another: both go on", async () => {
      const place = make();
      const both: Version = (topics) => {
        hourly(topics);
        others(topics);
      };
      const together: Version = (topics) => {
        both(topics);
        topics.app.stream(topics.input).merge(topics.other).forEach(() => {});
      };
      await round(place, version(both));
      for (let times = 0; times < 2; times++) await round(place, version(together), true);

      for (const topic of ["counts", "other-counts"]) expect(await said(place, topic, version(together))).toEqual([1, 2, 3]);
    });

    test("a source that is read together with another, and a version raised at once: the state goes along, migrated once", async () => {
      const place = make();
      const both: Version = (topics) => {
        hourly(topics);
        others(topics);
      };
      const together: Version = ({ app, input, other }) => {
        others({ app, input, other });
        app.stream(input).merge(other).forEach(() => {});
        app.stream(input).groupByKey().window(tumbling("1h"), { emit: "update" }).aggregate({ n: count() }, {
          version: 2,
          migrate: ({ n }) => ({ n: 10 * Number(n) }),
        })
          .map(({ value }) => value.n).to("counts");
      };
      await round(place, version(both));
      for (let times = 0; times < 3; times++) await round(place, version(together), true);

      expect(await said(place, "counts", version(together))).toEqual([1, 11, 12, 13]);
      expect(await said(place, "other-counts", version(together))).toEqual([1, 2, 3, 4]);
    });

    test("a step taken away: the others go on, what it kept is kept and told of, and it goes on when it is put back", async () => {
      const place = make();
      const two: Version = (topics) => {
        hourly(topics);
        topics.app.stream(topics.input).groupByKey().window(tumbling("1d"), { emit: "update", name: "daily" }).aggregate({ n: count() }).map(({ value }) =>
          value.n
        ).to("daily");
      };
      const before = await round(place, version(two)), without = await round(place, version(hourly)), after = await round(place, version(two));

      expect(await said(place, "counts", version(hourly))).toEqual([1, 2, 3]);
      expect(await said(place, "daily", version(two))).toEqual([1, 2]);
      expect([told(before), told(after)]).toEqual([[], []]);
      expect(told(without)).toEqual([
        'Store "daily" is kept, though no step has it any more. To go on with it, give a step like the one before its name; to delete it, write createApp("t", { retired: ["daily"] }) once no worker runs that has the step',
      ]);
    });

    test("a step taken away and retired: nothing of it is left, also in its changelog, and a step of its name begins anew", async () => {
      const place = make();
      const two: Version = (topics) => {
        hourly(topics);
        topics.app.stream(topics.input).groupByKey().window(tumbling("1d"), { emit: "update", name: "daily" }).aggregate({ n: count() }).map(({ value }) =>
          value.n
        ).to("daily");
      };
      await round(place, version(two));
      const rows: number[] = [], left: string[] = [];
      const retiring = await round(place, version(hourly, { retired: ["daily", "never"] }), false, ({ engine: { worker: { storage } } }) => {
        rows.push(...storage.spaces().filter(({ store }) => store === "daily").map(({ id }) => storage.countRows(id)));
      });
      const again = await round(place, version(hourly, { retired: ["daily"] }));
      const without = await round(place, version(hourly), false, ({ log }) => {
        for (const [key, value] of where === "embedded" ? [] : newestOf(log, "t-in-changelog")) if (key.includes("daily") && value !== null) left.push(value);
      });
      await round(place, version(two), true);

      expect(rows).toEqual([0]);
      expect([told(retiring), told(again), told(without)]).toEqual([[], [], []]);
      // Only what the store is, and no row of it.
      if (where === "by changelogs") expect(left).toEqual(["retired"]);
      expect(await said(place, "counts", version(hourly))).toEqual([1, 2, 3, 4, 5]);
      expect(await said(place, "daily", version(two))).toEqual([1, 1]);
    });
  });
}

describe("F31 a changed app, embedded alone", () => {
  const [, make] = places[0]!;

  test("what goes through a topic of the app's own comes from another source: what is under way is counted, and windows go on", async () => {
    const place = make();
    const grouped = (from: "input" | "other"): Version => (topics) =>
      void topics.app.stream(topics[from]).groupBy((value) => `v${value}`, { name: "by" }).window(tumbling("1h"), { emit: "close", name: "values" }).aggregate({
        n: count(),
      })
        .map(({ value }) => value.n).to("counts");
    await round(place, version(grouped("input")));
    const closed: unknown[] = [];
    const stand = await open(version(grouped("other")), { runtime, driver: place.driver, worker: { clockIntervalMs: 0 } });
    await stand.append("other", [{ key: "k", value: "7", timestamp: START }, { key: "k", value: "7", timestamp: START + 7_200_000 }]);
    await stand.drain();
    await stand.advance(2_000);
    await stand.drain();
    closed.push(...valuesOf(stand.log, "counts"));
    await stand.crash();

    // One by way of the first source, and those of the second from its first record on.
    expect(closed).toEqual([3]);
  });

  test("a step with state reads another source: what it kept goes along", async () => {
    const place = make();
    const named = (from: "input" | "other"): Version => (topics) =>
      void topics.app.stream(topics[from]).groupByKey().window(tumbling("1h"), { emit: "update", name: "named" }).aggregate({ n: count() }).map(({ value }) =>
        value.n
      ).to("counts");
    const last: unknown[] = [];
    await round(place, version(named("input")));
    await round(place, version(named("other")), false, ({ log }) => void last.push(...valuesOf(log, "counts")));

    expect(last).toEqual([1, 2, 3]);
  });
});

test("F31 a store that is retired and in use is a fault of the definition", () => {
  expect(() => version(others, { retired: ["others"] }).topology()).toThrow('Store "others" is retired, and a step has it: take one of the two away');
});
