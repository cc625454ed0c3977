/** Programs about windows and what is computed in them. */
import * as v from "valibot";
import {
  type App,
  collect,
  count,
  createApp,
  type FeatureRow,
  first,
  hopping,
  last,
  max,
  mean,
  min,
  type StoredAggregates,
  type Stream,
  sum,
  tumbling,
  type Windowed,
} from "millrace";
import { type Equal, sure } from "../equal.ts";

const Payment = v.object({ id: v.string(), account: v.string(), amount: v.number(), at: v.date(), note: v.optional(v.string()) });

/** Spend by account: the result's shape is read off the aggregators, and steps behind it see it. */
export function spend(): App {
  const app = createApp("spend");
  const payments = app.topic("payments", { value: Payment, key: (payment) => payment.account, timestamp: (payment) => payment.at });
  const spend = app.stream(payments).groupByKey().window(tumbling("10m", { grace: "30s" })).aggregate({
    total: sum((payment) => payment.amount),
    payments: count(),
  });
  sure<Equal<typeof spend, Stream<string, Windowed<string, { total: number; payments: number }>>>>();

  const alerts = spend.filter((window) => window.value.total > 10_000).map(({ key, start, end, value }) =>
    `${key} spent ${value.total} from ${start} to ${end}`
  );
  sure<Equal<typeof alerts, Stream<string, string>>>();
  alerts.to("alerts");
  return app;
}

/** Every aggregator, with the type it gives. */
export function aggregators(): App {
  const app = createApp("aggregators");
  const payments = app.topic("payments", { value: Payment });
  const facts = app.stream(payments).groupBy(({ account }) => account).window(hopping("1h", { every: "5m", offset: "1m" }), { emit: "update" }).aggregate({
    count: count(),
    large: count((payment) => payment.amount > 100),
    sum: sum((payment) => payment.amount),
    mean: mean((payment) => payment.amount),
    cheapest: min((payment) => payment.amount),
    firstId: min((payment) => payment.id),
    latest: max((payment) => payment.at),
    opening: first((payment) => payment.note ?? null),
    closing: last(({ id, at }) => ({ id, at })),
    all: collect({ max: 100 }),
  });
  interface Payment {
    id: string;
    account: string;
    amount: number;
    at: Date;
    note?: string | undefined;
  }
  interface Facts {
    count: number;
    large: number;
    sum: number;
    mean: number | null;
    cheapest: number;
    firstId: string;
    latest: Date;
    opening: string | null;
    closing: { id: string; at: Date };
    all: readonly Payment[];
  }
  sure<Equal<typeof facts, Stream<string, Windowed<string, { [P in keyof Facts]: Facts[P] }>>>>();
  facts.to("facts");
  return app;
}

/** Windows of windows: the results are records like any others. */
export function twoSteps(): App {
  const app = createApp("two-steps");
  const clicks = app.topic("clicks", { value: v.object({ page: v.string(), user: v.nullable(v.string()) }), key: (click) => click.page });
  const perMinute = app.stream(clicks).window(tumbling(60_000)).aggregate({ clicks: count() });
  const perHour = perMinute.groupBy(() => "all pages").window(tumbling("1h"), { name: "busiest" }).aggregate({
    busiest: max((minute) => minute.value.clicks),
    pages: collect(),
  });
  sure<Equal<typeof perHour, Stream<string, Windowed<string, { busiest: number; pages: readonly Windowed<string, { clicks: number }>[] }>>>>();

  // A user who is not known has no key; the type says so no more.
  const byUser = app.stream(clicks).groupBy((click) => click.user, { name: "clicks-by-user" }).window(tumbling("1h"), { late: "drop" }).aggregate({
    clicks: count(),
  });
  sure<Equal<typeof byUser, Stream<string, Windowed<string, { clicks: number }>>>>();
  perHour.to("per-hour");
  byUser.to("by-user");
  return app;
}

/** `reduce` keeps the type of the values; the late are told with what they missed. */
export function reducing(): App {
  const app = createApp("reducing");
  const bids = app.topic("bids", { value: v.object({ lot: v.string(), amount: v.number() }), key: (bid) => bid.lot });
  const best = app.stream(bids).window(tumbling("1d"), {
    late: (bid, late) => {
      sure<Equal<typeof bid, { lot: string; amount: number }>>();
      sure<Equal<typeof late.key, string>>();
      void [bid.amount, late.latenessMs, late.missed.map(({ start }) => start)];
    },
  }).reduce((left, right) => (right.amount > left.amount ? right : left));
  sure<Equal<typeof best, Stream<string, Windowed<string, { lot: string; amount: number }>>>>();
  best.to("best");
  return app;
}

/** Windows that are open when another version takes over: what is kept by name, from and to. */
export function migrated(): App {
  const app = createApp("migrated");
  const payments = app.topic("payments", { value: Payment, key: (payment) => payment.account });
  const facts = app.stream(payments).groupByKey().window(tumbling("1h")).aggregate(
    { total: sum((payment) => payment.amount), payments: count(), mean: mean((payment) => payment.amount), opening: first((payment) => payment.note) },
    {
      version: 3,
      migrate: (stored, version) => {
        sure<Equal<typeof stored, StoredAggregates>>();
        sure<Equal<typeof version, number>>();
        return { total: Number(stored["total"]), payments: version === 1 ? 0 : Number(stored["payments"]), mean: [12, 2], opening: [0, "none"] };
      },
    },
  );
  sure<Equal<typeof facts, Stream<string, Windowed<string, { total: number; payments: number; mean: number | null; opening: string | undefined }>>>>();
  facts.to("facts");

  const longest = app.stream(payments).map(({ id }) => id).groupByKey().window(tumbling("1d")).reduce((a, b) => a.length > b.length ? a : b, {
    version: 2,
    migrate: (stored) => {
      sure<Equal<typeof stored, unknown>>();
      return String(stored);
    },
  });
  sure<Equal<typeof longest, Stream<string, Windowed<string, string>>>>();
  longest.to("longest");

  const account = app.features("account", { name: v.string(), visits: v.number() }, {
    version: 2,
    migrate: ({ fullName, visits }) => ({
      ...(typeof fullName === "string" ? { name: fullName } : {}),
      ...(visits === undefined ? {} : { visits: Number(visits) }),
    }),
  });
  sure<Equal<ReturnType<typeof account.of<"name">>, FeatureRow<"account", string, Pick<{ readonly name: string; readonly visits: number }, "name">>>>();
  return app;
}
