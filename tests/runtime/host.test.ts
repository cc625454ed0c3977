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

  test.each(["node", "bun", "deno"] as const)("D7 lock() is refused while a process of %s lives and given when it was killed", async (name) => {
    const disk = runtime.disk(`${temp.path}/${name}`);
    const program = spawnProgram(name, fixture, [`${temp.path}/${name}`]);
    expect([await program.line(), program.stderr()]).toEqual(["held", ""]);

    expect(disk.lockHolder("store.lock")?.processId).toBe(program.pid);
    expect(() => disk.lock("store.lock")).toThrow(`process ${program.pid} `);
    program.kill("SIGKILL");
    await program.exited;
    expect(disk.lockHolder("store.lock")).toBe(null);
    disk.lock("store.lock").release();
  });
});
