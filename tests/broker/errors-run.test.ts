/** Every kind of step fails, one of two workers is killed, and each record ends in exactly one place; `node scripts/errors-run.mjs kafka` does 100,000 records by each client and runtime. */
import { expect } from "bun:test";
import { kafkaErrorsRun } from "../errors/kafka-run.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";

const SEED = 20_267;
/** Some starts of workers take seconds each. */
const TIMEOUT_MS = 300_000;
const name =
  `F08 F09 F11 PS-D2 on Kafka each of 2,400 records that fail in every kind of step has one fate, the right one, over 2 times kill -9 (seed ${SEED})`;

brokerTest(name, async () => {
  const directory = tempDirectory();
  const broker = await testBroker();

  const { wrong, fates } = await kafkaErrorsRun({
    runtime: "self",
    client: "platformatic",
    brokers: broker.bootstrap,
    prefix: broker.prefix(),
    sessionTimeout: "1500ms",
    records: 2_400,
    seed: SEED,
    crashes: 2,
    directory: directory.path,
    lifeMs: 1_000,
  });

  expect(wrong).toEqual([]);
  expect(Object.values(fates).every((count) => count > 0)).toBe(true);
  directory.remove();
}, TIMEOUT_MS);
