/** An app with a step that fails, and one with windows that close. */
import * as v from "valibot";
import { type App, count, createApp, tumbling } from "../../../mod.ts";
import type { Topic, TopicView, Windowed } from "../../../mod.ts";

/** An order as it is sent. */
export interface Order {
  readonly id: string;
  readonly amount: number;
}

/** What a test turns while the app runs. */
export interface Mood {
  /** The step takes what it refused before. */
  mends: boolean;
  calls: number;
}

/** The app whose step `orders-map` fails for amounts below 0, and passes what it takes on to "done". */
export function failingShop(
  partitions: number = 1,
): { readonly app: App; readonly orders: Topic<string, Order>; readonly done: TopicView<string, Order>; readonly mood: Mood } {
  const app = createApp("shop", { errors: { retry: false } });
  const orders = app.topic("orders", { value: v.object({ id: v.string(), amount: v.number() }), key: (order) => order.id, partitions });
  const mood: Mood = { mends: false, calls: 0 };
  const done = app.stream(orders).map((order) => {
    mood.calls++;
    if (order.amount < 0 && !mood.mends) throw new RangeError(`amount ${order.amount} of order "${order.id}" is below 0`);
    return order;
  }).to("done");
  return { app, orders, done, mood };
}

/** The app that counts orders by the minute and key. */
export function countingShop(): {
  readonly app: App;
  readonly orders: Topic<string | null, unknown>;
  readonly perMinute: TopicView<string, Windowed<string, { readonly orders: number }>>;
} {
  const app = createApp("shop");
  const orders = app.topic("orders");
  const perMinute = app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({ orders: count() }).to("per-minute");
  return { app, orders, perMinute };
}
