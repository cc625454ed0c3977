/** Every kind of step fails, the app is killed, and each record ends in exactly one place; `node scripts/errors-run.mjs` does 100,000 records on each log and runtime. */
import { expect, test } from "bun:test";
import { embeddedErrorsRun } from "../errors/embedded-run.ts";
import { memoryErrorsRun } from "../errors/memory-run.ts";
import { tempDirectory } from "../shim/temp.ts";

const SEED = 20_266;

test(
  `F08 F09 F11 on the log in memory each of 3,000 records that fail in every kind of step has one fate, the right one, over 4 crashes (seed ${SEED})`,
  async () => {
    const directory = tempDirectory();

    const { wrong, fates } = await memoryErrorsRun({ records: 3_000, seed: SEED, crashes: 4, directory: directory.path, lifeMs: 300 });

    expect(wrong).toEqual([]);
    expect(Object.values(fates).every((count) => count > 0)).toBe(true);
    directory.remove();
  },
  120_000,
);

test(`F08 F09 F11 PS-D2 on the embedded log each of 3,000 records has one fate, the right one, over 4 times kill -9 (seed ${SEED})`, async () => {
  const directory = tempDirectory();

  const { wrong, fates } = await embeddedErrorsRun({ runtime: "self", records: 3_000, seed: SEED, crashes: 4, directory: directory.path, lifeMs: 600 });

  expect(wrong).toEqual([]);
  expect(Object.values(fates).every((count) => count > 0)).toBe(true);
  directory.remove();
}, 120_000);
