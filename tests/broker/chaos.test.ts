/** Workers and their broker are killed and paused while records come in: exactly-once says each result once, at-least-once misses none. `scripts/chaos-kafka.mjs` does more of it. */
import { describe, expect } from "bun:test";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, ownBroker } from "./broker.ts";
import { chaosRun } from "./chaos.ts";
import { ownRecords } from "./own-records.ts";

describe("chaos", () => {
  brokerTest("F01 F02 F06 F24 two workers lose the broker, a pause and a kill, and each update of a sum is said once", async () => {
    const directory = tempDirectory();
    const broker = await ownBroker();
    const content = await ownRecords(broker.bootstrap);
    try {
      const result = await chaosRun({
        runtime: "self",
        client: "platformatic",
        job: "J2",
        guarantee: "exactly-once",
        records: 20_000,
        keys: 500,
        workers: 2,
        partitions: 4,
        faults: ["pauseWorker", "killBroker", "killWorker"],
        seed: 7,
        pauseMs: 2_000,
        inputMs: 6_000,
        sessionTimeout: "1500ms",
        drainMs: 60_000,
        broker,
        content,
        directory: directory.path,
      });

      expect(result).toMatchObject({ wrong: [], inputs: result.wanted, results: result.wanted, repeated: 0 });
      expect(result.wanted).toBeGreaterThanOrEqual(20_000);
    } finally {
      await content.close();
      await broker.remove();
      directory.remove();
    }
  });
});
