/** A move of an embedded app to a log that processes share: it goes on there as if it had never stopped, wherever the move was cut off on its way. */
import { describe, expect, test } from "bun:test";
import { bytes, createApp, embedded, json } from "../../../../mod.ts";
import type { App, LogDriver } from "../../../../mod.ts";
import { internalsOf } from "../../../../src/app/app.ts";
import { moveApp, type MoveProgress } from "../../../../src/app/migrate/migrate.ts";
import type { Survey } from "../../../../src/app/migrate/survey.ts";
import { isStreamError } from "../../../../src/base/errors.ts";
import type { Log, PartitionInfo } from "../../../../src/log/log.ts";
import { readMoveMark, removeMoveMark } from "../../../../src/log/move-mark.ts";
import type { Disk } from "../../../../src/runtime/disk.ts";
import { memoryDisk } from "../../../../src/runtime/memory-disk.ts";
import { controlRecord } from "../../../../src/task/control-topic.ts";
import type { VirtualRuntime } from "../../../../src/testing/virtual-runtime.ts";
import { open, runtimeOf, SEED, type Stand, START } from "../../task/harness.ts";
import { type Bank, bankOf, type Payment, paymentsOf, requestOf } from "./bank.ts";
import { recordsIn, type Results, resultsOf } from "./results.ts";
import { type Failing, sharedDriver, SharedLog } from "./shared-log.ts";

const SETUP = { partitions: 2, backOff: "30s" } as const;
const HALF = 60;
const ALL = 120;
const STEP_MS = 4_000;
/** Of a move that is cut off at each of its calls: it is made some dozens of times. */
const FEW = 15;
const TIMEOUT_MS = 180_000;

/** Payments whose checks fail until the second half has begun, of so many. */
function failingOf(count: number): readonly string[] {
  return [5, 3, 2].map((before) => `p-${count - before}`);
}

async function post(stand: Stand, payments: readonly Payment[]): Promise<void> {
  for (const payment of payments) {
    expect((await stand.engine.fetch(requestOf(payment))).status).toBe(202);
    await stand.drain();
    await stand.advance(STEP_MS);
    await stand.drain();
  }
}

/** The first half, whose last checks wait for another try. */
async function firstHalf({ failing }: Bank, stand: Stand, count: number): Promise<void> {
  for (const id of failingOf(count)) failing.add(id);
  await post(stand, paymentsOf(SEED, 0, count, START));
}

/** The second half; senders repeat what they sent before. */
async function secondHalf({ failing }: Bank, stand: Stand): Promise<void> {
  failing.clear();
  await post(stand, paymentsOf(SEED, HALF - 20, ALL, START));
  await stand.advance(300_000);
  await stand.drain();
}

/** One app on one embedded log, from its beginning to its end. */
async function undisturbed(): Promise<Results> {
  const bank = bankOf("bank", SETUP);
  await using stand = await open(bank.app, { driver: embedded({ disk: memoryDisk() }) });
  await firstHalf(bank, stand, HALF);
  await secondHalf(bank, stand);
  return await resultsOf(bank, bank.app, stand.log);
}

interface Stopped {
  readonly bank: Bank;
  readonly runtime: VirtualRuntime;
  readonly driver: LogDriver;
  readonly disk: Disk;
}

/** The app, stopped after so many payments. */
async function stopped(count: number): Promise<Stopped> {
  const bank = bankOf("bank", SETUP);
  const disk = memoryDisk(), runtime = runtimeOf();
  const driver = embedded({ disk });
  const stand = await open(bank.app, { driver, runtime });
  await firstHalf(bank, stand, count);
  await stand.engine.stop(0);
  internalsOf(bank.app).attach(null);
  return { bank, runtime, driver, disk };
}

