/** A small app for the command line to run. */
import * as v from "valibot";
import { type App, createApp } from "../../mod.ts";

export const app: App = createApp("good");
const orders = app.topic("orders", { value: v.object({ customer: v.string(), total: v.number() }), key: (order) => order.customer });
app.webhook("/hooks/orders", { topic: orders, verify: "none" });
const customer = app.features("customer", { lastTotal: v.number() });
app.resolver("last order", { source: orders, output: customer.pick("lastTotal") }, (order) => customer.of(order.customer, { lastTotal: order.total }));
