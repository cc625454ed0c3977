/** Several workers of one app: each says what it has, and of what it has not, who has it or that it comes. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { createApp } from "../../../mod.ts";
import type { App, FeatureSet, Topic } from "../../../mod.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { internalsOf } from "../../../src/app/app.ts";
import type { Engine } from "../../../src/app/engine.ts";
import { isStreamError } from "../../../src/base/errors.ts";
import { featureParts } from "../../../src/feature/feature-set.ts";
import type { Log, LogCapabilities, PartitionInfo } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { gate, runtimeOf } from "../task/harness.ts";
import type { Gate } from "../task/harness.ts";

const host = await hostRuntime();
const PARTITIONS = 4;
const KEYS: readonly string[] = Array.from({ length: 12 }, (_, n) => `customer-${n}`);

/** A log that workers share, as Kafka is one: state lies beside it, and moves by changelogs. */
class SharedLog extends WrappedLog {
  /** Tasks are not restored before it opens. */
  readonly restoring: Gate | null;

  constructor(inner: Log, restoring: Gate | null) {
    super(inner);
    this.restoring = restoring;
  }

  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, durable: true };
  }

  override async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
    // Before it joins a worker asks what others do.
    if (topics.join() !== "shop-control") await this.restoring?.promise;
    return await super.describe(topics);
  }

  override async close(): Promise<void> {}
}

/** One process of the app. */
class Member {
  readonly app: App;
  readonly customer: FeatureSet<"customer", string, { readonly spent: number }>;
  readonly orders: Topic<string | null, number>;
  engine!: Engine;

  constructor() {
    this.app = createApp("shop");
    this.orders = this.app.topic<string | null, number>("orders", { partitions: PARTITIONS });
    const customer = this.customer = this.app.features("customer", { spent: v.number() });
    this.app.resolver("spent", { source: this.orders, output: customer }, (spent, { key }) => customer.of(key!, { spent }));
  }

  async start(runtime: VirtualRuntime, log: Log, restoring: Gate | null = null): Promise<this> {
    this.engine = await internalsOf(this.app).open({
      runtime,
      driver: {
        "~log": "shared",
        open: async () => ({ log: new SharedLog(log, restoring), database: await openDatabase(runtime, memoryDisk(), "state.db"), place: "memory" }),
      },
      worker: { idleTimeoutMs: null },
      observer: () => {},
    });
    this.engine.admin = { token: null, isLoopback: true };
    return this;
  }

  /** What is known of a customer, or why it cannot be told. */
  async ask(key: string): Promise<unknown> {
    try {
      return (await this.engine.query(featureParts(this.customer as never), key, ["spent"], null))["spent"];
    } catch (error) {
      return isStreamError(error) ? [error.code, error.details["isRestoring"]] : error;
    }
  }

  async get(path: string): Promise<readonly [status: number, body: unknown, retryAfter: string | null]> {
    const answer = await this.engine.fetch(new Request(`http://localhost${path}`));
    return [answer.status, await answer.json(), answer.headers.get("retry-after")];
  }

  /** The partitions whose lag is told. */
  get measured(): string[] {
    const lag = this.engine.metrics.families().find(({ name }) => name === "millrace_partition_lag_records");
    return (lag?.samples ?? []).map(({ labels }) => `${labels["topic"]}-${labels["partition"]}`).sort();
  }

  /** The partitions that are here. */
  get owned(): string[] {
    return this.engine.worker.tasks.flatMap(({ inputs }) => inputs.map(({ topic, partition }) => `${topic.name}-${partition}`)).sort();
  }
}

/** Works until nobody has anything more to do. */
async function settle(runtime: VirtualRuntime, ...members: readonly Member[]): Promise<void> {
  for (let quiet = 0, turns = 0; quiet < 10; turns++) {
    if (turns > 10_000) throw new Error("still not settled");
    runtime.advance(50);
    const isBusy = members.map(({ engine }) => !engine.worker.step().idle || !engine.worker.isQuiet).includes(true);
    await host.yield();
    quiet = isBusy ? 0 : quiet + 1;
  }
}

