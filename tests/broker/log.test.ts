/** What Kafka can do to a log, through both clients; and a broker that dies under load. */
import { describe, expect } from "bun:test";
import type { KafkaClient } from "../../adapters/kafka/client.ts";
import type { Log } from "../../src/log/log.ts";
import { output, texts, topicSpec, unit, valuesOf } from "../../src/testing/conformance/log-subject.ts";
import { registerCases } from "../conformance/register.ts";
import type { OpenedSubject } from "../conformance/register.ts";
import { brokerTest, ownBroker, testBroker } from "./broker.ts";
import { kafkaCases } from "./kafka-cases.ts";
import type { KafkaSubject } from "./kafka-subject.ts";
import { clientNames, openClient, openLog, testSettings, whyNoClient } from "./kafka-clients.ts";
import type { ClientName } from "./kafka-clients.ts";

const CASE_TIMEOUT_MS = 90_000;

const reasons = new Map<ClientName, string | null>();
for (const client of clientNames) reasons.set(client, await whyNoClient(client));
const clients = clientNames.filter((client) => reasons.get(client) === null);

async function subjectOf(client: ClientName): Promise<OpenedSubject<KafkaSubject>> {
  const broker = await testBroker();
  const prefix = broker.prefix();
  const opened: (Log | KafkaClient)[] = [];
  const subject: KafkaSubject = {
    bootstrap: broker.bootstrap,
    prefix,
    client,
    clients,
    async open(worker, more = {}, other = client) {
      const log = await openLog(other, await testSettings(broker.bootstrap, `${prefix}${worker}`, more));
      opened.push(log);
      return log;
    },
    async openClient(worker) {
      const raw = await openClient(client, await testSettings(broker.bootstrap, `${prefix}${worker}`));
      opened.push(raw);
      return raw;
    },
  };
  return {
    subject,
    async close() {
      for (const one of opened) await one.close();
    },
  };
}

for (const client of clientNames) {
  const why = reasons.get(client) ?? null;
  registerCases(`kafka, client ${client}`, kafkaCases, {
    open: () => subjectOf(client),
    has: clients.length === clientNames.length && client === "confluent" ? ["both clients"] : [],
    timeoutMs: CASE_TIMEOUT_MS,
    skip: why === null ? [] : [{ reason: why, names: kafkaCases.map(({ name }) => name) }],
  });
}

describe("a broker that dies", () => {
  for (const client of clients) {
    brokerTest(`F24 killed twice under load: each commit is in once or not at all, appends that were answered are in, client ${client}`, async () => {
      const broker = await ownBroker();
      const log = await openLog(client, await testSettings(broker.bootstrap, "worker", { timeoutMs: 20_000 }));
      try {
        await log.ensureTopics([topicSpec("in"), topicSpec("out"), topicSpec("hooks")]);
        const membership = await log.join("g", ["in"], { assigned() {}, revoked() {}, lost() {} });
        const at = { topic: "in", partition: 0 };
        const kills = [10, 30];
        const answered: string[] = [];
        const appends: Promise<void>[] = [];
        let next = 0;
        while (next < 50) {
          if (kills[0] !== undefined && next >= kills[0]) {
            kills.shift();
            const killing = broker.kill();
            appends.push(hook(log, `${appends.length}`, answered));
            await killing;
            await broker.restart();
          }
          appends.push(hook(log, `${appends.length}`, answered));
          try {
            await log.commit(unit(membership, { positions: [{ ...at, position: next + 1 }], outputs: [output("out", 0, `${next}`)] }), () => {});
            next++;
          } catch {
            // A member that has no partitions for the moment is refused without a request.
            await new Promise((resolve) => setTimeout(resolve, 20));
            next = (await log.committed("g", [at]))[0]?.position ?? 0;
          }
        }
        await Promise.all(appends);

        expect(await valuesOf(log, "out")).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
        const hooks = await valuesOf(log, "hooks");
        expect(answered.filter((value) => !hooks.includes(value))).toEqual([]);
        expect(new Set(hooks).size).toBe(hooks.length);
      } finally {
        await log.close();
        await broker.remove();
      }
    });
  }
});

describe("a broker that stands still", () => {
  for (const client of clients) {
    brokerTest(`L4 a commit whose end nobody hears of is in as a whole or not at all, and the next one knows which, client ${client}`, async () => {
      const broker = await ownBroker();
      const log = await openLog(
        client,
        await testSettings(broker.bootstrap, "worker", { timeoutMs: 2_500, sessionTimeoutMs: 30_000, transactionTimeoutMs: 60_000 }),
      );
      try {
        await log.ensureTopics([topicSpec("in"), topicSpec("out")]);
        const membership = await log.join("g", ["in"], { assigned() {}, revoked() {}, lost() {} });
        const at = { topic: "in", partition: 0 };
        let next = 0;
        for (let round = 0; round < 4; round++) {
          const last = next + 2;
          let isDue = true;
          while (next <= last) {
            const commit = Promise.resolve(
              log.commit(unit(membership, { positions: [{ ...at, position: next + 1 }], outputs: [output("out", 0, `${next}`)] }), () => {}),
            );
            commit.catch(() => {});
            if (next === last && isDue) {
              isDue = false;
              // Each round a little later, so that it stands still at another moment of the commit.
              await new Promise((resolve) => setTimeout(resolve, 3 * round));
              await broker.pause();
            }
            try {
              await commit;
              next++;
            } catch {
              await broker.resume();
              next = (await log.committed("g", [at]))[0]?.position ?? 0;
            }
          }
          await broker.resume();
        }

        expect(await valuesOf(log, "out")).toEqual(Array.from({ length: next }, (_, index) => `${index}`));
        expect((await log.committed("g", [at]))[0]?.position).toBe(next);
      } finally {
        await log.close();
        await broker.remove();
      }
    });
  }
});

/** One append as a webhook makes it: answered, or refused. */
async function hook(log: Log, value: string, answered: string[]): Promise<void> {
  try {
    await log.append([{ topic: "hooks", partition: 0, records: texts(value) }]);
    answered.push(value);
  } catch {
    // The sender hears 503 and comes again.
  }
}
