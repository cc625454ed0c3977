/** Appends on their way: shared batches, order, and who hears of which failure. */
import { describe, expect, test } from "bun:test";
import { AppendQueue } from "../../../adapters/kafka/append-queue.ts";
import { kafkaFailure, lostConnection } from "../../../adapters/kafka/failure.ts";
import { parsedBatches } from "./parsed-batches.ts";
import type { ParsedBatch } from "./parsed-batches.ts";
import type { OutputBatch } from "../../../src/log/log.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import type { NewRecord } from "../../../src/record/record.ts";

interface Call {
  readonly batches: readonly { readonly at: string; readonly parsed: readonly ParsedBatch[] }[];
  answer(answers: readonly (number | Error)[]): void;
  fail(error: Error): void;
}

/** A queue whose calls wait until the test answers them. */
class Bench {
  readonly calls: Call[] = [];
  readonly queue: AppendQueue;
  #arrived = Promise.withResolvers<void>();

  constructor(bytesMax = 10_000_000) {
    this.queue = new AppendQueue({
      yield: () => new Promise((resolve) => void setTimeout(resolve, 0)),
      produce: (batches) => this.#produce(batches),
    }, bytesMax);
  }

  /** The next call, once it has come. */
  async call(index: number): Promise<Call> {
    while (this.calls.length <= index) {
      this.#arrived = Promise.withResolvers();
      await this.#arrived.promise;
    }
    return this.calls[index]!;
  }

  append(partition: number, ...values: readonly string[]): Promise<number> {
    return this.queue.append([{ topic: "t", partition, records: records(...values) }], 10 * values.join("").length).then(([receipt]) => receipt!.position);
  }

  #produce(batches: readonly OutputBatch[]): Promise<readonly (number | Error)[]> {
    const answer = Promise.withResolvers<readonly (number | Error)[]>();
    this.calls.push({
      batches: batches.map(({ topic, partition, encoder }) => ({ at: `${topic}/${partition}`, parsed: parsedBatches(encoder) })),
      answer: (answers) => answer.resolve(answers),
      fail: (error) => answer.reject(error),
    });
    this.#arrived.resolve();
    return answer.promise;
  }
}

function records(...values: readonly string[]): NewRecord[] {
  return values.map((value) => ({ key: null, value, timestamp: 1_000 }));
}

function shown(call: Call): readonly string[] {
  return call.batches.map(({ at, parsed }) => `${at}: ${parsed.map((values) => values.join("")).join(" | ")}`);
}

