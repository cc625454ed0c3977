/** What Kafka can do to a log, as cases for both clients: aborted transactions, predecessors that are not dead, rebalances, records that are too large. */
import type { Log, Membership } from "../../src/log/log.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import { check, checkEqual } from "../../src/testing/conformance/cases.ts";
import type { Case } from "../../src/testing/conformance/cases.ts";
import { commitDurably, listener, member, output, refusal, texts, topicSpec, unit, valuesOf } from "../../src/testing/conformance/log-subject.ts";
import { CountingWorker } from "./counting-worker.ts";
import { administrate, foreignProducer } from "./foreign-producer.ts";
import { codeOf } from "./kafka-clients.ts";
import type { KafkaSubject } from "./kafka-subject.ts";
import { listenerCases, topicCases } from "./kafka-topic-cases.ts";

/** Aborted records, and transactions of others. */
const abortedCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L2 two aborted transactions of one producer in one fetch are not read, nor is a third",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(topic)]);
      const producer = foreignProducer(subject.bootstrap, `${subject.prefix}foreign`);
      for (const [value, isKept] of [["no-1", false], ["yes-1", true], ["no-2", false], ["no-3", false], ["yes-2", true]] as const) {
        const transaction = await producer.begin();
        await transaction.send(topic, [`${value}a`, `${value}b`]);
        if (isKept) await transaction.commit();
        else await transaction.abort();
      }
      await producer.close();

      checkEqual(await valuesOf(log, topic), ["yes-1a", "yes-1b", "yes-2a", "yes-2b"], "values");
    },
  },
  {
    name: "L2 an aborted transaction that spans many fetches is not read, and what others wrote in between is",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const log = await subject.open("one", { prefetchBytes: 65_536 });
      await log.ensureTopics([topicSpec(topic)]);
      const producer = foreignProducer(subject.bootstrap, `${subject.prefix}foreign`);
      const transaction = await producer.begin();
      const wanted: string[] = [];
      for (let i = 0; i < 24; i++) {
        await transaction.send(topic, [`no-${i}-${"x".repeat(50_000)}`]);
        await log.append([{ topic, partition: 0, records: texts(`yes-${i}`) }]);
        wanted.push(`yes-${i}`);
      }
      await transaction.abort();
      await producer.close();

      checkEqual(await valuesOf(log, topic), wanted, "values");
      checkEqual(await valuesOf(log, topic, 0, 21), wanted.filter((_, i) => 2 * i + 1 >= 21), "values from within the transaction on");
    },
  },
  {
    name: "L2 records of a transaction under way hold readers until it ends",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(topic)]);
      const producer = foreignProducer(subject.bootstrap, `${subject.prefix}foreign`);
      const transaction = await producer.begin();
      await transaction.send(topic, ["open"]);
      await log.append([{ topic, partition: 0, records: texts("behind") }]);

      checkEqual(await readableOf(log, topic), 0, "readable up to, while it is open");
      const [info] = await log.describe([topic]);
      check(info!.end >= 2, `end is ${info!.end}, wanted records of transactions under way to count`);
      await transaction.commit();
      await producer.close();

      checkEqual(await valuesOf(log, topic), ["open", "behind"], "values once it has ended");
    },
  },
  {
    name:
      "L14 positionAt() finds neither aborted records nor ends of transactions, which carry the time of their writing, and goes no further than a transaction under way",
    async run(subject) {
      const at = { topic: `${subject.prefix}a`, partition: 0 };
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(at.topic)]);
      const producer = foreignProducer(subject.bootstrap, `${subject.prefix}foreign`);
      const aborted = await producer.begin();
      await aborted.send(at.topic, ["no", "no"]);
      await aborted.abort();
      await log.append([{ ...at, records: texts("a") }]);
      const [wanted] = await log.append([{ ...at, records: [{ key: null, value: "b", timestamp: 5_000 }] }]);
      const open = await producer.begin();
      await open.send(at.topic, ["open"]);
      await log.append([{ ...at, records: [{ key: null, value: "behind", timestamp: 9_000 }] }]);

      checkEqual(await log.positionAt(at, 2_000), wanted!.position, "the first of two later records");
      checkEqual(await log.positionAt(at, 6_000), wanted!.position + 1, "the end of what can be read");
      await open.abort();
      await producer.close();
      // The end of a transaction is answered before its marks are in every partition: whoever has read what lies behind it has seen them.
      checkEqual(await valuesOf(log, at.topic), ["a", "b", "behind"], "values once it has ended");
      checkEqual(await log.positionAt(at, 6_000), wanted!.position + 2, "the record behind the transaction, once it has ended");
    },
  },
];

