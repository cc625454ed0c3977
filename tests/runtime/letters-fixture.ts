/** A shop whose orders fail in two ways: prices that are text, and customers that nobody has. */
import * as v from "valibot";
import { type App, createApp } from "../../mod.ts";

export const app: App = createApp("shop", { errors: { retry: { attempts: 1 } } });
const orders = app.topic("orders", {
  value: v.object({ id: v.string(), customer: v.string(), price: v.union([v.string(), v.number()]) }),
  key: (order) => order.id,
});
app.webhook("/hooks/orders", { topic: orders, verify: "none" });
const order = app.features("order", { total: v.number() });
app.resolver("price", { source: orders, output: order.pick("total") }, ({ id, customer, price }) => {
  if (typeof price !== "number") throw new TypeError(`The price of order ${id} is text`);
  if (customer === "") throw new RangeError(`Order ${id} has no customer`);
  return order.of(id, { total: price });
});
