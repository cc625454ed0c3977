/** Proven in workerd itself: the Disk and Runtime cases inside of a Durable Object, and the SQLite engine on its storage. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { CaseResult } from "../../src/testing/conformance/cases.ts";
import { diskCases } from "../../src/testing/conformance/disk-cases.ts";
import { runtimeCases } from "../../src/testing/conformance/runtime-cases.ts";
import { selfName } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import type { EdgeWorker } from "./edge-worker.ts";

const isHost = selfName() === "node";

if (!isHost) {
  test.skip("workerd [skipped: it is the same whichever runtime starts it, and Node does]", () => undefined);
} else {
  describe("workerd", () => {
    const temp = tempDirectory();
    let script = "";
    let worker: EdgeWorker;

    beforeAll(async () => {
      const { bundleWorker, startWorker } = await import("./edge-worker.ts");
      script = await bundleWorker(new URL("./worker-fixture.ts", import.meta.url));
      worker = await startWorker(script, temp.path);
    });
    afterAll(async () => {
      await worker.stop();
      temp.remove();
    });

    for (
      const [kind, cases] of [
        ["disk", diskCases],
        ["runtime", runtimeCases],
      ] as const
    ) {
      for (const [index, { name, needs }] of cases.entries()) {
        if (needs !== undefined) test.skip(`${kind}: ${name} [skipped: a Durable Object has no capability ${needs}]`, () => undefined);
        else {
          test(`${kind}: ${name}`, async () => {
            expect((await worker.get(`/${kind}-${index}/${kind}/${index}`)) as CaseResult).toEqual({ name, error: null });
          });
        }
      }
    }

    test("env() gives the texts of the Worker's env only", async () => {
      expect(await worker.get("/env/env")).toEqual(["hello", null, "object"]);
    });

    test("the SQLite engine keeps its rows in a Durable Object, over a restart of workerd", async () => {
      expect(await worker.get("/store/sqlite/add/500")).toEqual([500, 500]);
      expect(await worker.get("/store/sqlite/add/20")).toEqual([520, 520]);

      await worker.stop();
      const { startWorker } = await import("./edge-worker.ts");
      worker = await startWorker(script, temp.path);

      expect(await worker.get("/store/sqlite/add/1")).toEqual([521, 521]);
      expect(await worker.get("/store/sqlite/check")).toBe("ok");
    });

    test("a stepped worker counts, resolves and closes windows in a Durable Object, and goes on after a restart of workerd", async () => {
      // 30 records, 1 s apart: the windows of the first 20 s are closed and said, the third is open.
      expect(await worker.get("/app/app/30")).toEqual({ from: 0, said: [10, 10], last: { id: "29" } });

      await worker.stop();
      const { startWorker } = await import("./edge-worker.ts");
      worker = await startWorker(script, temp.path);

      expect(await worker.get("/app/app/30")).toEqual({ from: 30, said: [10, 10, 10, 10, 10], last: { id: "59" } });
    });
  });
}