/** One run of a move. */
async function move(
  { bank: { app }, runtime, driver }: Pick<Stopped, "runtime" | "driver"> & { readonly bank: Pick<Bank, "app"> },
  target: LogDriver,
  onProgress: (progress: MoveProgress) => void = () => {},
): Promise<Survey> {
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

/** The same disk once more, as it is now. */
function copyOf(disk: Disk): Disk {
  const copy = memoryDisk();
  for (const path of disk.list()) {
    const from = disk.open(path), to = copy.open(path);
    const bytes = new Uint8Array(from.size());
    from.read(bytes, 0);
    to.write(bytes, 0);
    from.close();
    to.close();
  }
  return copy;
}

/** All that an app finds where it was moved to: records and positions, and the rows of its state. */
async function foundBy({ bank: { app }, runtime }: Stopped, target: LogDriver, survey: Survey): Promise<unknown> {
  const stand = await open(app, { runtime, driver: target });
  try {
    await stand.engine.worker.whenBuilt();
    const { log, engine: { worker } } = stand;
    const topics = await Promise.all(survey.topics.map(async ({ name }) => [name, await recordsIn(log, name)]));
    const inputs = worker.topology.subTopologies.flatMap(({ reads }) => reads.flatMap(({ name: topic }) => [{ topic, partition: 0 }, { topic, partition: 1 }]));
    const { storage } = worker;
    const rows = storage.spaces().map(({ id, store, partition, fingerprint }) => [store, partition, fingerprint, [...storage.pages(id, 1_000)].flat()]);
    return { topics, positions: await log.committed(app.name, inputs), rows };
  } finally {
    await stand.crash();
    internalsOf(app).attach(null);
  }
}

const golden = undisturbed();

describe("MG01 a move", () => {
  test("brings all along: the app goes on with the results of one that never stopped", async () => {
    const app = await stopped(HALF);
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
    expect(await resultsOf(bank, bank.app, stand.log)).toEqual(await golden);
    expect(stand.events.filter(({ type }) => type === "warning")).toEqual([]);
    await stand.engine.stop(0);
  }, TIMEOUT_MS);

  test("is worth something: the results depend on windows, pending records, ids and letters of the first half", async () => {
    const { outputs: [spend, , checked], letters: [dead, late] } = await golden;
    expect(dead!.length).toBeGreaterThan(1);
    expect(late!.length).toBeGreaterThan(1);
    expect(spend!.length).toBeGreaterThan(10);
    const ids = checked!.map(([, , text]) => (JSON.parse(text!) as { readonly id: string }).id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of failingOf(HALF)) expect(ids).toContain(id);
  }, TIMEOUT_MS);
});

describe("MG02 a move that is cut off", () => {
  for (const how of ["before", "after"] satisfies Failing[]) {
    test(`${how} any call of the other log was done is run again and ends alike; in between the app never starts on both logs`, async () => {
      const app = await stopped(FEW);
      const { bank, runtime } = app;
      const whole = sharedDriver(new SharedLog(runtime));
      const survey = await move({ ...app, driver: embedded({ disk: copyOf(app.disk) }) }, whole);
      const wanted = await foundBy(app, whole, survey);
      let cuts = 0;
      for (let failAt = 1;; failAt++) {
        const one = { ...app, driver: embedded({ disk: copyOf(app.disk) }) };
        const log = new SharedLog(runtime);
        const target = sharedDriver(log);
        Object.assign(log, { failAt, how });
        const cut = await move(one, target).then(() => null, (error: unknown) => error);
        log.failAt = 0;
        if (cut === null) break;
        cuts++;
        expect(isStreamError(cut) && cut.code).toBe("LOG_UNAVAILABLE");
        const here = await refusal(bank.app, runtime, one.driver);
        if (here !== null) expect(here).toContain("millrace migrate");
        // Before anything is said there it is as empty as it was; then it is refused until all is there.
        const isSaid = (await recordsIn(log, "bank-migration")).length > 0;
        if (isSaid) {
          const there = await refusal(bank.app, runtime, target);
          if (there === null) expect(here).not.toBeNull();
          else expect(there).toContain("has not ended");
        }
        expect(isSaid || here === null).toBe(true);

        await move(one, target);
        expect(await foundBy(app, target, survey)).toEqual(wanted);
        expect(await refusal(bank.app, runtime, one.driver)).toContain("was moved to shared");
      }
      expect(cuts).toBeGreaterThan(15);
    }, TIMEOUT_MS);
  }

  test("in the midst of a partition goes on there, and refuses what others have put behind it", async () => {
    for (const isForeign of [false, true]) {
      const app = createApp("copies"), runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() });
      app.stream(app.topic("in", { value: bytes(), retention: "infinity" })).filter(() => false).to("nothing");
      const stand = await open(app, { runtime, driver });
      const value = new Uint8Array(1_000);
      for (let n = 0; n < 20; n++) await stand.append("in", Array.from({ length: 100 }, (_, m) => ({ key: `${n}-${m}`, value })));
      await stand.engine.stop(0);
      const log = new SharedLog(runtime);
      const one = { bank: { app }, runtime, driver };
      for (log.failAt = 1; log.partitionsOf("in") === null || (await log.inner.describe(["in"]))[0]!.end === 0; log.failAt++) {
        log.calls = 0;
        await expect(move(one, sharedDriver(log))).rejects.toThrow("the connection broke");
      }
      const [{ end }] = await log.inner.describe(["in"]) as [PartitionInfo];
      expect(end).toBeGreaterThan(0);
      expect(end).toBeLessThan(2_000);
      log.failAt = 0;
      if (isForeign) {
        await log.append([{ topic: "in", partition: 0, records: [{ key: "foreign", value, timestamp: START }] }]);
        await expect(move(one, sharedDriver(log))).rejects.toThrow("others have written there");
        continue;
      }
      await move(one, sharedDriver(log));
      expect((await recordsIn(log, "in")).map(({ key }) => key)).toEqual(Array.from({ length: 2_000 }, (_, n) => `${Math.floor(n / 100)}-${n % 100}`));
    }
  }, TIMEOUT_MS);
});

