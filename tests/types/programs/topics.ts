/** Programs about topics: where their value and key types come from, and what may be sent to them. */
import * as v from "valibot";
import { type App, bytes, codec, type Codec, createApp, type InferKey, type InferValue, json, msgpack, type Receipt, type Schema, type Stream, text, type Topic, type TopicView } from "millrace";
import { type Equal, sure } from "../equal.ts";

/** A schema over JSON gives the value, `key` the key, and both callbacks see the value. */
export function shop(): App {
  const app = createApp("shop");
  const Order = v.object({ id: v.string(), customer: v.string(), items: v.array(v.object({ sku: v.string(), count: v.number() })), placedAt: v.pipe(v.string(), v.isoTimestamp()) });
  const orders = app.topic("orders", {
    value: Order,
    key: (order) => order.customer,
    timestamp: (order) => Date.parse(order.placedAt),
    lateArrivalDeadline: "1d 12h",
    watermarkDelay: "500ms",
    idleTimeout: 30_000,
    retention: "infinity",
    partitions: 4,
    errors: { retry: { attempts: 5, backOff: "200ms", backOffMax: "10s" }, then: "dead-letter" },
  });
  interface Placed {
    id: string;
    customer: string;
    items: { sku: string; count: number }[];
    placedAt: string;
  }
  sure<Equal<typeof orders, Topic<string, Placed, Placed>>>();
  sure<Equal<InferValue<typeof orders>, Placed>>();
  sure<Equal<InferKey<typeof orders>, string>>();

  const counted = app.stream(orders).map((order, meta) => ({ customer: meta.key, items: order.items.reduce((sum, item) => sum + item.count, 0) }));
  sure<Equal<typeof counted, Stream<string, { customer: string; items: number }>>>();
  const view = counted.to("items");
  sure<Equal<typeof view, TopicView<string, { customer: string; items: number }>>>();
  return app;
}

/** Without a schema values are unknown, without a key function keys may be null: nothing is made up. */
export function untyped(): App {
  const app = createApp("untyped");
  const lines = app.topic("lines");
  sure<Equal<typeof lines, Topic<string | null, unknown, unknown>>>();

  const keyed = app.topic("keyed", { key: (value: { readonly user: string }) => value.user });
  sure<Equal<typeof keyed, Topic<string, { readonly user: string }, { readonly user: string }>>>();

  const words = app.stream(lines).flatMap((line) => (typeof line === "string" ? line.split(" ") : []));
  sure<Equal<typeof words, Stream<string | null, string>>>();
  const byWord = words.groupBy((word) => word);
  sure<Equal<typeof byWord, Stream<string, string>>>();
  byWord.to("words");
  return app;
}

/** A schema that transforms has an input, which is sent, and an output, which is read. */
export function transformed(): App {
  const app = createApp("transformed");
  const Reading = v.object({ sensor: v.string(), celsius: v.pipe(v.string(), v.transform(Number)), at: v.pipe(v.number(), v.transform((ms) => new Date(ms))), unit: v.optional(v.string(), "C") });
  const readings = app.topic("readings", { value: Reading, key: (reading) => reading.sensor, timestamp: (reading) => reading.at });

  interface Sent {
    sensor: string;
    celsius: string;
    at: number;
    unit?: string | undefined;
  }
  interface Read {
    sensor: string;
    celsius: number;
    at: Date;
    unit: string;
  }
  sure<Equal<typeof readings, Topic<string, Read, Sent>>>();
  sure<Equal<Parameters<typeof readings.send>[0], Sent>>();

  // What is read does not go back as it is; what is sent is made again.
  app.stream(readings).filter((reading) => reading.celsius > 40).map((reading) => ({ sensor: reading.sensor, celsius: reading.celsius.toFixed(1), at: reading.at.getTime() })).to("hot");
  app.stream(readings).map((reading): Sent => ({ sensor: "mean", celsius: String(reading.celsius), at: reading.at.getTime() })).to(app.topic("copies", { value: Reading }));
  return app;
}

