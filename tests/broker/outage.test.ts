/** An app under `millrace run` whose only broker is killed and comes back: what it costs, what it says, and that nothing is lost. Longer ones: `scripts/outage-kafka.mjs`. */
import { describe, expect } from "bun:test";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, ownBroker } from "./broker.ts";
import { outageRun } from "./outage.ts";

const AWAY_MS = 10_000;
/** A loop without a pause takes 100. */
const CPU_PERCENT_MAX = 40;
const MEMORY_GROWTH_MB_MAX = 150;
const RECOVERED_WITHIN_MS = 30_000;

describe("an outage of the log", () => {
  brokerTest(
    "F24 F35 costs little, health and readiness say why, webhooks are refused with 503, and work goes on by itself with each amount counted once",
    async () => {
      const broker = await ownBroker();
      const directory = tempDirectory();
      try {
        const result = await outageRun({
          ...{ kind: "kill", awayMs: AWAY_MS, beforeMs: 1_000, runtime: "self", client: "platformatic", requestTimeout: "3s", sessionTimeout: "1500ms" },
          broker,
          directory: directory.path,
        });

        expect(result.wrong).toEqual([]);
        const { said, answers, memoryMb, cpuAwayPercent } = result;
        expect(said.at(-1)).toMatchObject({ status: "degraded", isReady: false, reason: expect.stringContaining("the log does not answer: [kafka]") });
        expect(answers["503"]).toBeGreaterThan(0);
        expect(Object.keys(answers).filter((status) => status !== "202" && status !== "503")).toEqual([]);
        expect(cpuAwayPercent ?? 0).toBeLessThan(CPU_PERCENT_MAX);
        expect((memoryMb[1] ?? 0) - (memoryMb[0] ?? 0)).toBeLessThan(MEMORY_GROWTH_MB_MAX);
        expect(result.firstCommitMs).toBeLessThan(RECOVERED_WITHIN_MS);
        expect(result.firstTakenMs).toBeLessThan(RECOVERED_WITHIN_MS);
      } finally {
        await broker.remove();
        directory.remove();
      }
    },
  );
});