describe("MG03 a move is refused", () => {
  test("where the app was moved before, until that is taken back", async () => {
    const app = await stopped(HALF);
    const { bank, runtime, driver } = app;
    const first = new SharedLog(runtime), second = new SharedLog(runtime);
    await move(app, sharedDriver(first));
    expect(await refusal(bank.app, runtime, driver)).toContain("was moved to shared");
    await expect(move(app, sharedDriver(second))).rejects.toThrow("--undo");
    const context = { app: "bank", runtime, directory: "here", report: () => {}, isForMove: true } as const;
    const { log } = await driver.open(context);
    await removeMoveMark(log.database!);
    expect(readMoveMark(log.database!)).toBeNull();
    await log.close();
    expect(await refusal(bank.app, runtime, driver)).toBeNull();
    await expect(move(app, sharedDriver(first))).rejects.toThrow("was moved there");
    await move(app, sharedDriver(second));
  }, TIMEOUT_MS);

  test("by a log that has records, positions or a worker of the app, and then nothing keeps the app from going on where it is", async () => {
    const app = await stopped(HALF);
    const { bank, runtime, driver } = app;
    const full = new SharedLog(runtime);
    await full.ensureTopics([{ name: bank.input, partitions: 2, retention: "forever", internal: false }]);
    await full.append([{ topic: bank.input, partition: 1, records: [{ key: "a", value: "b", timestamp: START }] }]);
    await expect(move(app, sharedDriver(full))).rejects.toThrow("partition 1 has records");

    const used = new SharedLog(runtime), target = sharedDriver(used);
    const worker = await open(bank.app, { runtime, driver: target });
    await expect(move(app, sharedDriver(used))).rejects.toThrow("runs there: stop it first");
    await worker.engine.stop(0);
    internalsOf(bank.app).attach(null);
    expect(await refusal(bank.app, runtime, driver)).toBeNull();
    expect(await refusal(bank.app, runtime, target)).toBeNull();
  }, TIMEOUT_MS);

  test("to a log that holds state, or by one that is not embedded, or while a process has it", async () => {
    const app = await stopped(HALF);
    const { bank, runtime, driver } = app;
    await expect(move(app, embedded({ disk: memoryDisk() }))).rejects.toThrow("wanted one that is durable");
    await expect(move({ ...app, driver: sharedDriver(new SharedLog(runtime)) }, driver)).rejects.toThrow("wanted the embedded one");
    const stand = await open(bank.app, { runtime, driver });
    await expect(move(app, sharedDriver(new SharedLog(runtime)))).rejects.toThrow("Cannot open");
    await stand.engine.stop(0);
  }, TIMEOUT_MS);

  test("of an app that was changed and has not run since: its log does not know all of its topics", async () => {
    const app = await stopped(HALF);
    const other = bankOf("bank", SETUP);
    other.app.stream(other.app.topic("new")).to("newer");
    await expect(move({ ...app, bank: other }, sharedDriver(new SharedLog(app.runtime)))).rejects.toThrow("run it once more");
  }, TIMEOUT_MS);
});

