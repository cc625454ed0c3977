/** Letters on Kafka: written in transactions, read up to an end that counts those under way, and tried again once, whoever orders it how often. */
import { afterAll, describe, expect } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { type App, createApp, json } from "../../mod.ts";
import { internalsOf } from "../../src/app/app.ts";
import type { Engine } from "../../src/app/engine.ts";
import { LetterDesk } from "../../src/letter/letter-desk.ts";
import type { LetterBoxName } from "../../src/letter/letter.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { clientNames, whyNoClient } from "./kafka-clients.ts";

const runtime = await hostRuntime();
const temp = tempDirectory();
afterAll(() => temp.remove());

const ORDERS = 300;
const DEADLINE_MS = 60_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = runtime.monotonic() + DEADLINE_MS;
  while (!(await isSo())) {
    if (runtime.monotonic() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise<void>((resolve) => void runtime.setTimer(() => resolve(), 50));
  }
}

describe.each(clientNames)("letters on Kafka, by %s", (client) => {
  brokerTest("three hundred records fail, are tried again by two operators at once, and go through once", async () => {
    if ((await whyNoClient(client)) !== null) return;
    const { bootstrap, prefix } = await testBroker();
    const name = prefix();
    const app: App = createApp(`${name}app`, { log: kafka({ brokers: [bootstrap], client }), errors: { retry: false } });
    const orders = app.topic<string, number>(`${name}orders`, { partitions: 3, value: json<number>() });
    const done = `${name}done`;
    let mends = false;
    app.stream(orders).map((n) => {
      if (!mends) throw new RangeError(`order ${n} is refused`);
      return n;
    }).to(app.topic<string, number>(done, { partitions: 3, value: json<number>() }));
    const box: LetterBoxName = { kind: "dead", source: `${name}orders` };
    const engine: Engine = await internalsOf(app).open({ runtime, directory: `${temp.path}/${name}`, observer: () => {} });
    internalsOf(app).attach(engine);
    void engine.drive();
    await engine.worker.whenBuilt();
    try {
      await Promise.all(Array.from({ length: ORDERS }, (_, n) => orders.send(n, { key: `k${n % 50}` })));
      const { letters } = engine;
      await until("all are letters", async () => (await letters.counts())[0]!.open === ORDERS);
      mends = true;
      const other = new LetterDesk({ topology: internalsOf(app).builder.build(), log: engine.log, runtime });

      const answers = await Promise.all([letters, other].map((desk) => desk.replay(box, { all: true }, { by: "ann" })));
      expect(answers.every(({ selected }) => selected === ORDERS)).toBe(true);
      await until("all were tried again", async () => (await letters.counts())[0]!.replayed === ORDERS);

      expect((await letters.replay(box, { all: true }, { by: "ann" })).queued).toBe(0);
      expect(engine.worker.stats.processed).toBe(ORDERS);
      expect((await letters.groups(box, {})).groups).toMatchObject([{ count: ORDERS, open: 0, error: "RangeError" }]);
      expect((await letters.list(box, { limit: 1_000 })).letters.length).toBe(ORDERS);
    } finally {
      await engine.stop();
      internalsOf(app).attach(null);
    }
  });
});
