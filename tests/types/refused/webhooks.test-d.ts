/** Wrong programs about webhooks, secrets and tests. Never run: each line below an expectation must not compile. */
import * as v from "valibot";
import { type App, env, github, hmac, standardWebhooks } from "millrace";
import { testApp } from "millrace/testing";

const Body = v.object({ id: v.string(), amount: v.number() });

export function definitions(app: App): void {
  const amounts = app.topic("amounts", { value: v.number() });
  // @ts-expect-error an open webhook is a choice: write verify
  app.webhook("/hooks/a", { body: Body });
  // @ts-expect-error "none", or a verifier
  app.webhook("/hooks/b", { verify: false });
  // @ts-expect-error a verifier is made by calling
  app.webhook("/hooks/c", { verify: github });
  // @ts-expect-error a path begins with /
  app.webhook("hooks/d", { verify: "none" });
  // @ts-expect-error the topic takes numbers
  app.webhook("/hooks/e", { verify: "none", body: Body, topic: amounts, map: ({ body }) => body.id });
  // @ts-expect-error the topic takes numbers, and no map makes one of the body
  app.webhook("/hooks/e2", { verify: "none", body: Body, topic: amounts });
  // @ts-expect-error the body lacks what the topic takes
  app.webhook("/hooks/e3", { verify: "none", body: Body, topic: app.topic("wide", { value: v.object({ id: v.string(), amount: v.number(), at: v.string() }) }) });
  // @ts-expect-error the body has no field "amonut"
  app.webhook("/hooks/f", { verify: "none", body: Body, topic: amounts, map: ({ body }) => body.amonut });
  // @ts-expect-error without a schema the body is unknown
  app.webhook("/hooks/g", { verify: "none", topic: amounts, map: ({ body }) => body.amount });
  // @ts-expect-error a parameter of the query may be repeated
  app.webhook("/hooks/h", { verify: "none", topic: amounts, map: ({ query }) => query["n"]?.toUpperCase().length });
  // @ts-expect-error an idempotency key is text
  app.webhook("/hooks/i", { verify: "none", body: Body, idempotencyKey: ({ body }) => body.amount });
  // @ts-expect-error the limit is called bodyBytesMax
  app.webhook("/hooks/j", { verify: "none", maxBodyBytes: 10 });
  // @ts-expect-error a duration, not a word
  app.webhook("/hooks/k", { verify: "none", idempotencyTtl: "one day" });
  // @ts-expect-error a view is only read
  app.webhook("/hooks/l", { verify: "none", topic: app.stream(amounts).to("copies"), map: () => 1 });
}

export function verifiers(): void {
  // @ts-expect-error a secret is needed
  standardWebhooks({});
  // @ts-expect-error a secret is text or env()
  standardWebhooks({ secret: 7 });
  // @ts-expect-error the header is needed
  hmac({ secret: env("SECRET") });
  // @ts-expect-error no such algorithm is taken
  hmac({ secret: env("SECRET"), header: "x-signature", algorithm: "md5" });
  // @ts-expect-error a variable has a name
  env();
}

export function sources(app: App): void {
  const hook = app.webhook("/hooks/own", { verify: "none", body: Body });
  // @ts-expect-error a message holds body, query and headers
  app.stream(hook).map((message) => message.amount);
  // @ts-expect-error nobody sends to a webhook but by HTTP
  app.stream(hook).to(hook);
}

export async function tests(app: App): Promise<void> {
  const amounts = app.topic("amounts", { value: v.number() });
  await using test = testApp(app);
  // @ts-expect-error the topic takes numbers
  await test.send(amounts, "12");
  // @ts-expect-error keys are text
  await test.send(amounts, 12, { key: 1 });
  const [first] = await test.read(amounts);
  // @ts-expect-error a record's value is a number
  void first?.value.length;
  // @ts-expect-error a duration has a unit
  await test.advance("10 minutes");
}