/** How far a reader comes up to the end that it knows itself, which transactions under way bound. */
async function readableOf(log: Log, topic: string): Promise<number> {
  let arrived = Promise.withResolvers<void>();
  const reader = log.reader({ topic, partition: 0 }, 0, () => arrived.resolve());
  try {
    while (reader.take(65_536) !== null || reader.end === null || reader.position < reader.end) {
      await arrived.promise;
      arrived = Promise.withResolvers();
    }
    return reader.position;
  } finally {
    reader.close();
  }
}

/** Predecessors and successors of one worker. */
const fencingCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L7 a worker that comes back under its id goes on, and its predecessor that is not dead can write nothing any more",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}in`, `${subject.prefix}out`, `${subject.prefix}g`];
      const old = await subject.open("one");
      await old.ensureTopics([topicSpec(source), topicSpec(target)]);
      const zombie = await member(old, group, source);
      await commitDurably(old, unit(zombie, { positions: [{ topic: source, partition: 0, position: 1 }], outputs: [output(target, 0, "a")] }));

      const log = await subject.open("one");
      const joined = member(log, `${group}2`, source);
      const fresh = await joined;
      await commitDurably(log, unit(fresh, { outputs: [output(target, 0, "b")] }));
      const code = await codeOf(
        Promise.resolve().then(() =>
          old.commit(unit(zombie, { positions: [{ topic: source, partition: 0, position: 2 }], outputs: [output(target, 0, "zombie")] }), () => {})
        ),
      );

      check(code === "FENCED" || code === "LOG_COMMIT_FAILED", `the predecessor got ${code}, wanted FENCED or LOG_COMMIT_FAILED`);
      checkEqual(await valuesOf(log, target), ["a", "b"], "values");
      checkEqual((await log.committed(group, [{ topic: source, partition: 0 }]))[0]?.position, 1, "position");
      await commitDurably(log, unit(fresh, { outputs: [output(target, 0, "c")] }));
      checkEqual(await valuesOf(log, target), ["a", "b", "c"], "values in the end");
    },
  },
  {
    name: "L4 a restart under the same id ends what its predecessor left open, so that nobody waits for the time-out",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const setUp = await subject.open("set-up");
      await setUp.ensureTopics([topicSpec(topic)]);
      const producer = foreignProducer(subject.bootstrap, `${subject.prefix}one`);
      const transaction = await producer.begin();
      await transaction.send(topic, ["left open"]);

      const log = await subject.open("one", { transactionTimeoutMs: 60_000 });
      await log.append([{ topic, partition: 0, records: texts("next") }]);
      const membership = await member(log, `${subject.prefix}g`, topic);
      await commitDurably(log, unit(membership, { outputs: [output(topic, 0, "last")] }));

      checkEqual(await valuesOf(log, topic), ["next", "last"], "values");
      await producer.close().catch(() => {});
    },
  },
  {
    name: "L8 a worker that comes back under its instance id takes its partitions over at once, nobody else hears of it, and its predecessor is refused",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}.in`, `${subject.prefix}.out`, `${subject.prefix}g`];
      const specs = [topicSpec(source, { partitions: 4 }), topicSpec(target)];
      const [old, other] = [await subject.open("one", { instanceId: "one" }), await subject.open("two", { instanceId: "two" })];
      for (const log of [old, other]) await log.ensureTopics(specs);
      const heard: string[] = [];
      const whole = Promise.withResolvers<void>();
      const zombie = await old.join(group, [source], listener("old", heard, { assigned: (all) => all.length === 2 ? whole.resolve() : undefined }));
      const stays = await other.join(group, [source], listener("other", heard));
      await whole.promise;
      const owned = zombie.assigned;
      const before = heard.filter((line) => line.startsWith("other"));

      const log = await subject.open("one", { instanceId: "one" });
      await log.ensureTopics(specs);
      const fresh = await log.join(group, [source], listener("fresh", []));

      checkEqual(fresh.assigned, owned, "partitions of the successor");
      checkEqual(heard.filter((line) => line.startsWith("other")), before, "what the other member heard");
      const late = codeOf(old.commit(unit(zombie, { positions: [{ ...owned[0]!, position: 9 }] }), () => {}) as Promise<unknown>);
      const late2 = codeOf(
        old.commit(unit(zombie, { positions: [{ ...owned[0]!, position: 9 }], outputs: [output(target, 0, "zombie")] }), () => {}) as Promise<unknown>,
      );
      for (const code of [await late, await late2]) check(code === "FENCED" || code === "LOG_COMMIT_FAILED", `the predecessor got ${code}`);
      await commitDurably(log, unit(fresh, { positions: [{ ...owned[0]!, position: 1 }], outputs: [output(target, 0, "fresh")] }));
      await commitDurably(other, unit(stays, { positions: [{ ...stays.assigned[0]!, position: 2 }] }));
      checkEqual((await log.committed(group, [owned[0]!, stays.assigned[0]!])).map(({ position }) => position), [1, 2], "positions");
      checkEqual(await valuesOf(log, target), ["fresh"], "outputs");
    },
  },
  {
    name: "L7 positions alone are refused once the group has moved on",
    async run(subject) {
      const [source, group] = [`${subject.prefix}in`, `${subject.prefix}g`];
      const [first, second] = [await subject.open("one"), await subject.open("two")];
      await first.ensureTopics([topicSpec(source, { partitions: 2 })]);
      await second.ensureTopics([topicSpec(source, { partitions: 2 })]);
      const one = await member(first, group, source);
      const two = await member(second, group, source);
      const moved = two.assigned[0]!;

      await refusal(first, "FENCED", "a partition that moved", () => first.commit(unit(one, { positions: [{ ...moved, position: 9 }] }), () => {}));

      checkEqual(await second.committed(group, [moved]), [], "positions");
    },
  },
];

/** Commits under way while others look or come. */
const commitCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L6 committed positions are never stale, with and without a transaction, for the worker and for others",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}in`, `${subject.prefix}out`, `${subject.prefix}g`];
      const [log, other] = [await subject.open("one"), await subject.open("two")];
      for (const each of [log, other]) await each.ensureTopics([topicSpec(source), topicSpec(target)]);
      const membership = await member(log, group, source);
      const at = { topic: source, partition: 0 };
      for (let position = 1; position <= 30; position++) {
        const outputs = position % 3 === 0 ? [] : [output(target, 0, `${position}`)];
        await commitDurably(log, unit(membership, { positions: [{ ...at, position }], outputs }));

        checkEqual((await (position % 2 === 0 ? log : other).committed(group, [at]))[0]?.position, position, `after commit ${position}`);
      }
    },
  },
  {
    name: "L4 members that come and go in the middle of commits lose and double nothing",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}in`, `${subject.prefix}out`, `${subject.prefix}g`];
      const specs = [topicSpec(source, { partitions: 4 }), topicSpec(target)];
      const logs = [await subject.open("one"), await subject.open("two"), await subject.open("three")];
      for (const log of logs) await log.ensureTopics(specs);
      const workers = logs.map((log, index) => new CountingWorker(log, group, source, target, index));

      await workers[0]!.start();
      await workers[0]!.until(10);
      await workers[1]!.start();
      await workers[1]!.until(5);
      await workers[2]!.start();
      await workers[0]!.stop();
      await workers[2]!.until(5);
      await workers[1]!.stop();
      await workers[2]!.until(10);
      await workers[2]!.stop();

      const counted = await valuesOf(logs[0]!, target);
      const next = await logs[0]!.committed(group, [0, 1, 2, 3].map((partition) => ({ topic: source, partition })));
      const wanted = next.flatMap(({ partition, position }) => Array.from({ length: position }, (_, index) => `${partition}:${index}`));
      checkEqual([...counted].sort(), wanted.sort(), "outputs against positions");
    },
  },
  {
    name: "L4 a record that is too large fails its append or commit alone, and nothing of that is in",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}in`, `${subject.prefix}out`, `${subject.prefix}g`];
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(source)]);
      await administrate(
        subject.bootstrap,
        (admin) => admin.createTopics({ topics: [target], partitions: 1, replicas: 1, configs: [{ name: "max.message.bytes", value: "2000" }] }),
      );
      await log.ensureTopics([topicSpec(target)]);
      const membership = await member(log, group, source);
      const large = "x".repeat(3_000);

      const [good, bad, last] = await Promise.allSettled(
        ["a", large, "b"].map((value) => log.append([{ topic: target, partition: 0, records: texts(value) }])),
      );
      checkEqual([good!.status, bad!.status, last!.status], ["fulfilled", "rejected", "fulfilled"], "appends that were sent together");
      checkEqual(((bad as PromiseRejectedResult).reason as { code: string }).code, "RECORD_TOO_LARGE", "why it was refused");
      const position = { topic: source, partition: 0, position: 3 };
      const code = await codeOf(
        log.commit(unit(membership, { positions: [position], outputs: [output(target, 0, "no"), output(target, 0, large)] }), () => {}) as Promise<unknown>,
      );
      check(code === "RECORD_TOO_LARGE" || code === "LOG_COMMIT_FAILED", `the commit gave ${code}`);

      checkEqual([await valuesOf(log, target), await log.committed(group, [{ topic: source, partition: 0 }])], [["a", "b"], []], "values and positions");
      await commitDurably(log, unit(membership, { positions: [position], outputs: [output(target, 0, "c")] }));
      checkEqual(await valuesOf(log, target), ["a", "b", "c"], "values after the next commit");
    },
  },
  {
    name: "L4 at-least-once: outputs are in before positions, changelog and positions are one",
    async run(subject) {
      const [source, target, changelog, group] = [`${subject.prefix}in`, `${subject.prefix}out`, `${subject.prefix}log`, `${subject.prefix}g`];
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(source), topicSpec(target), topicSpec(changelog, { retention: "compact", internal: true })]);
      const membership = await member(log, group, source);
      const at = { topic: source, partition: 0 };
      const heard: unknown[] = [];
      const commit = (position: number, value: string, rows: readonly string[]): Promise<unknown> =>
        commitDurably(
          log,
          {
            ...unit(membership, {
              positions: [{ ...at, position }],
              outputs: [output(target, 0, value)],
              changelog: rows.map((row) => output(changelog, 0, row)),
            }),
            guarantee: "at-least-once",
          },
          (positions) => heard.push(positions.length),
        );

      await commit(1, "a", []);
      await commit(2, "b", ["row"]);

      checkEqual(await valuesOf(log, target), ["a", "b"], "outputs");
      checkEqual(await valuesOf(log, changelog), ["row"], "changelog");
      checkEqual([(await log.committed(group, [at]))[0]?.position, heard], [2, [0, 1]], "position, and what apply heard");
    },
  },
];

