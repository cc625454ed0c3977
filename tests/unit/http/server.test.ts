import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { hmac } from "../../../src/http/ingest/hmac.ts";
import { httpApp } from "../../../src/http/server.ts";
import { detail, fakeHost, openHook, post, read, webhook } from "./fake-host.ts";

const SEED = 4_713;

/** Text in which a stack, a path of ours or the name of an error class would show. */
const INSIDE = /\bat \S+ \(|\.ts:\d|node_modules|Error:|hunter2/;

const name = fc.oneof(
  fc.constantFrom("content-type", "content-length", "content-encoding", "transfer-encoding", "authorization", "host", "x-sign", "webhook-id", "expect", "range", "x-forwarded-for"),
  fc.stringMatching(/^[a-z-]{1,12}$/),
);
const value = fc.oneof(
  fc.constantFrom("application/json", "application/json; charset=utf-8", "text/plain", "gzip", "deflate", "br", "chunked", "0", "5", "-1", "1e9", "Bearer x", "evil.example", "localhost"),
  fc.string({ maxLength: 40 }),
);
const path = fc.oneof(
  fc.constantFrom("/open", "/open", "/signed"),
  fc.constantFrom( "/admin/health", "/admin/topology", "/metrics", "/features/account/a1", "/admin/../open", "//open", "/open/", "/%6fpen", "/%E0%A4%A", "/features/%/%", "/%00"),
  fc.webPath(),
);
const query = fc.oneof(fc.constant(""), fc.constantFrom("?at=x", "?at=1", "?names=__proto__", "?__proto__=1&__proto__=2", "?%", "?=&=&", "?a=%ff"), fc.webQueryParameters().map((text) => `?${text}`));
const body = fc.oneof(
  fc.constant('{"id":"a","__proto__":{"polluted":1}}'),
  fc.json({ maxDepth: 6 }),
  fc.string({ maxLength: 200 }),
  fc.constantFrom('{"id":"a"}', '{"__proto__":{"polluted":1}}', "[".repeat(5_000), '"\\ud800"', "", "null", "x".repeat(3_000)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)),
);

const odd = fc.record({
  path,
  query,
  method: fc.constantFrom("POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PROPFIND", "x"),
  headers: fc.oneof(fc.constant([]), fc.array(fc.tuple(name, value), { maxLength: 8 })),
  isJson: fc.boolean(),
  body,
});

function requestOf(made: { path: string; query: string; method: string; headers: readonly (readonly [string, string])[]; isJson: boolean; body: string | Uint8Array<ArrayBuffer> }): Request {
  const headers = new Headers(made.isJson ? { "content-type": "application/json" } : {});
  for (const [header, text] of made.headers) {
    try {
      headers.set(header, text);
    } catch {
      // What no Request can carry cannot arrive.
    }
  }
  const hasBody = made.method !== "GET" && made.method !== "HEAD";
  return new Request(`http://localhost${made.path.startsWith("/") ? made.path : `/${made.path}`}${made.query}`, { method: made.method, headers, ...(hasBody ? { body: made.body } : {}) });
}

describe("httpApp()", () => {
  test("no request, however odd, gives a 500, a stack or a polluted prototype", async () => {
    const host = fakeHost({
      webhooks: [
        webhook("/open", { verify: "none", body: v.looseObject({ id: v.string() }), bodyBytesMax: 2_000 }),
        webhook("/signed", { verify: hmac({ secret: "hunter2", header: "x-sign" }) }),
      ],
    });
    const app = httpApp(host);
    const statuses = new Map<number, number>();

    await fc.assert(
      fc.asyncProperty(odd, async (made) => {
        const answer = await app.fetch(requestOf(made), { remoteAddress: "127.0.0.1" });
        const text = await answer.text();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        expect(answer.status).toBeGreaterThanOrEqual(200);
        expect(answer.status).toBeLessThan(500);
        expect(text).not.toMatch(INSIDE);
        if (answer.status >= 400 && made.method !== "HEAD") expect((JSON.parse(text) as { status: number }).status).toBe(answer.status);
      }),
      { seed: SEED, numRuns: 1_500 },
    );

    expect(({} as { polluted?: unknown }).polluted).toBe(undefined);
    expect(host.events.filter((event) => event.type === "requestFailed")).toEqual([]);
    // The requests were odd enough to meet every kind of refusal, and sane enough to get through.
    expect([200, 202, 400, 401, 403, 404, 405, 413, 415].filter((status) => !statuses.has(status))).toEqual([]);
  });

  test("answers 404 to an unknown path, as problem details", async () => {
    expect(await read(openHook().app.fetch(post("/hooks", "{}")))).toEqual([404, { type: "about:blank", title: "Not Found", status: 404, detail: "Nothing is at this path." }]);
    expect(await detail(openHook().app.fetch(post("/hook/", "{}")))).toBe("404 Nothing is at this path.");
  });

  test("answers 414 to a long URL and 431 to large or many headers", async () => {
    const { app } = openHook();
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"]));

    expect((await app.fetch(post(`/hook?q=${"x".repeat(8_192)}`, "{}"))).status).toBe(414);
    expect((await app.fetch(post("/hook", "{}", { "x-large": "x".repeat(16_384) }))).status).toBe(431);
    expect((await app.fetch(post("/hook", "{}", many))).status).toBe(431);
    expect((await app.fetch(post(`/hook?q=${"x".repeat(8_000)}`, "{}", { "x-large": "x".repeat(16_000) }))).status).toBe(202);
  });

  test("answers 400 when the host throws at the URL", async () => {
    const { app } = openHook();
    const broken = { get url(): string { throw new Error("hunter2"); }, method: "GET", headers: new Headers() } as unknown as Request;

    expect(await detail(app.fetch(broken))).toBe("400 The request has no valid URL.");
  });

  test("answers 500 to what is thrown and is no Error", async () => {
    const host = fakeHost({ topology: () => { throw "hunter2"; } });

    expect(await detail(httpApp(host).fetch(new Request("http://localhost/admin/topology")))).toBe("500 The request could not be handled. The cause is in the log of the server.");
  });

  test("two apps on one set of metrics count together", async () => {
    const { host, app } = openHook();
    const second = httpApp(host);

    await app.fetch(post("/hook", "{}"));
    await second.fetch(post("/hook", "{}"));

    expect(host.metrics.counter("millrace_http_requests_total", "", { route: "/hook", status: "202" }).value).toBe(2);
  });
});
