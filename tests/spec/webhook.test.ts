import { afterAll, describe, expect, test } from "bun:test";
import * as v from "valibot";
import { Webhook } from "standardwebhooks";
import { type App, createApp, env, hmac, memory, type ObservedEvent, standardWebhooks } from "../../mod.ts";
import { hostRuntime } from "../../adapters/host/host.ts";
import { toBase64, toBytes } from "../../src/base/bytes.ts";

const host = await hostRuntime();
const SECRET = `whsec_${toBase64(toBytes("a secret of twenty-four bytes"))}`;
const runtime = { ...host, env: (name: string) => (name === "SECRET" ? SECRET : undefined) };
const apps: App[] = [];

afterAll(async () => {
  for (const app of apps) await app.stop();
});

function makeApp(name: string): App {
  const app = createApp(name, { log: memory(), runtime });
  apps.push(app);
  return app;
}

/** Collects values, and tells when there are `count` of them. */
function collector<T>(count: number): { readonly take: (value: T) => boolean; readonly all: Promise<readonly T[]> } {
  const values: T[] = [];
  const all = Promise.withResolvers<readonly T[]>();
  return {
    all: all.promise,
    take: (value) => {
      values.push(value);
      if (values.length === count) all.resolve(values);
      return true;
    },
  };
}

function post(url: string, body: string, headers: Readonly<Record<string, string>> = {}): Request {
  return new Request(`http://localhost${url}`, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
}

/** As a sender signs each of its tries: the id stays, the moment does not. */
function signed(body: string, id: string, agoMs: number = 0): Record<string, string> {
  const at = new Date(Math.floor((host.now() - agoMs) / 1_000) * 1_000);
  return { "webhook-id": id, "webhook-timestamp": String(at.getTime() / 1_000), "webhook-signature": new Webhook(SECRET).sign(id, at, body) };
}

describe("CH-47 a webhook source", () => {
  test("checks body, query and headers by a schema each; repeated parameters are a list", async () => {
    const app = makeApp("ch-47");
    const hook = app.webhook("/acme/production/payments", {
      verify: "none",
      body: v.object({ id: v.string(), amount: v.number() }),
      query: v.object({ tag: v.array(v.string()) }),
      headers: v.object({ "x-source": v.string() }),
    });
    const { take, all } = collector<unknown>(1);
    app.stream(hook).filter(take).to("seen");

    const accepted = await app.fetch(post("/acme/production/payments?tag=a&tag=b", '{"id":"p1","amount":5,"more":1}', { "x-source": "till" }));
    const refused = await app.fetch(post("/acme/production/payments?tag=a", '{"id":"p1"}'));

    expect([accepted.status, await accepted.json()]).toEqual([202, { status: "accepted" }]);
    expect(await all).toEqual([{ body: { id: "p1", amount: 5 }, query: { tag: ["a", "b"] }, headers: { "x-source": "till" } }]);
    expect([refused.status, ((await refused.json()) as { issues: { path: string }[] }).issues.map(({ path }) => path)]).toEqual([400, ["amount", "query.tag", "headers.x-source"]]);
  });

  test("leads to a topic, whose schema checks what map gives", async () => {
    const app = makeApp("ch-47-topic");
    const payments = app.topic("payments", { value: v.object({ id: v.string(), amount: v.number() }) });
    app.webhook("/payments", {
      verify: "none",
      body: v.object({ payment: v.string(), cents: v.number() }),
      topic: payments,
      map: ({ body }) => (body.cents === 0 ? null : { id: body.payment, amount: body.cents < 0 ? Number.NaN : body.cents / 100 }),
    });
    const { take, all } = collector<unknown>(1);
    app.stream(payments).filter(take).to("seen");

    const statuses = [];
    for (const cents of [0, -1, 250]) statuses.push((await app.fetch(post("/payments", JSON.stringify({ payment: "p1", cents })))).status);

    expect(statuses).toEqual([202, 400, 202]);
    expect(await all).toEqual([{ id: "p1", amount: 2.5 }]);
  });
});

describe("F34 repeats", () => {
  test("of a signed request, a hundred at once: 202 each time, one record, and none of them is another request", async () => {
    const events: ObservedEvent[] = [];
    const app = makeApp("f34");
    const hook = app.webhook("/payments", { verify: standardWebhooks({ secret: env("SECRET") }), body: v.object({ n: v.number() }) });
    const { take, all } = collector<number>(2);
    app.stream(hook).map(({ body }) => body.n).filter(take).to("seen");
    const stop = new AbortController();
    const started = Promise.withResolvers<unknown>();
    const running = app.run({ port: null, signal: stop.signal, observer: (event) => void events.push(event), onStart: started.resolve });
    await started.promise;

    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => app.fetch(post("/payments", '{"n":1}', signed('{"n":1}', "msg_1", 1_000 * i)))));
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(texts.filter((text) => text === '{"status":"accepted"}').length).toBe(1);
    expect(events.filter(({ type }) => type === "webhookDuplicateDiffers")).toEqual([]);

    const other = await app.fetch(post("/payments", '{"n":3}', signed('{"n":3}', "msg_1")));
    expect([other.status, await other.json()]).toEqual([202, { status: "duplicate" }]);
    expect(events.filter(({ type }) => type === "webhookDuplicateDiffers")).toEqual([{ type: "webhookDuplicateDiffers", webhook: "/payments", idempotencyId: "msg_1" }]);

    await app.fetch(post("/payments", '{"n":2}', signed('{"n":2}', "msg_2")));
    expect(await all).toEqual([1, 2]);
    stop.abort();
    await running;
  });
});

describe("PS-D12 admin pages", () => {
  test("listen on loopback by default, and beyond it only with a token", async () => {
    const app = makeApp("ps-d12");
    app.webhook("/open", { verify: "none" });

    await expect(app.run({ port: 0, host: "0.0.0.0" })).rejects.toThrow('Cannot listen on "0.0.0.0" without a token');

    const url = Promise.withResolvers<string>();
    const running = app.run({ port: 0, onStart: (started) => url.resolve(started.url ?? "none") });
    const base = await url.promise;
    const health = await fetch(`${base}/admin/health`);
    expect([new URL(base).hostname, health.status, ((await health.json()) as { status: string }).status]).toEqual(["127.0.0.1", 200, "ok"]);
    await app.stop();
    await running;
    await expect(fetch(`${base}/admin/health`)).rejects.toThrow();
  });

  test("want the token on any other address; webhooks do not", async () => {
    const app = makeApp("ps-d12-token");
    app.webhook("/signed", { verify: hmac({ secret: "hunter2", header: "x-sign" }) });
    const url = Promise.withResolvers<string>();
    const running = app.run({ port: 0, host: "0.0.0.0", token: "a-token-that-nobody-can-guess", onStart: (started) => url.resolve(started.url ?? "none") });
    const base = `http://127.0.0.1:${new URL(await url.promise).port}`;
    const headers = { authorization: "Bearer a-token-that-nobody-can-guess" };

    const closed = await Promise.all(["/admin/health", "/metrics", "/admin/topology"].map(async (path) => (await fetch(base + path)).status));
    const open = await Promise.all(["/admin/health", "/metrics", "/admin/topology"].map(async (path) => (await fetch(base + path, { headers })).status));
    const hook = await fetch(`${base}/signed`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });

    expect([closed, open, hook.status]).toEqual([[401, 401, 401], [200, 200, 200], 401]);
    expect(await hook.json()).toEqual({ type: "about:blank", title: "Unauthorized", status: 401, detail: "The signature is missing, wrong, or too old." });
    await app.stop();
    await running;
  });
});