/** MessagePack keeps dates, sets, maps and bigints: the schema may say so, and topics made by the way keep them too. */
export function plainTypes(): App {
  const app = createApp("plain-types");
  const Session = v.object({ user: v.string(), from: v.date(), pages: v.set(v.string()), hits: v.map(v.string(), v.number()), bytes: v.bigint() });
  const sessions = app.topic("sessions", { value: msgpack(Session), key: (session) => session.user, timestamp: (session) => session.from });

  interface Value {
    user: string;
    from: Date;
    pages: Set<string>;
    hits: Map<string, number>;
    bytes: bigint;
  }
  sure<Equal<typeof sessions, Topic<string, Value, Value>>>();

  const long = app.stream(sessions).filter(({ pages }) => pages.size > 10).map(({ pages, hits, from }) => ({ pages, most: new Map([...hits].filter(([, count]) => count > 5)), from }));
  sure<Equal<typeof long, Stream<string, { pages: Set<string>; most: Map<string, number>; from: Date }>>>();
  const again = app.stream(long.to("long"));
  sure<Equal<typeof again, typeof long>>();
  again.forEach(({ pages, from }) => void [pages.has("/"), from.getTime()]);
  return app;
}

/** A schema of one's own needs no library: the property `~standard` is all there is to it. */
export function ownSchema(): App {
  interface Point {
    readonly x: number;
    readonly y: number;
  }
  const Point: Schema<Point, string> = {
    "~standard": {
      version: 1,
      vendor: "example",
      validate: (value) => {
        const [x, y] = String(value).split(",").map(Number);
        return x === undefined || y === undefined ? { issues: [{ message: `wanted "x,y"`, path: ["point"] }] } : { value: { x, y } };
      },
    },
  };
  const app = createApp("own-schema");
  const points = app.topic("points", { value: Point, key: (point) => (point.x < 0 ? "left" : "right") });
  // What a function of the user's returns stays as narrow as it is.
  sure<Equal<typeof points, Topic<"left" | "right", Point, string>>>();
  app.stream(points).map(({ x, y }) => Math.hypot(x, y)).to("distances");
  return app;
}

/** Codecs: text, bytes, JSON without a schema, and one's own. */
export function codecs(): App {
  const app = createApp("codecs");
  const lines = app.topic("lines", { value: text() });
  const files = app.topic("files", { value: bytes() });
  const events = app.topic("events", { value: json<{ readonly kind: "in" | "out" }>() });
  sure<Equal<typeof lines, Topic<string | null, string, string>>>();
  sure<Equal<typeof files, Topic<string | null, Uint8Array, Uint8Array>>>();
  sure<Equal<typeof events, Topic<string | null, { readonly kind: "in" | "out" }, { readonly kind: "in" | "out" }>>>();

  const celsius = codec<number, string>({ name: "celsius", encode: (degrees) => `${degrees}°C`, decode: (raw) => Number.parseFloat(new TextDecoder().decode(raw)) });
  sure<Equal<typeof celsius, Codec<number, string>>>();
  const readings = app.topic("readings", { value: celsius });
  sure<Equal<typeof readings, Topic<string | null, number, string>>>();
  app.stream(readings).map((degrees) => degrees.toFixed(2)).to(lines);
  return app;
}

/** Keys of another type than text have a format; they stay what they are through every step. */
export function keys(): App {
  const app = createApp("keys");
  const Seat = v.object({ row: v.number(), place: v.number() });
  const bookings = app.topic("bookings", { value: v.object({ seat: Seat, by: v.nullable(v.string()) }), keyFormat: json(Seat), key: (booking) => booking.seat });
  interface Seat {
    row: number;
    place: number;
  }
  sure<Equal<InferKey<typeof bookings>, Seat>>();

  const bySeat = app.stream(bookings).groupByKey();
  sure<Equal<typeof bySeat, Stream<Seat, { seat: Seat; by: string | null }>>>();
  // Null keys are taken out of the type: records without one go to the error policy.
  const byGuest = app.stream(bookings).groupBy((booking, meta) => (meta.key.row > 0 ? booking.by : undefined));
  sure<Equal<typeof byGuest, Stream<string, { seat: Seat; by: string | null }>>>();
  const byDay = app.stream(bookings).groupBy((_booking, meta) => new Date(meta.timestamp), { name: "day", partitions: 2 });
  sure<Equal<InferKey<typeof byDay>, Date>>();
  byDay.to("by-day");
  return app;
}

/** Sending: value by the schema's input, key of the topic's type, a receipt back. Never called: it is about types. */
export async function sending(app: App): Promise<void> {
  const rooms = app.topic("rooms", { value: v.object({ name: v.string() }), keyFormat: json(v.number()), key: () => 1 });
  const receipt = await rooms.send({ name: "hall" }, { key: 7, partition: 0, timestamp: new Date(0), headers: { "x-from": "test" } });
  sure<Equal<typeof receipt, Receipt>>();
  await rooms.delete(7);
}