describe("MG03 a move", () => {
  test("of an app that reads nothing brings its records", async () => {
    const app = createApp("writer"), runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() });
    app.topic("notes");
    const stand = await open(app, { runtime, driver });
    await stand.append("notes", [{ key: "a" }, { key: "b" }]);
    await stand.engine.stop(0);
    const log = new SharedLog(runtime);
    await move({ bank: { app }, runtime, driver }, sharedDriver(log));
    expect((await recordsIn(log, "notes")).map(({ key }) => key)).toEqual(["a", "b"]);
    expect(await refusal(app, runtime, sharedDriver(log))).toBeNull();
  }, TIMEOUT_MS);

  test("waits until steps that are connected otherwise have taken over what was pending", async () => {
    const runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() });
    const appOf = (isMerged: boolean): App => {
      const app = createApp("merging");
      const options = { value: json<string>(), retention: "infinity", errors: { retry: { attempts: 9, backOff: "1h" } } } as const;
      const left = app.stream(app.topic("left", options)), right = app.stream(app.topic("right", options));
      const fail = async (): Promise<string> => {
        await Promise.resolve();
        throw new Error("not now");
      };
      left.map(fail).to("a");
      right.map(fail).to("b");
      (isMerged ? left.merge(right) : left).to("c");
      return app;
    };
    const before = appOf(false);
    const stand = await open(before, { runtime, driver });
    await stand.append("left", [{ key: "a", value: '"x"' }]);
    await stand.drain();
    await stand.engine.stop(0);
    internalsOf(before).attach(null);
    const app = appOf(true), target = sharedDriver(new SharedLog(runtime));
    await expect(move({ bank: { app }, runtime, driver }, target)).rejects.toThrow("is still as it was then");
    const again = await open(app, { runtime, driver });
    await again.drain();
    await again.engine.stop(0);
    internalsOf(app).attach(null);
    expect((await move({ bank: { app }, runtime, driver }, target)).left).toEqual([]);
  }, TIMEOUT_MS);
});

