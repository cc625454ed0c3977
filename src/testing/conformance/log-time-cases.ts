/** Cases of the `Log` contract about positions of moments: L14. */
import type { Log } from "../../log/log.ts";
import { RecordCursor } from "../../record/cursor.ts";
import { BatchEncoder } from "../../record/encoder.ts";
import type { NewRecord, TopicPartition } from "../../record/record.ts";
import { check, checkEqual } from "./cases.ts";
import type { Case } from "./cases.ts";
import { commitDurably, member, readAll, refusal, topicSpec, unit } from "./log-subject.ts";
import type { LogSubject } from "./log-subject.ts";

export const timeCases: readonly Case<LogSubject>[] = [
  {
    name: "L14 positionAt() gives the first record in position order that is not before the moment, also where earlier ones follow",
    async run({ log, prefix }) {
      const at = { topic: `${prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic)]);
      for (const times of [[50, 10], [40, 30, 60], [60, 20], [90]]) await log.append([{ ...at, records: stamped(...times) }]);

      checkEqual((await timesOf(log, at)).map(({ timestamp }) => timestamp), [50, 10, 40, 30, 60, 60, 20, 90], "timestamps");
      await checkMoments(log, at, [-1_000, -1, 0, 1, 9, 10, 11, 50, 51, 60, 61, 90, 91, 1_700_000_000_000, 253_402_300_799_000]);
    },
  },
  {
    name: "L14 positionAt() of a partition without records is its end, whatever its neighbours hold",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic, { partitions: 2 })]);
      await log.append([{ topic, partition: 1, records: stamped(100) }]);

      for (const timestamp of [-1, 0, 100, 1_000]) checkEqual(await log.positionAt({ topic, partition: 0 }, timestamp), 0, `position at ${timestamp}`);
      checkEqual(await log.positionAt({ topic, partition: 1 }, 100), 0, "position in the other partition");
    },
  },
  {
    name: "L14 positionAt() sees records of commits by their own times, and nothing of what lies between them",
    async run({ log, prefix }) {
      const at = { topic: `${prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic)]);
      const membership = await member(log, `${prefix}g`, at.topic);
      for (const time of [1_000, 3_000, 2_000]) {
        const encoder = new BatchEncoder();
        for (const { timestamp, key, value } of stamped(time, time + 1)) encoder.append(timestamp, key, value, null);
        await commitDurably(log, unit(membership, { outputs: [{ ...at, encoder }] }));
      }
      await log.append([{ ...at, records: stamped(4_000) }]);

      await checkMoments(log, at, [0, 1_000, 1_001, 1_002, 3_000, 3_001, 3_002, 4_000, 4_001, 1_500_000_000_000]);
    },
  },
  {
    name: "L14 positionAt() finds a record far into a partition of many batches",
    async run({ log, prefix }) {
      const at = { topic: `${prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic)]);
      const value = "x".repeat(100_000);
      for (let time = 0; time < 6; time++) {
        await log.append([{ ...at, records: Array.from({ length: 10 }, (_, index) => ({ key: null, value, timestamp: 1_000 * time + index + 1 })) }]);
      }

      await checkMoments(log, at, [1_010, 1_011, 4_005, 5_010, 5_011]);
    },
  },
  {
    name: "L14 positionAt() goes by the times that records have when they are read, where the log may have put its own",
    async run({ log, prefix }) {
      const at = { topic: `${prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic, { takesAppendTime: true, internal: true, retention: { ageMs: 86_400_000 } })]);
      await log.append([{ ...at, records: stamped(1_000, 2_000) }]);
      await log.append([{ ...at, records: stamped(500) }]);

      const times = (await timesOf(log, at)).map(({ timestamp }) => timestamp);
      await checkMoments(log, at, [0, ...times.flatMap((time) => [time - 1, time, time + 1])]);
    },
  },
  {
    name: "L14 positionAt() never lies below the first kept position (needs advance)",
    async run(subject) {
      const { log } = subject;
      const at = { topic: `${subject.prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic, { retention: { ageMs: 1_000 } })]);
      await log.append([{ ...at, records: stamped(9_000, 100) }]);
      subject.advance(3_600_000);
      const [kept] = await log.append([{ ...at, records: stamped(5_000) }]);
      await log.append([{ ...at, records: stamped(7_000) }]);

      checkEqual((await log.describe([at.topic]))[0]!.start, kept!.position, "the first kept position");
      for (const [timestamp, position] of [[0, 2], [5_000, 2], [5_001, 3], [7_001, 4], [9_000, 4]] as const) {
        checkEqual(await log.positionAt(at, timestamp), position, `position at ${timestamp}`);
      }
    },
  },
  {
    name: "L14 positionAt() holds when the log is opened again",
    needs: "durable",
    async run(subject) {
      const at = { topic: `${subject.prefix}a`, partition: 0 };
      await subject.log.ensureTopics([topicSpec(at.topic)]);
      await subject.log.append([{ ...at, records: stamped(10, 30, 20) }]);

      const log = await subject.reopen();

      await checkMoments(log, at, [0, 10, 11, 20, 30, 31]);
    },
  },
  {
    name: "L14 positionAt() refuses what is no time",
    async run({ log, prefix }) {
      const at = { topic: `${prefix}a`, partition: 0 };
      await log.ensureTopics([topicSpec(at.topic)]);

      for (const timestamp of [0.5, NaN, Infinity]) await refusal(log, "TIMESTAMP_INVALID", `position at ${timestamp}`, () => log.positionAt(at, timestamp));
    },
  },
];

function stamped(...timestamps: readonly number[]): (NewRecord & { readonly key: string; readonly value: string })[] {
  return timestamps.map((timestamp) => ({ key: `${timestamp}`, value: `${timestamp}`, timestamp }));
}

/** Position and time of each record as a reader gives them. */
async function timesOf(log: Log, at: TopicPartition): Promise<readonly { readonly position: number; readonly timestamp: number }[]> {
  const times: { position: number; timestamp: number }[] = [];
  const wanted = (await readAll(log, at)).length;
  const cursor = new RecordCursor();
  let arrived = Promise.withResolvers<void>();
  const reader = log.reader(at, 0, () => arrived.resolve());
  while (times.length < wanted) {
    arrived = Promise.withResolvers();
    const chunk = reader.take(65_536);
    if (chunk === null) await arrived.promise;
    else for (cursor.open(chunk.bytes, chunk.start, chunk.end, 0); cursor.next();) times.push({ position: cursor.position, timestamp: cursor.timestamp });
  }
  reader.close();
  return times;
}

/** Holds `positionAt` against what a reader gives. */
async function checkMoments(log: Log, at: TopicPartition, moments: readonly number[]): Promise<void> {
  const times = await timesOf(log, at);
  const end = (await log.describe([at.topic])).find(({ partition }) => partition === at.partition)!.end;
  check(times.length > 0, "there are records to look for");
  for (const moment of moments) {
    const wanted = times.find(({ timestamp }) => timestamp >= moment)?.position ?? end;
    checkEqual(await log.positionAt(at, moment), wanted, `position at ${moment} of ${times.map(({ position, timestamp }) => `${position}:${timestamp}`)}`);
  }
}
