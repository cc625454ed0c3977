/** Programs about features: what a resolver gets, what it must give, what a query answers. */
import * as v from "valibot";
import { type App, createApp, type FeatureRow, json, type Resolver, skip } from "millrace";
import { type Equal, sure } from "../equal.ts";

const Payment = v.object({ id: v.string(), account: v.string(), amount: v.number(), country: v.nullable(v.string()) });

/** Without parse the handler gets the source's value; the output says which rows it must give. */
export function lastPayment(): App {
  const app = createApp("last-payment");
  const payments = app.topic("payments", { value: Payment, key: (payment) => payment.account });
  const account = app.features("account", { lastPayment: v.string(), country: v.string(), risk: v.picklist(["low", "high"]) });

  const resolver = app.resolver("last payment", { source: payments, output: account.pick("lastPayment") }, (payment, meta) => {
    sure<Equal<typeof meta.key, string>>();
    return account.of(payment.account, { lastPayment: payment.id }, { observedAt: meta.timestamp });
  });
  type Row = FeatureRow<"account", string, { readonly lastPayment: string }>;
  sure<Equal<typeof resolver, Resolver<{ id: string; account: string; amount: number; country: string | null }, Row>>>();

  // More than was promised, and rows of the whole set, any part of it.
  app.resolver("country", { source: payments, output: account.pick("country") }, ({ account: id, country }) => (country === null ? null : account.of(id, { country, risk: "low" })));
  app.resolver("risk", { source: payments, output: account }, (payment) => (payment.amount > 1_000 ? account.of(payment.account, { risk: "high" }) : undefined));
  return app;
}

/** `parse` narrows or transforms, and may be async; the handler gets exactly what is left. */
export function parsing(): App {
  const app = createApp("parsing");
  const Event = v.variant("kind", [v.object({ kind: v.literal("login"), user: v.string(), ip: v.string() }), v.object({ kind: v.literal("logout"), user: v.string() })]);
  const events = app.topic("events", { value: Event });
  const user = app.features("user", { lastIp: v.string(), logins: v.number() });

  const logins = app.resolver(
    "logins",
    { source: events, parse: (event) => (event.kind === "login" ? event : null), output: user.pick("lastIp") },
    (login) => user.of(login.user, { lastIp: login.ip }),
  );
  sure<Equal<Parameters<typeof logins>[0], { kind: "login"; user: string; ip: string }>>();

  const lengths = app.resolver(
    "lengths",
    { source: events, parse: async (event, meta) => (event.kind === "logout" ? skip("logout") : { name: event.user, at: meta.timestamp }), output: user.pick("logins") },
    async ({ name, at }) => [user.of(name, { logins: await Promise.resolve(1) }, { observedAt: at })],
  );
  sure<Equal<Parameters<typeof lengths>[0], { name: string; at: number }>>();
  return app;
}

/** The order in which a definition is written does not matter to its types. */
export function anyOrder(): App {
  const app = createApp("any-order");
  const user = app.features("user", { name: v.string() });
  const resolver = app.resolver(
    "names",
    { output: user, owner: "team", tags: ["names"], errors: { retry: false, then: "skip" }, parse: (value) => (typeof value === "string" ? { name: value } : undefined), source: app.topic("raw-names") },
    ({ name }, { key }) => user.of(key ?? name, { name }),
  );
  sure<Equal<Parameters<typeof resolver>[0], { name: string }>>();
  return app;
}

/** A schema of a library serves as parse, wrapped once: its output is the handler's message. */
export function schemaAsParse(): App {
  const app = createApp("schema-as-parse");
  const raw = app.topic("raw");
  const Star = v.object({ action: v.literal("starred"), repository: v.object({ name: v.string(), stars: v.pipe(v.string(), v.transform(Number)) }) });
  const repository = app.features("repository", { stars: v.number() });
  app.resolver("stars", { source: raw, parse: only(Star), output: repository.pick("stars") }, ({ repository: { name, stars } }) => repository.of(name, { stars }));
  return app;
}

function only<Entry extends v.GenericSchema>(schema: Entry): (value: unknown) => v.InferOutput<Entry> | null {
  return (value) => {
    const result = v.safeParse(schema, value);
    return result.success ? result.output : null;
  };
}

/** A stream of rows goes to its set like to any other target. */
export function rows(): App {
  const app = createApp("rows");
  const payments = app.topic("payments", { value: Payment, key: (payment) => payment.account });
  const account = app.features("account", { last: v.string(), total: v.number() });
  const rows = app.stream(payments).map((payment) => account.of(payment.account, { last: payment.id }));
  rows.to(account);
  return app;
}

/** Queries answer with what was asked, null where nothing was seen. Never called: it is about types. */
export async function querying(app: App): Promise<void> {
  const room = app.features("room", { degrees: v.number(), open: v.boolean(), tags: v.array(v.string()) }, { keyFormat: json(v.object({ house: v.string(), floor: v.number() })) });
  const all = await app.query(room, { house: "A", floor: 2 });
  sure<Equal<typeof all, { readonly degrees: number | null; readonly open: boolean | null; readonly tags: string[] | null }>>();
  const some = await app.query(room.pick("open", "degrees"), { house: "A", floor: 2 }, { at: new Date(0) });
  sure<Equal<typeof some, { readonly degrees: number | null; readonly open: boolean | null }>>();
}
