/** An app with all that a move has to bring along: open windows, features, records that wait for another try, ids of webhooks, letters, a topic of its own in between; and what it is given. */
import * as v from "valibot";
import { type App, type AppOptions, count, createApp, type Duration, type FeatureSet, json, sum, terminal, tumbling } from "../../../../mod.ts";
import { Random } from "../../../../src/base/random.ts";

/** A payment as it is posted. */
export interface Payment {
  readonly id: string;
  readonly account: string;
  readonly amount: number;
  readonly at: number;
}

/** What decides whether a check that waits succeeds. */
export interface Bank {
  readonly app: App;
  /** Checks of payments with these ids fail for now. */
  readonly failing: Set<string>;
  /** Topics of the user's that it writes. */
  readonly outputs: readonly string[];
  readonly input: string;
  /** The one of `outputs` that has a record for each payment. */
  readonly checked: string;
  readonly account: FeatureSet<"account", string, { readonly lastPayment: string; readonly amount: number }>;
}

const MINUTE_MS = 60_000;

/** How a bank is set up. */
export interface BankOptions extends AppOptions {
  readonly partitions: number;
  /** Between two tries of a check. */
  readonly backOff: Duration;
}

/** Makes it; `name` is in front of the names of all topics. */
export function bankOf(name: string, { partitions, backOff, ...options }: BankOptions): Bank {
  const failing = new Set<string>();
  const app = createApp(name, options);
  const schema = v.object({ id: v.string(), account: v.string(), amount: v.number(), at: v.number() });
  const input = `${name}-payments`;
  const payments = app.topic(input, {
    partitions,
    value: schema,
    key: ({ account }) => account,
    timestamp: ({ at }) => at,
    retention: "infinity",
    errors: { retry: { attempts: 1_000_000, backOff, backOffMax: backOff } },
  });
  app.webhook("/hook", { topic: payments, verify: "none", body: schema, idempotencyKey: ({ body }) => body.id, idempotencyTtl: "1h" });

  const output = (end: string) => app.topic<string, unknown>(`${name}-${end}`, { value: json<unknown>(), retention: "infinity" });
  app.stream(payments).groupByKey().window(tumbling("1m")).aggregate({ total: sum((p) => p.amount), n: count() })
    .map(({ start, value }) => ({ start, ...value })).to(output("spend"));
  app.stream(payments).groupBy((p) => p.amount < 50 ? "small" : "large").window(tumbling("2m", { grace: "10s" })).aggregate({ n: count() })
    .map(({ start, value }) => ({ start, ...value })).to(output("sizes"));
  app.stream(payments).map(async (payment) => {
    await Promise.resolve();
    if (payment.amount < 0) throw terminal("a payment below nothing");
    if (failing.has(payment.id)) throw new Error("the bank does not answer");
    return { id: payment.id, isChecked: true };
  }).to(output("checked"));
  const account = app.features("account", { lastPayment: v.string(), amount: v.number() });
  app.resolver(
    "last payment",
    { source: payments, parse: (p) => p.amount > 0 ? p : null, output: account.pick("lastPayment", "amount") },
    (p) => account.of(p.account, { lastPayment: p.id, amount: p.amount }),
  );
  return { app, failing, input, checked: `${name}-checked`, account, outputs: ["spend", "sizes", "checked"].map((end) => `${name}-${end}`) };
}

/** Payments in about the order of their time: some late, some below nothing. */
export function paymentsOf(seed: number, from: number, to: number, startAt: number): Payment[] {
  const random = new Random(seed);
  const all: Payment[] = [];
  for (let n = 0; n < to; n++) {
    const lateMs = random.below(20) === 0 ? 3 * MINUTE_MS : random.below(3_000);
    all.push({
      id: `p-${n}`,
      account: `account-${random.below(7)}`,
      amount: random.below(25) === 0 ? -1 : 1 + random.below(100),
      at: startAt + 4_000 * n - lateMs,
    });
  }
  return all.slice(from, to);
}

/** The request for a payment. */
export function requestOf(payment: Payment): Request {
  return new Request("http://localhost/hook", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(payment) });
}
