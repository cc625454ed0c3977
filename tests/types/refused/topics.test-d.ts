/** Wrong programs about topics, sources and targets. Never run: each line below an expectation must not compile. */
import * as v from "valibot";
import { type App, bytes, codec, createApp, json, msgpack, type Schema, type Source, type Target, text } from "millrace";

const Order = v.object({ id: v.string(), customer: v.string(), total: v.number() });

export async function values(app: App): Promise<void> {
  const orders = app.topic("orders", { value: Order, key: (order) => order.customer });
  // @ts-expect-error total is a number
  await orders.send({ id: "1", customer: "ann", total: "12" });
  // @ts-expect-error customer is missing
  await orders.send({ id: "1", total: 12 });
  // @ts-expect-error there is no field "totals"
  await orders.send({ id: "1", customer: "ann", total: 12, totals: 12 });
  // @ts-expect-error a key of this topic is text
  await orders.send({ id: "1", customer: "ann", total: 12 }, { key: 7 });
  // @ts-expect-error a key that the topic's function makes is never null
  await orders.delete(null);
  // @ts-expect-error an instant is a date or milliseconds, not text
  await orders.send({ id: "1", customer: "ann", total: 12 }, { timestamp: "2026-01-01" });
}

export function options(app: App): void {
  // @ts-expect-error the schema has no field "custmer"
  app.topic("a", { value: Order, key: (order) => order.custmer });
  // @ts-expect-error text is no moment: parse it
  app.topic("b", { value: Order, timestamp: (order) => order.id });
  // @ts-expect-error unknown values have no fields
  app.topic("c", { timestamp: (value) => value.at });
  // @ts-expect-error the key function gives text, the format of keys takes numbers
  app.topic("d", { value: Order, keyFormat: json(v.number()), key: (order) => order.id });
  // @ts-expect-error the option is called `partitions`
  app.topic("e", { partition: 3 });
  // @ts-expect-error no schema and no codec
  app.topic("f", { value: { id: "string" } });
  // @ts-expect-error the policy has no "retry" to end with
  app.topic("g", { errors: { then: "retry" } });
  // @ts-expect-error retry is an object or false
  app.topic("h", { errors: { retry: 3 } });
}

export function durations(app: App): void {
  // @ts-expect-error the unit is m
  app.topic("a", { watermarkDelay: "10min" });
  // @ts-expect-error a number needs a unit when it is text
  app.topic("b", { watermarkDelay: "10" });
  // @ts-expect-error largest unit first
  app.topic("c", { watermarkDelay: "30m 1h" });
  // @ts-expect-error each unit once
  app.topic("d", { watermarkDelay: "1h 1h" });
  // @ts-expect-error a delay has an end
  app.topic("e", { watermarkDelay: "infinity" });
  // @ts-expect-error no such word
  app.topic("f", { retention: "forever" });
  // @ts-expect-error a bigint is no duration
  app.topic("g", { idleTimeout: 10n });
}

export async function transforms(app: App): Promise<void> {
  const readings = app.topic("readings", { value: v.object({ at: v.pipe(v.number(), v.transform((ms) => new Date(ms))) }) });
  // @ts-expect-error what is sent is the schema's input: milliseconds
  await readings.send({ at: new Date() });
  // @ts-expect-error what is read is its output, which does not go back as it is
  app.stream(readings).to(readings);
  // @ts-expect-error a date has no toFixed
  app.stream(readings).map((reading) => reading.at.toFixed());
}

export async function codecs(app: App): Promise<void> {
  // @ts-expect-error lines are text
  await app.topic("lines", { value: text() }).send(7);
  // @ts-expect-error files are bytes
  await app.topic("files", { value: bytes() }).send("text");
  // @ts-expect-error a set is no list
  await app.topic("sets", { value: msgpack(v.set(v.string())) }).send(["a"]);
  // @ts-expect-error encode gives bytes or text
  codec<number>({ name: "double", encode: (value) => value * 2, decode: () => 1 });
  // @ts-expect-error a schema's validate gives a value or issues
  const never: Schema<string> = { "~standard": { version: 1, vendor: "me", validate: (value) => String(value) } };
  void never;
}

export function targets(app: App): void {
  const orders = app.topic("orders", { value: Order, key: (order) => order.customer });
  const names = app.topic("names", { value: v.string() });
  const numbered = app.topic("numbered", { value: Order, keyFormat: json(v.number()), key: () => 1 });
  // @ts-expect-error the topic takes text, the stream has orders
  app.stream(orders).to(names);
  // @ts-expect-error the same through a topic
  app.stream(orders).through(names);
  // @ts-expect-error the topic's keys are numbers, the stream's are text
  app.stream(orders).to(numbered);
  // @ts-expect-error a target takes what the stream gives, not less
  app.stream(orders).map(({ id }) => ({ id })).to(orders);
  // @ts-expect-error a view is only read
  app.stream(orders).to(app.stream(orders).to("copies"));
  // @ts-expect-error a name or a target
  app.stream(orders).to(42);
  const topic: Target<string | null, { readonly id: string; readonly customer: string; readonly total: number }> = orders;
  // @ts-expect-error a topic of orders is no source of names
  const source: Source<string, string> = orders;
  // @ts-expect-error to a topic gives no view
  app.stream(orders).to(topic).name;
  void source;
}

export function apps(): void {
  // @ts-expect-error an app has a name
  createApp();
  // @ts-expect-error there is no option "logs"
  createApp("a", { logs: "kafka" });
  // @ts-expect-error a port is a number
  void createApp("b").run({ port: "8080" });
}
