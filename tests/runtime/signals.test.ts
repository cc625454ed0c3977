/** R7 with real processes, and what they print. */
import { describe, expect, test } from "bun:test";
import { spawnProgram } from "../shim/spawn.ts";

const fixture = new URL("./signals-fixture.ts", import.meta.url);

describe("onSignal()", () => {
  test.each(["node", "bun", "deno"] as const)("R7 on %s it hears each SIGTERM and SIGINT, and none after it was stopped", async (name) => {
    const program = spawnProgram(name, fixture, [], { env: { MILLRACE_FIXTURE: "mild" } });
    expect(await program.line()).toBe(`${name} ready mild`);

    for (const signal of ["SIGTERM", "SIGINT", "SIGTERM"] as const) {
      program.kill(signal);
      expect(await program.line()).toBe(`heard ${signal}`);
    }
    expect(await program.line()).toBe("deaf");
    program.kill("SIGTERM");

    expect(await program.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(program.stderr()).toBe("count 1\ncount 2\ncount 3\n");
  });
});
