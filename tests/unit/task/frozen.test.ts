/** Values handed out are not to be changed: a test finds the step that does it, for it would change what other steps and state see. */
import { expect, test } from "bun:test";
import { createApp, first, tumbling } from "../../../mod.ts";
import { json } from "../../../src/record/codec-json.ts";
import { testApp } from "../../../src/testing/testing.ts";

interface Order {
  readonly id: string;
  readonly lines: { amount: number }[];
}

test("testApp() freezes what a step is given: one that changes a record fails, and says so", async () => {
  const app = createApp("t");
  const orders = app.topic<string, Order>("orders", { value: json<Order>(), errors: { retry: false } });
  app.stream(orders).map((order) => {
    order.lines[0]!.amount = 0;
    return order;
  }).to("out");
  await using driven = testApp(app);
  await driven.send(orders, { id: "a", lines: [{ amount: 7 }] });

  const [letter] = await driven.deadLetters(orders);
  expect(letter?.error.message).toMatch(/read.?only|assign/i);
});

test("testApp() freezes what comes out of state", async () => {
  const app = createApp("t");
  const orders = app.topic<string, Order>("orders", { value: json<Order>(), key: ({ id }) => id });
  const seen: boolean[] = [];
  app.stream(orders).groupByKey().window(tumbling("1m"), { emit: "update" }).aggregate({ first: first((order) => order) })
    .forEach(({ value }) => {
      seen.push(Object.isFrozen(value.first.lines[0]));
    });
  await using driven = testApp(app);
  await driven.send(orders, { id: "a", lines: [{ amount: 7 }] });
  await driven.advance("1s");

  expect(seen).toEqual([true]);
});
