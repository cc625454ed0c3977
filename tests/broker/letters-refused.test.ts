/** F10 on a real broker: the topic of dead letters goes away while the app runs. Nothing is left out, and the letter is written once there is room for it again. */
import { describe, expect } from "bun:test";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { createApp, type ObservedEvent } from "../../mod.ts";
import type { Log } from "../../src/log/log.ts";
import { readAll } from "../../src/testing/conformance/log-subject.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { administrate } from "./foreign-producer.ts";
import { openLog, testSettings } from "./kafka-clients.ts";

const DEADLINE_MS = 90_000;
const LOOK_AGAIN_MS = 100;

interface In {
  readonly k: string;
  readonly n: number;
}

/** Asks again until it is so. */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + DEADLINE_MS; !(await isSo());) {
    if (performance.now() > deadline) throw new Error(`Still not so after ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

describe("F10 a dead letter that cannot be written", () => {
  brokerTest("F10 its topic is deleted: the app says so and waits, the position stays, and with a new topic there is one letter", async () => {
    const { bootstrap, prefix } = await testBroker();
    const name = `${prefix()}refused`;
    const directory = tempDirectory();
    const app = createApp(name, { log: kafka({ brokers: [bootstrap] }), errors: { retry: false } });
    const input = app.topic<string, In>(`${name}-in`, { key: ({ k }) => k });
    const letters = `${name}-in-dlq`;
    app.stream(input).map(({ n }) => {
      if (n === 2) throw new Error("poison");
      return n;
    }).to(`${name}-out`);
    const events: ObservedEvent[] = [];
    const started = Promise.withResolvers<unknown>();
    const running = app.run({ port: null, directory: directory.path, observer: (event) => void events.push(event), onStart: started.resolve });
    await Promise.race([running, started.promise]);
    let log: Log | null = null;
    try {
      log = await openLog("platformatic", await testSettings(bootstrap, `${name}-reader`));
      const reader = log;
      const outputs = async (): Promise<number> => (await readAll(reader, { topic: `${name}-out`, partition: 0 })).length;
      const position = async (): Promise<number> => (await reader.committed(name, [{ topic: input.name, partition: 0 }]))[0]?.position ?? 0;
      await input.send({ k: "a", n: 1 });
      await until("the first record is out", async () => (await outputs()) === 1 && (await position()) > 0);
      const before = await position();

      await administrate(bootstrap, (admin) => admin.deleteTopics({ topics: [letters] }));
      await input.send({ k: "a", n: 2 });
      await input.send({ k: "a", n: 3 });
      await until("a commit fails", () => events.some(({ type }) => type === "commitFailed"));
      const health = await app.health();

      expect(health.status).not.toBe("ok");
      expect([await position(), await outputs(), events.some(({ type }) => type === "recordSkipped")]).toEqual([before, 1, false]);

      await log.ensureTopics([{ name: letters, partitions: 1, retention: "forever", internal: false }]);
      await until("all is out", async () => (await outputs()) === 2);
      expect((await readAll(log, { topic: letters, partition: 0 })).length).toBe(1);
      expect((await app.health()).status).toBe("ok");
    } finally {
      await log?.close();
      await app.stop();
      await running;
      directory.remove();
    }
  });
});
