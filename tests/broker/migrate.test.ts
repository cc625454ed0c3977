/** An app that was embedded goes on on Kafka as if it had never stopped: the command line moves it, in the midst of its windows. */
import { afterAll, describe, expect } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { embedded, type LogDriver } from "../../mod.ts";
import { internalsOf } from "../../src/app/app.ts";
import type { Engine } from "../../src/app/engine.ts";
import { main } from "../../src/cli/main.ts";
import { tempDirectory } from "../shim/temp.ts";
import { type Bank, bankOf, type Payment, paymentsOf, requestOf } from "../unit/app/migrate/bank.ts";
import { recordsIn, type Results, resultsOf } from "../unit/app/migrate/results.ts";
import { type Failing, FailingLog } from "../unit/app/migrate/shared-log.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { clientNames, whyNoClient } from "./kafka-clients.ts";
import type { ClientName } from "./kafka-clients.ts";

const runtime = await hostRuntime();
const clients: ClientName[] = [];
for (const client of clientNames) if ((await whyNoClient(client)) === null) clients.push(client);

const temp = tempDirectory();
afterAll(() => temp.remove());

const SEED = 20_261_121;
const HALF = 60;
const ALL = 120;
const START = Date.UTC(2026, 0, 1);
/** None of them late: they are tried again at moments of chance, and by how much they would be late then goes by the clock of others. */
const FAILING = paymentsOf(SEED, 0, HALF, START).filter(({ amount, at }, n) => amount > 0 && at > START + 4_000 * n - 60_000).slice(-3).map(({ id }) => id);
/** One partition: with more, which of two workers' records is first in a topic between them is a matter of chance, and with it what is late. */
const SETUP = { partitions: 1, backOff: "300ms" } as const;
/** Far enough behind the last payment to close all windows before it. */
const LAST: Payment = { id: "last", account: "account-0", amount: 1, at: START + 4_000 * ALL + 3_600_000 };

/** An app at work in this process. */
async function start({ app }: Bank, driver: LogDriver, directory: string): Promise<Engine> {
  // A machine that is busy must not make inputs idle, which moves event time on.
  const engine = await internalsOf(app).open({ runtime, driver, directory, observer: () => {}, worker: { idleTimeoutMs: null } });
  internalsOf(app).attach(engine);
  void engine.drive();
  await engine.worker.whenBuilt();
  return engine;
}

async function stop({ app }: Bank, engine: Engine): Promise<void> {
  await engine.stop();
  internalsOf(app).attach(null);
}

async function post(engine: Engine, payments: readonly Payment[]): Promise<void> {
  for (const payment of payments) expect((await engine.fetch(requestOf(payment))).status).toBe(202);
}

/** Until so many payments are checked, event time has come as far as `until` in every task, and nothing is left to do. */
async function settled({ checked }: Bank, engine: Engine, count: number, until: number): Promise<void> {
  const deadline = runtime.monotonic() + 90_000;
  for (let quiet = 0; quiet < 5;) {
    const found = (await recordsIn(engine.log, checked)).length;
    const { tasks } = engine.health();
    if (runtime.monotonic() > deadline) {
      throw new Error(`${found} of ${count} are checked, quiet ${quiet}, wanted event time ${until}: ${JSON.stringify(tasks)}`);
    }
    const isThere = found >= count && tasks.every(({ lag, watermark }) => lag === 0 && (watermark ?? -Infinity) >= until);
    quiet = isThere && engine.worker.isQuiet ? quiet + 1 : 0;
    await new Promise<void>((resolve) => void runtime.setTimer(() => resolve(), 100));
  }
}

/** How many of the payments up to `to` are checked: neither below nothing nor failing. */
function checkedOf(to: number, failing: ReadonlySet<string>): number {
  return paymentsOf(SEED, 0, to, START).filter(({ id, amount }) => amount > 0 && !failing.has(id)).length;
}

