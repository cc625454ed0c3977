/** The example on Kafka: real events, two workers of which one is killed and one is stopped, and each result once. */
import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { differences, expectedDays } from "../../examples/earthquakes/expected.ts";
import { loadQuakes } from "../../examples/earthquakes/quakes.ts";
import { regionOf, strengthOf } from "../../examples/earthquakes/regions.ts";
import type { QuakeDay } from "../../examples/earthquakes/topics.ts";
import { type Program, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, ownBroker } from "./broker.ts";
import { ownRecords } from "./own-records.ts";
import { awaitConsumed } from "./records.ts";

const root = new URL("../../", import.meta.url);
const SETTLE_MS = 60_000;

describe("earthquakes", () => {
  brokerTest("two workers, of which one is killed, say each day of each region and strength once, and as a brute force would", async () => {
    const temp = tempDirectory();
    const broker = await ownBroker();
    const env = { KAFKA_BROKERS: broker.bootstrap };
    const worker = (name: string): Program =>
      spawnProgram("self", new URL("bin/millrace.mjs", root), [
        "run",
        fileURLToPath(new URL("examples/earthquakes/app.ts", root)),
        "--port",
        "0",
        "--dir",
        `${temp.path}/${name}`,
      ], { env });
    const content = await ownRecords(broker.bootstrap);
    await content.create(4, ["earthquakes", "earthquakes-by-day"]);
    const second = worker("second");
    let first = worker("first");
    try {
      expect([typeof await first.line(), typeof await second.line()]).toEqual(["string", "string"]);
      const producer = spawnProgram("self", new URL("examples/earthquakes/produce.ts", root), ["--seconds", "2", "--dir", `${temp.path}/feed`], { env });
      await until(async () => (await content.standings("earthquakes", "earthquakes")).some(({ committed }) => committed > 50));
      first.kill("SIGKILL");
      await first.exited;
      first = worker("first");
      const { code } = await producer.exited;
      expect({ code, error: producer.stderr() }).toEqual({ code: 0, error: "" });

      expect(await awaitConsumed(content, "earthquakes", "earthquakes", SETTLE_MS)).toBe(null);
      await until(async () => (await content.standings("none", "earthquakes-by-day")).reduce((sum, { end }) => sum + end, 0) >= expectedDays().length);
      await first.line();
      first.kill();
      second.kill();
      expect((await Promise.all([first.exited, second.exited])).map(({ code }) => code)).toEqual([0, 0]);
      const said: QuakeDay[] = [];
      await content.dump("earthquakes-by-day", ({ value }) => said.push(JSON.parse(value) as QuakeDay));
      expect(differences(said)).toEqual([]);
      expect(said.reduce((sum, { quakes }) => sum + quakes, 0)).toBe(1_707);
    } finally {
      first.kill("SIGKILL");
      second.kill("SIGKILL");
      await content.close();
      await broker.remove();
      temp.remove();
    }
  });

  test("differences() finds what is missing, wrong and said twice", () => {
    const [one, two, ...rest] = expectedDays();

    expect(differences([one!, two!, ...rest])).toEqual([]);
    expect(differences([one!, ...rest])).toHaveLength(1);
    expect(differences([one!, one!, two!, ...rest])).toHaveLength(1);
    expect(differences([{ ...one!, quakes: one!.quakes + 1 }, two!, ...rest])).toHaveLength(2);
  });

  test("the feed is a week of 1,707 events, out of order by less than the grace of seven days", () => {
    const quakes = loadQuakes();
    let newest = -Infinity, behindMs = 0;
    for (const { properties: { time } } of quakes) {
      newest = Math.max(newest, time);
      behindMs = Math.max(behindMs, newest - time);
    }

    expect(quakes).toHaveLength(1_707);
    expect(behindMs / 86_400_000).toBeCloseTo(6.66, 2);
  });

  test.each([
    ["4km W of Castaic, CA", "California"],
    ["13km E of San Felipe, B.C., MX", "Mexico"],
    ["32km W of Healy, Alaska", "Alaska"],
    ["Gulf of Alaska", "Alaska"],
    ["Off the east coast of the North Island of New Zealand", "New Zealand"],
    ["Reykjanes Ridge", "Reykjanes Ridge"],
    ["", "unknown"],
  ])("regionOf(%p) is %p", (place, region) => {
    expect(regionOf(place)).toBe(region);
  });

  test.each([[-0.8, "M0"], [0, "M0"], [1.99, "M1"], [6.4, "M6"]] as const)("strengthOf(%p) is %p", (magnitude, strength) => {
    expect(strengthOf(magnitude)).toBe(strength);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + SETTLE_MS; !await condition();) {
    if (performance.now() > deadline) throw new Error(`Not within ${SETTLE_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
