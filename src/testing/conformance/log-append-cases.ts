/** Cases of the `Log` contract about positions, reading and appending: L1, L2, L3, L9, L10, L11, L13. */
import { RecordCursor } from "../../record/cursor.ts";
import { check, checkEqual } from "./cases.ts";
import type { Case } from "./cases.ts";
import { collect, commitDurably, member, output, readAll, refusal, texts, topicSpec, unit, valuesOf } from "./log-subject.ts";
import type { LogSubject, SeenRecord } from "./log-subject.ts";

export const positionCases: readonly Case<LogSubject>[] = [
  {
    name: "L1 positions begin at 0, grow, and are never given twice",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);

      const [first] = await log.append([{ topic, partition: 0, records: texts("a", "b") }]);
      const [second] = await log.append([{ topic, partition: 0, records: texts("c") }]);

      checkEqual(first?.position, 0, "the first position");
      check(second!.position >= 2, `the second append lies at ${second!.position}, not after the first`);
      const positions = (await readAll(log, { topic, partition: 0 })).map(({ position }) => position);
      check(positions.every((position, index) => index === 0 || position > positions[index - 1]!), `positions do not grow: ${positions}`);
    },
  },
  {
    name: "L1 a record keeps its position when the log is opened again",
    needs: "durable",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const at = { topic, partition: 0 };
      await subject.log.ensureTopics([topicSpec(topic)]);
      await subject.log.append([{ ...at, records: texts("a", "b", "c") }]);
      const before = await readAll(subject.log, at);

      const log = await subject.reopen();
      await log.ensureTopics([topicSpec(topic)]);
      const [next] = await log.append([{ ...at, records: texts("d") }]);

      const after = await readAll(log, at);
      checkEqual(after.slice(0, 3), before, "records after reopening");
      checkEqual(after[3], { position: next!.position, key: "d", value: "d" }, "the next record");
      check(next!.position > before[2]!.position, "a position was given twice");
    },
  },
  {
    name: "L1 partitions count for themselves",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { partitions: 2 })]);

      const receipts = await log.append([
        { topic, partition: 0, records: texts("a", "b") },
        { topic, partition: 1, records: texts("c") },
      ]);

      checkEqual(receipts.map(({ partition, position }) => [partition, position]), [[0, 0], [1, 0]], "receipts");
      checkEqual(await valuesOf(log, topic, 1), ["c"], "partition 1");
      const info = await log.describe([topic]);
      checkEqual(info.map(({ partition, start }) => [partition, start]), [[0, 0], [1, 0]], "describe");
    },
  },
  {
    name: "L2 a reader gives each record once and in order, however small its chunks",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const expected: string[] = [];
      for (let i = 0; i < 20; i++) {
        expected.push(`${i}a`, `${i}b`);
        await log.append([{ topic, partition: 0, records: texts(`${i}a`, `${i}b`) }]);
      }

      const small = await readAll(log, { topic, partition: 0 }, 0, 1);
      const large = await readAll(log, { topic, partition: 0 }, 0, 1_000_000);

      checkEqual(small.map(({ value }) => value), expected, "values in small chunks");
      checkEqual(large, small, "large chunks against small ones");
    },
  },
  {
    name: "L2 a reader begins where it was opened, inside of a batch too",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      await log.append([{ topic, partition: 0, records: texts("a", "b", "c") }]);
      await log.append([{ topic, partition: 0, records: texts("d") }]);
      const all = await readAll(log, { topic, partition: 0 });

      for (let index = 0; index < all.length; index++) {
        checkEqual(await readAll(log, { topic, partition: 0 }, all[index]!.position), all.slice(index), `from record ${index}`);
      }
    },
  },
  {
    name: "L2 seek() makes the next chunk begin elsewhere",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      await log.append([{ topic, partition: 0, records: texts("a", "b", "c") }]);
      let arrived = Promise.withResolvers<void>();
      const reader = log.reader({ topic, partition: 0 }, 0, () => arrived.resolve());
      const take = async (): Promise<SeenRecord[]> => {
        for (;;) {
          arrived = Promise.withResolvers<void>();
          const position = reader.position;
          const chunk = reader.take(1_000);
          const seen: SeenRecord[] = [];
          if (chunk === null) await arrived.promise;
          else return collect(new RecordCursor(), chunk, position, seen), seen;
        }
      };
      const all = await take();

      reader.seek(all[1]!.position);

      checkEqual(reader.position, all[1]!.position, "position after seek");
      checkEqual(await take(), all.slice(1), "records after seek");
      reader.close();
    },
  },
  {
    name: "L3 records of one call to one partition lie together, in order, among parallel appends",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);

      const receipts = await Promise.all(
        Array.from({ length: 16 }, (_, i) => log.append([{ topic, partition: 0, records: texts(`${i}a`, `${i}b`, `${i}c`) }])),
      );

      const seen = new Map((await readAll(log, { topic, partition: 0 })).map(({ position, value }) => [position, value]));
      checkEqual(seen.size, 48, "records");
      receipts.forEach(([receipt], i) => {
        const together = [0, 1, 2].map((n) => seen.get(receipt!.position + n));
        checkEqual(together, [`${i}a`, `${i}b`, `${i}c`], `records of call ${i}`);
      });
    },
  },
  {
    name: "L3 what append() said is there when the log is opened again",
    needs: "durable",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      await subject.log.ensureTopics([topicSpec(topic, { partitions: 2 })]);
      await Promise.all([0, 1].map((partition) => subject.log.append([{ topic, partition, records: texts(`p${partition}`) }])));

      const log = await subject.reopen();

      checkEqual(log.partitionsOf(topic), 2, "partitions are known without ensureTopics");
      checkEqual([await valuesOf(log, topic, 0), await valuesOf(log, topic, 1)], [["p0"], ["p1"]], "values");
    },
  },
  {
    name: "L3 a call with one bad entry adds nothing, and does not disturb calls beside it",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const good = { topic, partition: 0, records: texts("good") };

      const beside = log.append([good]);
      const bad = refusal(
        log,
        "TIMESTAMP_INVALID",
        "a bad timestamp",
        () => log.append([good, { ...good, records: [{ key: null, value: "x", timestamp: 0.5 }] }]),
      );
      const unknown = refusal(log, "LOG_TOPIC_UNKNOWN", "an unknown topic", () => log.append([good, { ...good, topic: `${prefix}other` }]));
      await Promise.all([beside, bad, unknown]);

      checkEqual(await valuesOf(log, topic), ["good"], "values");
    },
  },
  {
    name: "L3 keys, values and headers come back as they went in",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const large = "x".repeat(300_000);
      await log.append([{
        ...{ topic, partition: 0 },
        records: [
          { key: null, value: null, timestamp: -5, headers: [{ name: "h", value: bytes }, { name: "n", value: null }] },
          { key: bytes, value: "", timestamp: 253_402_300_799_000 },
          { key: "größe", value: large, timestamp: 0 },
        ],
      }]);

      const cursor = new RecordCursor();
      const seen: unknown[] = [];
      let arrived = Promise.withResolvers<void>();
      const reader = log.reader({ topic, partition: 0 }, 0, () => arrived.resolve());
      while (seen.length < 3) {
        arrived = Promise.withResolvers<void>();
        const chunk = reader.take(1_000);
        if (chunk === null) await arrived.promise;
        if (chunk === null) continue;
        cursor.open(chunk.bytes, chunk.start, chunk.end, 0);
        while (cursor.next()) {
          const headers = cursor.headers().map(({ name, value }) => [name, value === null ? null : [...(value as Uint8Array)]]);
          seen.push([cursor.keyBytes() && [...cursor.keyBytes()!], cursor.valueText(), cursor.timestamp, headers]);
        }
      }
      reader.close();

      checkEqual(seen, [
        [null, null, -5, [["h", [...bytes]], ["n", null]]],
        [[...bytes], "", 253_402_300_799_000, []],
        [[...new TextEncoder().encode("größe")], large, 0, []],
      ], "records");
    },
  },
];

