/** Event time and processing as the semantics page fixes them, item by item, by the public surface alone. */
import { expect, test } from "bun:test";
import { collect, count, createApp, hopping, sum, tumbling } from "../../mod.ts";
import type { App, Stream, Topic, TopicOptions } from "../../mod.ts";
import { testApp } from "../../src/testing/testing.ts";

interface In {
  readonly k: string;
  readonly v?: number;
  readonly at: number;
}

function setUp(options: TopicOptions<string, In, In> = {}): { readonly app: App; readonly input: Topic<string, In, In>; readonly stream: Stream<string, In> } {
  const app = createApp("spec");
  const input = app.topic<string, In>("in", { key: (value) => value.k, timestamp: (value) => value.at, ...options });
  return { app, input, stream: app.stream(input) };
}

/** Sends to the windows and gives `key start n` of what was said, and how many were late. */
async function counted(options: TopicOptions<string, In, In>, window: Parameters<Stream<string, In>["window"]>[0], ...records: readonly In[]): Promise<{ readonly said: string[]; readonly late: number }> {
  const { app, input, stream } = setUp(options);
  const out = stream.window(window).aggregate({ n: count() }).to("out");
  await using test = testApp(app);
  for (const record of records) await test.send(input, record);
  const said = (await test.read(out)).map(({ value: { key, start, value } }) => `${key} ${start} ${value.n}`);
  return { said, late: (await test.late(input)).length };
}

const at = (...times: readonly number[]): In[] => times.map((time) => ({ k: "a", at: time }));

test("1: a record that moves the clock counts for its own lateness; equal and older ones don't move it", async () => {
  expect(await counted({}, tumbling(10), ...at(5, 100, 100, 99, 100, 110))).toEqual({ said: ["a 0 1", "a 100 3"], late: 1 });
});

test("2: starts are multiples of the size plus the offset; start is in, end is out", async () => {
  expect((await counted({}, tumbling(10, { offset: 3 }), ...at(2, 3, 12, 13, 100))).said).toEqual(["a -7 1", "a 3 2", "a 13 1"]);
});

test("2: negative times by floor division", async () => {
  expect((await counted({ negativeTimestamps: true }, tumbling(10), ...at(-11, -10, -1, 0, 100))).said).toEqual(["a -20 1", "a -10 2", "a 0 1"]);
});

test("2: late by exactly the grace is too late, by less is not", async () => {
  expect(await counted({}, tumbling(10, { grace: 5 }), ...at(9, 14, 9, 15, 9))).toEqual({ said: ["a 0 2"], late: 1 });
});

test("2: lateness is judged by window: late for one, on time for another", async () => {
  expect(await counted({}, hopping(20, { every: 10 }), ...at(19, 20, 15, 100))).toEqual({ said: ["a 0 1", "a 10 3", "a 20 1"], late: 1 });
});

test("8: results carry the largest timestamp among their inputs, stateless steps their input's", async () => {
  const { app, input, stream } = setUp();
  const windows = stream.groupByKey().window(tumbling(10)).aggregate({ n: count() }).to("windows");
  const copies = stream.map((value) => value.at).to("copies");
  await using test = testApp(app);

  for (const record of at(3, 7, 5, 50)) await test.send(input, record);

  expect((await test.read(windows)).map(({ timestamp }) => timestamp)).toEqual([7]);
  expect((await test.read(copies)).map(({ timestamp }) => timestamp)).toEqual([3, 7, 5, 50]);
});

test("9: null keys are skipped by default, counted by their own reason; null values are counted by count() only", async () => {
  const { app, input, stream } = setUp();
  const out = stream.window(tumbling(10)).aggregate({ n: count(), total: sum((value) => value.v ?? 0), all: collect() }).to("out");
  await using test = testApp(app);

  await test.sendBytes(input, new TextEncoder().encode('{"k":"x","at":1}'), { key: null, timestamp: 1 });
  await test.send(input, { k: "a", v: 5, at: 1 });
  await test.sendBytes(input, null, { key: "a", timestamp: 2 });
  await test.send(input, { k: "a", at: 100 });

  expect((await test.read(out)).map(({ value }) => value)).toEqual([{ key: "a", start: 0, end: 10, value: { n: 2, total: 5, all: [{ k: "a", v: 5, at: 1 }] } }]);
  expect(await test.deadLetters(input)).toEqual([]);
});

