import { afterAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { selfName } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const runtime = await hostRuntime();
const temp = tempDirectory();
afterAll(() => temp.remove());

describe("hostRuntime()", () => {
  test("hostRuntime() is that of the runtime that runs it", () => {
    expect(runtime.name).toBe(selfName());
    expect(runtime.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(runtime.capabilities).toEqual({ keepsFiles: true, listens: true, hasProcess: true, spawns: true });
  });

  test("env() reads the environment", () => {
    expect(runtime.env("PATH")).toBeTruthy();
  });

  test("disk() makes its directory on first use, not before", () => {
    const path = `${temp.path}/made/below`;
    const disk = runtime.disk(path);
    expect(disk.list()).toEqual([]);
    expect(runtime.disk(temp.path).exists("made/below/a")).toBe(false);

    disk.open("a").close();

    expect(runtime.disk(temp.path).list()).toEqual(["made/below/a"]);
  });
});
