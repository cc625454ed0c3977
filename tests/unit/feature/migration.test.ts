/** Features in a new version of the app: newest values, history, and rows that were under way, each by the one function. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { createApp, embedded } from "../../../mod.ts";
import type { App, LogDriver } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { type Rig, rigOn } from "../task/durable-log.ts";
import { open, runtimeOf, type Stand, START } from "../task/harness.ts";

const runtime = runtimeOf();

interface Version {
  readonly app: App;
  query(at?: number): Promise<Readonly<Record<string, unknown>>>;
}

/** Before: a name in two parts and an age as text. */
function first(): Version {
  const app = createApp("t");
  const person = app.features("person", { first: v.string(), last: v.string(), age: v.string() });
  app.resolver(
    "person",
    { source: app.topic<string, { first: string; age: string }>("in"), output: person },
    ({ first, age }, { key, timestamp }) => person.of(key, { first, last: "x", age }, { observedAt: timestamp }),
  );
  return { app, query: (at) => app.query(person, "ann", at === undefined ? {} : { at }) };
}

function second(asked: unknown[] = []): Version {
  const app = createApp("t");
  const person = app.features("person", { name: v.string(), age: v.number() }, {
    version: 2,
    migrate: (stored, version) => {
      asked.push([stored, version]);
      if (typeof stored["first"] === "string") return { name: stored["first"] };
      return "age" in stored ? { age: Number(stored["age"]) } : {};
    },
  });
  app.resolver(
    "person",
    { source: app.topic<string, { first: string; age: string }>("in"), output: person },
    ({ first, age }, { key, timestamp }) => person.of(key, { name: first, age: Number(age) }, { observedAt: timestamp }),
  );
  return { app, query: (at) => app.query(person, "ann", at === undefined ? {} : { at }) };
}

async function start({ app }: Version, driver: LogDriver): Promise<Stand> {
  const stand = await open(app, { runtime, driver, worker: { acceptsChange: true } });
  await stand.engine.worker.whenBuilt();
  return stand;
}

async function observe(stand: Stand, age: string, timestamp: number): Promise<void> {
  await stand.append("in", [{ key: "ann", value: JSON.stringify({ first: `ann${age}`, age }), timestamp }]);
  await stand.drain();
}

async function end(stand: Stand): Promise<void> {
  await stand.engine.worker.stop(0).catch(() => {});
  await stand.engine.log.close();
}

const places: readonly (readonly [string, () => { readonly driver: LogDriver; readonly losesDisk: () => void }])[] = [
  ["embedded", () => ({ driver: embedded({ disk: memoryDisk() }), losesDisk: () => {} })],
  ["by its changelog", () => {
    const driver: Rig = rigOn(runtime);
    return { driver, losesDisk: () => void (driver.disk = memoryDisk()) };
  }],
];

describe("F31 features are migrated", () => {
  for (const [name, make] of places) {
    test(`newest values and history, an observation at a time, ${name}`, async () => {
      const { driver, losesDisk } = make();
      const before = await start(first(), driver);
      await observe(before, "30", START);
      await observe(before, "31", START + 10);
      await end(before);

      losesDisk();
      const after = second();
      const stand = await start(after, driver);
      await stand.drain();
      const migrated = [await after.query(), await after.query(START + 5), await after.query(START - 1)];
      await observe(stand, "32", START + 20);
      const newer = [await after.query(), await after.query(START + 10)];
      await end(stand);

      expect(migrated).toEqual([{ name: "ann31", age: 31 }, { name: "ann30", age: 30 }, { name: null, age: null }]);
      expect(newer).toEqual([{ name: "ann32", age: 32 }, { name: "ann31", age: 31 }]);
    });

    test(`the version before is refused with STORE_NEWER, ${name}`, async () => {
      const { driver } = make();
      const stand = await start(second(), driver);
      await observe(stand, "30", START);
      await end(stand);

      const back = await open(first().app, { runtime, driver, worker: { acceptsChange: true } }).catch((error: unknown) => error as Error);
      const refused = back instanceof Error ? back : await back.engine.worker.whenBuilt().then(() => back.engine.worker.refused.get("t-person/0"));

      expect(refused).toMatchObject({ code: "STORE_NEWER" });
      if (!(back instanceof Error)) {
        expect(back.engine.health()).toMatchObject({
          status: "degraded",
          live: true,
          reason: expect.stringContaining("a later version of the app has migrated it to version 2"),
        });
        await end(back);
      }
    });
  }

  test("a feature is added and another removed without a version: what is known of the others stays", async () => {
    const driver = embedded({ disk: memoryDisk() });
    const before = await start(first(), driver);
    await observe(before, "30", START);
    await end(before);
    const app = createApp("t");
    const person = app.features("person", { first: v.string(), visits: v.number() });

    const after = await open(app, { runtime, driver });

    expect(await app.query(person, "ann")).toEqual({ first: "ann30", visits: null });
    await end(after);
  });

  test("rows that were under way from the version before are migrated when they are kept", async () => {
    const driver = embedded({ disk: memoryDisk() });
    const before = await start(first(), driver);
    await end(before);
    const idle = first();
    const stand = await open(idle.app, { runtime, driver, worker: { commitRecords: 1 } });
    await stand.append("in", [{ key: "ann", value: JSON.stringify({ first: "ann", age: "30" }), timestamp: START }]);
    // One step takes the record, and its commit says the row; nobody has kept it yet.
    stand.engine.worker.step();
    await stand.engine.worker.commit();
    expect(await idle.query()).toEqual({ first: null, last: null, age: null });
    await stand.crash();

    const asked: unknown[] = [];
    const after = second(asked);
    const later = await start(after, driver);
    await later.drain();

    expect(asked).toContainEqual([{ age: "30" }, 1]);
    expect(await after.query()).toEqual({ name: "ann", age: 30 });
    await end(later);
  });

  test("what migrate gives must be features of the set", async () => {
    const driver = embedded({ disk: memoryDisk() });
    const before = await start(first(), driver);
    await observe(before, "30", START);
    await end(before);
    const app = createApp("t");
    app.features("person", { name: v.string() }, { version: 2, migrate: () => ({ nmae: "ann" }) as object });

    await expect(open(app, { runtime, driver })).rejects.toMatchObject({
      code: "STORE_INCOMPATIBLE",
      message: expect.stringContaining('migrate() gave a feature "nmae", wanted some of name'),
    });
  });
});
