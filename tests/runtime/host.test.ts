import { afterAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const runtime = await hostRuntime();
const temp = tempDirectory();
afterAll(() => temp.remove());
const fixture = new URL("./host-fixture.ts", import.meta.url);

describe("hostRuntime()", () => {
  test("R6 serve() answers requests with the client's address", async () => {
    const server = await runtime.serve({ hostname: "127.0.0.1", port: 0, fetch: async (request, info) => new Response(`${await request.text()} ${info.remoteAddress}`) });

    const answer = await (await fetch(`http://127.0.0.1:${server.port}/`, { method: "POST", body: "hello" })).text();
    await server.stop();

    expect(answer).toBe("hello 127.0.0.1");
  });
});
