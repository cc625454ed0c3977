/** Sinks: what they are given, by which policy they fail, and that a repeat has the token of the first time. */
import { expect, test } from "bun:test";
import { count, createApp, sink, terminal, tumbling } from "../../../mod.ts";
import { testApp } from "../../../src/testing/testing.ts";

test("a sink is given each value with a token that differs between records and values, and is the same when it is tried again", async () => {
  const app = createApp("shop", { errors: { retry: { attempts: 3, backOff: "1s" } } });
  const orders = app.topic<string | null, readonly number[]>("orders");
  const given: [number, string][] = [];
  let failures = 1;
  app.stream(orders).flatMap((list) => list).to(sink("mail", async (n: number, token) => {
    given.push([n, token]);
    await Promise.resolve();
    if (n === 2 && failures-- > 0) throw new Error("busy");
  }));
  await using run = testApp(app);
  await run.send(orders, [1, 2]);
  await run.send(orders, [1]);
  await run.advance("10s");

  expect(given.map(([n]) => n)).toEqual([1, 2, 1, 1, 2]);
  const [one, two, other, oneAgain, twoAgain] = given.map(([, token]) => token);
  expect([oneAgain, twoAgain]).toEqual([one!, two!]);
  expect(new Set([one, two, other]).size).toBe(3);
  expect(one).toMatch(/^shop\/mail\/orders-0@0#[0-9a-f]{8}$/);
});

test("results of windows have a token each", async () => {
  const app = createApp("shop");
  const orders = app.topic<string, number>("orders");
  const tokens: string[] = [];
  app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to(sink("totals", (_total, token) => void tokens.push(token)));
  await using run = testApp(app, { log: "embedded" });
  for (const [key, timestamp] of [["a", 0], ["b", 0], ["a", 60_000], ["a", 120_000]] as const) {
    await run.send(orders, 1, { key, timestamp: run.now + timestamp });
  }
  expect(new Set(tokens).size).toBe(3);
});

test("a sink fails by its own policy, or by that of the source, and its records are dead letters of its name", async () => {
  const app = createApp("shop", { errors: { retry: { attempts: 5, backOff: "1s" } } });
  const orders = app.topic<string | null, number>("orders", { errors: { retry: { attempts: 2, backOff: "1s" } } });
  let skipped = 0, tried = 0;
  app.stream(orders).filter((n) => n === 1).to(sink("own", () => {
    skipped++;
    throw new Error("no");
  }, { errors: { retry: false, then: "skip" } }));
  app.stream(orders).filter((n) => n === 2).to(sink("inherited", () => {
    tried++;
    throw new Error("no");
  }));
  app.stream(orders).filter((n) => n === 3).to(sink("terminal", () => {
    throw terminal("never");
  }));
  await using run = testApp(app);
  for (const n of [1, 2, 3]) await run.send(orders, n);
  await run.advance("1m");

  expect([skipped, tried]).toEqual([1, 2]);
  expect((await run.deadLetters(orders)).map(({ step, attempts, value }) => [step, attempts, value])).toEqual([["terminal", 1, 3], ["inherited", 2, 2]]);
});

test("a sink takes what a stream gives it alone, and has a name of its own", async () => {
  const app = createApp("shop");
  const orders = app.topic<string | null, number>("orders");
  const mail = sink<number>("mail", () => {});
  app.stream(orders).to(mail);
  await using run = testApp(app);
  await expect(run.send(mail, 1)).rejects.toThrow('Cannot send to sink "mail" from here');
  expect(() => sink("", () => {})).toThrow('The name of a sink is ""');

  const twice = createApp("twice");
  const numbers = twice.topic<string | null, number>("numbers");
  twice.stream(numbers).to(mail);
  twice.stream(numbers).to(mail);
  expect(() => twice.topology()).toThrow('Two steps are named "mail"');
});
