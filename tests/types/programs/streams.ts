/** Programs about steps: what each makes of key and value. */
import * as v from "valibot";
import { type App, createApp, skip, type Stream, type TopicView } from "millrace";
import { type Equal, sure } from "../equal.ts";

const Shape = v.variant("type", [
  v.object({ type: v.literal("circle"), radius: v.number() }),
  v.object({ type: v.literal("square"), side: v.number() }),
  v.object({ type: v.literal("text"), body: v.string() }),
]);
interface Circle {
  type: "circle";
  radius: number;
}
interface Square {
  type: "square";
  side: number;
}
interface Text {
  type: "text";
  body: string;
}

/** A predicate that is a guard, also one that the compiler finds to be one, narrows a union. */
export function narrowing(): App {
  const app = createApp("narrowing");
  const shapes = app.topic("shapes", { value: Shape });
  const circles = app.stream(shapes).filter((shape) => shape.type === "circle");
  sure<Equal<typeof circles, Stream<string | null, Circle>>>();
  circles.map(({ radius }) => Math.PI * radius ** 2).to("areas");

  const known = app.stream(shapes).filter((shape): shape is Circle | Square => shape.type !== "text");
  sure<Equal<typeof known, Stream<string | null, Circle | Square>>>();
  // What is no guard, or is asked later, narrows nothing.
  const large = known.filter(async (shape) => shape.type === "circle" && shape.radius > 3);
  sure<Equal<typeof large, typeof known>>();
  const present = app.stream(shapes).map((shape) => (shape.type === "text" ? shape.body : null)).filter((body) => body !== null);
  sure<Equal<typeof present, Stream<string | null, string>>>();
  present.to("bodies");
  large.to("large");
  return app;
}

/** Branches narrow like filters; the rest is what no guard took. */
export function branching(): App {
  const app = createApp("branching");
  const shapes = app.topic("shapes", { value: Shape, key: (shape) => shape.type });
  const { round, words, rest } = app.stream(shapes).branch({
    round: (shape) => shape.type === "circle",
    words: (shape): shape is Text => shape.type === "text",
  });
  type Kind = "circle" | "square" | "text";
  sure<Equal<typeof round, Stream<Kind, Circle>>>();
  sure<Equal<typeof words, Stream<Kind, Text>>>();
  sure<Equal<typeof rest, Stream<Kind, Square>>>();
  rest.map(({ side }) => side * side).to("squares");

  // A branch that takes only some of a kind leaves that kind in the rest.
  const sized = app.stream(shapes).branch({ large: (shape) => shape.type === "circle" && shape.radius > 10 });
  sure<Equal<typeof sized.large, Stream<Kind, Circle | Square | Text>>>();
  sure<Equal<typeof sized.rest, Stream<Kind, Circle | Square | Text>>>();
  words.to("words");
  return app;
}

/** Several sources in one stream are the union of their keys and of their values. */
export function merging(): App {
  const app = createApp("merging");
  const clicks = app.topic("clicks", { value: v.object({ page: v.string() }), key: () => "page" as const });
  const sales = app.topic("sales", { value: v.object({ amount: v.number() }) });
  const hook = app.webhook("/hooks/sales", { verify: "none", body: v.object({ total: v.number() }) });
  const all = app.stream(clicks).merge(sales, app.stream(hook).map(({ body }) => body.total));
  sure<Equal<typeof all, Stream<string | null, { page: string } | { amount: number } | number>>>();
  all.map((one) => (typeof one === "number" ? one : "amount" in one ? one.amount : 0)).to("amounts");
  return app;
}

/** Functions may be async, may leave records out, and may make many of one. */
export function handlers(): App {
  const app = createApp("handlers");
  const urls = app.topic("urls", { value: v.string() });
  const lengths = app.stream(urls).map(async (url) => {
    if (!url.startsWith("https:")) return skip("not secure");
    return { url, length: await Promise.resolve(url.length) };
  });
  sure<Equal<typeof lengths, Stream<string | null, { url: string; length: number }>>>();
  const letters = app.stream(urls).flatMap(function* (url, meta) {
    for (const letter of url) yield [letter, meta.timestamp] as const;
  });
  sure<Equal<typeof letters, Stream<string | null, readonly [string, number]>>>();
  const later = app.stream(urls).flatMap(async (url) => new Set(url));
  sure<Equal<typeof later, Stream<string | null, string>>>();
  const maybe = app.stream(urls).map((url) => (url === "" ? skip("empty") : url.length));
  sure<Equal<typeof maybe, Stream<string | null, number>>>();
  lengths.forEach(async ({ url }, { headers, key }) => void [url, headers.get("x-trace"), key]);
  letters.to("letters");
  maybe.to("maybe");
  later.to("later");
  return app;
}

/** `to` a name gives a view of this stream's types, `to` a topic nothing; `through` goes on behind either. */
export function onward(): App {
  const app = createApp("onward");
  const words = app.topic("words", { value: v.string() });
  const lengths = app.topic("lengths", { value: v.number() });
  const view = app.stream(words).groupByKey().to("keyed-words");
  sure<Equal<typeof view, TopicView<string, string>>>();
  const nothing = app.stream(view).map((word) => word.length).to(lengths);
  sure<Equal<typeof nothing, void>>();
  const named = app.stream(words).through("words-again");
  sure<Equal<typeof named, Stream<string | null, string>>>();
  const behind = named.map((word) => word.length).through(lengths);
  sure<Equal<typeof behind, Stream<string | null, number>>>();
  behind.to("behind");
  return app;
}

/** A topic that takes more than a stream gives is a place to send it to. */
export function wider(): App {
  const app = createApp("wider");
  const Alert = v.object({ level: v.picklist(["low", "high"]), text: v.nullable(v.string()), note: v.optional(v.string()) });
  const alerts = app.topic("alerts", { value: Alert });
  const log = app.topic("log");
  const high = app.stream(alerts).filter((alert) => alert.level === "high").map(() => ({ level: "high" as const, text: "now" }));
  high.to(alerts);
  high.to(log);
  return app;
}

/** `for await` over a stream gives its values. Never called: it is about types. */
export async function iterating(app: App): Promise<number> {
  let total = 0;
  for await (const amount of app.stream(app.topic("amounts", { value: v.number() }))) {
    sure<Equal<typeof amount, number>>();
    total += amount;
  }
  return total;
}
