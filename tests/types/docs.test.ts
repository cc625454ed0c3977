/** What is written about the public surface: every exported name has a docstring, the examples in them run, and the types are written out for JSR. All by Deno's own tools. */
import { describe, expect, test } from "bun:test";
import { selfName, spawnProgram } from "../shim/spawn.ts";

const isDeno = selfName() === "deno";
const elsewhere = isDeno ? "" : " [skipped: Deno's tools say the same whoever starts them, and Deno does]";

async function deno(...args: readonly string[]): Promise<{ readonly code: number | null; readonly text: string }> {
  const program = spawnProgram("deno", new URL("./deno-fixture.ts", import.meta.url), args);
  const lines: string[] = [];
  for await (const line of program.lines()) lines.push(line);
  const { code } = await program.exited;
  return { code, text: lines.join("\n") };
}

describe("documentation", () => {
  test.skipIf(!isDeno)(`every name that mod.ts exports is documented, and so is all it is made of${elsewhere}`, async () => {
    const { code, text } = await deno("doc", "--lint", "mod.ts");

    expect(code === 0 ? "" : text).toBe("");
  });

  test.skipIf(!isDeno)(`the examples of the public surface compile and run${elsewhere}`, async () => {
    const { code, text } = await deno(
      "test",
      "--doc",
      "-A",
      "mod.ts",
      "adapters/kafka/kafka.ts",
      "src/app",
      "src/feature",
      "src/http",
      "src/record",
      "src/runtime",
      "src/stream",
      "src/testing",
    );

    expect(code === 0 ? "" : text).toBe("");
    expect(Number(/(\d+) passed/.exec(text)?.[1])).toBeGreaterThan(10);
  });

  test.skipIf(!isDeno)(`JSR finds no slow types${elsewhere}`, async () => {
    const { code, text } = await deno("publish", "--dry-run", "--allow-dirty", "--no-check");

    // With a slow type it ends with 1.
    expect(code === 0 ? "" : text).toBe("");
    expect(text).toContain("Checking for slow types in the public API");
  });
});
