/** D7 with real processes of each runtime, killed ones included. */
import { afterAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import type { Program } from "../shim/spawn.ts";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const runtime = await hostRuntime();
const temp = tempDirectory();
afterAll(() => temp.remove());
const holder = new URL("./lock-fixture.ts", import.meta.url);
const racer = new URL("./lock-race-fixture.ts", import.meta.url);
const names = ["node", "bun", "deno"] as const;

async function outputOf(program: Program): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of program.lines()) lines.push(line);
  return lines;
}

describe("lock()", () => {
  test.each(names)("D7 it is refused while a process of %s lives, and given once that was killed", async (name) => {
    const disk = runtime.disk(`${temp.path}/${name}`);
    const program = spawnProgram(name, holder, [`${temp.path}/${name}`]);
    expect([await program.line(), program.stderr()]).toEqual(["held", ""]);

    expect(disk.lockHolder("store.lock")?.processId).toBe(program.pid);
    expect(disk.lockHolder("store.lock")?.facts).toEqual({ program: "fixture" });
    expect(() => disk.lock("store.lock")).toThrow(`Cannot lock "store.lock": process ${program.pid} (lock-fixture.ts on ${name} `);
    program.kill("SIGKILL");
    await program.exited;
    expect(disk.lockHolder("store.lock")).toBe(null);
    disk.lock("store.lock").release();
  });

  test.each(names)("D7 a process of %s is refused while this one holds it, and given it after release()", async (name) => {
    const directory = `${temp.path}/self-${name}`;
    const lock = runtime.disk(directory).lock("store.lock");
    // Reading who holds it, from the same process, must not give the kernel's lock up.
    runtime.disk(directory).lockHolder("store.lock");
    const refused = spawnProgram(name, holder, [directory]);
    expect(await outputOf(refused)).toEqual([expect.stringMatching(/^refused DISK_LOCKED Cannot lock "store.lock": process \d+ /)]);
    lock.release();

    const taker = spawnProgram(name, holder, [directory]);
    expect(await taker.line()).toBe("held");
    taker.write("\n");
    expect(await taker.exited).toEqual({ code: 0, signal: null });
  });

  test("D7 nine processes that race for the lock of dead holders never hold it at once", async () => {
    const directory = `${temp.path}/race`;
    const rounds = 4;
    const programs = Array.from({ length: 9 }, (_, index) => spawnProgram(names[index % 3] ?? "node", racer, [directory, String(rounds), String(index)]));
    for (const program of programs) expect([await program.line(), program.stderr()]).toEqual(["ready", ""]);

    for (const program of programs) program.write("go\n");
    const outputs = await Promise.all(programs.map(outputOf));
    const ends = await Promise.all(programs.map((program) => program.exited));

    expect(programs.map((program) => program.stderr()).join("")).toBe("");
    expect(outputs.map((lines) => lines.filter((line) => line === "taken").length)).toEqual(programs.map(() => rounds));
    expect(outputs.flat().filter((line) => line === "broken")).toEqual([]);
    expect(ends.filter(({ signal }) => signal === "SIGKILL").length).toBe(3);
    runtime.disk(directory).lock("store.lock").release();
  });
});
