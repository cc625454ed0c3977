/** The embedded log against a model of a few arrays: random appends, commits that fail at random, reopening, readers at random positions. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { embeddedLog } from "../../../src/log/embedded.ts";
import type { Log, PartitionReader } from "../../../src/log/log.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { collect, member, output, readAll, topicSpec, unit } from "../../../src/testing/conformance/log-subject.ts";
import type { SeenRecord } from "../../../src/testing/conformance/log-subject.ts";
import { testRuntime } from "./log-fixture.ts";

const SEED = 20_261_120;
const PARTITIONS = 3;

const partition = fc.nat({ max: PARTITIONS - 1 });
const count = fc.nat({ max: 4 });
const few = { maxLength: 3 };
const bytesMax = fc.constantFrom(1, 200, 100_000);
const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("append" as const), entries: fc.array(fc.record({ partition, count, id: fc.option(fc.nat({ max: 3 })) }), few) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("commit" as const), outputs: fc.array(fc.record({ partition, count }), few), moves: partition, fails: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), partition, at: fc.double({ min: 0, max: 1, noNaN: true }), bytesMax }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("follow" as const), partition, bytesMax }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A log and what it should hold. */
class Checked {
  readonly #disk = memoryDisk();
  readonly #tailBytesMax: number;
  readonly #cursor = new RecordCursor();
  readonly #records: SeenRecord[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly #ids = new Map<number, { partition: number; position: number }>();
  readonly #committed = new Map<number, number>();
  #log!: Log;
  #membership!: Awaited<ReturnType<typeof member>>;
  #readers: PartitionReader[] = [];
  #followed: SeenRecord[][] = [];
  #written = 0;

  constructor(tailBytesMax: number) {
    this.#tailBytesMax = tailBytesMax;
  }

  async open(): Promise<void> {
    const { runtime } = await testRuntime();
    this.#log = await embeddedLog(runtime, this.#disk, { tailBytesMax: this.#tailBytesMax });
    await this.#log.ensureTopics([topicSpec("t", { partitions: PARTITIONS })]);
    this.#log.database!.exec("CREATE TABLE IF NOT EXISTS applied (n INTEGER)");
    this.#membership = await member(this.#log, "g", "t");
    this.#readers = this.#records.map((_, index) => this.#log.reader({ topic: "t", partition: index }, 0, () => {}));
    this.#followed = this.#records.map(() => []);
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case "append":
        return await this.#append(operation.entries);
      case "commit":
        return this.#commit(operation);
      case "read": {
        const all = this.#records[operation.partition]!;
        const from = Math.floor(operation.at * all.length);
        expect(await readAll(this.#log, { topic: "t", partition: operation.partition }, from, operation.bytesMax)).toEqual(all.slice(from));
        return;
      }
      case "follow":
        this.#follow(operation.partition, operation.bytesMax);
        return;
      case "reopen":
        await this.#log.close();
        return await this.open();
    }
  }

  async check(): Promise<void> {
    for (const [index, all] of this.#records.entries()) {
      while (this.#follow(index, 100));
      expect(this.#followed[index]).toEqual(all);
      expect(await readAll(this.#log, { topic: "t", partition: index })).toEqual(all);
    }
    const positions = await this.#log.committed("g", this.#records.map((_, index) => ({ topic: "t", partition: index })));
    expect(new Map(positions.map((at) => [at.partition, at.position]))).toEqual(new Map([...this.#committed].sort(([left], [right]) => left - right)));
    await this.#log.close();
  }

  /** Reads on with the reader that stays open; false at the end. */
  #follow(partition: number, bytesMax: number): boolean {
    const reader = this.#readers[partition]!;
    const { position } = reader;
    const chunk = reader.take(bytesMax);
    if (chunk !== null) collect(this.#cursor, chunk, position, this.#followed[partition]!);
    return chunk !== null;
  }

  async #append(entries: readonly { partition: number; count: number; id: number | null }[]): Promise<void> {
    const expected = entries.map(({ partition, count, id }) => {
      const values = Array.from({ length: count }, () => `${this.#written++}`);
      const first = id === null ? undefined : this.#ids.get(id);
      if (first !== undefined) return { values, receipt: { topic: "t", ...first, duplicate: true } };
      const position = this.#records[partition]!.length;
      if (id !== null) this.#ids.set(id, { partition, position });
      this.#add(partition, values);
      return { values, receipt: { topic: "t", partition, position, duplicate: false } };
    });
    const receipts = await this.#log.append(entries.map(({ partition, id }, index) => ({
      ...{ topic: "t", partition },
      records: expected[index]!.values.map((value) => ({ key: value, value, timestamp: 1 })),
      id: id === null ? null : { scope: "s", value: `${id}`, keepMs: 1_000 },
    })));
    expect(receipts.map(({ topic, partition, position, duplicate }) => ({ topic, partition, position, duplicate }))).toEqual(expected.map(({ receipt }) => receipt));
  }

  #commit({ outputs, moves, fails }: { outputs: readonly { partition: number; count: number }[]; moves: number; fails: boolean }): void {
    const written = outputs.map(({ partition, count }) => ({ partition, values: Array.from({ length: count }, () => `${this.#written++}`) }));
    const position = this.#written;
    const commit = (): unknown =>
      this.#log.commit(
        unit(this.#membership, {
          outputs: written.map(({ partition, values }) => output("t", partition, ...values)),
          positions: [{ topic: "t", partition: moves, position }],
        }),
        () => {
          this.#log.database!.exec(`INSERT INTO applied VALUES (${position})`);
          if (fails) throw new Error("no");
        },
      );
    if (fails) {
      expect(commit).toThrow("[embedded] Cannot commit");
      return;
    }
    commit();
    for (const { partition, values } of written) this.#add(partition, values);
    this.#committed.set(moves, position);
  }

  #add(partition: number, values: readonly string[]): void {
    const all = this.#records[partition]!;
    for (const value of values) all.push({ position: all.length, key: value, value });
  }
}

test(`embeddedLog() holds what a model holds (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), fc.constantFrom(0, 400, 100_000), async (operations, tailBytesMax) => {
      const checked = new Checked(tailBytesMax);
      await checked.open();
      for (const each of operations) await checked.run(each);
      await checked.check();
    }),
    { seed: SEED, numRuns: 60 },
  );
});
