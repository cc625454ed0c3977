/** A topology as tools and people see it, and how it is cut into tasks. */
import { expect, test } from "bun:test";
import { count, createApp, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { open } from "../task/harness.ts";

interface Order {
  readonly id: string;
  readonly customer: string;
}

function shop(): App {
  const app = createApp("shop");
  const orders = app.topic<string, Order>("orders", { key: (order) => order.customer, partitions: 3 });
  app.stream(orders).groupBy((order) => order.id).window(tumbling("1m")).aggregate({ n: count() }).to("per-minute");
  return app;
}

test("topology() as JSON: topics, sub-topologies cut where records travel, steps with their inputs, stores and what they write", () => {
  const { mermaid: _mermaid, ...description } = shop().topology();

  expect(JSON.parse(JSON.stringify(description))).toEqual({
    app: "shop",
    topics: [
      { name: "orders", partitions: 3, internal: false },
      { name: "shop-orders-by-repartition", partitions: null, internal: true },
      { name: "per-minute", partitions: null, internal: false },
    ],
    subTopologies: [
      {
        name: "orders",
        reads: ["orders"],
        writes: ["shop-orders-by-repartition"],
        changelog: "shop-orders-changelog",
        steps: [
          { name: "orders", kind: "source", inputs: [], writes: null, stores: [] },
          { name: "orders-by", kind: "groupBy", inputs: ["orders"], writes: "shop-orders-by-repartition", stores: [] },
        ],
      },
      {
        name: "shop-orders-by-repartition",
        reads: ["shop-orders-by-repartition"],
        writes: ["per-minute"],
        changelog: "shop-shop-orders-by-repartition-changelog",
        steps: [
          { name: "shop-orders-by-repartition", kind: "source", inputs: [], writes: null, stores: [] },
          {
            name: "shop-orders-by-repartition-tumbling-60000",
            kind: "tumbling window",
            inputs: ["shop-orders-by-repartition"],
            writes: null,
            stores: ["shop-orders-by-repartition-tumbling-60000"],
          },
          {
            name: "shop-orders-by-repartition-to-per-minute",
            kind: "to",
            inputs: ["shop-orders-by-repartition-tumbling-60000"],
            writes: "per-minute",
            stores: [],
          },
        ],
      },
    ],
  });
});

test("topology() as Mermaid: topics, a box a sub-topology, an arrow a way", () => {
  expect(shop().topology().mermaid).toBe(`flowchart LR
  topic0[("orders × 3")]
  topic1[("shop-orders-by-repartition")]
  topic2[("per-minute")]
  subgraph sub3["orders"]
    step4["groupBy: orders-by"]
  end
  topic0 --> step4
  step4 --> topic1
  subgraph sub5["shop-orders-by-repartition"]
    step6["tumbling window: shop-orders-by-repartition-tumbling-60000"]
    step7["to: shop-orders-by-repartition-to-per-minute"]
  end
  topic1 --> step6
  step6 --> step7
  step7 --> topic2
`);
});

test("topology() of a running app knows how many partitions its made topics got: as many as their writer reads", async () => {
  const app = shop();
  const stand = await open(app);

  expect(app.topology().topics.map(({ name, partitions }) => [name, partitions])).toEqual([["orders", 3], ["shop-orders-by-repartition", 3], [
    "per-minute",
    3,
  ]]);
  expect(stand.engine.worker.tasks.map(({ id }) => id).sort()).toEqual([0, 1, 2].flatMap((n) => [`orders/${n}`, `shop-orders-by-repartition/${n}`]).sort());
  await stand.crash();
});

test("all readers of one topic are one sub-topology, merged topics as well, and a topic that nobody reads is none", () => {
  const app = createApp("t");
  const a = app.topic<string, number>("a"), b = app.topic<string, number>("b");
  app.topic("unread");
  app.stream(a).map((value) => value).to("x");
  app.stream(a).merge(b).to("y");
  app.stream(app.topic<string, number>("c")).to("z");

  const { subTopologies, topics } = app.topology();

  expect(subTopologies.map(({ name, reads }) => [name, reads])).toEqual([["a+b", ["a", "b"]], ["c", ["c"]]]);
  expect(topics.map(({ name }) => name)).toContain("unread");
});

test("adding a stateless step before a stateful one leaves the name of its store", () => {
  const storesOf = (hasMore: boolean): readonly string[] => {
    const app = createApp("t");
    const topic = app.topic<string, number>("a");
    const stream = hasMore ? app.stream(topic).filter(() => true).map((value) => value) : app.stream(topic);
    stream.groupByKey().window(tumbling("1m")).aggregate({ n: count() });
    return app.topology().subTopologies.flatMap(({ steps }) => steps.flatMap(({ stores }) => stores));
  };

  expect(storesOf(true)).toEqual(storesOf(false));
});

test("F31 state that was kept under another size of window is refused, with what to do", async () => {
  const { embedded } = await import("../../../mod.ts");
  const { memoryDisk } = await import("../../../src/runtime/memory-disk.ts");
  const driver = embedded({ disk: memoryDisk() });
  const define = (size: "1m" | "2m"): App => {
    const app = createApp("t");
    app.stream(app.topic("a")).groupByKey().window(tumbling(size), { name: "counts" }).aggregate({ n: count() });
    return app;
  };
  await (await open(define("1m"), { driver })).crash();

  await expect(open(define("2m"), { driver })).rejects.toMatchObject({ code: "STORE_INCOMPATIBLE" });
  await (await open(define("1m"), { driver })).crash();
});
