/** L1 to L14 on a real broker, through both clients. */
import { test } from "bun:test";
import { logCases } from "../../src/testing/conformance/log-cases.ts";
import type { LogSubject } from "../../src/testing/conformance/log-cases.ts";
import { registerCases } from "../conformance/register.ts";
import type { OpenedSubject } from "../conformance/register.ts";
import { testBroker } from "./broker.ts";
import { clientNames, openLog, testSettings, whyNoClient } from "./kafka-clients.ts";
import type { ClientName } from "./kafka-clients.ts";

const CASE_TIMEOUT_MS = 60_000;

/** What `KafkaLog` has of its capabilities. */
const has: readonly string[] = ["durable", "rebalances"];

async function subjectOf(client: ClientName): Promise<OpenedSubject<LogSubject>> {
  const broker = await testBroker();
  const prefix = broker.prefix();
  const open = async () => openLog(client, await testSettings(broker.bootstrap, `${prefix}worker`));
  let log = await open();
  const subject: LogSubject = {
    prefix,
    get log() {
      return log;
    },
    async reopen() {
      await log.close();
      return log = await open();
    },
    advance() {
      throw new Error("a broker's clock goes by itself");
    },
  };
  return { subject, close: () => log.close() };
}

const needsAdvance = logCases.map(({ name }) => name).filter((name) => name.includes("(needs advance)"));

/** What the native client cannot do; `native.test.ts` has the rest of these cases. */
const beyondNative = {
  reason: "librdkafka takes a timestamp of 0 for now, and its package reads a header of null as an empty one",
  names: ["L3 keys, values and headers come back as they went in"],
};

for (const client of clientNames) {
  const why = await whyNoClient(client);
  if (why !== null) {
    test.skip(`kafka log, client ${client}: all ${logCases.length} cases [skipped: ${why}]`, () => undefined);
    continue;
  }
  registerCases(`kafka log, client ${client}`, logCases, {
    open: () => subjectOf(client),
    has,
    timeoutMs: CASE_TIMEOUT_MS,
    skip: [
      { reason: "a broker's clock goes by itself", names: needsAdvance },
      ...(client === "confluent" ? [beyondNative] : []),
    ],
  });
}