test("10: timestamps that no one can use go by the error policy, negative ones are dropped, far-ahead ones are quarantined", async () => {
  const { app, input, stream } = setUp();
  const out = stream.map((value) => value.at).to("out");
  await using test = testApp(app);
  const now = test.now;

  for (const time of [1.5, -1, now + 86_400_001, now + 86_400_000, 0]) await test.sendBytes(input, new TextEncoder().encode(JSON.stringify({ k: "a", at: time })), { key: "a", timestamp: 1 });

  expect((await test.read(out)).map(({ value }) => value)).toEqual([now + 86_400_000, 0]);
  expect(await test.deadLetters(input)).toHaveLength(2);
});

test("11: update says the last state always, close exactly one final row a window and key", async () => {
  const { app, input, stream } = setUp();
  const updates = stream.window(tumbling(10, { grace: 5 }), { emit: "update" }).aggregate({ n: count() }).to("updates");
  const closes = stream.window(tumbling(10, { grace: 5 }), { name: "closing" }).aggregate({ n: count() }).to("closes");
  await using test = testApp(app);

  for (const record of at(1, 12, 2, 50, 3)) await test.send(input, record);

  expect((await test.read(updates)).map(({ value: { start, value } }) => [start, value.n])).toEqual([[0, 1], [10, 1], [0, 2], [50, 1]]);
  expect((await test.read(closes)).map(({ value: { start, value } }) => [start, value.n])).toEqual([[0, 2], [10, 1]]);
});

test("12: per partition in the order of positions, over several inputs of one task in the order of timestamps", async () => {
  const { app, input, stream } = setUp();
  const other = app.topic<string, In>("other", { key: (value) => value.k, timestamp: (value) => value.at });
  const out = stream.merge(other).map((value) => value.at).to("out");
  await using test = testApp(app);

  await test.settle();
  await Promise.all([...at(10, 30, 20).map((value) => input.send(value)), ...at(5, 25, 35).map((value) => other.send(value))]);
  await test.settle();

  expect((await test.read(out)).map(({ value }) => value)).toEqual([5, 10, 25, 30, 20, 35]);
});

test("14: a restart, drained or killed, changes nothing", async () => {
  const results: unknown[] = [];
  for (const how of [null, { drain: true }, { drain: false }]) {
    const { app, input, stream } = setUp({ partitions: 3 });
    const out = stream.groupBy((value) => `${value.at % 3}`).window(tumbling(10, { grace: 1_000 })).aggregate({ n: count() }).to("out");
    await using test = testApp(app, { log: "embedded" });
    for (let i = 0; i < 40; i++) {
      await test.send(input, { k: `k${i}`, at: i });
      if (how !== null && i % 10 === 9) await test.restart(how);
    }
    for (let i = 0; i < 30; i++) await test.send(input, { k: `end${i}`, at: 100_000 });
    await test.advance("1s");
    results.push((await test.read(out)).map(({ value: { key, start, value } }) => `${start} ${key} ${value.n}`).toSorted());
  }

  expect(results[0]).toHaveLength(12);
  expect(results).toEqual([results[0], results[0], results[0]]);
});

test("PS-D1 positions are numbers: nothing after the tenth record is taken for processed, over restarts", async () => {
  const { app, input, stream } = setUp();
  const seen: number[] = [];
  stream.forEach((value) => void seen.push(value.at));
  await using test = testApp(app, { log: "embedded" });

  for (let i = 0; i < 13; i++) {
    await test.send(input, { k: "a", at: i });
    if (i === 8 || i === 11) await test.restart();
  }

  expect(seen).toEqual(Array.from({ length: 13 }, (_, i) => i));
});
