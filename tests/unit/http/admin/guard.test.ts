import { describe, expect, test } from "bun:test";
import { checkListen, isLoopbackHost } from "../../../../src/http/admin/guard.ts";
import { type HttpApp, httpApp } from "../../../../src/http/server.ts";
import { type FakeHost, fakeHost } from "../fake-host.ts";

const TOKEN = "a-token-that-nobody-can-guess";

function appWith(admin: FakeHost["admin"]): { readonly host: FakeHost; readonly app: HttpApp } {
  const host = fakeHost();
  host.admin = admin;
  return { host, app: httpApp(host) };
}

function get(app: HttpApp, headers: Readonly<Record<string, string>>, remoteAddress: string | null = "127.0.0.1", url: string = "http://localhost/admin/info"): Promise<Response> {
  return app.fetch(new Request(url, { headers }), { remoteAddress });
}

describe("on loopback, without a token", () => {
  test.each([["localhost"], ["localhost:8080"], ["127.0.0.1:1"], ["[::1]:65535"], ["LOCALHOST"]])("serves a request to %s", async (host) => {
    const { app } = appWith({ token: null, isLoopback: true });

    expect((await get(app, { host })).status).toBe(200);
  });

  test.each([
    ["evil.example"],
    ["evil.example:8080"],
    ["localhost.evil.example"],
    ["127.0.0.1.evil.example"],
    ["127.0.0.2"],
    ["0.0.0.0"],
    ["evil.example@localhost"],
    ["localhost:80:80"],
  ])("PS-D12 refuses a request to %s, which a browser was lured into", async (host) => {
    const { app } = appWith({ token: null, isLoopback: true });

    expect((await get(app, { host })).status).toBe(403);
  });

  test("refuses a host in the target as well", async () => {
    const { app } = appWith({ token: null, isLoopback: true });

    expect((await get(app, { host: "localhost" }, "127.0.0.1", "http://evil.example/admin/info")).status).toBe(403);
  });

  test.each([["forwarded"], ["x-forwarded-for"], ["x-real-ip"], ["via"]])("refuses what a proxy passed on with %s", async (name) => {
    const { app } = appWith({ token: null, isLoopback: true });

    expect((await get(app, { [name]: "127.0.0.1" })).status).toBe(403);
  });

  test("refuses another machine", async () => {
    const { app } = appWith({ token: null, isLoopback: true });

    expect([(await get(app, {}, "10.0.0.5")).status, (await get(app, {}, "::1")).status, (await get(app, {}, "::ffff:127.0.0.1")).status]).toEqual([403, 200, 200]);
  });
});

describe("beyond loopback", () => {
  test.each([["/admin/health"], ["/admin/live"], ["/admin/ready"], ["/admin/info"], ["/admin/topology"], ["/metrics"], ["/features/account/a1"]])("PS-D12 %s wants the token", async (path) => {
    const { app } = appWith({ token: TOKEN, isLoopback: false });

    const without = await get(app, {}, "10.0.0.5", `http://shop.example${path}`);
    const withToken = await get(app, { authorization: `Bearer ${TOKEN}` }, "10.0.0.5", `http://shop.example${path}`);

    expect([without.status, without.headers.get("www-authenticate"), withToken.status]).toEqual([401, 'Bearer realm="millrace"', 200]);
  });

  test.each([[""], ["Bearer"], ["Bearer "], [`Basic ${TOKEN}`], [TOKEN], [`Bearer ${TOKEN}x`], [`Bearer ${TOKEN.slice(1)}`], [`Bearer ${TOKEN} x`]])("refuses %j", async (authorization) => {
    const { app } = appWith({ token: TOKEN, isLoopback: false });

    expect((await get(app, { authorization }, "10.0.0.5")).status).toBe(401);
  });

  test("serves nobody without a token, and says why", async () => {
    const { app } = appWith({ token: null, isLoopback: false });

    const answer = await get(app, { authorization: "Bearer x" });

    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([403, "The server listens beyond this machine and has no token: admin pages are closed."]);
  });

  test("a token that is set counts on loopback too, and then by any name", async () => {
    const { app } = appWith({ token: TOKEN, isLoopback: true });

    expect([(await get(app, {})).status, (await get(app, { host: "shop.example", authorization: `bearer ${TOKEN}` })).status]).toEqual([401, 200]);
  });

  test("follows the token and the address that are set when it listens", async () => {
    const { app, host } = appWith({ token: null, isLoopback: true });
    expect((await get(app, {})).status).toBe(200);

    host.admin = { token: TOKEN, isLoopback: false };

    expect((await get(app, {})).status).toBe(401);
  });
});