async function firstHalf(bank: Bank, engine: Engine): Promise<void> {
  for (const id of FAILING) bank.failing.add(id);
  await post(engine, paymentsOf(SEED, 0, HALF, START));
  await settled(bank, engine, checkedOf(HALF, bank.failing), -Infinity);
}

/** Senders repeat what they sent before. First all is checked that waited: how long it holds event time up is not to be a matter of chance. */
async function secondHalf(bank: Bank, engine: Engine): Promise<Results> {
  bank.failing.clear();
  await settled(bank, engine, checkedOf(HALF, bank.failing), -Infinity);
  await post(engine, [...paymentsOf(SEED, HALF - 30, ALL, START), LAST]);
  await settled(bank, engine, checkedOf(ALL, bank.failing) + 1, LAST.at);
  return await resultsOf(bank, bank.app, engine.log);
}

/** A driver whose log fails at a call, when it is told to. */
function cuttable(driver: LogDriver): LogDriver & { failAt: number; how: Failing } {
  return {
    "~log": driver["~log"],
    failAt: 0,
    how: "before",
    async open(context) {
      const opened = await driver.open(context);
      const log = Object.assign(new FailingLog(opened.log), { failAt: this.failAt, how: this.how });
      return { ...opened, log: this.failAt === 0 ? opened.log : log };
    },
  };
}

/** The command, in this process. */
async function millrace(bank: Bank, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  const lines: string[] = [];
  const host = { ...runtime, print: (line: string) => void lines.push(line) };
  const code = await main(args, { runtime: host, load: () => Promise.resolve({ app: bank.app }), fetch });
  return { code, out: lines.join("\n") };
}

describe("MG05 an app on Kafka that was embedded", () => {
  for (const client of clients) {
    brokerTest(`has the results of one that never stopped, though the move is cut off again and again, client ${client}`, async () => {
      const { bootstrap, prefix } = await testBroker();
      const name = `${prefix()}bank`;

      const golden = bankOf(name, { ...SETUP, runtime });
      const before = await start(golden, embedded(), `${temp.path}/${name}-golden`);
      await firstHalf(golden, before);
      const wanted = await secondHalf(golden, before);
      await stop(golden, before);
      expect(wanted.letters.every((letters) => letters.length > 0)).toBe(true);

      const directory = `${temp.path}/${name}`;
      const log = cuttable(kafka({ brokers: [bootstrap], client, sessionTimeout: "6s" }));
      const bank = bankOf(name, { ...SETUP, runtime, log, directory });
      const here = await start(bank, embedded(), directory);
      await firstHalf(bank, here);
      const held = await millrace(bank, "migrate", "app.ts", "--to", "kafka");
      expect(held.code).toBe(1);
      expect(held.out).toContain("DISK_LOCKED");
      await stop(bank, here);

      const dry = await millrace(bank, "migrate", "app.ts", "--to", "kafka", "--dry-run");
      expect(dry.out).toContain("nothing was written");
      expect(dry.code).toBe(0);
      let cuts = 0;
      let moved = { code: 1, out: "" };
      for (log.failAt = 4; moved.code !== 0; log.failAt += 2) {
        log.how = cuts % 2 === 0 ? "after" : "before";
        moved = await millrace(bank, "migrate", "app.ts", "--to", "kafka");
        if (moved.code === 0) break;
        expect(moved.out).toContain("the connection broke");
        cuts++;
      }
      log.failAt = 0;
      expect(cuts).toBeGreaterThan(3);
      expect(moved.out).toContain("has moved to kafka");
      expect(moved.code).toBe(0);
      await expect(start(bank, embedded(), directory)).rejects.toThrow("was moved to kafka");

      const there = await start(bank, log, directory);
      try {
        const found = await secondHalf(bank, there);
        expect(found.outputs).toEqual(wanted.outputs);
        expect(found.letters).toEqual(wanted.letters);
        expect(found.features).toEqual(wanted.features);
      } finally {
        await stop(bank, there);
      }
    }, 300_000);
  }
});
