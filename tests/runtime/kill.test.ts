/** A few rounds of kill -9 on the runtime that runs the tests; `node scripts/chaos-kill.mjs` does thirty on each. */
import { expect, test } from "bun:test";
import { tempDirectory } from "../shim/temp.ts";
import { killRounds } from "./kill-rounds.ts";

const SEED = 20_261;

test(`F33 millrace run keeps what it acknowledged, each exactly once, when it is killed 4 times under load (seed ${SEED})`, async () => {
  const directory = tempDirectory();

  const { acknowledged, wrong } = await killRounds({ runtime: "self", directory: directory.path, rounds: 4, seed: SEED });

  expect(wrong).toEqual([]);
  expect(acknowledged).toBeGreaterThan(20);
  directory.remove();
});
