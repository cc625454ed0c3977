/** Webhooks on a log that knows no ids: one record an id all the same, whatever is repeated, restarted, or forgotten in time. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { bytes, codec, createApp, embedded } from "../../../../mod.ts";
import type { App, LogDriver } from "../../../../mod.ts";
import { SLACK_MS } from "../../../../src/http/ingest/ingest-topic.ts";
import { toHex } from "../../../../src/base/bytes.ts";
import type { Log } from "../../../../src/log/log.ts";
import { RecordCursor } from "../../../../src/record/cursor.ts";
import { headerText } from "../../../../src/record/headers.ts";
import { partitionFor } from "../../../../src/record/partitioner.ts";
import { memoryDisk } from "../../../../src/runtime/memory-disk.ts";
import { keptMemoryLog } from "../../../../src/testing/test-log.ts";
import { open, recordsOf, runtimeOf, SEED, START } from "../../task/harness.ts";
import type { Stand } from "../../task/harness.ts";
import { forgetful } from "./forgetful-log.ts";

interface Sent {
  readonly id?: string | undefined;
  readonly n: number;
}

const KEEP_MS = 10_000;

/** An app whose webhooks take their ids from the body; `/b` leads to the same topic as `/a`. */
function appOf(name = "shop", partitions = 1): App {
  const app = createApp(name);
  const payments = app.topic("payments", {
    partitions,
    value: v.object({ id: v.optional(v.string()), n: v.number() }),
    key: ({ n }) => `key-${n % 7}`,
    timestamp: ({ n }) => 1_000 + n,
  });
  for (const path of ["/a", "/b"] as const) {
    app.webhook(path, {
      topic: payments,
      verify: "none",
      body: v.object({ id: v.optional(v.string()), n: v.number() }),
      idempotencyKey: ({ body }) => body.id ?? `own-${body.n}`,
      idempotencyTtl: KEEP_MS,
    });
  }
  return app;
}

