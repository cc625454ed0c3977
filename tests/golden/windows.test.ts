/**
 * One day of a small shop, at every parallelism: the results on close are the rows below, whatever the partitions, the log, the batches and the restarts.
 *
 * The rows were worked out apart from the engine, by sorting and adding up the orders of each window; the first ones can be checked by hand: order `i` is of customer `i % 7`, over `i * i % 31` coins.
 */
import { expect, test } from "bun:test";
import { count, createApp, embedded, hopping, max, memory, sum, tumbling } from "../../mod.ts";
import type { LogDriver } from "../../mod.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import { open, START, valuesOf } from "../unit/task/harness.ts";
import { goldenHops, goldenMinutes } from "./windows-rows.ts";

interface Order {
  readonly customer: string;
  readonly coins: number;
  readonly at: number;
}

const ORDERS = 400;

/** Up to a minute out of order. */
function orders(): Order[] {
  return Array.from({ length: ORDERS }, (_, i) => ({ customer: `c${i % 7}`, coins: (i * i) % 31, at: START + i * 1_000 + (i * 7_919) % 60_000 - 30_000 }));
}

const courses: readonly (readonly [name: string, partitions: number, driver: () => LogDriver, worker: Readonly<Record<string, number>>, restartsEvery: number])[] = [
  ["one partition, in memory", 1, memory, {}, Infinity],
  ["three partitions, embedded, many commits", 3, () => embedded({ disk: memoryDisk() }), { commitRecords: 7, stepRecords: 3 }, Infinity],
  ["eight partitions, embedded, no cache, killed again and again", 8, () => embedded({ disk: memoryDisk() }), { commitRecords: 11, cacheBytes: 0 }, 90],
];

for (const [name, partitions, driver, worker, restartsEvery] of courses) {
  test(`a day of orders gives the golden rows: ${name}`, async () => {
    const app = createApp("shop");
    const topic = app.topic<string, Order>("orders", { key: (order) => order.customer, timestamp: (order) => order.at, partitions });
    const stream = app.stream(topic);
    stream.groupByKey().window(tumbling("1m", { grace: "10m" })).aggregate({ n: count(), coins: sum((order) => order.coins) }).to("minutes");
    stream.groupBy((order) => order.coins % 3, { partitions: 2 }).window(hopping("3m", { every: "2m", offset: "30s", grace: "10m" })).aggregate({ n: count(), most: max((order) => order.coins) }).to("hops");
    const stand = await open(app, { driver: driver(), worker });

    for (const [index, order] of orders().entries()) {
      await topic.send(order);
      if (index % restartsEvery === restartsEvery - 1) {
        await stand.settle();
        await stand.restart();
      }
    }
    for (let partition = 0; partition < partitions; partition++) await topic.send({ customer: "end", coins: 0, at: START + 80_000_000 }, { partition });
    for (let i = 0; i < 3; i++) {
      await stand.drain();
      await stand.advance(1_000);
    }
    await stand.drain();

    type Row = { readonly key: unknown; readonly start: number; readonly value: Readonly<Record<string, number>> };
    const rows = (topic: string): string[] =>
      (valuesOf(stand.log, topic) as Row[]).filter(({ key, start }) => key !== "end" && start < START + 70_000_000)
        .map(({ key, start, value }) => `${(start - START) / 1_000} ${String(key)} ${Object.values(value).join(" ")}`)
        .toSorted((a, b) => Number.parseFloat(a) - Number.parseFloat(b) || (a < b ? -1 : 1));
    expect(rows("minutes")).toEqual([...goldenMinutes]);
    expect(rows("hops")).toEqual([...goldenHops]);
    await stand.crash();
  });
}