describe("AppendQueue", () => {
  test("L3 what comes in one turn shares a batch a partition, and each entry hears where it lies", async () => {
    const bench = new Bench();
    const appends = [bench.append(0, "a", "b"), bench.append(1, "c"), bench.append(0, "d")];

    const call = await bench.call(0);
    expect(shown(call)).toEqual(["t/0: abd", "t/1: c"]);
    call.answer([10, 20]);

    expect(await Promise.all(appends)).toEqual([10, 20, 12]);
  });

  test("L3 what comes while a batch is under way shares the next one; other partitions do not wait for it", async () => {
    const bench = new Bench();
    const first = bench.append(0, "a");
    await bench.call(0);
    const [second, third] = [bench.append(0, "b"), bench.append(0, "c")];
    const other = bench.append(1, "x");

    const beside = await bench.call(1);
    expect(shown(beside)).toEqual(["t/1: x"]);
    beside.answer([5]);
    expect(await other).toBe(5);
    expect(bench.calls.length).toBe(2);

    bench.calls[0]!.answer([0]);
    const call = await bench.call(2);
    expect(shown(call)).toEqual(["t/0: bc"]);
    call.answer([1]);
    expect(await Promise.all([first, second, third])).toEqual([0, 1, 2]);
  });

  test("L3 a batch that the broker refuses goes again entry by entry, in order: only the bad one fails", async () => {
    const bench = new Bench();
    const appends = Promise.allSettled([bench.append(0, "a"), bench.append(0, "BAD"), bench.append(0, "c")]);
    (await bench.call(0)).answer([kafkaFailure(10, "append")]);
    const later = bench.append(0, "d");

    const answers: (number | Error)[] = [0, kafkaFailure(10, "append"), 1, 2];
    const seen: string[] = [];
    for (const [index, answer] of answers.entries()) {
      const call = await bench.call(index + 1);
      seen.push(...shown(call));
      call.answer([answer]);
    }

    expect(seen).toEqual(["t/0: a", "t/0: BAD", "t/0: c", "t/0: d"]);
    expect((await appends).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await later).toBe(2);
  });

  test("L3 a batch whose fate is unknown is not sent again", async () => {
    const bench = new Bench();
    const appends = [bench.append(0, "a"), bench.append(0, "b")];
    (await bench.call(0)).answer([lostConnection("append", new Error("gone"))]);

    expect((await Promise.allSettled(appends)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await bench.queue.settled();
    expect(bench.calls.length).toBe(1);
  });

  test("L3 an entry never lies in two batches, however large it and those before it are", async () => {
    const bench = new Bench();
    const large = "x".repeat(400_000);
    const appends = [bench.append(0, "a"), bench.queue.append([{ topic: "t", partition: 0, records: records(large, large, "end") }], 800_000)];

    const first = await bench.call(0);
    expect(first.batches[0]!.parsed.map((values) => values.length)).toEqual([1]);
    first.answer([0]);
    const second = await bench.call(1);
    expect(second.batches[0]!.parsed.map((values) => values.length)).toEqual([3]);
    second.answer([1]);
    await Promise.all(appends);
  });

  test("a call of several entries waits for all of them before it tells of a failure", async () => {
    const bench = new Bench();
    let isTold = false;
    const both = bench.queue.append([{ topic: "t", partition: 0, records: records("a") }, { topic: "t", partition: 1, records: records("b") }], 20)
      .catch((error: unknown) => error).finally(() => isTold = true);
    const other = bench.append(0, "c");
    (await bench.call(0)).answer([kafkaFailure(3, "append"), 7]);

    await other.catch(() => {});
    expect(await both).toMatchObject({ code: "LOG_TOPIC_UNKNOWN" });
    expect(isTold).toBe(true);
  });

  test("a client that throws fails those under way, and the next ones go", async () => {
    const bench = new Bench();
    const first = bench.append(0, "a");
    (await bench.call(0)).fail(new Error("broken"));
    await expect(first).rejects.toThrow("broken");

    const second = bench.append(0, "b");
    (await bench.call(1)).answer([3]);
    expect(await second).toBe(3);
  });

  test("produce() takes its turn with appends to the same partition and sends encoders as they are", async () => {
    const bench = new Bench();
    const first = bench.append(0, "a");
    await bench.call(0);
    const encoder = new BatchEncoder({ batchBytesMax: 100 });
    for (const value of ["b", "c", "d", "e"]) encoder.append(1, null, value.repeat(20), null);
    const produced = bench.queue.produce([{ topic: "t", partition: 0, encoder }]);
    const last = bench.append(0, "f");

    bench.calls[0]!.answer([0]);
    const call = await bench.call(1);
    expect(call.batches[0]!.parsed.length).toBeGreaterThan(1);
    call.answer([1]);
    (await bench.call(2)).answer([5]);

    expect([await first, await produced, await last]).toEqual([0, [1], 5]);
  });

  test("what waits is bounded: LOG_BUSY with a time to come again, and RECORD_TOO_LARGE for what never fits", async () => {
    const bench = new Bench(1_000);
    const append = (bytes: number): Promise<unknown> => bench.queue.append([{ topic: "t", partition: 0, records: records("a") }], bytes);
    const first = append(900);

    expect(() => append(200)).toThrow("wait for the brokers");
    expect(() => append(1_001)).toThrow("more than the 1000 that may wait");
    (await bench.call(0)).answer([0]);
    await first;
    await bench.queue.settled();
    const again = append(200);
    (await bench.call(1)).answer([1]);
    await again;
  });
});
