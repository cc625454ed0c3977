/** What operators see of letters and do about them, from the failure to the record that went through in the end, in whole apps. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { createApp, sum, tumbling } from "../../../mod.ts";
import { testApp } from "../../../src/testing/testing.ts";
import { Operator, type Row } from "./operator.ts";
import { countingShop, failingShop } from "./shop.ts";

const BOX = "/letters/dead/orders";
const logs = [["memory"], ["embedded"]] as const;

const ids = (rows: readonly Row[]): unknown[] => rows.map(({ id }) => id);
const states = (rows: readonly Row[]): unknown[] => rows.map(({ state }) => state);

describe.each(logs)("on the %s log", (log) => {
  test("a failed record is listed, edited and tried again, and is worked on once", async () => {
    const { app, orders, done, mood } = failingShop();
    await using t = testApp(app, { log });
    const ann = new Operator(t);
    await t.send(orders, { id: "a", amount: 1 });
    await t.send(orders, { id: "b", amount: -2 }, { headers: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tenant: "x" } });

    expect(await ann.rows("/letters", "sources")).toEqual([
      { source: "orders", kind: "dead", topic: "orders-dlq", open: 1, queued: 0, replayed: 0, purged: 0 },
      { source: "orders", kind: "late", topic: "orders-late", open: 0, queued: 0, replayed: 0, purged: 0 },
    ]);
    const [letter] = await ann.rows(BOX);
    expect(letter).toMatchObject({
      id: 0,
      state: "open",
      isEdited: false,
      step: "orders-map",
      from: { topic: "orders", partition: 0, position: 1 },
      at: t.now,
      key: "b",
      attempts: 1,
      error: "RangeError",
      code: null,
      latenessMs: null,
      replayOf: null,
    });
    const [, whole] = await ann.get(`${BOX}/0`);
    expect(whole).toMatchObject({
      value: { id: "b", amount: -2 },
      traceId: "0af7651916cd43dd8448eb211c80319c",
      original: null,
      history: [],
      headers: [{ name: "traceparent", value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }, { name: "tenant", value: "x" }],
    });
    expect((whole["error"] as Row)["stack"]).toContain("below 0");

    expect(await ann.post(`${BOX}/edit`, { edits: [{ id: 0, value: { id: "b", amount: 2 } }] })).toEqual([200, { edited: 1 }]);
    expect((await ann.get(`${BOX}/0`))[1]).toMatchObject({ state: "open", value: { id: "b", amount: 2 }, original: { value: { id: "b", amount: -2 } } });
    expect(await ann.post(`${BOX}/replay`, { select: { ids: [0] } })).toEqual([200, { selected: 1, queued: 1, already: 0, unfit: 0, ids: [0], problems: [] }]);

    const records = await t.read(done);
    expect(records.map(({ key, value }) => [key, value.amount])).toEqual([["a", 1], ["b", 2]]);
    expect(records[1]!.headers.get("tenant")).toBe("x");
    expect(mood.calls).toBe(3);
    const [, after] = await ann.get(`${BOX}/0`);
    expect([after["state"], (after["history"] as readonly Row[]).map(({ action, by, run }) => [action, by, run])]).toEqual([
      "replayed",
      [["edit", "ann", undefined], ["replay", "ann", 1], ["replayed", "millrace", 1]],
    ]);
    expect((await t.read(orders)).length).toBe(2);
  });

  test("ordered twice, by two operators at once, a letter is tried again once", async () => {
    const { app, orders, done, mood } = failingShop();
    await using t = testApp(app, { log });
    await t.send(orders, { id: "a", amount: -1 });
    mood.mends = true;

    const answers = await Promise.all(["ann", "bob"].map((name) => new Operator(t, name).post(`${BOX}/replay`, { select: { all: true } })));
    const again = await new Operator(t).post(`${BOX}/replay`, { select: { ids: [0] } });

    expect(answers.map(([status]) => status)).toEqual([200, 200]);
    expect(again[1]).toMatchObject({ selected: 1, queued: 0, already: 1 });
    expect((await t.read(done)).map(({ key }) => key)).toEqual(["a"]);
  });

  test("a process that dies after the order tries again what was ordered, once", async () => {
    const { app, orders, done, mood } = failingShop();
    await using t = testApp(app, { log });
    await t.send(orders, { id: "a", amount: -1 });
    mood.mends = true;
    await t.replay(orders);
    await t.restart({ drain: false });
    await t.restart({ drain: false });

    expect(await t.replay(orders)).toBe(0);
    expect((await t.read(done)).map(({ key }) => key)).toEqual(["a"]);
    expect(states(await new Operator(t).rows(BOX))).toEqual(["replayed"]);
  });

  test("what fails again is a new letter that names the first", async () => {
    const { app, orders, done, mood } = failingShop();
    await using t = testApp(app, { log });
    await t.send(orders, { id: "a", amount: -1 });

    expect(await t.replay(orders)).toBe(1);
    const letters = await new Operator(t).rows(BOX);
    expect(letters.map(({ id, state, replayOf }) => [id, state, replayOf])).toEqual([[0, "replayed", null], [1, "open", "orders-dlq@0"]]);
    expect(letters[1]!["from"]).toEqual({ topic: "orders", partition: 0, position: 0 });

    mood.mends = true;
    expect(await t.replay(orders)).toBe(1);
    expect((await t.read(done)).length).toBe(1);
    expect(await t.replay(orders, { ids: [0], again: true })).toBe(1);
    expect((await t.read(done)).length).toBe(1);
  });

  test("purged letters are listed no more, and are not tried again by what they have in common", async () => {
    const { app, orders, done, mood } = failingShop();
    await using t = testApp(app, { log });
    const ann = new Operator(t);
    for (const id of ["a", "b", "c"]) await t.send(orders, { id, amount: -1 });
    mood.mends = true;

    expect(await ann.post(`${BOX}/purge`, { select: { ids: [1] }, dryRun: true })).toEqual([200, { selected: 1, purged: 1, already: 0, ids: [1] }]);
    expect(ids(await ann.rows(BOX))).toEqual([0, 1, 2]);
    expect(await ann.post(`${BOX}/purge`, { select: { ids: [1] } })).toEqual([200, { selected: 1, purged: 1, already: 0, ids: [1] }]);
    expect(ids(await ann.rows(BOX))).toEqual([0, 2]);
    expect(ids(await ann.rows(`${BOX}?state=purged`))).toEqual([1]);
    expect((await ann.post(`${BOX}/replay`, { select: { all: true }, dryRun: true }))[1]).toMatchObject({ selected: 2, queued: 2, ids: [0, 2] });
    expect(await t.replay(orders)).toBe(2);
    expect((await ann.post(`${BOX}/replay`, { select: { ids: [1] } }))[1]).toMatchObject({ queued: 0, already: 1 });
    expect((await ann.post(`${BOX}/edit`, { edits: [{ id: 1, value: { id: "b", amount: 1 } }] }))[0]).toBe(409);
    expect((await t.read(done)).map(({ key }) => key)).toEqual(["a", "c"]);
    expect(await ann.rows("/letters", "sources")).toContainEqual({
      source: "orders",
      kind: "dead",
      topic: "orders-dlq",
      open: 0,
      queued: 0,
      replayed: 2,
      purged: 1,
    });
  });

  test("a late letter goes into the step that found it late, at the earliest time that is not late where that is asked for", async () => {
    const { app, orders, perMinute } = countingShop();
    await using t = testApp(app, { log, startAt: 600_000 });
    const ann = new Operator(t);
    await t.send(orders, 1, { key: "ann", timestamp: 500_000 });
    await t.send(orders, 2, { key: "ann", timestamp: 590_000 });
    await t.send(orders, { late: true }, { key: "ann", timestamp: 400_000 });
    await t.read(perMinute);

    const [letter] = await ann.rows("/letters/late/orders");
    expect(letter).toMatchObject({ id: 0, key: "ann", error: null, timestamp: 400_000, from: { topic: "orders", partition: 0, position: 2 } });
    expect((await ann.get("/letters/late/orders/0"))[1]).toMatchObject({ value: { late: true }, missed: [{ start: 360_000, end: 420_000 }] });
    expect(await t.replay(orders, { letters: "late", at: "now" })).toBe(1);
    await t.send(orders, 3, { key: "ann", timestamp: 660_000 });

    expect(
      (await t.read(perMinute)).filter(({ value }) => value.start === 600_000 || value.start === 540_000).map(({ value }) => [value.start, value.value.orders]),
    ).toEqual([
      [540_000, 2],
    ]);
    expect(states(await ann.rows("/letters/late/orders"))).toEqual(["replayed"]);
  });

  test("a late letter that fails when it comes back is a dead letter whose value is shown, and taken into its step again", async () => {
    const app = createApp("counting", { errors: { retry: false } });
    const orders = app.topic<string, { readonly n: number }>("orders");
    let isBroken = true;
    const sums = app.stream(orders).groupByKey().window(tumbling("1m"), { emit: "update" }).aggregate({ n: sum((order: { readonly n: number }) => order.n) })
      .map((window) => {
        if (isBroken && window.value.n > 10) throw new Error("too much");
        return window.value.n;
      }).to("sums");
    await using t = testApp(app, { log, startAt: 600_000 });
    const ann = new Operator(t);
    await t.send(orders, { n: 1 }, { key: "ann", timestamp: 590_000 });
    await t.send(orders, { n: 50 }, { key: "ann", timestamp: 400_000 });
    await t.replay(orders, { letters: "late", at: "now" });

    expect((await ann.get("/letters/dead/orders/0"))[1]).toMatchObject({ value: { n: 50 }, key: "ann", from: { topic: expect.stringMatching(/^into:/) } });
    isBroken = false;
    expect(await t.replay(orders)).toBe(1);
    expect((await t.read(sums)).map(({ value }) => value)).toEqual([1, 51]);
  });

  test("a record that came in time is in time however long it was a letter", async () => {
    const app = createApp("shop", { errors: { retry: false } });
    const orders = app.topic<string, number>("orders", { lateArrivalDeadline: "30m" });
    const customer = app.features("customer", { spent: v.number() });
    let mends = false;
    app.resolver("spent", { source: orders, output: customer }, (spent, { key }) => {
      if (!mends) throw new Error("no");
      return customer.of(key, { spent });
    });
    await using t = testApp(app, { log });
    await t.send(orders, 5, { key: "ann", timestamp: t.now });
    await t.advance("1d");
    mends = true;

    expect(await t.replay(orders)).toBe(1);
    expect(await app.query(customer, "ann")).toMatchObject({ spent: 5 });
  });
});
