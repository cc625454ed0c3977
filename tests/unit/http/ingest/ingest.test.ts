import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { Webhook } from "standardwebhooks";
import { toBase64, toBytes } from "../../../../src/base/bytes.ts";
import { DecodeError, DefinitionError, ExternalError, InvariantError } from "../../../../src/base/errors.ts";
import type { AppendResult } from "../../../../src/http/host.ts";
import { github } from "../../../../src/http/ingest/hmac.ts";
import { standardWebhooks } from "../../../../src/http/ingest/standard-webhooks.ts";
import { httpApp } from "../../../../src/http/server.ts";
import { crc32c } from "../../../../src/record/crc32c.ts";
import { env } from "../../../../src/runtime/env-value.ts";
import { detail, fakeHost, openHook, post, read, START_MS, webhook } from "../fake-host.ts";

const SECRET = `whsec_${toBase64(toBytes("a secret of twenty-four bytes"))}`;

function signed(body: string, id: string = "msg_1", atMs: number = START_MS): Record<string, string> {
  return { "webhook-id": id, "webhook-timestamp": String(atMs / 1_000), "webhook-signature": new Webhook(SECRET).sign(id, new Date(atMs), body) };
}

function signedHook(): { host: ReturnType<typeof fakeHost>; app: ReturnType<typeof httpApp> } {
  const host = fakeHost({ env: { SECRET }, webhooks: [webhook("/hook", { verify: standardWebhooks({ secret: env("SECRET") }) })] });
  return { host, app: httpApp(host) };
}

