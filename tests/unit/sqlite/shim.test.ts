import { expect, test } from "bun:test";
import { spawnProgram } from "../../shim/spawn.ts";

test("src/sqlite/vfs.wasm is what scripts/build-vfs-shim.ts makes", async () => {
  const program = spawnProgram("self", new URL("../../../scripts/build-vfs-shim.ts", import.meta.url), ["--check"]);

  expect({ ...(await program.exited), errors: program.stderr() }).toEqual({ code: 0, signal: null, errors: "" });
});
