/** Wrong programs about features and resolvers. Never run: each line below an expectation must not compile. */
import * as v from "valibot";
import { type App, json } from "millrace";

const Payment = v.object({ id: v.string(), account: v.string(), amount: v.number() });

export function rows(app: App): void {
  const account = app.features("account", { last: v.string(), total: v.number() });
  // @ts-expect-error there is no feature "lst"
  account.of("a", { lst: "1" });
  // @ts-expect-error there is no feature "lst" beside "last" either
  account.of("a", { last: "1", lst: "1" });
  // @ts-expect-error total is a number
  account.of("a", { total: "1" });
  // @ts-expect-error keys are text
  account.of(7, { last: "1" });
  // @ts-expect-error there is no feature "lst"
  account.pick("lst");
  // @ts-expect-error an instant is a date or milliseconds
  account.of("a", { last: "1" }, { observedAt: "yesterday" });
  // @ts-expect-error a feature has a schema, not a name of a type
  app.features("user", { name: "string" });
}

export function resolvers(app: App): void {
  const payments = app.topic("payments", { value: Payment });
  const account = app.features("account", { last: v.string(), total: v.number() });
  const user = app.features("user", { last: v.string() });
  // @ts-expect-error "last" was promised
  app.resolver("a", { source: payments, output: account.pick("last") }, (payment) => account.of(payment.account, { total: payment.amount }));
  // @ts-expect-error both were promised
  app.resolver("b", { source: payments, output: account.pick("last", "total") }, (payment) => account.of(payment.account, { total: payment.amount }));
  // @ts-expect-error the row is of another entity
  app.resolver("c", { source: payments, output: account.pick("last") }, (payment) => user.of(payment.account, { last: payment.id }));
  // @ts-expect-error a row is made by of()
  app.resolver("d", { source: payments, output: account.pick("last") }, (payment) => ({ last: payment.id }));
  // @ts-expect-error one of many is of another entity
  app.resolver("e", { source: payments, output: account }, async (payment) => [account.of(payment.account, { last: payment.id }), user.of(payment.account, { last: payment.id })]);
  // @ts-expect-error payments have no field "user"
  app.resolver("f", { source: payments, output: account }, (payment) => account.of(payment.user, { last: payment.id }));
  // @ts-expect-error payments have no field "kind"
  app.resolver("g", { source: payments, parse: (payment) => payment.kind, output: account }, () => null);
  // @ts-expect-error parse gives an id, the handler takes an amount
  app.resolver("h", { source: payments, parse: (payment) => payment.id, output: account }, (amount: number) => account.of("a", { total: amount }));
  // @ts-expect-error the handler takes an amount, which no parse makes of a payment
  app.resolver("h2", { source: payments, output: account }, (amount: number) => account.of("a", { total: amount }));
  // @ts-expect-error what parse leaves out is not there for the handler
  app.resolver("i", { source: payments, parse: ({ id }) => ({ id }), output: account }, (payment) => account.of(payment.account, { last: payment.id }));
  // @ts-expect-error an output is needed
  app.resolver("j", { source: payments }, () => null);
  // @ts-expect-error an output is a set or part of one, not the name of a feature
  app.resolver("k", { source: payments, output: "last" }, () => null);
  // @ts-expect-error a handler is needed
  app.resolver("l", { source: payments, output: account });
  const good = app.resolver("m", { source: payments, parse: ({ id }) => ({ id }), output: account }, ({ id }) => account.of(id, { last: id }));
  // @ts-expect-error called in a test, it takes what parse gives
  void good("1");
}

export function targets(app: App): void {
  const payments = app.stream(app.topic("payments", { value: Payment }));
  const account = app.features("account", { last: v.string(), total: v.number() });
  const user = app.features("user", { last: v.string() });
  // @ts-expect-error a set takes rows
  payments.to(account);
  // @ts-expect-error a set takes its own rows
  payments.map((payment) => user.of(payment.account, { last: payment.id })).to(account);
  // @ts-expect-error a set is no source: query it
  app.stream(account);
}

export async function queries(app: App): Promise<void> {
  const room = app.features("room", { degrees: v.number(), open: v.boolean() }, { keyFormat: json(v.object({ house: v.string() })) });
  // @ts-expect-error a room is named by its house
  await app.query(room, "A");
  const answer = await app.query(room, { house: "A" });
  // @ts-expect-error nothing may have been observed
  answer.degrees.toFixed();
  // @ts-expect-error there is no feature "opened"
  void answer.opened;
  // @ts-expect-error only what was picked is answered
  void (await app.query(room.pick("open"), { house: "A" })).degrees;
  // @ts-expect-error an instant is a date or milliseconds
  await app.query(room, { house: "A" }, { at: "now" });
}