describe("a webhook", () => {
  test("answers 202 and hands over body, query, headers and raw bytes", async () => {
    const { host, app } = openHook();

    const answer = await app.fetch(post("/hook?tag=a&tag=b&x=1", ' {"n":1}', { "X-Trace": "t", authorization: "Bearer s3cret", cookie: "c=1" }));

    expect([answer.status, answer.headers.get("content-type"), await answer.json()]).toEqual([202, "application/json", { status: "accepted" }]);
    expect(host.appended.map((request) => ({ ...request, rawBody: new TextDecoder().decode(request.rawBody) }))).toEqual([
      {
        body: { n: 1 },
        query: { tag: ["a", "b"], x: "1" },
        headers: { "content-type": "application/json", "x-trace": "t" },
        rawBody: ' {"n":1}',
        receivedAt: START_MS,
        idempotencyId: null,
        value: undefined,
      },
    ]);
  });

  test("leaves no timer behind", async () => {
    const { host, app } = openHook();

    await app.fetch(post("/hook", "{}"));
    await host.runtime.yield();

    expect(host.runtime.pendingTimers).toBe(0);
  });

  test("keeps credentials for the schema that asks for them", async () => {
    const { host, app } = openHook({ headers: v.object({ authorization: v.string() }) });

    expect(await read(app.fetch(post("/hook", "{}", { authorization: "Basic x" })))).toEqual([202, { status: "accepted" }]);
    expect(host.appended[0]?.headers).toEqual({ authorization: "Basic x" });
  });

  test.each([["GET"], ["PUT"], ["DELETE"], ["PATCH"], ["OPTIONS"], ["HEAD"]])("answers 405 to %s, with what it takes", async (method) => {
    const answer = await openHook().app.fetch(new Request("http://localhost/hook", { method }));

    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("answers refusals in the order head, body, signature, JSON, schema", async () => {
    const { app, host } = signedHook();
    const hook = (body: string, headers: Readonly<Record<string, string>>): Promise<string> => detail(app.fetch(post("/hook", body, headers)));

    expect(await hook("x", { "content-type": "text/plain", "content-length": "9999999" })).toBe("413 The body is larger than 1048576 bytes.");
    expect(await hook("x", { "content-type": "text/plain" })).toBe("415 The Content-Type must be application/json or end with +json, in UTF-8.");
    expect(await hook("{", {})).toBe("401 The signature is missing, wrong, or too old.");
    expect(await hook("{", signed("{"))).toBe("400 The body is not valid JSON in UTF-8.");
    expect(await hook("{}", signed("{}"))).toBe("202 ");
    expect(host.appended.length).toBe(1);
  });

  test("H2 parses nothing before the signature was verified", async () => {
    const seen: unknown[] = [];
    const body = { "~standard": { version: 1 as const, vendor: "test", validate: (value: unknown) => (seen.push(value), { value }) } };
    const host = fakeHost({ webhooks: [webhook("/hook", { body, verify: standardWebhooks({ secret: SECRET }) })] });
    const app = httpApp(host);

    expect((await app.fetch(post("/hook", '{"a":1}', signed('{"a":2}')))).status).toBe(401);
    expect(seen).toEqual([]);
    expect((await app.fetch(post("/hook", '{"a":1}', signed('{"a":1}')))).status).toBe(202);
    expect(seen).toEqual([{ a: 1 }]);
  });

  test("answers every failed verification alike", async () => {
    const { app } = signedHook();
    const answers = [];
    for (const headers of [{}, signed("{}", "msg_1", START_MS - 301_000), signed("{}", "msg_1", START_MS + 301_000), { ...signed("{}"), "webhook-id": "msg_2" }]) {
      const answer = await app.fetch(post("/hook", "{}", headers));
      answers.push(JSON.stringify([answer.status, [...answer.headers].sort(), await answer.text()]));
    }

    expect(new Set(answers).size).toBe(1);
    expect(JSON.parse(answers[0]!)[2]).toBe('{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The signature is missing, wrong, or too old."}');
  });

  test("verifies what was compressed on the way as its sender signed it", async () => {
    const { app, host } = signedHook();
    const body = new Uint8Array(await new Response(new Blob(['{"n":1}']).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer());

    expect(await read(app.fetch(post("/hook", body, { ...signed('{"n":1}'), "content-encoding": "gzip" })))).toEqual([202, { status: "accepted" }]);
    expect(host.appended[0]?.body).toEqual({ n: 1 });
  });

  test("answers 400 with the issues of all parts, as problem details", async () => {
    const { app, host } = openHook({
      body: v.object({ id: v.string(), lines: v.array(v.object({ n: v.number() })) }),
      query: v.object({ tenant: v.string() }),
      headers: v.objectAsync({ "x-kind": v.pipeAsync(v.string(), v.checkAsync(async (kind) => kind === "a", "no such kind")) }),
    });

    const answer = await app.fetch(post("/hook", '{"id":1,"lines":[{"n":"x"}]}', { "x-kind": "b" }));

    expect([answer.status, answer.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    expect(await answer.json()).toEqual({
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      detail: "The request does not fit its schema.",
      code: "SCHEMA_MISMATCH",
      issues: [
        { path: "id", message: "Invalid type: Expected string but received 1" },
        { path: "lines[0].n", message: 'Invalid type: Expected number but received "x"' },
        { path: "query.tenant", message: 'Invalid key: Expected "tenant" but received undefined' },
        { path: "headers.x-kind", message: "no such kind" },
      ],
    });
    expect(host.appended).toEqual([]);
  });

  test("says no more than a hundred issues", async () => {
    const { app } = openHook({ body: v.array(v.string()) });

    const [, body] = await read(app.fetch(post("/hook", JSON.stringify(Array(500).fill(1)))));

    expect((body as { issues: unknown[] }).issues.length).toBe(100);
  });

  test("hands over what map gives, and appends nothing when it leaves a request out", async () => {
    const { app, host } = openHook({
      body: v.object({ n: v.number() }),
      map: ({ body }) => (body.n === 0 ? null : body.n === 1 ? { "~skip": "one" } : body.n === 2 ? Promise.resolve(undefined) : { doubled: 2 * body.n }),
    });

    for (const n of [0, 1, 2, 3]) expect(await read(app.fetch(post("/hook", JSON.stringify({ n }))))).toEqual([202, { status: "accepted" }]);

    expect(host.appended.map((request) => request.value)).toEqual([{ doubled: 6 }]);
  });

  test("pollutes no prototype", async () => {
    const { app, host } = openHook();
    const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';

    await app.fetch(post("/hook?__proto__=1&__proto__=2&constructor=3&a[__proto__]=4", evil, { "__proto__": "x" }));

    expect(host.appended[0]?.query).toEqual(JSON.parse('{"__proto__":["1","2"],"constructor":"3","a[__proto__]":"4"}'));
    expect(Object.getPrototypeOf(host.appended[0]?.query)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
  });
});

describe("idempotency", () => {
  test("takes the id of Standard Webhooks, for a day, by path", async () => {
    const { app, host } = signedHook();

    await app.fetch(post("/hook", "{}", signed("{}")));

    expect(host.appended[0]?.idempotencyId).toEqual({ scope: "/hook", value: "msg_1", keepMs: 86_400_000, checksum: crc32c(toBytes("{}"), 0, 2) });
  });

  test("takes GitHub's id of a delivery", async () => {
    const host = fakeHost({ webhooks: [webhook("/hook", { verify: github({ secret: "It's a Secret to Everybody" }) })] });
    const signature = "sha256=" + [...(await host.runtime.hmac("SHA-256", toBytes("It's a Secret to Everybody"), toBytes("{}")))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

    const answer = httpApp(host).fetch(post("/hook", "{}", { "x-hub-signature-256": signature, "x-github-delivery": "72d3162e" }));

    expect(await read(answer)).toEqual([202, { status: "accepted" }]);
    expect(host.appended[0]?.idempotencyId?.value).toBe("72d3162e");
  });

  test("takes the function's key before the verifier's", async () => {
    const { app, host } = openHook({ body: v.object({ id: v.string() }), idempotencyKey: ({ body }) => body.id, idempotencyTtl: "1h" });

    await app.fetch(post("/hook", '{"id":"p1"}', { "webhook-id": "m1" }));

    expect(host.appended[0]?.idempotencyId).toMatchObject({ scope: "/hook", value: "p1", keepMs: 3_600_000 });
  });

  test.each([[""], ["x".repeat(1_025)], [7]])("answers 400 to the key %j", async (key) => {
    const { app } = openHook({ idempotencyKey: () => key as string });

    expect(await detail(app.fetch(post("/hook", "{}")))).toBe("400 The idempotency key must be text of 1 to 1024 characters.");
  });

  test("F34 answers a repeat 202, and tells of another body", async () => {
    const { app, host } = signedHook();

    const answers = [];
    for (const body of ['{"n":1}', '{"n":1}', '{"n":2}']) answers.push(await read(app.fetch(post("/hook", body, signed(body)))));

    expect(answers).toEqual([[202, { status: "accepted" }], [202, { status: "duplicate" }], [202, { status: "duplicate" }]]);
    expect(host.appended.map((request) => request.body)).toEqual([{ n: 1 }]);
    expect(host.events).toEqual([{ type: "webhookDuplicateDiffers", webhook: "/hook", idempotencyId: "msg_1" }]);
    expect(host.metrics.counter("millrace_webhook_duplicates_differing_total", "", { webhook: "/hook" }).value).toBe(1);
  });
});

describe("an append that fails", () => {
  const secretText = "password=hunter2 at /srv/app.ts";

  test.each([
    ["LOG_BUSY", new ExternalError("LOG_BUSY", secretText, { retryAfterMs: 1_500 }), 503, "2"],
    ["LOG_APPEND_REJECTED", new ExternalError("LOG_APPEND_REJECTED", secretText), 503, "5"],
    ["DISK_FAILED", new ExternalError("DISK_FAILED", secretText), 503, "5"],
    ["a bug", new InvariantError(secretText), 503, "5"],
    ["RECORD_TOO_LARGE", new DecodeError("RECORD_TOO_LARGE", secretText), 413, null],
    ["SCHEMA_MISMATCH", new DecodeError("SCHEMA_MISMATCH", secretText, { details: { issues: [{ path: "a", message: "wrong" }] } }), 400, null],
    ["a schema that threw", new DecodeError("SCHEMA_MISMATCH", secretText, { cause: new Error(secretText), details: { issues: [{ path: "", message: secretText }] } }), 500, null],
    ["TIMESTAMP_INVALID", new DecodeError("TIMESTAMP_INVALID", secretText), 400, null],
    ["a plain error", new Error(secretText), 500, null],
    ["no error at all", secretText, 500, null],
  ])("%s is answered %d, without its text", async (_what, error, status, retryAfter) => {
    const { app } = openHook({}, { append: () => Promise.reject(error) });

    const answer = await app.fetch(post("/hook", "{}"));

    expect([answer.status, answer.headers.get("retry-after"), answer.headers.get("content-type")]).toEqual([status as number, retryAfter as string | null, "application/problem+json"]);
    expect(await answer.text()).not.toContain("hunter2");
  });

  test("gives the issues of the topic's schema", async () => {
    const issues = [{ path: "a", message: "wrong" }];
    const { app } = openHook({}, { append: () => Promise.reject(new DecodeError("SCHEMA_MISMATCH", "x", { details: { issues } })) });

    const [status, body] = await read(app.fetch(post("/hook", "{}")));

    expect([status, (body as { issues: unknown }).issues]).toEqual([400, issues]);
  });

  test("is caught when it throws at once", async () => {
    const { app, host } = openHook({}, {
      append: () => {
        throw new Error("at once");
      },
    });

    expect((await app.fetch(post("/hook", "{}"))).status).toBe(500);
    expect(host.events.map((event) => event.type)).toEqual(["requestFailed"]);
  });

  test.each([
    ["map", { map: (): never => JSON.parse("{") as never }],
    ["idempotencyKey", { idempotencyKey: (): never => JSON.parse("{") as never }],
    ["a schema", { body: { "~standard": { version: 1 as const, vendor: "test", validate: (): never => JSON.parse("{") as never } } }],
  ])("500 without a text when %s throws, and the text is in the log", async (_what, options) => {
    const { app, host } = openHook(options);

    expect(await detail(app.fetch(post("/hook", "{}")))).toBe("500 The request could not be handled. The cause is in the log of the server.");
    expect(host.events.map((event) => (event.type === "requestFailed" ? [event.route, event.error.name] : event))).toEqual([["/hook", "SyntaxError"]]);
  });
});

describe("load", () => {
  test("H1 answers only once the append has resolved", async () => {
    const pending = Promise.withResolvers<AppendResult>();
    const { app, host } = openHook({}, { append: () => pending.promise });
    let isAnswered = false;
    const answer = app.fetch(post("/hook", "{}")).finally(() => (isAnswered = true));

    for (let i = 0; i < 5; i++) await host.runtime.yield();
    expect(isAnswered).toBe(false);
    pending.resolve({ duplicate: false, differs: false });

    expect((await answer).status).toBe(202);
  });

  test("F35 1,000 requests wait for the log, the next one is answered 503, and room comes back", async () => {
    const pending = Promise.withResolvers<AppendResult>();
    let appends = 0;
    const { app, host } = openHook({}, { append: () => (appends++, pending.promise) });
    const answers = Array.from({ length: 1_000 }, () => app.fetch(post("/hook", "{}")));
    while (appends < 1_000) await host.runtime.yield();

    const refused = await app.fetch(post("/hook", "{}"));
    expect([refused.status, refused.headers.get("retry-after"), appends]).toEqual([503, "1", 1_000]);
    pending.resolve({ duplicate: false, differs: false });

    expect(new Set((await Promise.all(answers)).map((answer) => answer.status))).toEqual(new Set([202]));
    expect((await app.fetch(post("/hook", "{}"))).status).toBe(202);
  });

  test("H3 an append that takes too long is answered 503, and keeps its place until it has settled", async () => {
    const pending = Promise.withResolvers<AppendResult>();
    let appends = 0;
    const { app, host } = openHook({}, { append: () => (appends++, pending.promise) }, { requestsMax: 1 });
    const first = app.fetch(post("/hook", "{}"));
    while (appends < 1) await host.runtime.yield();

    host.runtime.advance(15_000);
    expect(await detail(first)).toBe("503 The log takes too long. Try again.");
    expect(await detail(app.fetch(post("/hook", "{}")))).toBe("503 Too many requests are under way. Try again.");
    pending.resolve({ duplicate: false, differs: false });
    await host.runtime.yield();

    const next = app.fetch(post("/hook", "{}"));
    expect((await next).status).toBe(202);
  });

  test("slow senders take no places of those at work", async () => {
    const { app, host } = openHook({}, {}, { requestsMax: 2 });
    const slow = Array.from({ length: 100 }, () => app.fetch(post("/hook", new ReadableStream())));

    expect((await app.fetch(post("/hook", "{}"))).status).toBe(202);

    await host.runtime.yield();
    host.runtime.advance(30_000);
    expect(new Set((await Promise.all(slow)).map((answer) => answer.status))).toEqual(new Set([408]));
  });

  test("counts requests by outcome", async () => {
    const { app, host } = signedHook();
    for (const headers of [signed("{}"), signed("{}"), {}]) await app.fetch(post("/hook", "{}", headers));

    const count = (outcome: string): number => host.metrics.counter("millrace_webhook_requests_total", "", { webhook: "/hook", outcome }).value;
    expect([count("accepted"), count("duplicate"), count("signature")]).toEqual([1, 1, 1]);
    expect(host.metrics.counter("millrace_http_requests_total", "", { route: "/hook", status: "202" }).value).toBe(2);
  });
});

describe("secrets", () => {
  test("all that are missing are named at once, before anything is served", () => {
    const hook = (path: string, name: string) => webhook(path, { verify: standardWebhooks({ secret: env(name) }) });
    const host = fakeHost({ env: { B: SECRET }, webhooks: [hook("/a", "A"), hook("/b", "B"), hook("/c", "C"), hook("/c", "B")] });

    let error: unknown;
    try {
      httpApp(host);
    } catch (thrown) {
      error = thrown;
    }

    expect(error instanceof DefinitionError ? [error.code, error.faults] : error).toEqual([
      "CONFIG_INVALID",
      [
        'The secret of webhook "/a" comes from the environment variable A, which is missing or empty: set it',
        'The secret of webhook "/c" comes from the environment variable C, which is missing or empty: set it',
        'Two webhooks have the path "/c": give one of them a path of its own',
      ],
    ]);
  });
});