async function post(stand: Stand, path: string, body: unknown): Promise<readonly [number, unknown]> {
  const answer = await stand.engine.fetch(
    new Request(`http://localhost${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
  return [answer.status, await answer.json()];
}

/** The numbers of the payments that came through, in order. */
function numbersOf(stand: Stand): number[] {
  return recordsOf(stand.log, "payments").map(({ bytes }) => (JSON.parse(new TextDecoder().decode(bytes!)) as Sent).n);
}

/** All of a topic's records, keys and values as they lie there. */
function bytesOf(log: Log, topic: string): unknown[] {
  const found: unknown[] = [];
  for (let partition = 0; partition < log.partitionsOf(topic)!; partition++) {
    const reader = log.reader({ topic, partition }, 0, () => {});
    const cursor = new RecordCursor();
    for (let from = 0, chunk = reader.take(1_000_000); chunk !== null; from = chunk.nextPosition, chunk = reader.take(1_000_000)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, from);
      while (cursor.next()) {
        const headers = cursor.headers().map(({ name, value }) => [name, headerText(value)]);
        found.push({ partition, key: hexOf(cursor.keyBytes()), value: hexOf(cursor.valueBytes()), timestamp: cursor.timestamp, headers });
      }
    }
    reader.close();
  }
  return found;
}

function hexOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : toHex(bytes);
}

function rowsOf(stand: Stand, store: string): number {
  const statement = stand.log.database!.prepare("SELECT count(*) FROM state JOIN spaces ON spaces.id = state.space WHERE spaces.store = ?1");
  try {
    statement.bindText(0, store);
    statement.step();
    return statement.number(0);
  } finally {
    statement.reset();
    statement.finalize();
  }
}

const drivers: readonly (readonly [string, () => LogDriver])[] = [
  ["with state in the log", () => forgetful(embedded({ disk: memoryDisk() }))],
  ["with state beside the log", () => forgetful(keptMemoryLog().driver)],
];

describe("F34 on a log that knows no ids", () => {
  for (const [name, driver] of drivers) {
    test(`${name}, a request is forwarded once: also a hundred at once, and after a restart`, async () => {
      await using stand = await open(appOf(), { driver: driver() });

      const answers = await Promise.all(Array.from({ length: 100 }, () => post(stand, "/a", { id: "msg_1", n: 1 })));
      await stand.drain();
      await stand.engine.stop(0);
      await stand.start();
      answers.push(await post(stand, "/a", { id: "msg_1", n: 1 }), await post(stand, "/a", { id: "msg_2", n: 2 }));
      await stand.drain();

      expect(answers).toEqual(answers.map(() => [202, { status: "accepted" }]));
      expect(numbersOf(stand)).toEqual([1, 2]);
      expect(stand.engine.worker.stats.skipped.get("webhook id seen before")).toBe(1);
      expect(stand.events.filter(({ type }) => type === "webhookDuplicateDiffers")).toEqual([]);
    });
  }

  test("a repeat with another content changes nothing, and is told of", async () => {
    await using stand = await open(appOf(), { driver: forgetful(embedded({ disk: memoryDisk() })) });

    await post(stand, "/a", { id: "msg_1", n: 1 });
    await post(stand, "/a", { id: "msg_1", n: 2 });
    await stand.drain();

    expect(numbersOf(stand)).toEqual([1]);
    expect(stand.events.filter(({ type }) => type === "webhookDuplicateDiffers")).toEqual([
      { type: "webhookDuplicateDiffers", webhook: "/a", idempotencyId: "msg_1" },
    ]);
    const differing = stand.engine.metrics.families().find(({ name }) => name === "millrace_webhook_duplicates_differing_total");
    expect(differing?.samples.map(({ labels, value }) => [labels["webhook"], value])).toEqual([["/a", 1], ["/b", 0]]);
  });

  test("ids of two webhooks never meet", async () => {
    await using stand = await open(appOf(), { driver: forgetful(embedded({ disk: memoryDisk() })) });

    await post(stand, "/a", { id: "msg_1", n: 1 });
    await post(stand, "/b", { id: "msg_1", n: 2 });
    await stand.drain();

    expect(numbersOf(stand)).toEqual([1, 2]);
  });

  test("ids that differ in a lone surrogate alone are two", async () => {
    await using stand = await open(appOf(), { driver: forgetful(embedded({ disk: memoryDisk() })) });

    await post(stand, "/a", { id: "\ud800", n: 1 });
    await post(stand, "/a", { id: "\ud801", n: 2 });
    await stand.drain();

    expect(numbersOf(stand)).toEqual([1, 2]);
  });

  test("what is forwarded is what a log with ids would hold: key, bytes, timestamp, headers and partition", async () => {
    const records = await Promise.all([embedded({ disk: memoryDisk() }), forgetful(embedded({ disk: memoryDisk() }))].map(async (driver) => {
      const app = createApp("shop");
      const raw = { encode: (key: Uint8Array) => key, decode: (key: Uint8Array) => key };
      const keyed = app.topic("keyed", {
        partitions: 3,
        keyFormat: codec({ name: "raw", ...raw }),
        key: (value: Uint8Array) => value.subarray(0, 2),
        value: bytes(),
      });
      const plain = app.topic("plain", { value: v.unknown() });
      app.webhook("/keyed", {
        topic: keyed,
        verify: "none",
        body: v.string(),
        idempotencyKey: ({ body }) => body,
        map: ({ body }) => Uint8Array.from(body, (character) => character.charCodeAt(0)),
      });
      app.webhook("/plain", { topic: plain, verify: "none", idempotencyKey: ({ body }) => String(body) });
      app.webhook("/own", { verify: "none", idempotencyKey: ({ body }) => String(body) });
      await using stand = await open(app, { driver });
      for (const body of ["\xff\xfe\x00", "\x00\x01rest", "zz", "q"]) await post(stand, "/keyed", body);
      for (const body of [null, 0, "text"]) await post(stand, "/plain", body);
      await post(stand, "/own", { a: [1] });
      await stand.drain();
      // Records of different ids may change places on the way.
      return ["keyed", "plain", "own"].map((topic) => bytesOf(stand.log, topic).map((record) => JSON.stringify(record)).sort());
    }));

    expect(records[1]).toEqual(records[0]!);
    expect(records[1]!.map((of) => of.length)).toEqual([4, 3, 1]);
  });

  test("requests without an id go straight to their topic", async () => {
    const app = createApp("shop");
    const payments = app.topic("payments", { value: v.object({ n: v.number() }) });
    app.webhook("/a", { topic: payments, verify: "none" });
    await using stand = await open(app, { driver: forgetful(embedded({ disk: memoryDisk() })) });

    await post(stand, "/a", { n: 1 });

    expect(numbersOf(stand)).toEqual([1]);
    expect(stand.log.partitionsOf("shop-payments-ingest")).toBe(null);
  });

  test("a record that no webhook wrote becomes a dead letter, and the next one goes on", async () => {
    await using stand = await open(appOf(), { driver: forgetful(embedded({ disk: memoryDisk() })) });

    await stand.append("shop-payments-ingest", [{ key: '["/a","x"]', value: "1" }, {
      key: null,
      value: "2",
      headers: [{ name: "mr-ingest", value: "1 2 3" }],
    }]);
    await post(stand, "/a", { id: "msg_1", n: 1 });
    await stand.drain();

    expect(numbersOf(stand)).toEqual([1]);
    expect(recordsOf(stand.log, "shop-payments-ingest-dlq").map(({ headers }) => headers["mr-code"])).toEqual(["CODEC_FAILED", "CODEC_FAILED"]);
  });
});

describe("a topic of ids", () => {
  test("has as many partitions as its topic, and an id has one place, whatever the key of its record", async () => {
    await using stand = await open(appOf("shop", 4), { driver: forgetful(embedded({ disk: memoryDisk() })) });

    for (let n = 0; n < 40; n++) await post(stand, "/a", { id: `msg_${n % 20}`, n });
    await stand.drain();

    const ingested = recordsOf(stand.log, "shop-payments-ingest");
    expect(stand.log.partitionsOf("shop-payments-ingest")).toBe(4);
    expect(ingested.map(({ partition }) => partition)).toEqual(ingested.map(({ key }) => partitionFor(key!, 4)));
    expect(ingested.map(({ timestamp }) => timestamp)).toEqual(ingested.map(() => START));
    const out = recordsOf(stand.log, "payments");
    expect(numbersOf(stand).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(out.map(({ partition }) => partition)).toEqual(out.map(({ key }) => partitionFor(key!, 4)));
  });

  test("is part of the topology where it is needed, and only there", async () => {
    const app = appOf();
    await using plain = await open(appOf());
    await using stand = await open(app, { driver: forgetful(embedded({ disk: memoryDisk() })) });

    expect(app.topology().topics).toEqual([{ name: "payments", partitions: 1, internal: false }, {
      name: "shop-payments-ingest",
      partitions: 1,
      internal: true,
    }]);
    expect(app.topology().subTopologies).toMatchObject([{
      name: "shop-payments-ingest",
      reads: ["shop-payments-ingest"],
      writes: ["payments"],
      steps: [
        { name: "shop-payments-ingest", kind: "source", inputs: [], writes: null, stores: [] },
        {
          name: "shop-payments-ingest-firsts",
          kind: "first of each id",
          inputs: ["shop-payments-ingest"],
          writes: "payments",
          stores: ["shop-payments-ingest#ids", "shop-payments-ingest#expiries"],
        },
      ],
    }]);
    expect(stand.engine.worker.tasks.map(({ id }) => id)).toEqual(["shop-payments-ingest/0"]);
    expect(plain.log.partitionsOf("shop-payments-ingest")).toBe(null);
  });

  test("needs its name for itself", async () => {
    const app = appOf();
    app.topic("shop-payments-ingest");

    await expect(open(app, { driver: forgetful(embedded({ disk: memoryDisk() })) })).rejects.toMatchObject({ code: "DEFINITION_INVALID" });
  });
});

describe("ids in time", () => {
  test("are remembered for their time from the first on, then given up", async () => {
    await using stand = await open(appOf(), { driver: forgetful(embedded({ disk: memoryDisk() })) });
    const at = async (ms: number, body: Sent): Promise<void> => {
      await stand.advance(START + ms - stand.runtime.now());
      await post(stand, "/a", body);
      await stand.drain();
    };

    await at(0, { id: "x", n: 0 });
    await at(KEEP_MS - 1, { id: "x", n: 1 });
    await at(KEEP_MS, { id: "x", n: 2 });
    await at(KEEP_MS + 1, { id: "x", n: 3 });
    for (let n = 100; n < 200; n++) await post(stand, "/a", { id: `id-${n}`, n });
    await stand.drain();
    expect(numbersOf(stand).filter((n) => n < 100)).toEqual([0, 2]);
    expect([rowsOf(stand, "shop-payments-ingest#ids"), rowsOf(stand, "shop-payments-ingest#expiries")]).toEqual([101, 102]);

    await at(2 * KEEP_MS + KEEP_MS / 64 + SLACK_MS + 1, { id: "last", n: 5 });
    expect([rowsOf(stand, "shop-payments-ingest#ids"), rowsOf(stand, "shop-payments-ingest#expiries")]).toEqual([1, 1]);
  });

  /** What is sent, by a server whose clock is `behindMs` behind, and what happens then. */
  const sentArbitrary = fc.record({
    id: fc.integer({ min: 0, max: 5 }),
    n: fc.integer({ min: 0, max: 3 }),
    path: fc.constantFrom("/a", "/b"),
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * KEEP_MS }), fc.constant(KEEP_MS), fc.integer({ min: 0, max: 2 * SLACK_MS })),
    behindMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: SLACK_MS }) }),
    then: fc.constantFrom("nothing", "nothing", "step", "drain", "crash", "restart"),
  });

  test("follow a model, whatever is repeated, restarted, and however clocks differ", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sentArbitrary, { maxLength: 25 }),
        fc.constantFrom(1, 3),
        fc.constantFrom(1, 7, 1_000),
        fc.constantFrom(0, 1e9),
        async (sent, partitions, stepRecords, cacheBytes) => {
          const runtime = runtimeOf();
          await using stand = await open(appOf("shop", partitions), {
            runtime,
            driver: forgetful(embedded({ disk: memoryDisk() })),
            worker: { stepRecords, cacheBytes },
          });
          const known = new Map<string, number>();
          const wanted: string[] = [];
          for (const [index, { id, n, path, afterMs, behindMs, then }] of sent.entries()) {
            runtime.advance(afterMs);
            runtime.jump(-behindMs);
            const now = runtime.now();
            await post(stand, path, { id: `id-${id}`, n: 10 * index + n });
            runtime.jump(behindMs);
            const until = known.get(`${path} ${id}`);
            if (until === undefined || now >= until) {
              known.set(`${path} ${id}`, now + KEEP_MS);
              wanted.push(`${10 * index + n}`);
            }
            if (then === "step") stand.engine.worker.step();
            else if (then === "drain") await stand.drain();
            else if (then === "crash") {
              stand.engine.worker.step();
              await stand.restart();
            } else if (then === "restart") {
              await stand.drain();
              await stand.restart();
            }
          }
          await stand.drain();
          expect(numbersOf(stand).map(String).sort()).toEqual(wanted.sort());
        },
      ),
      { seed: SEED, numRuns: 25 },
    );
  });
});
