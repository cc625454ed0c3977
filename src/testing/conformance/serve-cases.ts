/** Conformance of `Runtime.serve` (R6), for runtimes that listen. */
import type { Runtime, ServeOptions, Server } from "../../runtime/runtime.ts";
import type { Case } from "./cases.ts";
import { check, checkEqual } from "./cases.ts";
import type { RuntimeSubject } from "./runtime-cases.ts";

/** A server under test, and how to ask it. */
interface Served {
  readonly server: Server;
  readonly runtime: Runtime;
  request(path: string, init?: RequestInit): Promise<Response>;
}

const HOSTNAME = "127.0.0.1";

function serveCase(name: string, fetch: ServeOptions["fetch"], run: (served: Served) => Promise<void>): Case<RuntimeSubject> {
  return {
    name,
    needs: "listens",
    async run({ runtime, request }) {
      check(request !== undefined, "the subject has no request()");
      const server = await runtime.serve({ fetch, hostname: HOSTNAME, port: 0 });
      try {
        await run({ server, runtime, request: (path, init) => request(`http://${HOSTNAME}:${server.port}${path}`, init) });
      } finally {
        await server.stop({ drainMs: 100 });
      }
    },
  };
}

/** A promise with its resolver. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** A stream that gives `first`, waits for `more`, then gives `last`. */
function twoParts(first: string, more: Promise<void>, last: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(encoder.encode(first));
      await more;
      controller.enqueue(encoder.encode(last));
      controller.close();
    },
  });
}

async function refused(promise: Promise<Response>): Promise<boolean> {
  try {
    const response = await promise;
    await response.text();
    return response.status === 503;
  } catch {
    return true;
  }
}

function pathOf(request: Request): string {
  return new URL(request.url).pathname;
}

const talkCases: readonly Case<RuntimeSubject>[] = [
  serveCase(
    "R6 serve() gives method, URL, headers, body and the client's address",
    async (request, info) => {
      const { pathname, search } = new URL(request.url);
      return Response.json([request.method, pathname + search, request.headers.get("x-one"), await request.text(), info.remoteAddress]);
    },
    async ({ request, server }) => {
      check(server.port > 0 && server.hostname === HOSTNAME, `${server.hostname}:${server.port}`);
      const response = await request("/a%20b?c=%C3%BC", { method: "PUT", headers: { "x-one": "1, 2" }, body: "bödy" });
      checkEqual(await response.json(), ["PUT", "/a%20b?c=%C3%BC", "1, 2", "bödy", HOSTNAME], "what the handler saw");
    },
  ),
  serveCase(
    "R6 serve() sends status, headers and cookies",
    async () => {
      const headers = new Headers({ "x-two": "2", "content-type": "text/plain" });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response("no such thing", { status: 404, headers });
    },
    async ({ request }) => {
      const response = await request("/");
      checkEqual(
        [response.status, response.headers.get("x-two"), response.headers.getSetCookie(), await response.text()],
        [404, "2", ["a=1", "b=2"], "no such thing"],
        "response",
      );
    },
  ),
  serveCase(
    "R6 serve() answers HEAD, 204 and 304 without a body",
    async (
      request,
    ) => (request.method === "HEAD" ? new Response("body", { headers: { "x-head": "1" } }) : new Response(null, { status: Number(pathOf(request).slice(1)) })),
    async ({ request }) => {
      const head = await request("/", { method: "HEAD" });
      checkEqual([head.status, head.headers.get("x-head"), await head.text()], [200, "1", ""], "HEAD");
      for (const status of [204, 304]) {
        const response = await request(`/${status}`);
        checkEqual([response.status, await response.text()], [status, ""], String(status));
      }
    },
  ),
  serveCase(
    "R6 serve() carries large bodies both ways, bytes unchanged",
    async (request) => new Response(await request.arrayBuffer()),
    async ({ request, runtime }) => {
      const bytes = runtime.randomBytes(3_000_000) as Uint8Array<ArrayBuffer>;
      const back = new Uint8Array(await (await request("/", { method: "POST", body: bytes })).arrayBuffer());
      check(back.length === bytes.length && back.every((byte, index) => byte === bytes[index]), "same bytes");
    },
  ),
  serveCase(
    "R6 serve() hides what a handler threw",
    async () => {
      throw new Error("the secret of the house");
    },
    async ({ request }) => {
      const response = await request("/");
      const text = await response.text();
      checkEqual([response.status, text.includes("secret"), text.includes(".ts")], [500, false, false], "answer");
    },
  ),
];

