/** Webhooks on Kafka: 202 only for what all replicas in sync have, one record an id, and a broker that is gone costs a refusal, not a request. */
import type { Buffer } from "node:buffer";
import { afterAll, describe, expect } from "bun:test";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { hostRuntime } from "../../adapters/host/host.ts";
import type { App, ObservedEvent, Runtime } from "../../mod.ts";
import type { Log } from "../../src/log/log.ts";
import { readAll } from "../../src/testing/conformance/log-subject.ts";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, ownBroker, testBroker } from "./broker.ts";
import { api, openProxy } from "./faulty-proxy.ts";
import { clientNames, openLog, testSettings, whyNoClient } from "./kafka-clients.ts";
import type { ClientName } from "./kafka-clients.ts";
import { PARTITIONS, paymentsOf, webhookApp } from "./webhook-app.ts";

const runtime = await hostRuntime();
const clients: ClientName[] = [];
for (const client of clientNames) if ((await whyNoClient(client)) === null) clients.push(client);

const temp = tempDirectory();
afterAll(() => temp.remove());

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
}

function request(base: string, id: string, n: number): Request {
  return new Request(`${base}/hook`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ id, n }) });
}

async function post(app: App, id: string, n = 1): Promise<Answer> {
  const answer = await app.fetch(request("http://localhost", id, n));
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), text: await answer.text() };
}

/** Runs an app in this process until `stop()`. */
async function run(app: App, directory: string, events: ObservedEvent[] = []): Promise<{ stop(): Promise<void> }> {
  const started = Promise.withResolvers<unknown>();
  const running = app.run({ port: null, directory: `${temp.path}/${directory}`, observer: (event) => void events.push(event), onStart: started.resolve });
  await Promise.race([running, started.promise]);
  return {
    async stop() {
      await app.stop();
      await running;
    },
  };
}

/** The ids of a topic's payments so far, in no order. */
async function idsOf(log: Log, topic: string): Promise<string[]> {
  await log.ensureTopics([{ name: topic, partitions: PARTITIONS, retention: "forever", internal: false }]);
  const all = await Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => readAll(log, { topic, partition })));
  return all.flat().map(({ value }) => (JSON.parse(value!) as { readonly id: string }).id);
}

/** The ids, sorted, once all of those are there; rejects when they don't come. */
async function idsOnceThere(log: Log, topic: string, ids: readonly string[], timeoutMs = 60_000): Promise<string[]> {
  const deadline = runtime.monotonic() + timeoutMs;
  for (;;) {
    const found = await idsOf(log, topic);
    const missing = ids.filter((id) => !found.includes(id));
    if (missing.length === 0) return found.sort();
    if (runtime.monotonic() > deadline) throw new Error(`${missing.length} of ${ids.length} ids did not come, ${missing[0]} for one`);
    await pause(100);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void runtime.setTimer(() => resolve(), ms));
}

/** Which acknowledgements a produce request asks for; -1: those of all replicas in sync. */
function acksOf(frame: Buffer): number {
  const version = frame.readInt16BE(6);
  const head = 14 + Math.max(0, frame.readInt16BE(12));
  // From version 9 on: tagged fields, then a transactional id whose length is a varint; both are short here.
  if (version >= 9) return frame.readInt16BE(head + 1 + Math.max(1, frame.readUInt8(head + 1)));
  return frame.readInt16BE(head + 2 + Math.max(0, frame.readInt16BE(head)));
}

