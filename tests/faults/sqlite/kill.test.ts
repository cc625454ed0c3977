/** The process is killed (-9) in the middle of its work, again and again, on a real file. */
import { expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import { spawnProgram } from "../../shim/spawn.ts";
import { tempDirectory } from "../../shim/temp.ts";
import { inspect } from "./workload.ts";

const runtime = await hostRuntime();

test("openDatabase() finds every flushed commit after kill -9, and takes the dead process's lock over", async () => {
  const temp = tempDirectory();
  const random = new Random(9);
  let durable = -1;
  for (let kills = 0; kills < 4; kills++) {
    const program = spawnProgram("self", new URL("kill-fixture.ts", import.meta.url), [temp.path, String(durable + 1)]);
    for (let lines = random.between(5, 40); lines > 0; lines--) durable = Number(await program.line());
    program.kill("SIGKILL");
    await program.exited;
    for (let line = await program.line(); line !== null; line = await program.line()) durable = Number(line);

    const found = await inspect(runtime, runtime.disk(temp.path));
    expect(found).toEqual(Array.from({ length: found.length }, (_, number) => number));
    expect(found.length).toBeGreaterThanOrEqual(durable + 1);
    durable = found.length - 1;
  }
  temp.remove();
});
