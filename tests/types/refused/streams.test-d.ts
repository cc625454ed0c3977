/** Wrong programs about steps and windows. Never run: each line below an expectation must not compile. */
import * as v from "valibot";
import { type App, collect, count, hopping, last, max, mean, min, sum, tumbling } from "millrace";

const Payment = v.object({ id: v.string(), account: v.string(), amount: v.number(), at: v.date() });
const Shape = v.variant("type", [v.object({ type: v.literal("circle"), radius: v.number() }), v.object({ type: v.literal("square"), side: v.number() })]);

export function steps(app: App): void {
  const payments = app.stream(app.topic("payments", { value: Payment, key: (payment) => payment.account }));
  // @ts-expect-error there is no field "amonut"
  payments.map((payment) => payment.amonut);
  // @ts-expect-error a predicate says true or false
  payments.filter((payment) => payment.amount);
  // @ts-expect-error flatMap makes many: a number is none
  payments.flatMap((payment) => payment.amount);
  // @ts-expect-error forEach gives nothing on
  payments.forEach((payment) => payment.id).map(() => 1);
  // @ts-expect-error the key is text
  payments.map((_payment, meta) => meta.key.toFixed());
  // @ts-expect-error meta knows no "offset": it is called position
  payments.map((_payment, meta) => meta.offset);
  // @ts-expect-error a stream is no promise and no list: there is no length
  payments.map((payment) => payment).length;
  // @ts-expect-error merge takes sources
  payments.merge("payments");
  // @ts-expect-error groupBy needs a key function, not the name of a field
  payments.groupBy("account");
  // @ts-expect-error only an app makes a stream, of a source
  app.stream(Payment);
}

export function nullKeys(app: App): void {
  const lines = app.stream(app.topic("lines", { value: v.string() }));
  // @ts-expect-error without a key function the key may be null
  lines.map((_line, meta) => meta.key.length);
  lines.groupByKey().map((_line, meta) => meta.key.length);
}

export function unions(app: App): void {
  const shapes = app.stream(app.topic("shapes", { value: Shape }));
  // @ts-expect-error only circles have a radius
  shapes.map((shape) => shape.radius);
  // @ts-expect-error what is no guard narrows nothing
  shapes.filter((shape) => shape.type === "circle" && shape.radius > 1 && Boolean(shape)).filter(async () => true).map((shape) => shape.side);
  // @ts-expect-error circles were taken out
  shapes.filter((shape) => shape.type === "square").map((shape) => shape.radius);
  const { round, rest } = shapes.branch({ round: (shape) => shape.type === "circle" });
  // @ts-expect-error the round ones have no side
  round.map((shape) => shape.side);
  // @ts-expect-error the rest have no radius
  rest.map((shape) => shape.radius);
  // @ts-expect-error there is no branch "square"
  shapes.branch({ round: (shape) => shape.type === "circle" }).square;
  // @ts-expect-error a branch is chosen at once: its predicate is not async
  shapes.branch({ later: async (shape) => shape.type === "circle" });
  // @ts-expect-error merged streams hold either kind
  round.merge(rest).map((shape) => shape.radius);
}

export function windows(app: App): void {
  const payments = app.stream(app.topic("payments", { value: Payment }));
  // @ts-expect-error the unit is m
  tumbling("10min");
  // @ts-expect-error grace is a duration
  tumbling("10m", { grace: "soon" });
  // @ts-expect-error hopping windows start every so often
  hopping("10m");
  // @ts-expect-error a window is cut by tumbling() or hopping(), not by a duration
  payments.window("10m");
  // @ts-expect-error emit is "close" or "update"
  payments.window(tumbling("10m"), { emit: "final" });
  // @ts-expect-error late records go to the topic, are dropped, or given to a function
  payments.window(tumbling("10m"), { late: "keep" });
  // @ts-expect-error a window by itself is no stream: aggregate or reduce it
  payments.window(tumbling("10m")).map((payment) => payment);
  // @ts-expect-error late values are payments
  payments.window(tumbling("10m"), { late: (payment) => void payment.amonut });
}