const streamGate = gate();
const streamCase = serveCase(
  "R6 serve() sends a streamed body as it comes",
  async () => new Response(twoParts("first", streamGate.opened, "last")),
  async ({ request }) => {
    const reader = (await request("/")).body?.getReader();
    check(reader !== undefined, "a body");
    const decoder = new TextDecoder();
    checkEqual(decoder.decode((await reader.read()).value), "first", "the first part, while the handler waits");
    streamGate.open();
    checkEqual(decoder.decode((await reader.read()).value), "last", "the rest");
    checkEqual((await reader.read()).done, true, "the end");
  },
);

/** A server whose first request waits at a gate. */
function stopCase(
  name: string,
  run: (served: Served, controls: { readonly begun: Promise<void>; open(): void; count(): number }) => Promise<void>,
): Case<RuntimeSubject> {
  return {
    name,
    needs: "listens",
    run(subject) {
      const begun = gate();
      const held = gate();
      let count = 0;
      const fetch: ServeOptions["fetch"] = async (request) => {
        count++;
        if (pathOf(request) === "/quick") return new Response("quick");
        begun.open();
        if (pathOf(request) === "/stream") return new Response(twoParts("first ", held.opened, "last"));
        await held.opened;
        return new Response("answered");
      };
      return serveCase(name, fetch, (served) => run(served, { begun: begun.opened, open: held.open, count: () => count })).run(subject);
    },
  };
}

const stopCases: readonly Case<RuntimeSubject>[] = [
  stopCase("R6 stop() answers the request under way and begins none", async ({ request, server, runtime }, { begun, open, count }) => {
    await (await request("/quick")).text();
    const answer = request("/held");
    await begun;
    const before = count();
    const stopped = server.stop({ drainMs: 10_000 });
    const isRefused = await refused(request("/quick"));
    await runtime.yield();
    open();
    checkEqual(
      [await (await answer).text(), isRefused, count() - before],
      ["answered", true, 0],
      "answer under way, refusal of the next, requests begun after stop()",
    );
    await stopped;
    check(await refused(request("/quick")), "refused after stop()");
  }),
  stopCase("R6 stop() lets a streamed answer end", async ({ request, server }, { begun, open }) => {
    const answer = await request("/stream");
    await begun;
    const stopped = server.stop({ drainMs: 10_000 });
    open();
    checkEqual(await answer.text(), "first last", "answer");
    await stopped;
  }),
  stopCase("R6 stop() does not wait for idle connections", async ({ request, server, runtime }) => {
    for (let index = 0; index < 4; index++) await (await request("/quick")).text();
    const start = runtime.monotonic();
    await server.stop({ drainMs: 10_000 });
    check(runtime.monotonic() - start < 2_000, `stop() took ${runtime.monotonic() - start} ms`);
  }),
  stopCase("R6 stop() ends what is still under way after drainMs", async ({ request, server, runtime }, { begun, open }) => {
    const answer = request("/held").then(
      (response) => response.text(),
      () => "cut",
    );
    await begun;
    const start = runtime.monotonic();
    await server.stop({ drainMs: 50 });
    const tookMs = runtime.monotonic() - start;
    check(tookMs >= 49 && tookMs < 2_000, `stop() took ${tookMs} ms`);
    open();
    checkEqual((await answer) === "answered", false, "answered after stop()");
  }),
  stopCase("R6 stop() may be called again", async ({ server }) => {
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
  }),
  {
    name: "R6 serve() on a port that is taken fails with RUNTIME_UNSUPPORTED and names it",
    needs: "listens",
    async run({ runtime }) {
      const fetch = async (): Promise<Response> => new Response("");
      const first = await runtime.serve({ fetch, hostname: HOSTNAME, port: 0 });
      let failure: unknown;
      try {
        await (await runtime.serve({ fetch, hostname: HOSTNAME, port: first.port })).stop();
      } catch (error) {
        failure = error;
      }
      await first.stop();
      const { code, message } = failure as { code?: unknown; message?: string };
      check(code === "RUNTIME_UNSUPPORTED" && message?.includes(`${HOSTNAME}:${first.port}`) === true, `got ${String(code)}: ${String(message)}`);
    },
  },
];

/** The cases. */
export const serveCases: readonly Case<RuntimeSubject>[] = [...talkCases, streamCase, ...stopCases];
