/** What operators order: pause, resume, seek, restart. Done by the task that has the partition, kept over restarts, each once. */
import { describe, expect, test } from "bun:test";
import { count, createApp, embedded, memory, tumbling } from "../../../mod.ts";
import type { App, LogDriver, Topic } from "../../../mod.ts";
import { keptMemoryLog } from "../../../src/testing/test-log.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { DecodeError, ExternalError } from "../../../src/base/errors.ts";
import type { CommitReceipt, CommittedPosition, CommitUnit, PartitionInfo, PartitionReader } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { internalsOf } from "../../../src/app/app.ts";
import { type ControlAnswer, ControlDesk } from "../../../src/task/control-desk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { controlRecord, type Order } from "../../../src/task/control-topic.ts";
import { open, recordsOf, type Stand, START, valuesOf } from "./harness.ts";

interface In {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

const drivers: readonly (readonly [name: string, driver: () => LogDriver])[] = [
  ["embedded", () => embedded({ disk: memoryDisk() })],
  ["memory", () => keptMemoryLog().driver],
];

function setUp(options: { readonly partitions?: number } = {}): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", { errors: { retry: { attempts: 2, backOff: "10s", backOffMax: "10s" } } });
  return { app, input: app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k, ...options }) };
}

async function order(stand: Stand, order: Order, topic = "in", partition = 0): Promise<void> {
  const command = { topic, partition, order, at: stand.runtime.now(), by: "ann", reason: "a test" };
  await stand.log.append([{ topic: "t-control", partition: 0, records: [controlRecord(command)] }]);
  await stand.drain();
}

async function send(stand: Stand, input: Topic<string, In, In>, values: readonly number[], k = "a"): Promise<void> {
  for (const v of values) await input.send({ k, v, at: START + v });
  await stand.drain();
}

const numbers = (stand: Stand): number[] => (valuesOf(stand.log, "out") as In[]).map(({ v }) => v);

