/**
 * The rows that a fixed scenario leaves in the database, byte by byte: state that one version wrote must be read by the next. A change here is a change of format: raise the
 * version, keep reading the old one, and only then write new rows down.
 */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { collect, count, createApp, embedded, mean, min, retryLater, sum, tumbling } from "../../mod.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { open, recordsOf, runtimeOf, START } from "../unit/task/harness.ts";
import { goldenLetters, goldenState } from "./state-rows.ts";

interface In {
  readonly k: string;
  readonly v: number;
}

/** `store/partition fingerprint | time | key | value in hexadecimal`, in the order of the table. */
function stateOf(database: Database): string[] {
  const statement = database.prepare(
    "SELECT store || '/' || part || ' ' || fingerprint || ' | ' || time || ' | ' || replace(key, char(10), '␤') || ' | ' || hex(value) FROM state JOIN spaces ON id = space ORDER BY store, part, time, key",
  );
  const rows: string[] = [];
  while (statement.step()) rows.push(statement.text(0));
  statement.reset();
  statement.finalize();
  return rows;
}

test("windows by keys that are no text are read as they lay before the format of keys was part of what a store is", async () => {
  const app = createApp("golden");
  const input = app.topic<string, In>("in", { key: (value) => value.k });
  const sums = app.stream(input).groupBy((value) => ({ odd: value.v % 2 === 1 }), { name: "oddness" }).window(tumbling("1m"), { name: "by oddness" });
  sums.aggregate({ total: sum((value) => value.v) }).to("sums");
  const disk = memoryDisk();
  const stand = await open(app, { runtime: runtimeOf(), driver: embedded({ disk }) });
  await input.send({ k: "a", v: 1 }, { timestamp: START });
  await stand.drain();
  stand.log.database!.exec("UPDATE spaces SET fingerprint = replace(fingerprint, 'window by any ', 'window ')");
  await stand.restart();
  await input.send({ k: "b", v: 3 }, { timestamp: START + 1 });
  await input.send({ k: "b", v: 5 }, { timestamp: START + 60_000 });
  await stand.drain();

  expect(recordsOf(stand.log, "sums").map(({ bytes }) => unpackValue(bytes!))).toEqual([{ key: { odd: true }, start: START, end: START + 60_000, value: { total: 4 } }]);
  expect(stateOf(stand.log.database!).some((row) => row.startsWith("by oddness/0 window by any 60000/60000+0 total:sum |"))).toBe(true);
  await stand.crash();
});

test("state, clocks and pending records lie in the database as they did before; letters have the headers they had", async () => {
  const app = createApp("golden", { errors: { retry: { attempts: 2, backOff: "1s" } } });
  const input = app.topic<string, In>("in", { key: (value) => value.k });
  const set = app.features("account", { n: v.number() });
  app.resolver("numbers", { source: input, output: set }, (value, { timestamp }) => set.of(value.k, { n: value.v }, { observedAt: timestamp }));
  app.stream(input).groupByKey().window(tumbling("1m"), { name: "per minute" }).aggregate({
    n: count(),
    total: sum((value) => value.v),
    average: mean((value) => value.v),
    least: min((value) => new Date(value.v)),
    all: collect(),
  }).to("out");
  app.stream(input).groupBy((value) => ({ odd: value.v % 2 === 1 }), { name: "oddness" }).window(tumbling("1m"), { name: "by oddness" }).reduce((left, right) => left.v > right.v ? left : right);
  app.stream(input).map((value) => {
    if (value.v === 7) throw retryLater("1h");
    if (value.v === 8) throw new DOMException("no more", "AbortError");
  });
  const stand = await open(app, { runtime: runtimeOf(), driver: embedded({ disk: memoryDisk() }) });

  for (const [k, n, at] of [["a", 1, 1_000], ["a", 2, 2_000], ["Ω\0", 3, 3_000], ["late", 4, 200_000], ["late", 5, 1_000], ["wait", 7, 201_000], ["wait", 9, 202_000], ["dead", 8, 203_000]] as const) {
    await input.send({ k, v: n }, { timestamp: START + at, headers: { mine: "x" } });
  }
  await stand.drain();
  for (let i = 0; i < 3; i++) {
    await stand.advance(1_000);
    await stand.drain();
  }

  expect(stateOf(stand.log.database!)).toEqual([...goldenState]);
  const letters = ["in-late", "in-dlq"].flatMap((topic) => recordsOf(stand.log, topic).map(({ key, timestamp, headers }) => {
    const { "mr-stack": _stack, ...stable } = headers;
    return { topic, key, timestamp: timestamp - START, headers: stable };
  }));
  expect(letters).toEqual([...goldenLetters]);
  await stand.crash();
});
