import { describe, expect, test } from "bun:test";
import { standardWebhooks } from "../../../../src/http/ingest/standard-webhooks.ts";
import { httpApp } from "../../../../src/http/server.ts";
import { env } from "../../../../src/runtime/env-value.ts";
import { type FakeHost, fakeHost, openHook, post, read, webhook } from "../fake-host.ts";

function get(host: FakeHost, path: string, method: string = "GET"): Promise<Response> {
  return httpApp(host).fetch(new Request(`http://localhost${path}`, { method }));
}

describe("GET /admin/health", () => {
  test.each([["ok", 200], ["degraded", 200], ["stopped", 503], ["error", 503]] as const)("of an app that is %s is answered %d, with the reasons", async (status, wanted) => {
    const host = fakeHost();
    host.report = { ...host.report, status, reason: "task payments-0 is behind" };

    expect(await read(get(host, "/admin/health"))).toEqual([wanted, host.report]);
  });

  test("is answered 500 without the text of what failed", async () => {
    const host = fakeHost({ health: () => Promise.reject(new Error("password=hunter2")) });

    const answer = await get(host, "/admin/health");

    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("hunter2");
    expect(host.events.map((event) => event.type)).toEqual(["requestFailed"]);
  });
});

describe("GET /admin/live and /admin/ready", () => {
  test("say what only they ask for", async () => {
    const host = fakeHost();
    host.report = { status: "error", reason: "no disk", live: true, ready: false, tasks: [] };

    expect(await read(get(host, "/admin/live"))).toEqual([200, { live: true, status: "error", reason: "no disk" }]);
    expect(await read(get(host, "/admin/ready"))).toEqual([503, { ready: false, status: "error", reason: "no disk" }]);
  });
});

describe("GET /admin/topology", () => {
  test("is JSON, or a diagram when asked for", async () => {
    const diagram = await get(fakeHost(), "/admin/topology?format=mermaid");

    expect(await read(get(fakeHost(), "/admin/topology"))).toEqual([200, { app: "shop", topics: [] }]);
    expect([diagram.headers.get("content-type"), await diagram.text()]).toEqual(["text/plain; charset=utf-8", "flowchart LR"]);
  });
});

describe("GET /admin/info", () => {
  test("names the app, its runtime and webhooks, and no secret", async () => {
    const verify = standardWebhooks({ secret: env("SECRET") });
    const host = fakeHost({ env: { SECRET: "whsec_c2VjcmV0" }, webhooks: [webhook("/a", { verify }), webhook("/b", { verify: "none", bodyBytesMax: 10 })] });

    expect(await read(get(host, "/admin/info"))).toEqual([
      200,
      {
        name: "shop",
        version: "1.2.3",
        runtime: { name: host.runtime.name, version: host.runtime.version },
        webhooks: [{ path: "/a", verify: "standardWebhooks", bodyBytesMax: 1_048_576 }, { path: "/b", verify: "none", bodyBytesMax: 10 }],
      },
    ]);
  });
});

describe("GET /metrics", () => {
  test("is Prometheus text, with what the webhooks counted", async () => {
    const { app } = openHook();
    await app.fetch(post("/hook", "{}"));

    const answer = await app.fetch(new Request("http://localhost/metrics"));
    const text = await answer.text();

    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    expect(text.split("\n")).toContain('millrace_webhook_requests_total{outcome="accepted",webhook="/hook"} 1');
    expect(text.split("\n")).toContain('millrace_webhook_requests_under_way{state="working"} 0');
  });

  test("has one series for all paths that are unknown", async () => {
    const { app, host } = openHook();
    for (let i = 0; i < 50; i++) await app.fetch(new Request(`http://localhost/unknown-${i}`));

    const family = host.metrics.families().find(({ name }) => name === "millrace_http_requests_total");

    expect(family?.samples).toEqual([{ suffix: "", labels: { route: "unknown", status: "404" }, value: 50 }]);
  });
});

describe("every admin page", () => {
  const paths = [["/admin/health"], ["/admin/live"], ["/admin/ready"], ["/admin/info"], ["/admin/topology"], ["/metrics"]] as const;

  test.each(paths)("%s is only read, is not cached, and opens to no other site", async (path) => {
    const changing = await get(fakeHost(), path, "POST");
    const reading = await get(fakeHost(), path);
    const head = await get(fakeHost(), path, "HEAD");

    expect([changing.status, changing.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect([reading.headers.get("cache-control"), reading.headers.get("x-content-type-options"), reading.headers.get("access-control-allow-origin")]).toEqual(["no-store", "nosniff", null]);
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});