export function aggregates(app: App): void {
  const window = app.stream(app.topic("payments", { value: Payment })).window(tumbling("10m"));
  // @ts-expect-error there is no field "amonut"
  window.aggregate({ total: sum((payment) => payment.amonut) });
  // @ts-expect-error text is not summed
  window.aggregate({ total: sum((payment) => payment.id) });
  // @ts-expect-error a date is not a number
  window.aggregate({ mean: mean((payment) => payment.at) });
  // @ts-expect-error objects have no order
  window.aggregate({ least: min((payment) => payment) });
  // @ts-expect-error a count counts what holds: true or false
  window.aggregate({ large: count((payment) => payment.amount) });
  // @ts-expect-error aggregators are made by calling them
  window.aggregate({ count });
  // @ts-expect-error aggregators have names
  window.aggregate(count());
  // @ts-expect-error an aggregator of texts does not take payments
  window.aggregate({ longest: max((text: string) => text.length) });
  // @ts-expect-error reduce keeps the type of the values
  window.reduce((left, right) => left.amount + right.amount);
  const spend = window.aggregate({
    total: sum((payment) => payment.amount),
    mean: mean((payment) => payment.amount),
    all: collect(),
    latest: last((payment) => payment.at),
  });
  // @ts-expect-error the result is called total
  spend.map((window) => window.value.totals);
  // @ts-expect-error results lie in value
  spend.map((window) => window.total);
  // @ts-expect-error bounds are called start and end
  spend.map((window) => window.from);
  // @ts-expect-error start is milliseconds, no date
  spend.map((window) => window.start.getTime());
  // @ts-expect-error the mean of nothing is null
  spend.map((window) => window.value.mean.toFixed());
  // @ts-expect-error what was collected is not changed
  spend.map((window) => window.value.all.push());
  // @ts-expect-error the last one is a date
  spend.map((window) => window.value.latest.toFixed());
}

export async function loops(app: App): Promise<void> {
  for await (const payment of app.stream(app.topic("payments", { value: Payment }))) {
    // @ts-expect-error there is no field "amonut"
    void payment.amonut;
  }
}

export function migrations(app: App): void {
  const payments = app.stream(app.topic("payments", { value: Payment, key: (payment) => payment.account }));
  const hourly = payments.groupByKey().window(tumbling("1h"));
  const folds = { total: sum((payment: { amount: number }) => payment.amount), n: count() };
  // @ts-expect-error a version needs a function that brings what is kept to it
  hourly.aggregate(folds, { version: 2 });
  // @ts-expect-error and the function a version
  hourly.aggregate(folds, { migrate: () => ({ total: 0, n: 0 }) });
  // @ts-expect-error what n begins with is missing
  hourly.aggregate(folds, { version: 2, migrate: () => ({ total: 0 }) });
  // @ts-expect-error a sum is kept as a number
  hourly.aggregate(folds, { version: 2, migrate: (stored) => ({ total: String(stored["total"]), n: 0 }) });
  // @ts-expect-error what was kept is of no known type
  hourly.aggregate(folds, { version: 2, migrate: (stored) => ({ total: stored["total"], n: 0 }) });
  // @ts-expect-error versions are numbers
  hourly.aggregate(folds, { version: "2", migrate: () => ({ total: 0, n: 0 }) });
  // @ts-expect-error reduce keeps a value of the stream
  payments.map(({ id }) => id).groupByKey().window(tumbling("1h")).reduce((a) => a, { version: 2, migrate: () => 1 });
  // @ts-expect-error there is no feature "nmae"
  app.features("account", { name: v.string() }, { version: 2, migrate: () => ({ nmae: "a" }) }).of("a", { name: "b" });
  // @ts-expect-error the name is text
  app.features("other", { name: v.string() }, { version: 2, migrate: () => ({ name: 1 }) });
}
