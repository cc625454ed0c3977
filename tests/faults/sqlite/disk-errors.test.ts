/** Every operation of the disk fails, one by one, once and from then on: a transaction is in as a whole or not at all, and what was said to be durable is there. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import { isStreamError } from "../../../src/base/errors.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import type { DiskFault } from "../../../src/testing/faulty-disk.ts";
import { closeQuietly, inspect, openBank, transact } from "./workload.ts";
import type { Progress } from "./workload.ts";

const runtime = await hostRuntime();
const TRANSACTIONS = 9;

/** The fault, whether it happens once, and whether the database is opened again afterwards; a disk that stays broken has nothing more to say when it is. */
const runs: readonly (readonly [DiskFault, boolean, boolean])[] = [
  ["failed", true, true], ["failed", true, false], ["failed", false, false], ["full", true, false], ["torn", true, true], ["torn", false, false],
];

interface Outcome extends Progress {
  readonly disk: FaultyDisk;
  readonly errors: unknown[];
}

/** Runs the transactions; one that fails is given up, and after it the connection is used on or, as the product does, closed and opened again. */
async function run(reopens: boolean, onOperation: FaultyDisk["onOperation"]): Promise<Outcome> {
  const outcome: Outcome = { disk: new FaultyDisk({ random: new Random(3), onOperation }), attempted: [], committed: [], flushed: [], errors: [] };
  let database: Database | null = null;
  for (let number = 0; number < TRANSACTIONS; number++) {
    let hasFlushFailed = false;
    try {
      database ??= await openBank(runtime, outcome.disk);
      transact(database, number, outcome);
      if (number % 2 === 1) continue;
      const committed = [...outcome.committed];
      hasFlushFailed = true;
      await database.flush();
      hasFlushFailed = false;
      outcome.flushed = committed;
    } catch (error) {
      outcome.errors.push(error);
      if (database === null || (!reopens && !hasFlushFailed)) continue;
      closeQuietly(database);
      database = null;
    }
  }
  if (database !== null) closeQuietly(database);
  outcome.disk.onOperation = null;
  return outcome;
}

async function verify(outcome: Outcome, losesPower: boolean): Promise<void> {
  for (const error of outcome.errors) {
    expect(isStreamError(error) && ["DISK_FAILED", "STORE_FULL"].includes(error.code) ? "" : error).toBe("");
  }
  if (losesPower) outcome.disk.crash();
  else outcome.disk.kill();
  const found = await inspect(runtime, outcome.disk);
  expect(found.filter((number) => !outcome.attempted.includes(number))).toEqual([]);
  const owed = losesPower ? outcome.flushed : outcome.committed;
  expect(owed.filter((number) => !found.includes(number))).toEqual([]);
  const last = found.at(-1) ?? -1;
  expect(outcome.committed.filter((number) => number < last && !found.includes(number))).toEqual([]);
}

async function loop(fault: DiskFault, isOnce: boolean, reopens: boolean): Promise<number> {
  const { disk, errors } = await run(reopens, () => null);
  expect(errors).toEqual([]);
  for (let k = 0; k < disk.operations; k++) {
    const outcome = await run(reopens, ({ index }) => ((isOnce ? index === k : index >= k) ? fault : null));
    await verify(outcome, k % 2 === 0).catch((cause: unknown) => {
      const when = `Operation ${k} of ${disk.operations} (${fault}, ${isOnce ? "once" : "from then on"})`;
      throw new Error(`${when}: flushed ${outcome.flushed.join()}, committed ${outcome.committed.join()}`, { cause });
    });
  }
  return disk.operations;
}

describe("D8 openDatabase() commits as a whole or not at all when the disk", () => {
  for (const [fault, isOnce, reopens] of runs) {
    test(`${fault} ${isOnce ? "once" : "for good"}, ${reopens ? "opened again" : "used on"}`, async () => {
      expect(await loop(fault, isOnce, reopens)).toBeGreaterThan(60);
    });
  }
});
