/** A shop on Kafka whose orders fail where their price is text. `MILLRACE_FIXTURE_NAME` names app and topics, `MILLRACE_FIXTURE_BROKERS` the brokers. */
import process from "node:process";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, createApp, json } from "../../mod.ts";

const { MILLRACE_FIXTURE_NAME: name = "", MILLRACE_FIXTURE_BROKERS: brokers = "" } = process.env;

interface Order {
  readonly id: string;
  readonly price: unknown;
}

export const app: App = createApp(name, { log: kafka({ brokers: [brokers], workerId: "fixture" }), errors: { retry: false } });
const orders = app.topic<string, Order>(`${name}-orders`, { partitions: 4, value: json<Order>(), key: ({ id }) => id });
app.webhook("/hooks/orders", { topic: orders, verify: "none" });
app.stream(orders).map(({ id, price }) => {
  if (typeof price !== "number") throw new TypeError(`The price of order ${id} is text`);
  return price;
}).to(`${name}-priced`);
