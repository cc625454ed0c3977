/** Partitions over the admin pages: how each is, and what operators order. */
import { describe, expect, test } from "bun:test";
import { createApp } from "../../../mod.ts";
import { testApp } from "../../../src/testing/testing.ts";
import type { TestApp } from "../../../src/testing/testing.ts";

function setUp(
  partitions = 1,
  then: "stop" | "dead-letter" = "dead-letter",
): { readonly test: TestApp; readonly send: (...values: readonly number[]) => Promise<void>; readonly out: () => Promise<readonly unknown[]> } {
  const app = createApp("shop", { errors: { retry: false, then } });
  const orders = app.topic<string | null, number>("orders", { partitions });
  const copies = app.stream(orders).map((value) => {
    if (value < 0) throw new Error(`poison ${value}`);
    return value;
  }).to("copies");
  const running = testApp(app, { log: "embedded" });
  return {
    test: running,
    send: async (...values) => {
      for (const value of values) await running.send(orders, value, { partition: Math.abs(value) % partitions, timestamp: running.now });
    },
    out: async () => (await running.read(copies)).map(({ value }) => value),
  };
}

async function get(test: TestApp, path: string): Promise<Record<string, unknown>> {
  return await (await test.fetch(new Request(`http://localhost${path}`))).json() as Record<string, unknown>;
}

async function post(
  test: TestApp,
  action: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const init = { method: "POST", headers: { "content-type": "application/json", "x-millrace-operator": "ann", ...headers }, body: JSON.stringify(body) };
  const response = await test.fetch(new Request(`http://localhost/admin/control/${action}`, init));
  return { status: response.status, body: await response.json() as Record<string, unknown> };
}

describe("GET /admin/control", () => {
  test("says of each partition where it is, who has it, and who paused it", async () => {
    const { test, send } = setUp(2);
    await using _ = test;
    await send(1, 2, 3);
    await post(test, "pause", { topic: "orders", partition: 1, reason: "the shop is closed" });
    await send(5);
    expect(await get(test, "/admin/control")).toEqual({
      partitions: [
        { topic: "orders", partition: 0, task: "orders/0", status: "running", reason: null, position: 1, start: 0, end: 1, lag: 0, paused: null },
        {
          topic: "orders",
          partition: 1,
          task: "orders/1",
          status: "paused",
          reason: null,
          position: 2,
          start: 0,
          end: 3,
          lag: 1,
          paused: { since: test.now, by: "ann", reason: "the shop is closed" },
        },
      ],
    });
    expect(await test.health()).toEqual({
      status: "degraded",
      reason: "orders/1 has been paused by ann since 2026-01-01T00:00:00.000Z (the shop is closed): resume it to go on",
    });
  });
});

