/** A shop whose orders fail in two ways: prices that are text, and customers that nobody knows. */
import * as v from "valibot";
import { type App, createApp } from "../../mod.ts";

export const app: App = createApp("shop", { errors: { retry: { attempts: 1 } } });
const orders = app.topic("orders", { value: v.object({ id: v.string(), customer: v.string(), price: v.union([v.string(), v.number()]) }), key: (order) => order.id });
app.webhook("/hooks/orders", { topic: orders, verify: "none" });
app.stream(orders)
  .map((order) => {
    if (typeof order.price !== "number") throw new TypeError(`The price of order ${order.id} is text`);
    if (order.customer === "") throw new RangeError(`Order ${order.id} has no customer`);
    return { id: order.id, total: order.price };
  })
  .to("priced");
