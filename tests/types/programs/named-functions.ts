/** Programs made of functions that are written elsewhere, with their own types: what a team tests by itself. */
import * as v from "valibot";
import { type App, count, createApp, type FeatureRow, type HeaderRecord, type InferValue, type LateRecord, min, type QueryValues, type RecordMeta, type Resolver, skip, type Skip, type Stream, sum, tumbling, type WebhookMessage, type Windowed } from "millrace";
import { type Equal, sure } from "../equal.ts";

interface Payment {
  id: string;
  amount: number;
  method: "card" | "cash";
}
const Payment = v.object({ id: v.string(), amount: v.number(), method: v.picklist(["card", "cash"]) });

function idOf(payment: Payment): string {
  return payment.id;
}
function amountOf({ amount }: { readonly amount: number }): number {
  return amount;
}
function isLarge({ amount }: { readonly amount: number }): boolean {
  return amount > 100;
}
function isCard(payment: Payment): payment is Payment & { method: "card" } {
  return payment.method === "card";
}
function noteLate(payment: Payment, { latenessMs }: LateRecord<string>): void {
  void [payment, latenessMs];
}
function described(payment: Payment, { key, timestamp }: RecordMeta<string>): string {
  return `${key} at ${timestamp}: ${payment.amount}`;
}

/** They fit where they take what the stream gives, or less. */
export function steps(): App {
  const app = createApp("named-steps");
  const payments = app.topic("payments", { value: Payment, key: idOf });
  const stream = app.stream(payments);
  const cards = stream.filter(isCard);
  sure<Equal<typeof cards, Stream<string, Payment & { method: "card" }>>>();
  const { card, large, rest } = stream.branch({ card: isCard, large: isLarge });
  sure<Equal<InferValue<typeof card>, Payment & { method: "card" }>>();
  sure<Equal<typeof large, typeof rest>>();
  const lines = stream.filter(isLarge).map(described);
  sure<Equal<typeof lines, Stream<string, string>>>();
  const totals = stream.groupBy(idOf).window(tumbling("1h"), { late: noteLate }).aggregate({ total: sum(amountOf), large: count(isLarge), least: min(amountOf) });
  sure<Equal<typeof totals, Stream<string, Windowed<string, { total: number; large: number; least: number }>>>>();
  totals.to("totals");
  return app;
}

function toPayment({ body }: WebhookMessage<{ readonly id: string }, QueryValues, HeaderRecord>): Payment | Skip {
  return body.id === "" ? skip("no id") : { id: body.id, amount: 1, method: "cash" };
}

/** A webhook's `map` that names its message. */
export function webhook(): App {
  const app = createApp("named-map");
  const payments = app.topic("payments", { value: Payment, key: idOf });
  app.webhook("/hooks/payments", { verify: "none", body: v.object({ id: v.string() }), topic: payments, map: toPayment });
  return app;
}

/** A resolver whose handler says what it takes: `parse` makes it, or the source has it. */
export function resolvers(): App {
  const app = createApp("named-handlers");
  const payments = app.topic("payments", { value: Payment, key: idOf });
  const account = app.features("account", { cents: v.number(), last: v.string() });
  type Row = FeatureRow<"account", string, Partial<{ readonly cents: number; readonly last: string }>>;
  const count = (cents: number, meta: RecordMeta<string>): Row => account.of(meta.key, { cents });
  const keep = async ({ id }: { readonly id: string }): Promise<Row> => account.of(id, { last: id });

  const counting = app.resolver("counting", { source: payments, parse: (payment) => payment.amount * 100, output: account }, count);
  sure<Equal<typeof counting, Resolver<number, Row>>>();
  app.resolver("counting later", { source: payments, parse: async ({ amount }) => (amount > 0 ? amount : skip("nothing")), output: account }, count);
  app.resolver("keeping", { source: payments, output: account }, keep);
  // The handler may take less than parse gives.
  const some = app.resolver("keeping some", { source: payments, parse: ({ id, method }) => (method === "card" ? { id, at: 1 } : null), output: account }, keep);
  sure<Equal<Parameters<typeof some>[0], { id: string; at: number }>>();
  return app;
}
