/**
 * An app for workers, with orders that misbehave: one of customer `spin` keeps the loop busy for good, the first time; one of `hang` is never done; one of `crash` throws where nobody catches it, the first time.
 *
 * `MILLRACE_FIXTURE_LOG` is `embedded`, `memory` or `shared`: the memory log as if processes shared it, for what workers do apart from records.
 */
import { existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import * as v from "valibot";
import { type App, count, createApp, type LogDriver, memory, tumbling } from "../../mod.ts";

const { MILLRACE_FIXTURE_LOG: log = "embedded", MILLRACE_FIXTURE_MARK: mark = "", MILLRACE_FIXTURE_BAD: bad } = process.env;

const drivers: Readonly<Record<string, () => { readonly log?: LogDriver }>> = {
  embedded: () => ({}),
  memory: () => ({ log: memory() }),
  shared: () => ({ log: { "~log": "shared", open: (context) => memory().open(context) } }),
};

export const app: App = createApp("workers", drivers[log]!());
const orders = app.topic("orders", {
  value: v.object({ id: v.string(), customer: v.string() }),
  key: (order) => order.customer,
  // All in one window.
  timestamp: () => Date.UTC(2026, 0, 1),
  ...(bad === undefined ? {} : { partitions: 0 }),
});
app.webhook("/hooks/orders", { topic: orders, verify: "none", headers: v.object({ "x-id": v.string() }), idempotencyKey: ({ headers }) => headers["x-id"] });
const customer = app.features("customer", { orders: v.number() });
app.stream(orders)
  .groupByKey()
  .window(tumbling("1d"), { emit: "update" })
  .aggregate({ orders: count() })
  .map(({ key, value }) => customer.of(key, value))
  .to(customer);

function isFirstTime(): boolean {
  if (existsSync(mark)) return false;
  writeFileSync(mark, "");
  return true;
}

app.stream(orders).forEach((order): void | Promise<void> => {
  if (order.customer === "hang") return new Promise(() => {});
  if (order.customer === "spin" && isFirstTime()) for (;;);
  if (order.customer === "crash" && isFirstTime()) {
    setTimeout(() => {
      throw new Error("nobody catches this");
    }, 0);
  }
});