export const idCases: readonly Case<LogSubject>[] = [
  {
    name: "L9 append() with an id said before adds nothing and tells where the first one lies",
    needs: "deduplicates",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { partitions: 2 })]);
      const id = (value: string, scope = "s"): { scope: string; value: string; keepMs: number } => ({ scope: prefix + scope, value, keepMs: 60_000 });
      await log.append([{ topic, partition: 0, records: texts("before") }]);

      const [first] = await log.append([{ topic, partition: 0, records: texts("a"), id: id("1") }]);
      const [again] = await log.append([{ topic, partition: 0, records: [{ key: "a", value: "a", timestamp: 77 }], id: id("1") }]);
      const [other] = await log.append([{ topic, partition: 0, records: texts("b"), id: id("1") }]);
      const [elsewhere] = await log.append([{ topic, partition: 1, records: texts("a"), id: id("1") }]);
      const [scope] = await log.append([{ topic, partition: 0, records: texts("c"), id: id("1", "t") }]);

      checkEqual([first!.duplicate, first!.differs], [false, false], "the first");
      checkEqual(again, { ...first, duplicate: true }, "the same again, at another time");
      checkEqual(other, { ...first, duplicate: true, differs: true }, "other content");
      checkEqual(elsewhere, { ...first, duplicate: true, differs: true }, "another partition");
      checkEqual(scope!.duplicate, false, "another scope");
      checkEqual([await valuesOf(log, topic, 0), await valuesOf(log, topic, 1)], [["before", "a", "c"], []], "values");
    },
  },
  {
    name: "L9 an id with a checksum says itself what its content is, wherever the records would go",
    needs: "deduplicates",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { partitions: 2 })]);
      const id = (checksum: number): { scope: string; value: string; keepMs: number; checksum: number } => ({
        scope: `${prefix}s`,
        value: "1",
        keepMs: 60_000,
        checksum,
      });

      const [first] = await log.append([{ topic, partition: 0, records: texts("a"), id: id(4_294_967_295) }]);
      const [same] = await log.append([{ topic, partition: 1, records: texts("b"), id: id(4_294_967_295) }]);
      const [other] = await log.append([{ topic, partition: 0, records: texts("a"), id: id(0) }]);

      checkEqual(same, { ...first, duplicate: true }, "the same checksum, other records");
      checkEqual(other, { ...first, duplicate: true, differs: true }, "another checksum, the same records");
      checkEqual([await valuesOf(log, topic, 0), await valuesOf(log, topic, 1)], [["a"], []], "values");
    },
  },
  {
    name: "L9 one of many parallel appends with the same id is in",
    needs: "deduplicates",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const append = { topic, partition: 0, records: texts("a"), id: { scope: `${prefix}s`, value: "1", keepMs: 60_000 } };

      const receipts = await Promise.all(Array.from({ length: 50 }, () => log.append([append])));
      const [twice] = [await log.append([append, append])];

      checkEqual(receipts.filter(([receipt]) => !receipt!.duplicate).length, 1, "appends that are no duplicate");
      check([...receipts.flat(), ...twice].every((receipt) => receipt.position === 0 && !receipt.differs), "receipts tell the first one");
      checkEqual(await valuesOf(log, topic), ["a"], "values");
    },
  },
  {
    name: "L9 ids outlive the process",
    needs: "durable",
    async run(subject) {
      if (!subject.log.capabilities.deduplicates) return;
      const topic = `${subject.prefix}a`;
      const append = { topic, partition: 0, records: texts("a"), id: { scope: `${subject.prefix}s`, value: "1", keepMs: 60_000 } };
      await subject.log.ensureTopics([topicSpec(topic)]);
      await subject.log.append([append]);

      const log = await subject.reopen();
      const [again] = await log.append([append]);

      checkEqual(again, { topic, partition: 0, position: 0, duplicate: true, differs: false }, "receipt");
      checkEqual(await valuesOf(log, topic), ["a"], "values");
    },
  },
  {
    name: "L9 an id counts again after its time (needs advance)",
    needs: "deduplicates",
    async run(subject) {
      const { log, prefix } = subject;
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const append = { topic, partition: 0, records: texts("a"), id: { scope: `${prefix}s`, value: "1", keepMs: 60_000 } };
      await log.append([append]);

      subject.advance(59_999);
      const [before] = await log.append([append]);
      subject.advance(1);
      const [after] = await log.append([append]);
      const [last] = await log.append([append]);

      checkEqual([before!.duplicate, after!.duplicate, last!.duplicate], [true, false, true], "duplicates before, after, and of the second");
      checkEqual(last!.position, after!.position, "the second one is the first again");
    },
  },
];

