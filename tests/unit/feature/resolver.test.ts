/** Resolvers and features: from a message by parse and handler to values that are read as of now or as of a moment. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { codec, createApp, embedded, retryLater, skip } from "../../../mod.ts";
import type { App, Topic, TopicOptions } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { gate, open, recordsOf, START } from "../task/harness.ts";

const Transaction = v.object({ transaction_id: v.string(), status: v.string(), amount: v.optional(v.number()) });
type Transaction = v.InferOutput<typeof Transaction>;

function setUp(options: TopicOptions<string, Transaction, Transaction> = {}): { readonly app: App; readonly input: Topic<string, Transaction, Transaction> } {
  const app = createApp("t", { errors: { retry: false } });
  return { app, input: app.topic<string, Transaction, Transaction>("transactions", { value: Transaction, ...options }) };
}

const message = (more: Partial<Transaction> = {}): Transaction => ({ transaction_id: "t1", status: "open", ...more });

describe("a resolver", () => {
  test("CH-24 CH-02 CH-05 CH-07 CH-10 CH-11 turns checked messages of a source into the features it names", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string(), amount: v.number() });
    app.resolver("status", { source: input, output: set.pick("status") }, (m) => set.of(m.transaction_id, { status: m.status }));
    const stand = await open(app);

    await input.send(message({ status: "closed" }));
    await stand.drain();

    expect(await app.query(set, "t1")).toEqual({ status: "closed", amount: null });
    expect(await app.query(set.pick("status"), "t2")).toEqual({ status: null });
    await stand.crash();
  });

  test("CH-05 never sees a message that does not fit the model", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    let calls = 0;
    app.resolver("status", { source: input, output: set }, (m) => {
      calls++;
      return set.of(m.transaction_id, { status: m.status });
    });
    const stand = await open(app);

    await stand.append("transactions", [{ value: '{"transaction_id":7}' }]);
    await stand.drain();

    expect([calls, recordsOf(stand.log, "transactions-dlq").map(({ headers }) => headers["mr-code"])]).toEqual([0, ["SCHEMA_MISMATCH"]]);
    await stand.crash();
  });

  test("CH-06 works without a model", async () => {
    const app = createApp("t");
    const raw = app.topic("raw");
    const set = app.features("s", { text: v.string() });
    app.resolver("raw text", { source: raw, output: set }, (m) => set.of("k", { text: JSON.stringify(m) }));
    const stand = await open(app);

    await raw.send({ anything: [1] });
    await stand.drain();

    expect(await app.query(set, "k")).toEqual({ text: '{"anything":[1]}' });
    await stand.crash();
  });

  test("CH-17 CH-18 CH-19 CH-20 CH-21 parse transforms what the handler gets; null and undefined skip it, and other children of the message go on", async () => {
    interface Parent {
      readonly user: string;
      readonly login?: { readonly ip: string };
      readonly click?: { readonly page: string };
    }
    const app = createApp("t");
    const events = app.topic<string | null, Parent>("events");
    const set = app.features("user", { page: v.string(), ip: v.string() });
    const calls: string[] = [];
    app.resolver("clicks", { source: events, parse: (p) => p.click === undefined ? null : { user: p.user, page: p.click.page }, output: set }, (click) => {
      calls.push(`click ${click.page}`);
      return set.of(click.user, { page: click.page });
    });
    app.resolver("logins", { source: events, parse: async (p) => p.login === undefined ? undefined : { user: p.user, ip: p.login.ip }, output: set }, (login) => {
      calls.push(`login ${login.ip}`);
      return set.of(login.user, { ip: login.ip });
    });
    const stand = await open(app);

    for (const event of [{ user: "u", login: { ip: "::1" } }, { user: "u" }, { user: "u", click: { page: "/" }, login: { ip: "::2" } }]) await events.send(event);
    await stand.drain();

    expect([calls, await app.query(set, "u"), stand.engine.worker.stats.skipped.get("parse gave nothing")]).toEqual([["login ::1", "click /", "login ::2"], { page: "/", ip: "::2" }, 3]);
    await stand.crash();
  });

  test("CH-23 several on one source share one reader: each message is read once, one group, one task", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string(), amount: v.number() });
    const calls: string[] = [];
    for (const name of ["one", "two", "three"]) {
      app.resolver(name, { source: input, output: set }, (m) => {
        calls.push(name);
        return set.of(m.transaction_id, { status: m.status });
      });
    }
    const stand = await open(app);

    await input.send(message());
    await stand.drain();

    expect(calls).toEqual(["one", "two", "three"]);
    expect(stand.engine.worker.tasks.filter(({ inputs }) => inputs.some(({ topic }) => topic.name === "transactions"))).toHaveLength(1);
    await stand.crash();
  });

  test("may give a row, rows, nothing, skip(), or a promise of them", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    const row = (key: string) => set.of(key, { status: key });
    app.resolver("many", { source: input, output: set }, (m) => {
      switch (m.transaction_id) {
        case "row":
          return row("a");
        case "rows":
          return [row("b"), row("c")];
        case "later":
          return Promise.resolve([row("d")]);
        case "skip":
          return skip("not ours");
        case "later skip":
          return Promise.resolve(skip("not ours"));
        default:
          return m.transaction_id === "null" ? null : undefined;
      }
    });
    const stand = await open(app);

    for (const transaction_id of ["row", "rows", "later", "skip", "later skip", "null", "undefined"]) await input.send(message({ transaction_id }));
    await stand.drain();

    expect(await Promise.all(["a", "b", "c", "d"].map(async (key) => (await app.query(set, key)).status))).toEqual(["a", "b", "c", "d"]);
    expect([stand.engine.worker.stats.skipped.get("not ours"), recordsOf(stand.log, "transactions-dlq").length]).toEqual([2, 0]);
    await stand.crash();
  });

  test("CH-10 rows are checked by their schemas, promised features must be there, others must not: all rows of a message or none", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.pipeAsync(v.string(), v.checkAsync(async (text) => text !== "bad later")), amount: v.pipe(v.number(), v.minValue(0)) });
    const other = app.features("other", { x: v.number() });
    const rows: Record<string, () => unknown> = {
      "wrong value": () => [set.of("k", { status: "in" }), set.of("k", { amount: -1 })],
      "wrong later": () => [set.of("k", { amount: 5 }), set.of("k", { status: "bad later" })],
      "unknown feature": () => set.of("k", { nothing: 1 } as never),
      "another entity": () => other.of("k", { x: 1 }),
      "no key": () => set.of(undefined as never, { amount: 1 }),
    };
    app.resolver("rows", { source: input, output: set }, (m) => rows[m.transaction_id]!() as never);
    app.resolver("promise", { source: input, output: set.pick("amount") }, () => set.of("p", {} as never));
    const stand = await open(app);

    for (const transaction_id of Object.keys(rows)) await input.send(message({ transaction_id }));
    await stand.drain();

    expect(await Promise.all(["k", "undefined", "p"].map((key) => app.query(set, key)))).toEqual(Array.from({ length: 3 }, () => ({ status: null, amount: null })));
    expect(recordsOf(stand.log, "transactions-dlq").map(({ headers }) => headers["mr-code"])).toEqual([
      "SCHEMA_MISMATCH",
      "DEFINITION_INVALID",
      "DEFINITION_INVALID",
      "DEFINITION_INVALID",
      "DEFINITION_INVALID",
    ]);
    await stand.crash();
  });

  test("is the function it was made of: calling it gives rows, without any app running", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    const resolver = app.resolver("status", { source: input, output: set }, (m) => m.status === "none" ? null : set.of(m.transaction_id, { status: m.status }));

    expect([await resolver(message()), await resolver(message({ status: "none" })), resolver.resolverName]).toEqual([[{ entity: "transaction", key: "t1", values: { status: "open" } }], [], "status"]);
  });

  test("CH-01 a webhook is a source like a topic", async () => {
    const app = createApp("t");
    const hook = app.webhook("/hooks/payments", { verify: "none", body: v.object({ id: v.string(), n: v.number() }) });
    const set = app.features("payment", { n: v.number() });
    app.resolver("payment", { source: hook, parse: (m) => m.body, output: set }, (body) => set.of(body.id, { n: body.n }));
    const stand = await open(app);

    const answer = await stand.engine.fetch(new Request("http://localhost/hooks/payments", { method: "POST", headers: { "content-type": "application/json" }, body: '{"id":"p","n":7}' }));
    await stand.drain();

    expect([answer.status, await app.query(set, "p")]).toEqual([202, { n: 7 }]);
    await stand.crash();
  });
});

describe("CH-03 CH-04 CH-13 lateArrivalDeadline", () => {
  test("CH-14 by default every message is taken, however old", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    app.resolver("status", { source: input, output: set }, (m) => set.of(m.transaction_id, { status: m.status }));
    const stand = await open(app);

    await input.send(message(), { timestamp: 0 });
    await stand.drain();

    expect(await app.query(set, "t1")).toEqual({ status: "open" });
    await stand.crash();
  });

  test("CH-15 CH-16 CH-41 older than the deadline by the wall clock does not run its resolver and is counted; exactly as old is in time", async () => {
    const { app, input } = setUp({ lateArrivalDeadline: "30m" });
    const set = app.features("transaction", { status: v.string() });
    let parsed = 0;
    app.resolver("status", {
      source: input,
      parse: (m) => {
        parsed++;
        return m;
      },
      output: set,
    }, (m) => set.of(m.transaction_id, { status: m.status }));
    const stand = await open(app);

    await input.send(message({ transaction_id: "exact" }), { timestamp: START - 1_800_000 });
    await input.send(message({ transaction_id: "older" }), { timestamp: START - 1_800_001 });
    await stand.drain();

    expect([await app.query(set, "exact"), await app.query(set, "older"), parsed]).toEqual([{ status: "open" }, { status: null }, 1]);
    expect([stand.engine.worker.stats.skipped.get("past the late-arrival deadline"), recordsOf(stand.log, "transactions-dlq").length]).toEqual([1, 0]);
    await stand.crash();
  });

  test("CH-41 is decided once, at the first try: retries and restarts later do not change it", async () => {
    const { app, input } = setUp({ lateArrivalDeadline: "30m", errors: { retry: { attempts: 5 } } });
    const set = app.features("transaction", { status: v.string() });
    let tries = 0;
    app.resolver("status", { source: input, output: set }, (m) => {
      if (tries++ < 2) throw retryLater("1h");
      return set.of(m.transaction_id, { status: m.status });
    });
    const stand = await open(app);

    await input.send(message(), { timestamp: START - 1_700_000 });
    await stand.drain();
    await stand.advance(3_600_000);
    await stand.drain();
    await stand.restart();
    await stand.advance(3_600_000);
    await stand.drain();

    expect([tries, await app.query(set, "t1")]).toEqual([3, { status: "open" }]);
    await stand.crash();
  });

  test("CH-41 for webhooks it is measured at receipt, however late the record is worked on", async () => {
    const app = createApp("t");
    const payments = app.topic<string | null, { readonly id: string; readonly at: number }>("payments", { timestamp: (p) => p.at, lateArrivalDeadline: "30m" });
    app.webhook("/hook", { topic: payments, verify: "none" });
    const set = app.features("payment", { n: v.number() });
    app.resolver("payment", { source: payments, output: set }, (p) => set.of(p.id, { n: 1 }));
    const stand = await open(app, { driver: embedded({ disk: memoryDisk() }) });
    const post = (id: string, at: number): Promise<Response> =>
      stand.engine.fetch(new Request("http://localhost/hook", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ id, at }) }));

    const answers = [await post("fresh", START - 1_000), await post("old", START - 1_800_001)];
    stand.runtime.advance(7_200_000);
    await stand.drain();

    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect([await app.query(set, "fresh"), await app.query(set, "old")]).toEqual([{ n: 1 }, { n: null }]);
    await stand.crash();
  });
});

describe("features", () => {
  test("CH-12 CH-42 an older observation never overwrites a newer one, whatever order they come in; of equal times the later record wins", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string(), amount: v.number() });
    app.resolver("status", { source: input, output: set }, (m, { timestamp }) => {
      const at = { observedAt: timestamp };
      return m.amount === undefined ? set.of(m.transaction_id, { status: m.status }, at) : set.of(m.transaction_id, { amount: m.amount }, at);
    });
    const stand = await open(app);

    for (const [status, at] of [["second", 200], ["first", 100], ["third", 300], ["third again", 300]] as const) await input.send(message({ status }), { timestamp: at });
    await input.send(message({ amount: 1 }), { timestamp: 50 });
    await stand.drain();
    await stand.restart();
    await input.send(message({ status: "late" }), { timestamp: 299 });
    await stand.drain();

    expect(await app.query(set, "t1")).toEqual({ status: "third again", amount: 1 });
    await stand.crash();
  });

  test("CH-40 observed at the record's time, unless the row says otherwise", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    app.resolver("status", { source: input, output: set }, (m) => m.amount === undefined ? set.of(m.transaction_id, { status: m.status }) : set.of(m.transaction_id, { status: m.status }, { observedAt: new Date(m.amount) }));
    const stand = await open(app);

    await input.send(message({ status: "by record" }), { timestamp: 1_000 });
    await input.send(message({ status: "by row", amount: 500 }), { timestamp: 2_000 });
    await stand.drain();
    const asOf = async (at: number): Promise<unknown> => (await app.query(set, "t1", { at })).status;

    expect([await asOf(499), await asOf(500), await asOf(999), await asOf(1_000), await asOf(9_999), (await app.query(set, "t1")).status]).toEqual([null, "by row", "by row", "by record", "by record", "by record"]);
    await stand.crash();
  });

  test("queries as of a moment agree with a model, over times before 1970, keys and features alike, and restarts", async () => {
    const { app, input } = setUp({ negativeTimestamps: true });
    const set = app.features("transaction", { a: v.number(), aa: v.number() });
    app.resolver("values", { source: input, output: set }, (m) => m.status === "a" ? set.of(m.transaction_id, { a: m.amount ?? 0 }) : set.of(m.transaction_id, { aa: m.amount ?? 0 }));
    const stand = await open(app, { worker: { cacheBytes: 0 } });
    const keys = ["k", "k\0a", "", "__proto__", "kk"], seen: { key: string; feature: "a" | "aa"; at: number; value: number }[] = [];

    for (let i = 0; i < 120; i++) {
      const at = (i * 7_919) % 40 - 20;
      const entry = { key: keys[i % keys.length]!, feature: i % 3 === 0 ? "aa" as const : "a" as const, at, value: i };
      seen.push(entry);
      await input.send({ transaction_id: entry.key, status: entry.feature, amount: i }, { timestamp: at });
      if (i % 50 === 49) {
        await stand.drain();
        await stand.restart();
      }
    }
    await stand.drain();

    for (const key of keys) {
      for (const at of [-21, -20, -1, 0, 1, 7, 19, 100, null]) {
        const newest = (feature: "a" | "aa"): number | null =>
          seen.filter((entry) => entry.key === key && entry.feature === feature && (at === null || entry.at <= at)).toSorted((x, y) => x.at - y.at || x.value - y.value).at(-1)?.value ?? null;
        expect(await app.query(set, key, at === null ? {} : { at })).toEqual({ a: newest("a"), aa: newest("aa") });
      }
    }
    await stand.crash();
  });

  test("null is a value, undefined is none", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.nullable(v.string()) });
    app.resolver("status", { source: input, output: set }, (m) => set.of(m.transaction_id, { status: m.status === "null" ? null : m.status === "undefined" ? undefined as never : m.status }));
    const stand = await open(app);

    const answers: unknown[] = [];
    for (const status of ["open", "undefined", "null"]) {
      await input.send(message({ status }));
      await stand.drain();
      answers.push((await app.query(set, "t1")).status);
    }

    expect(answers).toEqual(["open", "open", null]);
    await stand.crash();
  });

  test("names that objects have anyway are names like others", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { constructor: v.string(), toString: v.string() });
    app.resolver("status", { source: input, output: set }, (m) => set.of(m.transaction_id, { constructor: m.status, toString: m.status }));
    const stand = await open(app);

    await input.send(message());
    await stand.drain();

    expect([await app.query(set, "t1"), await app.query(set, "t2")]).toEqual([{ constructor: "open", toString: "open" }, { constructor: null, toString: null }]);
    await stand.crash();
  });

  test("keys by a codec, over several partitions of the source: one owner a key", async () => {
    const { app, input } = setUp({ partitions: 4 });
    const keyFormat = codec<number>({ name: "number", encode: (key) => String(key), decode: (bytes) => Number(new TextDecoder().decode(bytes)) });
    const set = app.features("transaction", { status: v.string() }, { keyFormat });
    app.resolver("status", { source: input, output: set }, (m) => set.of(m.amount ?? 0, { status: m.status }));
    const stand = await open(app);

    for (let amount = 0; amount < 20; amount++) for (const partition of [0, 1, 2, 3]) await input.send(message({ amount, status: `${amount}` }), { key: "x", partition });
    await stand.drain();

    expect(await Promise.all(Array.from({ length: 20 }, async (_, key) => (await app.query(set, key)).status))).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
    await stand.crash();
  });

  test("queries answer what is committed, and nothing of a record under way", async () => {
    const { app, input } = setUp();
    const set = app.features("transaction", { status: v.string() });
    const slow = gate();
    app.resolver("status", { source: input, output: set }, async (m) => {
      await slow.promise;
      return set.of(m.transaction_id, { status: m.status });
    });
    const stand = await open(app);
    await input.send(message());

    await stand.settle();
    await stand.engine.worker.commit();
    const before = await app.query(set, "t1");
    slow.open();
    await stand.settle();
    const uncommitted = await app.query(set, "t1");
    await stand.drain();

    expect([before, uncommitted, await app.query(set, "t1")]).toEqual([{ status: null }, { status: null }, { status: "open" }]);
    await stand.crash();
  });
});