describe("MG04 positions", () => {
  test("that letters name are those of the records where these lie now", async () => {
    const app = await stopped(HALF);
    const log = new SharedLog(app.runtime);
    await move(app, sharedDriver(log));
    const payments = await recordsIn(log, app.bank.input);
    const dead = await recordsIn(log, `${app.bank.input}-dlq`);
    expect(dead.length).toBeGreaterThan(0);
    for (const { value, headers } of dead) {
      expect(headers["mr-topic"]).toBe(app.bank.input);
      const at = payments.find(({ partition, position }) => partition === Number(headers["mr-partition"]) && position === Number(headers["mr-position"]));
      expect(at?.value).toEqual(value);
    }
  }, TIMEOUT_MS);

  test("that were committed stand for the same records where earlier ones were deleted: none is left out, none done twice", async () => {
    const app = createApp("kept"), runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() });
    const input = app.topic("in", { value: json<string>(), retention: "1h" });
    app.stream(input).map((value) => value).to(app.topic("out", { value: json<string>(), retention: "infinity" }));
    const stand = await open(app, { runtime, driver });
    const values = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, n) => `v-${from + n}`);
    const send = async (log: Log, all: readonly string[]): Promise<void> => {
      for (const value of all) await log.append([{ topic: "in", partition: 0, records: [{ key: "k", value: JSON.stringify(value), timestamp: START }] }]);
    };
    await send(stand.log, values(0, 20));
    await stand.drain();
    stand.runtime.advance(7_200_000);
    await send(stand.log, values(20, 30));
    await stand.drain();
    await send(stand.log, values(30, 35));
    const [{ start }] = await stand.log.describe(["in"]) as [PartitionInfo];
    expect(start).toBe(20);
    await stand.crash();

    const log = new SharedLog(runtime), target = sharedDriver(log);
    await move({ bank: { app }, runtime, driver }, target);
    const there = await open(app, { runtime, driver: target });
    await there.engine.worker.whenBuilt();
    expect((await log.committed("kept", [{ topic: "in", partition: 0 }]))[0]!.position).toBe(10);
    await send(log, values(35, 40));
    await there.drain();
    expect((await recordsIn(log, "out")).map(({ value }) => JSON.parse(new TextDecoder().decode(value!)))).toEqual(values(0, 40));
    await there.engine.stop(0);
    internalsOf(app).attach(null);
  }, TIMEOUT_MS);
});

describe("MG07 what waits out of turn", () => {
  test("is tried on the other log, and what operators ordered holds there", async () => {
    const failing = new Set(["v-1", "v-4"]);
    const app = createApp("turns"), runtime = runtimeOf(), driver = embedded({ disk: memoryDisk() });
    const input = app.topic("in", {
      partitions: 2,
      value: json<string>(),
      retention: "infinity",
      errors: { retry: { attempts: 9, backOff: "10m", backOffMax: "10m", blocks: "nothing" } },
    });
    const check = async (value: string): Promise<string> => {
      await Promise.resolve();
      if (failing.has(value)) throw new Error("not now");
      return value;
    };
    app.stream(input).map(check).to(app.topic("out", { value: json<string>(), retention: "infinity" }));
    const send = async (log: Log, partition: number, values: readonly string[]): Promise<void> => {
      await log.append([{ topic: "in", partition, records: values.map((value) => ({ key: value, value: JSON.stringify(value), timestamp: START })) }]);
    };
    const order = async (log: Log, isPaused: boolean): Promise<void> => {
      const record = controlRecord({ topic: "in", partition: 1, order: { kind: "pause", isPaused }, at: runtime.now(), by: "ann", reason: null });
      await log.append([{ topic: "turns-control", partition: 0, records: [record] }]);
    };
    const said = async (log: Log): Promise<string[]> =>
      (await recordsIn(log, "out")).map(({ value }) => JSON.parse(new TextDecoder().decode(value!)) as string).sort();

    const stand = await open(app, { runtime, driver });
    await send(stand.log, 0, ["v-0", "v-1", "v-2"]);
    await send(stand.log, 1, ["v-3", "v-4"]);
    await stand.drain();
    await order(stand.log, true);
    await stand.drain();
    await send(stand.log, 1, ["v-5"]);
    await stand.drain();
    expect(await said(stand.log)).toEqual(["v-0", "v-2", "v-3"]);
    expect((await recordsIn(stand.log, "turns-retry")).length).toBe(2);
    await stand.engine.stop(0);
    internalsOf(app).attach(null);

    const log = new SharedLog(runtime), target = sharedDriver(log);
    await move({ bank: { app }, runtime, driver }, target);
    failing.clear();
    const there = await open(app, { runtime, driver: target });
    await there.engine.worker.whenBuilt();
    await there.advance(1_200_000);
    await there.drain();
    const early = await said(log);
    expect(early).toContain("v-1");
    expect(early).not.toContain("v-5");
    await order(log, false);
    await there.drain();
    await there.advance(1_200_000);
    await there.drain();
    expect(await said(log)).toEqual(["v-0", "v-1", "v-2", "v-3", "v-4", "v-5"]);
    await there.engine.stop(0);
    internalsOf(app).attach(null);
  }, TIMEOUT_MS);
});
