import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { count, createApp, retryLater, skip, sum, terminal, tumbling } from "../../../mod.ts";
import type { App, Topic } from "../../../mod.ts";
import { testApp } from "../../../src/testing/testing.ts";

const MINUTE = 60_000;
const Order = v.object({ id: v.string(), customer: v.string(), amount: v.number(), at: v.number() });
type Order = v.InferOutput<typeof Order>;

function shop(): { readonly app: App; readonly orders: Topic<string, Order> } {
  const app = createApp("shop");
  const orders = app.topic("orders", { value: Order, key: (order) => order.customer, timestamp: (order) => order.at });
  return { app, orders };
}

function order(customer: string, at: number, amount = 1): Order {
  return { id: `${customer}-${at}`, customer, amount, at };
}

describe("testApp", () => {
  test("read() gives what came out, once, decoded", async () => {
    const { app, orders } = shop();
    const doubled = app.stream(orders).map(({ amount }) => ({ amount: amount * 2 })).to("doubled");
    await using t = testApp(app);

    await t.send(orders, order("ann", 5, 3), { headers: { trace: "a" } });
    const [first, ...others] = await t.read(doubled);
    await t.send(orders, order("bob", 6));

    expect(others).toEqual([]);
    expect([first?.key, first?.value, first?.timestamp, first?.headers.get("trace"), first?.position]).toEqual(["ann", { amount: 6 }, 5, "a", 0]);
    expect((await t.read(doubled)).map(({ key }) => key)).toEqual(["bob"]);
    expect(await t.read(doubled)).toEqual([]);
    expect((await t.read(orders)).map(({ value }) => value.id)).toEqual(["ann-5", "bob-6"]);
  });

  test("late() gives records whose window has closed, with what they missed", async () => {
    const { app, orders } = shop();
    const totals = app.stream(orders).groupByKey().window(tumbling(MINUTE)).aggregate({ total: sum((one: Order) => one.amount) }).to("totals");
    await using t = testApp(app);

    for (const at of [0, 2 * MINUTE, 30]) await t.send(orders, order("ann", at));

    expect((await t.read(totals)).map(({ value }) => value)).toEqual([{ key: "ann", start: 0, end: MINUTE, value: { total: 1 } }]);
    const [letter, ...others] = await t.late(orders);
    expect(others).toEqual([]);
    expect([letter?.key, letter?.value, letter?.timestamp, letter?.latenessMs, letter?.missed]).toEqual(["ann", order("ann", 30), 30, 2 * MINUTE - 30, [{
      start: 0,
      end: MINUTE,
    }]]);
  });

  test("deadLetters() gives what was given up, as its source reads it", async () => {
    const { app, orders } = shop();
    app.stream(orders).forEach(() => {
      throw terminal("no such customer");
    });
    await using t = testApp(app);

    await t.send(orders, order("ann", 7));

    const [letter] = await t.deadLetters(orders);
    expect([letter?.key, letter?.value, letter?.attempts, letter?.error, letter?.from]).toEqual([
      "ann",
      order("ann", 7),
      1,
      { name: "HandlerError", message: "no such customer", code: "HANDLER_TERMINAL" },
      { topic: "orders", partition: 0, position: 0 },
    ]);
  });

  test("deadLetters() gives bytes where the source's format cannot read them", async () => {
    const { app, orders } = shop();
    app.stream(orders).forEach(() => {});
    await using t = testApp(app);

    await t.sendBytes(orders, new TextEncoder().encode('{"id":1}'), { key: "x" });

    const [letter] = await t.deadLetters(orders);
    expect([letter?.key, letter?.value, letter?.error.code]).toEqual(["x", new TextEncoder().encode('{"id":1}'), "SCHEMA_MISMATCH"]);
  });

  test("advance() moves both clocks and what waits for them, each thing at its moment", async () => {
    const { app, orders } = shop();
    const tries: number[] = [];
    await using t = testApp(app, { startAt: 1_000_000 });
    app.stream(orders).forEach(() => {
      tries.push(t.now);
      if (tries.length < 3) throw retryLater("10s");
    });

    await t.send(orders, order("ann", 0));
    await t.advance("1m");

    expect(tries).toEqual([1_000_000, 1_010_000, 1_020_000]);
    expect(t.now).toBe(1_060_000);
    expect(await t.deadLetters(orders)).toEqual([]);
  });

  test("an async handler is done when send() fulfils; one that waits for the test is not waited for", async () => {
    const { app, orders } = shop();
    const gate = Promise.withResolvers<void>();
    const mapped = app.stream(orders).map(async ({ id, amount }) => {
      if (amount === 0) await gate.promise;
      await Promise.resolve();
      return id;
    }).to("mapped");
    await using t = testApp(app);

    await t.send(orders, order("ann", 1));
    expect((await t.read(mapped)).map(({ value }) => value)).toEqual(["ann-1"]);

    await t.send(orders, order("ann", 2, 0));
    expect(await t.read(mapped)).toEqual([]);
    gate.resolve();
    await t.settle();
    expect((await t.read(mapped)).map(({ value }) => value)).toEqual(["ann-2"]);
  });

  test("fetch() answers when the record of a webhook has been worked on, and query() sees its features", async () => {
    const app = createApp("hooks");
    const hook = app.webhook("/orders", { verify: "none", body: v.object({ customer: v.string() }) });
    const customer = app.features("customer", { last: v.string() });
    app.resolver(
      "last",
      { source: hook, output: customer },
      ({ body }) => body.customer === "bob" ? skip("bob") : customer.of(body.customer, { last: "seen" }),
    );
    await using t = testApp(app);

    const response = await t.fetch(
      new Request("http://localhost/orders", { method: "POST", headers: { "content-type": "application/json" }, body: '{"customer":"ann"}' }),
    );

    expect(response.status).toBe(202);
    expect(await app.query(customer, "ann")).toEqual({ last: "seen" });
    expect((await t.read(hook)).map(({ value }) => value.body)).toEqual([{ customer: "ann" }]);
  });

  for (const log of ["memory", "embedded"] as const) {
    test(`restart() keeps what was committed, drained or killed (${log})`, async () => {
      const { app, orders } = shop();
      const counts = app.stream(orders).groupByKey().window(tumbling(MINUTE)).aggregate({ n: count() }).to("counts");
      await using t = testApp(app, { log });

      for (const at of [1, 2]) await t.send(orders, order("ann", at));
      await t.restart();
      await t.send(orders, order("ann", 3));
      await t.restart({ drain: false });
      for (const at of [4, MINUTE]) await t.send(orders, order("ann", at));

      expect((await t.read(counts)).map(({ value }) => value.value)).toEqual([{ n: 4 }]);
    });
  }

  test("the same seed gives the same run", async () => {
    const runs = [];
    for (let run = 0; run < 2; run++) {
      const { app, orders } = shop();
      const times: number[] = [];
      await using t = testApp(app, { seed: 7 });
      app.stream(orders).forEach(() => {
        times.push(t.now);
        throw new Error("again");
      });
      await t.send(orders, order("ann", 1));
      await t.advance("1h");
      runs.push(times);
    }

    expect(runs[0]).toEqual(runs[1]!);
    expect(runs[0]).toHaveLength(3);
  });

  test("send() rejects when a step stops its task, once; health() says why", async () => {
    const app = createApp("two");
    const fine = app.topic("fine"), stopping = app.topic("stopping", { errors: { retry: false, then: "stop" } });
    const out = app.stream(fine).to("out");
    app.stream(stopping).forEach(() => {
      throw new Error("cannot be");
    });
    await using t = testApp(app);

    await expect(t.send(stopping, 1)).rejects.toThrow("cannot be");
    await t.send(fine, 1);

    expect((await t.read(out)).map(({ value }) => value)).toEqual([1]);
    expect((await t.health()).status).toBe("error");
  });

  test("errors of a test's author say what to do", async () => {
    const { app, orders } = shop();
    const stream = app.stream(orders).map(({ amount }) => amount);
    stream.to("amounts");
    const { orders: foreign } = shop();
    const t = testApp(app);

    await expect(t.read(stream)).rejects.toThrow('.to("a-name")');
    await expect(t.send(foreign, order("ann", 1))).rejects.toThrow('topic "orders" in the test of app "shop": it belongs to another app');
    await expect(t.send(orders, { id: "x" } as unknown as Order)).rejects.toThrow("customer");
    expect(() => t.advance("soon" as never)).toThrow("advance()");
    await t[Symbol.asyncDispose]();
    await expect(t.read(orders)).rejects.toThrow("it has ended");
  });
});