for (const [name, driver] of drivers) {
  describe(`orders, on a log in ${name}`, () => {
    test("a paused partition gives nothing, over restarts, until it is resumed", async () => {
      const { app, input } = setUp();
      app.stream(input).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1]);
      await order(stand, { kind: "pause", isPaused: true });
      await send(stand, input, [2, 3]);
      expect(numbers(stand)).toEqual([1]);
      if (name === "embedded") await stand.restart();
      await stand.advance(60_000);
      await stand.drain();
      expect(numbers(stand)).toEqual([1]);
      expect(stand.engine.worker.step()).toEqual({ idle: true, nextWakeAt: Infinity });
      await order(stand, { kind: "pause", isPaused: false });
      expect(numbers(stand)).toEqual([1, 2, 3]);
      expect(stand.events.filter(({ type }) => type === "orderDone").map((event) => (event as { order: string }).order)).toEqual([
        "pause",
        ...(name === "embedded" ? ["pause"] : []),
        "resume",
      ]);
    });

    test("event time waits for a paused partition, also where others go on: nothing is late or closed for it", async () => {
      const { app, input } = setUp({ partitions: 2 });
      const other = app.topic<string, In>("other", { timestamp: (value) => value.at, key: (value) => value.k, idleTimeout: "1s" });
      app.stream(input).merge(app.stream(other)).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
      await using stand = await open(app, { driver: driver() });
      const at = async (topic: Topic<string, In, In>, timestamp: number): Promise<void> => {
        await topic.send({ k: "a", v: 0, at: timestamp }, { partition: 0 });
        await stand.drain();
      };
      await at(input, START);
      await at(other, START + 1);
      await order(stand, { kind: "pause", isPaused: true });
      await at(input, START + 2);
      await at(other, START + 120_000);
      await stand.advance(3_600_000);
      await stand.drain();
      expect(recordsOf(stand.log, "out")).toEqual([]);
      await order(stand, { kind: "pause", isPaused: false });
      await at(input, START + 120_001);
      expect((valuesOf(stand.log, "out") as { value: { n: number } }[]).map(({ value }) => value.n)).toEqual([3]);
      expect(recordsOf(stand.log, "in-late")).toEqual([]);
    });

    test("records that wait for another try wait for the partition, too", async () => {
      const { app, input } = setUp();
      let isBroken = true;
      app.stream(input).map((value) => {
        if (isBroken) throw new Error("no");
        return value;
      }).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1]);
      await order(stand, { kind: "pause", isPaused: true });
      for (let i = 0; i < 60; i++) await stand.advance(1_000);
      isBroken = false;
      expect(numbers(stand)).toEqual([]);
      await order(stand, { kind: "pause", isPaused: false });
      expect(numbers(stand)).toEqual([1]);
    });

    test("seek goes back and forth, once: a restart and an abort don't do it again, and the position is committed", async () => {
      const { app, input } = setUp();
      app.stream(input).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 3]);
      await order(stand, { kind: "seek", to: 1 });
      expect(numbers(stand)).toEqual([1, 2, 3, 2, 3]);
      await order(stand, { kind: "pause", isPaused: true });
      await send(stand, input, [4, 5, 6]);
      await order(stand, { kind: "seek", to: 5 });
      expect(await stand.log.committed("t", [{ topic: "in", partition: 0 }])).toEqual([{ topic: "in", partition: 0, position: 5 }]);
      if (name === "embedded") await stand.restart();
      await order(stand, { kind: "pause", isPaused: false });
      expect(numbers(stand)).toEqual([1, 2, 3, 2, 3, 6]);
      if (name === "embedded") {
        await stand.restart();
        await stand.drain();
      }
      await send(stand, input, [7]);
      expect(numbers(stand)).toEqual([1, 2, 3, 2, 3, 6, 7]);
    });

    test("a seek back reads records that were waiting again, once: what waited of them is forgotten", async () => {
      const { app, input } = setUp();
      const tries: number[] = [];
      app.stream(input).map(async (value) => {
        tries.push(value.v);
        await Promise.resolve();
        if (value.v === 1 && tries.filter((v) => v === 1).length === 1) throw new Error("not yet");
        return value;
      }).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [0, 1, 2, 3]);
      expect(numbers(stand)).toEqual([0]);
      await order(stand, { kind: "seek", to: 0 });
      expect(numbers(stand)).toEqual([0, 0, 1, 2, 3]);
      if (name === "embedded") await stand.restart();
      for (let i = 0; i < 30; i++) await stand.advance(1_000);
      await stand.drain();
      expect(numbers(stand)).toEqual([0, 0, 1, 2, 3]);
    });

    test("a seek back to records that were still waiting behind one of their key makes none of them late", async () => {
      const { app, input } = setUp();
      let isBroken = true;
      app.stream(input).map((value) => {
        if (value.v === 0 && isBroken) throw new Error("not yet");
        return value;
      }).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).to("out");
      await using stand = await open(app, { driver: driver() });
      for (const v of [0, 1, 2, 3]) await input.send({ k: "a", v, at: START + v * 60_000 });
      await stand.drain();
      isBroken = false;
      await order(stand, { kind: "seek", to: 0 });
      await send(stand, input, [10_000_000]);
      expect((valuesOf(stand.log, "out") as { value: { n: number } }[]).map(({ value }) => value.n)).toEqual([1, 1, 1, 1]);
      expect(recordsOf(stand.log, "in-late")).toEqual([]);
    });

    test("a seek that a crash cut off before its commit is done after it", async () => {
      const { app, input } = setUp();
      app.stream(input).to("out");
      if (name !== "embedded") return;
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 3]);
      const command = { topic: "in", partition: 0, order: { kind: "seek", to: 2 }, at: stand.runtime.now(), by: "ann", reason: null } as const;
      await stand.log.append([{ topic: "t-control", partition: 0, records: [controlRecord(command)] }]);
      await stand.settle();
      await stand.restart();
      await stand.drain();
      expect(numbers(stand)).toEqual([1, 2, 3, 3]);
    });

    test("a record that stopped its task is passed by a seek", async () => {
      const app = createApp("t", { errors: { retry: false, then: "stop" } });
      const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k });
      app.stream(input).map((value) => {
        if (value.v === 2) throw new Error("poison");
        return value;
      }).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 3]);
      expect(stand.engine.health().status).toBe("error");
      await order(stand, { kind: "seek", to: 2 });
      expect(numbers(stand)).toEqual([1, 3]);
      expect(stand.engine.health().status).toBe("ok");
    });

    test("a record that stopped its task behind another of its key is left out by a seek, and counted", async () => {
      const app = createApp("t", { errors: { retry: false, then: "stop" } });
      const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k });
      app.stream(input).map(async (value) => {
        await Promise.resolve();
        if (value.v === 2) throw new Error("poison");
        return value;
      }).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 3]);
      expect(stand.engine.health().status).toBe("error");
      await order(stand, { kind: "seek", to: 2 });
      expect(numbers(stand)).toEqual([1, 3]);
      expect([...stand.engine.worker.stats.skipped]).toEqual([["passed by a seek", 1]]);
      expect(stand.engine.health().status).toBe("ok");
    });

    test("a record that stopped its task is passed by a seek that was ordered while nobody was at work", async () => {
      const app = createApp("t", { errors: { retry: false, then: "stop" } });
      const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k });
      app.stream(input).map(async (value) => {
        await Promise.resolve();
        if (value.v === 2) throw new Error("poison");
        return value;
      }).to("out");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 3]);
      if (name !== "embedded") return;
      await stand.restart();
      await stand.drain();
      expect(stand.engine.health().status).toBe("error");
      const command = { topic: "in", partition: 0, order: { kind: "seek", to: 2 }, at: stand.runtime.now(), by: "ann", reason: null } as const;
      await stand.log.append([{ topic: "t-control", partition: 0, records: [controlRecord(command)] }]);
      await stand.restart();
      await stand.drain();
      expect(numbers(stand)).toEqual([1, 3]);
      expect([...stand.engine.worker.stats.skipped]).toEqual([["passed by a seek", 1]]);
      expect(stand.engine.health().status).toBe("ok");
    });

    test("restart builds a stopped task again, and only that one", async () => {
      const app = createApp("t", { errors: { retry: false, then: "stop" } });
      const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k });
      const other = app.topic<string, In>("other");
      let isBroken = true;
      app.stream(input).groupByKey().window(tumbling("1m")).aggregate({ n: count() }).map((value) => {
        if (isBroken) throw new Error("no");
        return value;
      }).to("out");
      app.stream(other).to("copy");
      await using stand = await open(app, { driver: driver() });
      await send(stand, input, [1, 2, 120_000]);
      const untouched = stand.engine.worker.tasks.find(({ name }) => name === "other");
      expect(stand.engine.health().status).toBe("error");
      isBroken = false;
      await order(stand, { kind: "restart" });
      expect((valuesOf(stand.log, "out") as { value: unknown }[]).map(({ value }) => value)).toEqual([{ n: 2 }]);
      expect(stand.engine.health().status).toBe("ok");
      expect(stand.engine.worker.tasks.find(({ name }) => name === "other")).toBe(untouched!);
      const rebuilt = stand.engine.worker.tasks.find(({ name }) => name === "in");
      await order(stand, { kind: "pause", isPaused: false });
      expect(stand.engine.worker.tasks.find(({ name }) => name === "in")).toBe(rebuilt!);
    });

    test("what is no order is left alone", async () => {
      const { app, input } = setUp();
      app.stream(input).to("out");
      await using stand = await open(app, { driver: driver() });
      await stand.append("t-control", [{ key: "x", value: "not json" }, { key: "y", value: '{"version":2,"kind":"pause"}' }, { key: "z", value: null }, {
        key: "n",
        value: "null",
      }, {
        key: "s",
        value: JSON.stringify({ version: 1, kind: "seek", topic: "in", partition: 0, at: 0, by: "ann", to: -1 }),
      }]);
      await send(stand, input, [1]);
      expect(numbers(stand)).toEqual([1]);
    });
  });
}

