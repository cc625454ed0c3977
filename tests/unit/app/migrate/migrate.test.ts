/** A move of an embedded app to a log that processes share: it goes on there as if it had never stopped, wherever the move was cut off on its way. */
import { describe, expect, test } from "bun:test";
import { embedded } from "../../../../mod.ts";
import type { App, LogDriver } from "../../../../mod.ts";
import { internalsOf } from "../../../../src/app/app.ts";
import { moveApp, type MoveProgress, surveyMove } from "../../../../src/app/migrate/migrate.ts";
import type { Survey } from "../../../../src/app/migrate/survey.ts";
import { isStreamError } from "../../../../src/base/errors.ts";
import { featureParts } from "../../../../src/feature/feature-set.ts";
import type { Log } from "../../../../src/log/log.ts";
import { readMoveMark, removeMoveMark } from "../../../../src/log/move-mark.ts";
import { memoryDisk } from "../../../../src/runtime/memory-disk.ts";
import type { VirtualRuntime } from "../../../../src/testing/virtual-runtime.ts";
import { open, recordsOf, runtimeOf, SEED, Stand, START } from "../../task/harness.ts";
import { type Bank, bankOf, type Payment, paymentsOf, requestOf } from "./bank.ts";
import { type Failing, sharedDriver, SharedLog } from "./shared-log.ts";

const HALF = 60;
const ALL = 120;
const STEP_MS = 4_000;
/** Their checks fail until the second half has begun. */
const FAILING = ["p-55", "p-57", "p-58"];

async function post(stand: Stand, payments: readonly Payment[]): Promise<void> {
  for (const payment of payments) {
    expect((await stand.engine.fetch(requestOf(payment))).status).toBe(202);
    await stand.drain();
    await stand.advance(STEP_MS);
    await stand.drain();
  }
}

/** The first half, whose last checks wait for another try. */
async function firstHalf({ failing }: Bank, stand: Stand): Promise<void> {
  for (const id of FAILING) failing.add(id);
  await post(stand, paymentsOf(SEED, 0, HALF, START));
}

/** The second half; senders repeat what they sent before. */
async function secondHalf({ failing }: Bank, stand: Stand): Promise<void> {
  failing.clear();
  await post(stand, paymentsOf(SEED, HALF - 20, ALL, START));
  await stand.advance(300_000);
  await stand.drain();
}

/** What has come of it: what was said of each key, in its order; features; letters. Of several keys that are due at once nobody promises an order. */
async function resultsOf(bank: Bank, stand: Stand): Promise<Results> {
  const { log } = stand;
  const text = (bytes: Uint8Array | null): string | null => bytes === null ? null : new TextDecoder().decode(bytes);
  const outputs = bank.outputs.map((topic) => {
    const said = recordsOf(log, topic).map(({ partition, key, bytes, timestamp }) => [partition, key, text(bytes), timestamp] as const);
    return said.sort((left, right) => left[1]! < right[1]! ? -1 : left[1]! > right[1]! ? 1 : 0);
  });
  const letters = ["dlq", "late"].map((kind) =>
    recordsOf(log, `${bank.input}-${kind}`).map(({ key, bytes, headers }) => {
      // Positions are another log's; where they lead is looked at by itself.
      const { "mr-stack": _stack, "mr-position": _position, ...told } = headers;
      return [key, bytes === null ? null : [...bytes], told] as const;
    })
  );
  const accounts = Array.from({ length: 7 }, (_, n) => `account-${n}`);
  const features = await Promise.all(accounts.map((account) => stand.app.query(bank.account, account)));
  return { outputs, letters, features };
}

interface Results {
  readonly outputs: readonly (readonly (readonly [partition: number, key: string | null, value: string | null, timestamp: number])[])[];
  readonly letters: readonly (readonly unknown[])[];
  readonly features: readonly unknown[];
}

/** One app on one embedded log, from its beginning to its end. */
async function undisturbed(): Promise<Results> {
  const bank = bankOf("bank");
  await using stand = await open(bank.app, { driver: embedded({ disk: memoryDisk() }) });
  await firstHalf(bank, stand);
  await secondHalf(bank, stand);
  return await resultsOf(bank, stand);
}

interface Stopped {
  readonly bank: Bank;
  readonly runtime: VirtualRuntime;
  readonly driver: LogDriver;
}

/** The app, stopped after the first half. */
async function stopped(): Promise<Stopped> {
  const bank = bankOf("bank");
  const driver = embedded({ disk: memoryDisk() });
  const runtime = runtimeOf();
  const stand = await open(bank.app, { driver, runtime });
  await firstHalf(bank, stand);
  await stand.engine.stop(0);
  internalsOf(bank.app).attach(null);
  return { bank, runtime, driver };
}

/** One run of a move. */
async function move({ bank: { app }, runtime, driver }: Stopped, target: LogDriver, onProgress: (progress: MoveProgress) => void = () => {}): Promise<Survey> {
  const { topology, webhooks } = internalsOf(app).definitions();
  const { log: source } = await driver.open({ app: app.name, runtime, directory: "here", report: () => {}, isForMove: true });
  try {
    const openTarget = () => target.open({ app: app.name, runtime, directory: "here", report: () => {} });
    return await moveApp({ runtime, topology, webhooks, source, openTarget, to: "shared", onProgress });
  } finally {
    await source.close();
  }
}

/** What an app is refused with; null: it starts. */
async function refusal(app: App, runtime: VirtualRuntime, driver: LogDriver): Promise<string | null> {
  try {
    const stand = await open(app, { runtime, driver });
    await stand.engine.stop(0);
    return null;
  } catch (error) {
    if (!isStreamError(error) || error.code !== "CONFIG_INVALID") throw error;
    return error.message;
  } finally {
    internalsOf(app).attach(null);
  }
}

/** What a log holds of an app, as far as its workers see it. */
function contentsOf(log: Log, topics: readonly string[]): unknown {
  return topics.map((
    topic,
  ) => [topic, recordsOf(log, topic).map(({ partition, position, key, bytes }) => [partition, position, key, bytes === null ? null : [...bytes]])]);
}

const golden = undisturbed();

describe("MG01 a move", () => {
  test("brings all along: the app goes on with the results of one that never stopped", async () => {
    const app = await stopped();
    const { bank, runtime } = app;
    const progress: MoveProgress[] = [];
    const target = sharedDriver(new SharedLog(runtime));
    const survey = await move(app, target, (each) => void progress.push(each));
    expect(survey.left).toEqual([]);
    for (const what of ["records", "rows"]) {
      const last = progress.findLast((each) => each.what === what)!;
      expect(last.total).toBeGreaterThan(0);
      expect(last.done).toBe(last.total);
    }

    const stand = await open(bank.app, { runtime, driver: target });
    await stand.engine.worker.whenBuilt();
    await secondHalf(bank, stand);
    expect(await resultsOf(bank, stand)).toEqual(await golden);
    expect(stand.events.filter(({ type }) => type === "warning")).toEqual([]);
    await stand.engine.stop(0);
  });

  test("is worth something: the results depend on windows, pending records, ids and letters of the first half", async () => {
    const { outputs: [spend, , checked], letters: [dead, late] } = await golden;
    expect(dead!.length).toBeGreaterThan(1);
    expect(late!.length).toBeGreaterThan(1);
    expect(spend!.length).toBeGreaterThan(10);
    const ids = checked!.map(([, , text]) => (JSON.parse(text!) as { readonly id: string }).id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of FAILING) expect(ids).toContain(id);
  });
});