describe("wrong tokens", () => {
  const wrong = { authorization: "Bearer wrong" };
  const right = { authorization: `Bearer ${TOKEN}` };

  test("G2 ten from one address within a minute are answered 429 from then on, for that address alone", async () => {
    const { app, host } = appWith({ token: TOKEN, isLoopback: false });
    const statuses: number[] = [];
    for (let i = 0; i < 10; i++) statuses.push((await get(app, wrong, "10.0.0.5")).status);
    host.runtime.advance(20_000);
    const blocked = await get(app, right, "10.0.0.5");

    expect(statuses).toEqual(Array<number>(10).fill(401));
    expect([blocked.status, blocked.headers.get("retry-after"), (await get(app, right, "10.0.0.6")).status]).toEqual([429, "40", 200]);

    host.runtime.advance(40_000);
    expect((await get(app, right, "10.0.0.5")).status).toBe(200);
  });

  test("requests without credentials block nobody, and a right token clears the count", async () => {
    const { app } = appWith({ token: TOKEN, isLoopback: false });
    for (let i = 0; i < 20; i++) await get(app, {}, "10.0.0.5");
    for (let i = 0; i < 9; i++) await get(app, wrong, "10.0.0.5");
    expect((await get(app, right, "10.0.0.5")).status).toBe(200);
    for (let i = 0; i < 9; i++) await get(app, wrong, "10.0.0.5");

    expect((await get(app, right, "10.0.0.5")).status).toBe(200);
  });

  test("sent at the same moment are all counted", async () => {
    const { app } = appWith({ token: TOKEN, isLoopback: false });

    await Promise.all(Array.from({ length: 10 }, () => get(app, wrong, "10.0.0.5")));

    expect((await get(app, right, "10.0.0.5")).status).toBe(429);
  });

  test("are told to the log, without the token", async () => {
    const { app, host } = appWith({ token: TOKEN, isLoopback: false });

    await get(app, { authorization: "Bearer my-other-password" }, "10.0.0.5");

    expect(host.events).toEqual([{ type: "adminRefused", remoteAddress: "10.0.0.5", status: 401, reason: "wrong_token" }]);
  });
});

describe("checkListen()", () => {
  test.each([["0.0.0.0"], ["::"], [""], ["10.0.0.1"], ["shop.example"], ["127.0.0.1.evil.example"], ["128.0.0.1"]])("PS-D12 refuses %j without a token", (host) => {
    expect(() => checkListen(host, null)).toThrow(`Cannot listen on "${host}" without a token: other machines could read all state`);
    expect(() => checkListen(host, TOKEN)).not.toThrow();
  });

  test.each([["127.0.0.1"], ["127.1.2.3"], ["localhost"], ["::1"], ["[::1]"]])("takes %s without a token", (host) => {
    expect(() => checkListen(host, null)).not.toThrow();
    expect(isLoopbackHost(host)).toBe(true);
  });

  test("refuses a token that is empty or holds white space, without showing it", () => {
    expect(() => checkListen("127.0.0.1", "")).toThrow("The admin token is empty, wanted text that nobody can guess");
    expect(() => checkListen("0.0.0.0", "hunter 2")).toThrow("The admin token holds white space, which no Authorization header can carry");
  });
});