async function order(member: Member, amount: number): Promise<void> {
  for (const [index, key] of KEYS.entries()) await member.engine.send(internalsOf(member.app).builder.findTopic("orders")!, amount + index, { key });
}

describe("two workers of one app", () => {
  test("answer for the partitions they have, and refuse the others, until one is alone again", async () => {
    const runtime = runtimeOf();
    const log = memoryLog(runtime);
    const first = await new Member().start(runtime, log);
    await settle(runtime, first);
    await order(first, 100);
    await settle(runtime, first);
    const starting = new Member().start(runtime, log);
    await settle(runtime, first);
    const other = await starting;
    await settle(runtime, first, other);

    const answers = await Promise.all(KEYS.map(async (key) => [await first.ask(key), await other.ask(key)]));
    const refused = ["PARTITION_ABSENT", false];
    for (const [index, pair] of answers.entries()) {
      const wanted: readonly unknown[] = [[100 + index, refused], [refused, 100 + index]];
      expect(wanted).toContainEqual(pair);
    }
    expect(new Set(answers.map(([of]) => typeof of))).toEqual(new Set(["number", "object"]));
    // Each partition is one's: what lies on the first one's disk of those that went is old.
    expect([...first.owned, ...other.owned].sort()).toEqual(
      ["orders", "shop-customer"].flatMap((topic) => Array.from({ length: PARTITIONS }, (_, partition) => `${topic}-${partition}`)),
    );
    expect([first.measured, other.measured]).toEqual([first.owned, other.owned]);
    expect([first.owned.length, other.owned.length]).toEqual([PARTITIONS, PARTITIONS]);
    expect(first.engine.health().tasks.map(({ status }) => status)).toEqual(Array.from({ length: PARTITIONS }, () => "running"));

    const key = KEYS[answers.findIndex(([, of]) => typeof of === "number")]!;
    const [status, body] = await first.get(`/features/customer/${key}`);
    expect([status, body]).toEqual([421, {
      type: "about:blank",
      title: "Misdirected Request",
      status: 421,
      detail: expect.stringMatching(/^Partition \d of "shop-customer" is owned by another worker\. Ask that one\.$/),
      code: "PARTITION_ABSENT",
    }]);

    await other.engine.stop(0);
    await settle(runtime, first);
    expect(await Promise.all(KEYS.map((each) => first.ask(each)))).toEqual(KEYS.map((_, index) => 100 + index));
    expect(first.measured).toEqual(first.owned);
    expect(first.owned.length).toBe(2 * PARTITIONS);
    await first.engine.stop(0);
  });

  test("say that a partition comes while its task is restored, and are degraded until it has", async () => {
    const runtime = runtimeOf();
    const log = memoryLog(runtime);
    const restoring = gate();
    const member = await new Member().start(runtime, log, restoring);
    await host.yield();

    expect(await member.ask(KEYS[0]!)).toEqual(["PARTITION_ABSENT", true]);
    expect(await member.get(`/features/customer/${KEYS[0]}`)).toEqual([503, expect.objectContaining({ code: "PARTITION_ABSENT" }), "1"]);
    const [status, health] = await member.get("/admin/health");
    expect([status, health]).toEqual([200, expect.objectContaining({ status: "degraded", reason: "tasks are being restored" })]);
    expect((health as { tasks: readonly unknown[] }).tasks).toContainEqual({ id: "orders/0", status: "restoring", lag: null, watermark: null });
    expect(member.measured).toEqual([]);

    restoring.open();
    await settle(runtime, member);
    expect(await member.ask(KEYS[0]!)).toBe(null);
    expect((await member.get("/admin/health"))[1]).toEqual(expect.objectContaining({ status: "ok" }));
    expect(member.measured).toEqual(member.owned);
    await member.engine.stop(0);
  });
});