/** Both clients together. */
const mixedCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L8 both clients are members of one group, and share its partitions",
    needs: "both clients",
    async run(subject) {
      const [source, target, group] = [`${subject.prefix}.in`, `${subject.prefix}.out`, `${subject.prefix}g`];
      const specs = [topicSpec(source, { partitions: 4 }), topicSpec(target)];
      const logs = [await subject.open("one", {}, "platformatic"), await subject.open("two", {}, "confluent")];
      for (const log of logs) await log.ensureTopics(specs);
      const heard: string[] = [];
      const members: Membership[] = [];
      // The first member hears of its new share when it does, not when the second has its own.
      const shared = Promise.withResolvers<void>();
      const share = (partitions: readonly TopicPartition[]): void => {
        if (partitions.length === 2) shared.resolve();
      };
      for (const [index, log] of logs.entries()) {
        members.push(await log.join(group, [source], listener(`${index}`, heard, index === 0 ? { assigned: share } : {})));
      }
      await shared.promise;

      checkEqual(members.map(({ assigned }) => assigned.length), [2, 2], "shares");
      for (const [index, log] of logs.entries()) {
        const positions = members[index]!.assigned.map((at) => ({ ...at, position: 10 + index }));
        await commitDurably(log, unit(members[index]!, { positions, outputs: [output(target, 0, `by ${index}`)] }));
      }
      await members[1]!.leave();
      const all = [0, 1, 2, 3].map((partition) => ({ topic: source, partition }));
      checkEqual((await logs[0]!.committed(group, all)).map(({ position }) => position).sort(), [10, 10, 11, 11], "positions");
      checkEqual(await valuesOf(logs[1]!, target), ["by 0", "by 1"], "outputs");
    },
  },
];

/** All cases. */
export const kafkaCases: readonly Case<KafkaSubject>[] = [...abortedCases, ...fencingCases, ...commitCases, ...topicCases, ...listenerCases, ...mixedCases];