export const topicCases: readonly Case<LogSubject>[] = [
  {
    name: "L10 a topic keeps the number of partitions it was made with",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { partitions: 3 })]);
      await log.ensureTopics([topicSpec(topic, { partitions: 3 })]);

      await refusal(log, "LOG_TOPIC_MISMATCH", "another number", () => log.ensureTopics([topicSpec(`${prefix}b`), topicSpec(topic, { partitions: 4 })]));

      checkEqual([log.partitionsOf(topic), log.partitionsOf(`${prefix}b`)], [3, null], "partitions");
      checkEqual((await log.describe([topic])).length, 3, "partitions described");
    },
  },
  {
    name: "L10 the number of partitions outlives the process",
    needs: "durable",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      await subject.log.ensureTopics([topicSpec(topic, { partitions: 3 })]);

      const log = await subject.reopen();

      await refusal(log, "LOG_TOPIC_MISMATCH", "another number", () => log.ensureTopics([topicSpec(topic)]));
      await log.ensureTopics([topicSpec(topic, { partitions: 3 })]);
      checkEqual(log.partitionsOf(topic), 3, "partitions");
    },
  },
  {
    name: "L10 unknown topics and partitions are refused by every call",
    async run({ log, prefix }) {
      const known = `${prefix}a`;
      await log.ensureTopics([topicSpec(known)]);
      const membership = await member(log, `${prefix}g`, known);
      for (const at of [{ topic: `${prefix}other`, partition: 0 }, { topic: known, partition: 1 }, { topic: known, partition: -1 }]) {
        const what = `${at.topic}/${at.partition}`;
        await refusal(log, "LOG_TOPIC_UNKNOWN", `append to ${what}`, () => log.append([{ ...at, records: texts("x") }]));
        await refusal(log, "LOG_TOPIC_UNKNOWN", `positionAt of ${what}`, () => log.positionAt(at, 0));
        await refusal(log, "LOG_TOPIC_UNKNOWN", `reader of ${what}`, () => log.reader(at, 0, () => {}));
        await refusal(log, "LOG_TOPIC_UNKNOWN", `committed of ${what}`, () => log.committed(`${prefix}g`, [at]));
        await refusal(
          log,
          "LOG_TOPIC_UNKNOWN",
          `commit to ${what}`,
          () => log.commit(unit(membership, { outputs: [output(at.topic, at.partition, "x")] }), () => {}),
        );
      }
      await refusal(log, "LOG_TOPIC_UNKNOWN", "describe", () => log.describe([`${prefix}other`]));
      await refusal(log, "LOG_TOPIC_UNKNOWN", "join", () => log.join(`${prefix}h`, [`${prefix}other`], { assigned() {}, revoked() {}, lost() {} }));
      checkEqual(log.partitionsOf(`${prefix}other`), null, "partitionsOf an unknown topic");
    },
  },
  {
    name: "L11 reading below the first kept position is refused (needs advance)",
    async run(subject) {
      const { log, prefix } = subject;
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { retention: { ageMs: 1_000 } })]);
      await log.append([{ topic, partition: 0, records: texts("a", "b") }]);
      const slow = log.reader({ topic, partition: 0 }, 0, () => {});

      subject.advance(3_600_000);
      const [kept] = await log.append([{ topic, partition: 0, records: texts("c") }]);
      await log.append([{ topic, partition: 0, records: texts("d") }]);

      const [info] = await log.describe([topic]);
      checkEqual(info!.start, kept!.position, "the first kept position");
      await refusal(log, "LOG_POSITION_OUT_OF_RANGE", "a reader that was too slow", () => slow.take(1_000));
      await refusal(log, "LOG_POSITION_OUT_OF_RANGE", "a new reader", () => readAll(log, { topic, partition: 0 }, 1));
      checkEqual(await valuesOf(log, topic, 0, info!.start), ["c", "d"], "what is kept");
      slow.seek(info!.start);
      check(slow.take(1_000) !== null, "a reader that was set to the start reads on");
    },
  },
  {
    name: "L11 reading beyond the end is refused",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      await log.append([{ topic, partition: 0, records: texts("a") }]);
      const [info] = await log.describe([topic]);

      checkEqual(await valuesOf(log, topic, 0, info!.end), [], "at the end");
      await refusal(log, "LOG_POSITION_OUT_OF_RANGE", "beyond the end", () => readAll(log, { topic, partition: 0 }, info!.end + 1));
    },
  },
  {
    name: "L13 onArrival() is called after an append and after a commit, and never inside of a call",
    async run({ log, prefix }) {
      const [topic, group] = [`${prefix}a`, `${prefix}g`];
      await log.ensureTopics([topicSpec(topic)]);
      const membership = await member(log, group, topic);
      let inCall = false;
      let inside = 0;
      let arrived = Promise.withResolvers<void>();
      const reader = log.reader({ topic, partition: 0 }, 0, () => {
        if (inCall) inside++;
        arrived.resolve();
      });
      const until = async (end: number): Promise<void> => {
        while (reader.position < end) {
          arrived = Promise.withResolvers<void>();
          inCall = true;
          const chunk = reader.take(1_000);
          inCall = false;
          if (chunk === null) await arrived.promise;
        }
      };

      const appended = log.append([{ topic, partition: 0, records: texts("a") }]);
      await until(1);
      await appended;
      inCall = true;
      const receipt = log.commit(unit(membership, { outputs: [output(topic, 0, "b")] }), () => {});
      inCall = false;
      await until(reader.position + 1);
      await (await receipt).durable;

      checkEqual(inside, 0, "calls of onArrival inside of a call");
      reader.close();
    },
  },
  {
    name: "L13 a reader that only asks when told misses nothing",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      const cursor = new RecordCursor();
      const seen: SeenRecord[] = [];
      const done = Promise.withResolvers<void>();
      const drain = (): void => {
        for (;;) {
          const position = reader.position;
          const chunk = reader.take(100);
          if (chunk === null) break;
          collect(cursor, chunk, position, seen);
        }
        if (seen.length >= 60) done.resolve();
      };
      const reader = log.reader({ topic, partition: 0 }, 0, drain);
      drain();

      for (let i = 0; i < 30; i++) {
        const turn = log.append([{ topic, partition: 0, records: texts(`${i}a`, `${i}b`) }]);
        if (i % 3 === 0) await turn;
      }
      await done.promise;

      checkEqual(seen.map(({ value }) => value).slice(0, 4), ["0a", "0b", "1a", "1b"], "the first values");
      checkEqual(seen, await readAll(log, { topic, partition: 0 }), "all records");
      reader.close();
    },
  },
  {
    name: "L2 what a commit wrote is read like what was appended",
    async run({ log, prefix }) {
      const [topic, group] = [`${prefix}a`, `${prefix}g`];
      await log.ensureTopics([topicSpec(topic)]);
      const membership = await member(log, group, topic);

      await commitDurably(log, unit(membership, { outputs: [output(topic, 0, "a", "b")] }));
      await log.append([{ topic, partition: 0, records: texts("c") }]);
      await commitDurably(log, unit(membership, { outputs: [output(topic, 0, "d")] }));

      checkEqual(await valuesOf(log, topic), ["a", "b", "c", "d"], "values");
    },
  },
];