function namesOf(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}-${String(n).padStart(4, "0")}`);
}

describe("F33 a webhook is answered 202", () => {
  for (const client of clients) {
    brokerTest(`when all replicas in sync have acknowledged it, be it at the second try, client ${client}`, async () => {
      const broker = await testBroker();
      const name = `${broker.prefix()}acks`;
      const proxy = await openProxy(broker.bootstrap);
      const app = webhookApp(name, { log: kafka({ brokers: [proxy.bootstrap], client }) });
      const running = await run(app, name);
      const log = await openLog(client, await testSettings(broker.bootstrap, `${name}-reader`));
      try {
        const asked = new Set<number>();
        let lost = 0;
        proxy.request = (key, frame) => {
          if (key === api.produce) asked.add(acksOf(frame));
          return "pass";
        };
        proxy.answer = (key) => key === api.produce && lost++ === 0 ? "cut" : "pass";

        expect((await post(app, "a")).status).toBe(202);
        expect(lost).toBeGreaterThanOrEqual(2);
        expect([...asked]).toEqual([-1]);
        expect(await idsOnceThere(log, paymentsOf(name), ["a"])).toEqual(["a"]);
      } finally {
        await log.close();
        await running.stop();
        await proxy.close();
      }
    });
  }

  brokerTest("not before the broker has it: while that stands still nobody is, then everybody", async () => {
    const broker = await ownBroker();
    const app = webhookApp("still", { log: kafka({ brokers: [broker.bootstrap] }) });
    const running = await run(app, "still");
    try {
      expect((await post(app, "before")).status).toBe(202);
      await broker.pause();
      let answered = 0;
      const ids = namesOf(50, "paused");
      const answers = ids.map((id) => post(app, id).finally(() => answered++));
      await pause(1_500);
      expect(answered).toBe(0);

      await broker.resume();
      expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([202]));
      const log = await openLog("platformatic", await testSettings(broker.bootstrap, "still-reader"));
      expect(await idsOnceThere(log, paymentsOf("still"), ["before", ...ids])).toEqual(["before", ...ids].sort());
      await log.close();
    } finally {
      await running.stop();
      await broker.remove();
    }
  });

  brokerTest("and then is not lost: the process is killed under load, and each id that was answered is there once", async () => {
    const broker = await testBroker();
    const name = `${broker.prefix()}kill`;
    const accepted = new Set<string>();
    const sent = new Set<string>();
    const start = async (): Promise<{ readonly program: ReturnType<typeof spawnProgram>; readonly url: string }> => {
      const program = spawnProgram("self", new URL("./webhook-fixture.ts", import.meta.url), [name, broker.bootstrap, `${temp.path}/${name}`]);
      const url = await program.line();
      if (url === null) throw new Error(`the app did not start: ${program.stderr()}`);
      return { program, url };
    };
    for (let round = 0; round < 2; round++) {
      const { program, url } = await start();
      const enough = Promise.withResolvers<void>();
      const senders = Array.from({ length: 8 }, async (_, sender) => {
        for (let n = 0;; n++) {
          const id = `${round}-${sender}-${n}`;
          sent.add(id);
          try {
            const answer = await fetch(request(url, id, n));
            await answer.text();
            if (answer.status === 202) accepted.add(id);
          } catch {
            return;
          }
          if (accepted.size >= 150 * (round + 1)) enough.resolve();
        }
      });
      await enough.promise;
      program.kill("SIGKILL");
      await program.exited;
      await Promise.all(senders);
    }
    const { program } = await start();
    const log = await openLog("platformatic", await testSettings(broker.bootstrap, `${name}-reader`));
    try {
      const found = await idsOnceThere(log, paymentsOf(name), [...accepted]);

      expect(found.length).toBe(new Set(found).size);
      expect(found.filter((id) => !sent.has(id))).toEqual([]);
      expect(accepted.size).toBeGreaterThanOrEqual(300);
    } finally {
      await log.close();
      program.kill("SIGTERM");
      await program.exited;
    }
  });
});

describe("F34 repeats", () => {
  for (const client of clients) {
    brokerTest(`a hundred at once, of two workers, and after a restart: one record; another body is told of, client ${client}`, async () => {
      const broker = await testBroker();
      const name = `${broker.prefix()}again`;
      // As the environment says it: the program names no log.
      const variables: Readonly<Record<string, string>> = { MILLRACE_LOG: "kafka", KAFKA_BROKERS: broker.bootstrap, KAFKA_CLIENT: client };
      const onKafka: Runtime = { ...runtime, env: (variable) => variables[variable] };
      const events: ObservedEvent[] = [];
      let apps = [webhookApp(name, { runtime: onKafka }), webhookApp(name, { runtime: onKafka })];
      let workers = await Promise.all(apps.map((app, index) => run(app, `${name}-${index}`, events)));
      const log = await openLog(client, await testSettings(broker.bootstrap, `${name}-reader`));
      try {
        const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => post(apps[n % 2]!, "msg_1")));
        expect(answers).toEqual(answers.map(() => ({ status: 202, retryAfter: null, text: '{"status":"accepted"}' })));
        expect(await idsOnceThere(log, paymentsOf(name), ["msg_1"])).toEqual(["msg_1"]);

        for (const worker of workers) await worker.stop();
        apps = [webhookApp(name, { runtime: onKafka })];
        workers = [await run(apps[0]!, `${name}-0`, events)];
        for (const n of [1, 2]) expect((await post(apps[0]!, "msg_1", n)).status).toBe(202);
        // What comes after them on every partition is there: so they were looked at.
        const after = namesOf(20, "after");
        await Promise.all(after.map((id) => post(apps[0]!, id)));
        expect(await idsOnceThere(log, paymentsOf(name), after)).toEqual([...after, "msg_1"].sort());
        expect(events.filter(({ type }) => type === "webhookDuplicateDiffers")).toEqual([
          { type: "webhookDuplicateDiffers", webhook: "/hook", idempotencyId: "msg_1" },
        ]);
      } finally {
        await log.close();
        for (const worker of workers) await worker.stop();
      }
    });
  }
});

describe("F35 the broker is gone", () => {
  for (const client of clients) {
    brokerTest(`webhooks are answered 503 with Retry-After in time, and what is sent again afterwards is there once, client ${client}`, async () => {
      const broker = await ownBroker();
      const app = webhookApp("gone", { log: kafka({ brokers: [broker.bootstrap], client, requestTimeout: "3s" }) });
      const running = await run(app, `gone-${client}`);
      try {
        expect((await post(app, "before")).status).toBe(202);
        await broker.kill();
        const from = runtime.monotonic();
        const ids = namesOf(1_500, "gone");
        const refused = await Promise.all(ids.map((id) => post(app, id)));
        expect(runtime.monotonic() - from).toBeLessThan(20_000);
        expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
        expect(refused.filter(({ retryAfter }) => !(Number(retryAfter) >= 1))).toEqual([]);

        await broker.restart();
        // As a sender does it: until it is taken.
        const deadline = runtime.monotonic() + 60_000;
        for (let left = ids; left.length > 0;) {
          if (runtime.monotonic() > deadline) throw new Error(`${left.length} requests are refused for ever`);
          const answers = await Promise.all(left.map(async (id) => [id, (await post(app, id)).status] as const));
          left = answers.filter(([, status]) => status !== 202).map(([id]) => id);
          await pause(100);
        }
        const log = await openLog(client, await testSettings(broker.bootstrap, "gone-reader"));
        try {
          expect(await idsOnceThere(log, paymentsOf("gone"), ["before", ...ids])).toEqual(["before", ...ids].sort());
        } finally {
          await log.close();
        }
      } finally {
        await running.stop();
        await broker.remove();
      }
    });
  }
});