test("names of an app's own topics are refused for others", async () => {
  const app = createApp("t");
  app.stream(app.topic("t-retry")).to("out");
  await expect(open(app, { driver: memory() })).rejects.toThrow('topic "t-retry" is the app\'s own');
});

test("a seek by a number of records counts from what was done, committed or not, and a crash after it loses nothing of that", async () => {
  const { app, input } = setUp();
  app.stream(input).to("out");
  await using stand = await open(app, { worker: { stepRecords: 3 } });
  for (const v of [1, 2, 3, 4, 5]) await input.send({ k: "a", v, at: START + v });
  const { worker, control } = stand.engine;
  worker.step();
  expect(await stand.log.committed("t", [{ topic: "in", partition: 0 }])).toEqual([]);

  const ordered = control.order({ action: "seek", topic: "in", partition: 0, to: { by: 1 }, reason: null, by: "ann" });
  while (recordsOf(stand.log, "t-control").length === 0) await stand.runtime.yield();
  await stand.settle();
  expect((await ordered).commands).toEqual([{ topic: "in", partition: 0, id: 0, to: 4 }]);
  await stand.restart();
  await stand.drain();
  expect(numbers(stand)).toEqual([1, 2, 3, 5]);
});

test("a seek forward that finds work done and not committed commits that first: a crash in between leaves nothing out", async () => {
  const { app, input } = setUp();
  app.stream(input).to("out");
  await using stand = await open(app, { worker: { stepRecords: 3 } });
  for (const v of [1, 2, 3, 4, 5]) await input.send({ k: "a", v, at: START + v });
  stand.engine.worker.step();
  const command = { topic: "in", partition: 0, order: { kind: "seek", to: 4 }, at: stand.runtime.now(), by: "ann", reason: null } as const;
  await stand.log.append([{ topic: "t-control", partition: 0, records: [controlRecord(command)] }]);
  stand.engine.worker.step();
  await stand.restart();
  await stand.drain();
  expect(numbers(stand)).toEqual([1, 2, 3, 5]);
});