describe("POST /admin/control", () => {
  test("pauses and resumes a topic, over a restart, and says when it is done", async () => {
    const { test, send, out } = setUp(2);
    await using _ = test;
    const paused = await post(test, "pause", { topic: "orders" });
    expect(paused).toEqual({
      status: 200,
      body: { commands: [{ topic: "orders", partition: 0, id: 0 }, { topic: "orders", partition: 1, id: 1 }], applied: true },
    });
    await send(1, 2);
    await test.restart();
    expect(await out()).toEqual([]);
    await post(test, "resume", { topic: "orders", partition: 0 });
    expect(await out()).toEqual([2]);
    await post(test, "resume", { topic: "orders" });
    expect(await out()).toEqual([1]);
  });

  test("seeks to a position, the start, the end, a moment, and by a number of records", async () => {
    const { test, send, out } = setUp();
    await using _ = test;
    await send(1, 2);
    await test.advance("1m");
    const moment = test.now;
    await send(3, 4);
    await out();
    const seek = async (to: unknown): Promise<readonly unknown[]> => {
      expect((await post(test, "seek", { topic: "orders", partition: 0, to })).body["applied"]).toBe(true);
      return await out();
    };
    expect(await seek({ position: 1 })).toEqual([2, 3, 4]);
    expect(await seek("start")).toEqual([1, 2, 3, 4]);
    expect(await seek({ time: moment })).toEqual([3, 4]);
    expect(await seek({ by: -1 })).toEqual([4]);
    expect(await seek("end")).toEqual([]);
    await post(test, "pause", { topic: "orders" });
    await send(5, 6);
    await seek({ by: 1 });
    await post(test, "resume", { topic: "orders" });
    expect(await out()).toEqual([6]);
  });

  test("F08 a record that stopped its task is skipped, and the task goes on", async () => {
    const { test, send, out } = setUp(1, "stop");
    await using _ = test;
    await send(1);
    await expect(send(-2)).rejects.toThrow("poison");
    const [stopped] = (await get(test, "/admin/control"))["partitions"] as readonly Record<string, unknown>[];
    expect(stopped).toMatchObject({ status: "stopped", reason: expect.stringContaining("poison -2"), position: 1, lag: 1 });
    await post(test, "seek", { topic: "orders", partition: 0, to: { by: 1 }, reason: "known bad" });
    await send(3);
    expect(await out()).toEqual([1, 3]);
    expect(await test.health()).toEqual({ status: "ok" });
  });

  test("restarts a task that has stopped", async () => {
    const { test, send } = setUp(1, "stop");
    await using _ = test;
    await expect(send(-1)).rejects.toThrow("poison");
    // It stops at the same record again, and the call during which it does rejects.
    await expect(post(test, "restart", { topic: "orders" })).rejects.toThrow("poison");
  });

  test("is in the audit, with who, why, from where and to where", async () => {
    const { test, send } = setUp();
    await using _ = test;
    await send(1, 2, 3);
    await post(test, "pause", { topic: "orders", reason: "why" });
    await post(test, "seek", { topic: "orders", partition: 0, to: "start" });
    const { entries } = await get(test, "/admin/audit") as { readonly entries: readonly Record<string, unknown>[] };
    expect(entries.map(({ by, action, topic, partition, reason, from, to }) => ({ by, action, topic, partition, reason, from, to })).reverse()).toEqual([
      { by: "ann", action: "pause", topic: "orders", partition: 0, reason: "why", from: undefined, to: undefined },
      { by: "ann", action: "seek", topic: "orders", partition: 0, reason: null, from: 3, to: 0 },
    ]);
  });

  for (
    const [what, action, body, status, detail] of [
      ["an unknown topic", "pause", { topic: "nothing" }, 404, 'Cannot pause "nothing": app "shop" reads "orders"'],
      ["a partition as log lines write it", "pause", { topic: "orders-1" }, 404, 'did you mean orders/1?'],
      ["a partition that is not there", "pause", { topic: "orders", partition: 2 }, 404, 'Cannot pause "orders" partition 2: it has 2, from 0 on'],
      ["no topic", "pause", {}, 400, 'The "topic" must be the name of a topic.'],
      ["a partition that is no number", "pause", { topic: "orders", partition: "0" }, 400, 'The "partition" must be a whole number from 0'],
      ["a word that is not taken", "pause", { topic: "orders", partitions: [0] }, 400, '"partitions", which is not taken here'],
      ["no place", "seek", { topic: "orders", partition: 0 }, 400, 'The "to" must be'],
      ["two places", "seek", { topic: "orders", partition: 0, to: { position: 0, by: 1 } }, 400, 'The "to" must be'],
      ["a position beyond the end", "seek", { topic: "orders", partition: 0, to: { position: 7 } }, 400, "it has positions from 0 to 0, its end"],
      ["a position below the start", "seek", { topic: "orders", partition: 0, to: { by: -1 } }, 400, "to -1: it has positions from 0"],
      ["one position for all partitions", "seek", { topic: "orders", to: { position: 0 } }, 400, "name a partition"],
      ["a reason that is no text", "pause", { topic: "orders", reason: 1 }, 400, 'The "reason" must be text'],
    ] as const
  ) {
    test(`refuses ${what}, and changes nothing`, async () => {
      const { test } = setUp(2);
      await using _ = test;
      const answer = await post(test, action, body);
      expect(answer.status).toBe(status);
      expect(answer.body["detail"]).toContain(detail);
      expect(await get(test, "/admin/audit")).toMatchObject({ entries: [] });
    });
  }

  test("takes JSON alone: another site's page cannot make a browser send it unasked", async () => {
    const { test } = setUp();
    await using _ = test;
    expect((await post(test, "pause", { topic: "orders" }, { "content-type": "text/plain" })).status).toBe(415);
  });
});
