import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { httpApp } from "../../../src/http/server.ts";
import type { Server } from "../../../src/runtime/runtime.ts";
import { fakeHost, type FakeHost, webhook } from "./fake-host.ts";
import { exchange } from "./raw-client.ts";

const HEAD = "POST /hook HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

const runtime = await hostRuntime();
let host: FakeHost;
let server: Server;

beforeAll(async () => {
  host = { ...fakeHost({ webhooks: [webhook("/hook", { verify: "none", bodyBytesMax: 1_000, idempotencyKey: ({ headers }) => headers["x-id"] ?? "none" })] }), runtime: { ...runtime, advance: () => undefined, pendingTimers: 0 } };
  const app = httpApp(host, { bodyTimeoutMs: 250 });
  server = await runtime.serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch });
});

afterAll(() => server.stop({ drainMs: 0 }));

function chunked(...chunks: readonly string[]): string {
  return [...chunks, ""].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
}

describe("over a socket", () => {
  test("a body in chunks is taken", async () => {
    const { statuses } = await exchange(server.port, [`${HEAD}x-id: chunks\r\ntransfer-encoding: chunked\r\n\r\n`, chunked('{"a"', ":1}")]);

    expect(statuses).toEqual([202]);
    expect(host.appended.at(-1)?.body).toEqual({ a: 1 });
  });

  test("a large Content-Length is answered 413 before a byte of the body came", async () => {
    expect((await exchange(server.port, [`${HEAD}content-length: 1001\r\n\r\n`])).statuses).toEqual([413]);
  });

  test("chunks beyond the limit are answered 413, before the last one came", async () => {
    const before = host.appended.length;
    const endless = chunked("x".repeat(600), "x".repeat(600)).slice(0, -5);

    expect((await exchange(server.port, [`${HEAD}transfer-encoding: chunked\r\n\r\n`, endless])).statuses).toEqual([413]);
    expect(host.appended.length).toBe(before);
  });

  test("Content-Length with Transfer-Encoding is answered 400, and nothing behind it is taken for a request", async () => {
    const smuggled = "POST /hook HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const { statuses } = await exchange(server.port, [`${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`], () => false);

    expect(statuses).toEqual([400]);
  });

  test("a body that is too slow is answered 408", async () => {
    expect((await exchange(server.port, [`${HEAD}content-length: 10\r\n\r\n`, "12"])).statuses).toEqual([408]);
  });

  test("a gzip bomb is answered 413", async () => {
    const bomb = new Uint8Array(await new Response(new Blob([new Uint8Array(800_000)]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer());
    expect(bomb.length).toBeLessThan(1_000);

    const answer = await fetch(`http://127.0.0.1:${server.port}/hook`, { method: "POST", body: bomb, headers: { "content-type": "application/json", "content-encoding": "gzip" } });

    expect([answer.status, await answer.text()]).toEqual([413, expect.stringContaining("The body is larger than 1000 bytes.")]);
  });

  test("admin pages answer by address and name", async () => {
    const local = await exchange(server.port, ["GET /admin/health HTTP/1.1\r\nhost: 127.0.0.1:80\r\n\r\n"]);
    const rebound = await exchange(server.port, ["GET /admin/health HTTP/1.1\r\nhost: evil.example\r\n\r\n"]);

    expect([local.statuses, rebound.statuses]).toEqual([[200], [403]]);
  });

  test("a fast sender is served while hundreds are slow", async () => {
    const slow = Array.from({ length: 300 }, () => exchange(server.port, [`${HEAD}content-length: 10\r\n\r\n`, "12"]));

    const fast = await exchange(server.port, [`${HEAD}x-id: fast\r\ncontent-length: 2\r\n\r\n{}`]);
    const late = await Promise.all(slow);

    expect(fast.statuses).toEqual([202]);
    expect(new Set(late.map(({ statuses }) => statuses.join()))).toEqual(new Set(["408"]));
  });

  test("F34 one id, a hundred times at once: 202 each time, one record", async () => {
    const before = host.appended.length;
    const url = `http://127.0.0.1:${server.port}/hook`;
    const send = (): Promise<Response> => fetch(url, { method: "POST", body: '{"n":1}', headers: { "content-type": "application/json", "x-id": "same" } });

    const answers = await Promise.all(Array.from({ length: 100 }, send));
    const bodies = await Promise.all(answers.map((answer) => answer.text()));

    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]));
    expect(bodies.filter((body) => body === '{"status":"accepted"}').length).toBe(1);
    expect(host.appended.length).toBe(before + 1);
  });
});