/** A log whose commits a test breaks. */
class BrokenLog extends WrappedLog {
  /** What becomes of commits; null: what should. */
  instead: (() => CommitReceipt | Promise<CommitReceipt>) | null = null;

  override commit(unit: CommitUnit, apply: (changelog: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt> {
    return this.instead === null ? super.commit(unit, apply) : this.instead();
  }
}

for (
  const [what, instead] of [
    ["fail", () => {
      throw new DecodeError("RECORD_TOO_LARGE", "too large");
    }],
    ["do not end", () => new Promise<CommitReceipt>(() => {})],
  ] as const
) {
  test(`a seek is ordered while commits ${what}, and answered in time: it may be what helps`, async () => {
    const { app, input } = setUp();
    app.stream(input).to("out");
    const inner = embedded({ disk: memoryDisk() });
    let log: BrokenLog | null = null;
    const driver: LogDriver = {
      "~log": "embedded",
      open: async (context) => {
        const opened = await inner.open(context);
        return { ...opened, log: log = new BrokenLog(opened.log) };
      },
    };
    await using stand = await open(app, { driver });
    log!.instead = instead;
    for (const v of [1, 2]) await input.send({ k: "a", v, at: START + v });
    stand.engine.worker.step();
    let answer: ControlAnswer | null = null;
    const ordered = stand.engine.control.order({ action: "seek", topic: "in", partition: 0, to: "end", reason: null, by: "ann" }).then((given) =>
      answer = given
    );
    for (let passed = 0; passed < 30_000 && answer === null; passed += 100) {
      stand.engine.worker.step();
      stand.runtime.advance(100);
      await stand.runtime.yield();
    }
    expect(answer as ControlAnswer | null).toEqual({ commands: [{ topic: "in", partition: 0, id: 0, to: 2 }], applied: false });
    await ordered;
  });
}

test("records to leave out are counted from the one that stopped the task, though later ones were taken before it did", async () => {
  const app = createApp("t", { errors: { retry: { attempts: 2, backOff: "1s", backOffMax: "1s" }, then: "stop" } });
  const input = app.topic<string, In>("in", { timestamp: (value) => value.at, key: (value) => value.k });
  const other = app.topic<string, In>("other", { timestamp: (value) => value.at, key: (value) => value.k });
  app.stream(input).merge(app.stream(other)).map((value) => {
    if (value.v === 2) throw new Error("poison");
    return value;
  }).to("out");
  await using stand = await open(app, {});
  for (const v of [1, 2, 3]) await input.send({ k: `k${v}`, v, at: START + v });
  await stand.drain();
  while (stand.engine.health().status !== "error") {
    await stand.advance(1_000);
    await stand.drain();
  }
  for (const v of [4, 5, 6]) await input.send({ k: `k${v}`, v, at: START + v });
  await other.send({ k: "k7", v: 7, at: START + 7 });
  await stand.drain();
  expect(numbers(stand)).toEqual([1, 3]);
  expect(stand.engine.health()).toMatchObject({ status: "error", reason: expect.stringContaining("stopped at in/0 position 1: ") });
  const skip = async (topic: string, by: number): Promise<unknown> => {
    const ordered = stand.engine.control.order({ action: "seek", topic, partition: 0, to: { by }, reason: null, by: "ann" });
    let isDone = false;
    void ordered.then(() => isDone = true, () => isDone = true);
    while (!isDone) {
      await stand.settle();
      await stand.runtime.yield();
    }
    return (await ordered).commands[0]!.to;
  };
  await expect(skip("other", 1)).rejects.toThrow('Cannot leave out records of "other" partition 0: its task stopped at in/0 position 1, which none of them is');
  // What stopped it, and the one that is next to be read.
  expect(await skip("in", 2)).toBe(4);
  await stand.drain();
  expect(numbers(stand)).toEqual([1, 3, 5, 6, 7]);
  expect([...stand.engine.worker.stats.skipped]).toEqual([["passed by a seek", 1]]);
  expect(stand.engine.health().status).toBe("ok");
});

test("without its task nobody knows which record comes next: records to leave out are counted by nobody else", async () => {
  const { app, input } = setUp();
  app.stream(input).to("out");
  await using stand = await open(app, {});
  await send(stand, input, [1, 2]);
  const desk = new ControlDesk({ topology: internalsOf(app).builder.build(), log: stand.log, runtime: stand.runtime, worker: null });
  const order = { action: "seek", topic: "in", partition: 0, reason: null, by: "ann" } as const;
  await expect(desk.order({ ...order, to: { by: 1 } })).rejects.toThrow(
    /Cannot count records of "in" partition 0 here \(not running\).* name a position: 2 is the next to read/,
  );
  expect((await desk.order({ ...order, to: { by: -1 } })).commands[0]!.to).toBe(1);
});

test("a seek to records that are gone by the time somebody is at work goes on behind them", async () => {
  class CutLog extends WrappedLog {
    keptFrom = 0;

    override async describe(topics: readonly string[]): Promise<readonly PartitionInfo[]> {
      return (await super.describe(topics)).map((info) => info.topic === "in" ? { ...info, start: this.keptFrom } : info);
    }

    override reader(at: TopicPartition, position: number, onArrival: () => void): PartitionReader {
      const reader = super.reader(at, position, onArrival);
      const take = reader.take.bind(reader);
      reader.take = (bytesMax) => {
        if (at.topic === "in" && reader.position < this.keptFrom) {
          throw new ExternalError("LOG_POSITION_OUT_OF_RANGE", `nothing is kept below ${this.keptFrom}`);
        }
        return take(bytesMax);
      };
      return reader;
    }
  }
  const { app, input } = setUp();
  app.stream(input).to("out");
  const inner = embedded({ disk: memoryDisk() });
  let keptFrom = 0;
  const driver: LogDriver = {
    "~log": "embedded",
    open: async (context) => {
      const opened = await inner.open(context);
      const log = new CutLog(opened.log);
      log.keptFrom = keptFrom;
      return { ...opened, log };
    },
  };
  await using stand = await open(app, { driver });
  await send(stand, input, [1, 2, 3]);
  const command = { topic: "in", partition: 0, order: { kind: "seek", to: 0 }, at: stand.runtime.now(), by: "ann", reason: null } as const;
  await stand.log.append([{ topic: "t-control", partition: 0, records: [controlRecord(command)] }]);
  keptFrom = 1;
  await stand.restart();
  await stand.drain();
  expect(numbers(stand)).toEqual([1, 2, 3, 2, 3]);
});
