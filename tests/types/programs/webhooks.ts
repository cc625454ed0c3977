/** Programs about webhooks: from a request to a record. */
import * as v from "valibot";
import { type App, createApp, env, github, type HeaderRecord, hmac, type InferValue, type QueryValues, skip, standardWebhooks, type Stream, type Webhook, type WebhookMessage } from "millrace";
import { type Equal, sure } from "../equal.ts";

/** Without a topic a webhook is a source of its own, with what its schemas say and otherwise what HTTP gives. */
export function ownTopic(): App {
  const app = createApp("own-topic");
  const bare = app.webhook("/hooks/bare", { verify: "none" });
  sure<Equal<typeof bare, Webhook<unknown, QueryValues, HeaderRecord>>>();
  sure<Equal<InferValue<typeof bare>, WebhookMessage<unknown, QueryValues, HeaderRecord>>>();

  const hook = app.webhook("/hooks/payments", {
    verify: standardWebhooks({ secret: [env("NEW_SECRET"), env("OLD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")], tolerance: "5m" }),
    body: v.object({ id: v.string(), amount: v.pipe(v.string(), v.transform(Number)) }),
    query: v.object({ tenant: v.string() }),
    headers: v.object({ "x-region": v.optional(v.string()) }),
    idempotencyKey: ({ body }) => body.id,
    idempotencyTtl: "2d",
    bodyBytesMax: 65_536,
  });
  const amounts = app.stream(hook).map(({ body, query, headers }) => ({ tenant: query.tenant, amount: body.amount, region: headers["x-region"] }));
  sure<Equal<typeof amounts, Stream<string | null, { tenant: string; amount: number; region: string | undefined }>>>();
  amounts.to("amounts");
  return app;
}

/** With a topic, `map` makes what the topic takes, before its schema has transformed it. */
export function intoTopic(): App {
  const app = createApp("into-topic");
  const pushes = app.topic("pushes", { value: v.object({ repository: v.string(), at: v.pipe(v.string(), v.transform((text) => new Date(text))) }), key: (push) => push.repository, timestamp: (push) => push.at });
  app.webhook("/hooks/github", {
    verify: github({ secret: env("GITHUB_SECRET") }),
    headers: v.object({ "x-github-event": v.picklist(["push", "ping"]) }),
    body: v.looseObject({ repository: v.optional(v.object({ full_name: v.string() })), at: v.optional(v.string()) }),
    topic: pushes,
    map: ({ headers, body }) => {
      sure<Equal<typeof headers, { "x-github-event": "push" | "ping" }>>();
      if (headers["x-github-event"] === "ping" || body.repository === undefined) return skip("nothing was pushed");
      return { repository: body.repository.full_name, at: body.at ?? "2026-01-01T00:00:00Z" };
    },
  });
  // A body without a schema of its own is checked by the topic's.
  app.webhook("/hooks/raw", { topic: pushes, verify: "none" });
  // Async, or leaving out; the body as it is where it fits.
  app.webhook("/hooks/later", { verify: hmac({ header: "x-signature", secret: "s", algorithm: "sha512", encoding: "base64" }), topic: pushes, map: async ({ query }) => (typeof query["name"] === "string" ? { repository: query["name"], at: "2026-01-01" } : null) });
  app.webhook("/hooks/plain", { verify: "none", body: v.object({ repository: v.string(), at: v.string() }), topic: pushes });
  return app;
}
