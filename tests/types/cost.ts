/** Programs of any size, for measuring what their types cost. */

/** The schemas of so many topics, and nothing else: what the program costs without Millrace. */
export function schemas(count: number): string {
  return lines(count, (n) => [schema(n), `void Payment${n};`]);
}

/** So many topics, each with a webhook, features, a resolver, and a window whose results are filtered into a topic. No two are of one type. */
export function topics(count: number): string {
  return lines(count, (n) => [
    schema(n),
    `const payments${n} = app.topic("payments-${n}", { value: Payment${n}, key: (payment) => payment.account, timestamp: (payment) => Date.parse(payment.at) });`,
    `app.webhook("/hooks/${n}", { topic: payments${n}, verify: standardWebhooks({ secret: env("SECRET") }) });`,
    `const account${n} = app.features("account-${n}", { last${n}: v.string() });`,
    `app.resolver("${n}", { source: payments${n}, parse: (payment) => (payment.amount > 0 ? payment : null), output: account${n}.pick("last${n}") },`,
    `  (payment) => account${n}.of(payment.account, { last${n}: payment.id }));`,
    `const spend${n} = app.stream(payments${n}).groupByKey().window(tumbling("10m", { grace: "30s" }))`,
    `  .aggregate({ total${n}: sum((payment) => payment.amount), payments: count() });`,
    `spend${n}.filter((window) => window.value.total${n} > 10_000).to("alerts-${n}");`,
  ]);
}

function lines(count: number, of: (n: number) => readonly string[]): string {
  return [
    `import * as v from "valibot";`,
    `import { count, createApp, env, standardWebhooks, sum, tumbling } from "millrace";`,
    `const app = createApp("cost");`,
    `void [count, env, standardWebhooks, sum, tumbling, app];`,
    ...Array.from({ length: count }, (_, n) => of(n)).flat(),
  ].join("\n");
}

function schema(n: number): string {
  return `const Payment${n} = v.object({ id: v.string(), field${n}: v.number(), account: v.string(), amount: v.number(), at: v.pipe(v.string(), v.isoTimestamp()) });`;
}
