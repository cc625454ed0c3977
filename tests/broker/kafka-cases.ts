/** What Kafka can do to a log, as cases for both clients: aborted transactions, predecessors that are not dead, rebalances, codecs, topics that change, records that are too large. */
import type { ClientSettings, KafkaClient } from "../../adapters/kafka/client.ts";
import type { Log, Membership } from "../../src/log/log.ts";
import { check, checkEqual } from "../../src/testing/conformance/cases.ts";
import type { Case } from "../../src/testing/conformance/cases.ts";
import { commitDurably, listener, member, output, refusal, texts, topicSpec, unit, valuesOf } from "../../src/testing/conformance/log-subject.ts";
import { administrate, foreignProducer } from "./foreign-producer.ts";
import type { ClientName } from "./kafka-clients.ts";
import { codeOf } from "./kafka-clients.ts";

/** A broker and a client under test. */
export interface KafkaSubject {
  readonly bootstrap: string;
  readonly prefix: string;
  readonly client: ClientName;
  /** Clients that can run here, the one under test among them. */
  readonly clients: readonly ClientName[];
  /** Opens a log, closed when the case is over. `worker` stands for its transactional id. */
  open(worker: string, more?: Partial<ClientSettings>, client?: ClientName): Promise<Log>;
  /** Opens a client without a log around it, closed when the case is over. */
  openClient(worker: string): Promise<KafkaClient>;
}

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

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

      checkEqual(await valuesOf(log, topic), [], "values while it is open");
      const [info] = await log.describe([topic]);
      check(info!.end >= 2, `end is ${info!.end}, wanted records of transactions under way to count`);
      await transaction.commit();
      await producer.close();

      checkEqual(await valuesOf(log, topic), ["open", "behind"], "values once it has ended");
    },
  },
];

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

/** Topics and codecs. */
const topicCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L2 each client reads what each client wrote, in every codec",
    async run(subject) {
      const target = `${subject.prefix}out`;
      for (const writer of subject.clients) {
        for (const compression of CODECS) {
          const topic = `${target}-${writer}-${compression}`;
          const log = await subject.open(`${writer}-${compression}`, { compression }, writer);
          await log.ensureTopics([topicSpec(topic)]);
          const membership = await member(log, `${subject.prefix}g-${writer}-${compression}`, topic);
          const long = `${writer} ${compression} `.repeat(2_000);
          await log.append([{ topic, partition: 0, records: texts("appended", long) }]);
          await commitDurably(log, unit(membership, { outputs: [output(topic, 0, "committed", long, "größe")] }));
          const reader = await subject.open("reader");
          await reader.ensureTopics([topicSpec(topic)]);

          checkEqual(await valuesOf(reader, topic), ["appended", long, "committed", long, "größe"], `${compression} by ${writer}`);
          await reader.close();
          await log.close();
        }
      }
    },
  },
  {
    name: "L10 a topic that was deleted behind the log's back is told, and its neighbours work on",
    async run(subject) {
      const [gone, here] = [`${subject.prefix}gone`, `${subject.prefix}here`];
      const log = await subject.open("one", { timeoutMs: 4_000 });
      await log.ensureTopics([topicSpec(gone), topicSpec(here)]);
      await log.append([{ topic: gone, partition: 0, records: texts("a") }]);
      await administrate(subject.bootstrap, (admin) => admin.deleteTopics({ topics: [gone] }));

      const [lost, kept] = await Promise.all([
        codeOf(log.append([{ topic: gone, partition: 0, records: texts("b") }])),
        codeOf(log.append([{ topic: here, partition: 0, records: texts("c") }])),
      ]);

      // librdkafka waits for such a topic as it does for a leader.
      check(lost === "LOG_TOPIC_UNKNOWN" || lost === "LOG_UNAVAILABLE", `the deleted topic gave ${lost}`);
      checkEqual([kept, await valuesOf(log, here)], [null, ["c"]], "the other topic");
    },
  },
  {
    name: "L10 partitions that were added are told by ensureTopics, with both numbers; readers go on",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(topic, { partitions: 2 })]);
      await log.append([{ topic, partition: 1, records: texts("a") }]);
      await administrate(subject.bootstrap, (admin) => admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: null }] } as never));

      const error = await refusal(log, "LOG_TOPIC_MISMATCH", "the old number", () => log.ensureTopics([topicSpec(topic, { partitions: 2 })]));
      check(error.message.includes("has 3 partitions, not the 2 asked for"), `the message does not tell both numbers: ${error.message}`);
      checkEqual(await valuesOf(log, topic, 1), ["a"], "values");
      await log.ensureTopics([topicSpec(topic, { partitions: 3 })]);
      await log.append([{ topic, partition: 2, records: texts("b") }]);
      checkEqual(await valuesOf(log, topic, 2), ["b"], "values of the new partition");
    },
  },
  {
    name: "L11 records that were deleted are a position out of range, for readers under way and for new ones",
    async run(subject) {
      const topic = `${subject.prefix}a`;
      const at = { topic, partition: 0 };
      const log = await subject.open("one", { prefetchBytes: 1_000 });
      await log.ensureTopics([topicSpec(topic)]);
      for (const value of ["a", "b", "c", "d"]) await log.append([{ ...at, records: texts(value.repeat(900)) }]);
      let arrived = Promise.withResolvers<void>();
      const slow = log.reader(at, 0, () => arrived.resolve());
      while (slow.take(1) === null) {
        await arrived.promise;
        arrived = Promise.withResolvers();
      }

      await (await subject.openClient("purge")).deleteRecords([{ ...at, position: 3 }]);

      checkEqual((await log.describe([topic])).map(({ start, end }) => [start, end]), [[3, 4]], "start and end");
      const error = await refusal(log, "LOG_POSITION_OUT_OF_RANGE", "a new reader", () => valuesOf(log, topic));
      check(error.message.includes("position 0"), `the message does not tell the position: ${error.message}`);
      slow.seek(3);
      let chunk = slow.take(1);
      while (chunk === null) {
        await arrived.promise;
        arrived = Promise.withResolvers();
        chunk = slow.take(1);
      }
      checkEqual(chunk.nextPosition, 4, "where a reader goes on that was set to the start");
      slow.close();
    },
  },
  {
    name: "L10 a changelog that is there and not compacted is refused, with what it is and what is wanted",
    async run(subject) {
      const topic = `${subject.prefix}changelog`;
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(topic)]);

      const error = await refusal(
        log,
        "LOG_TOPIC_MISMATCH",
        "a topic of cleanup.policy=delete",
        () => log.ensureTopics([topicSpec(topic, { retention: "compact", internal: true })]),
      );

      check(error.message.includes("cleanup.policy=delete, wanted compact"), `the message is ${error.message}`);
    },
  },
  {
    name: "L10 topics are made with the settings that their retention asks for",
    async run(subject) {
      const log = await subject.open("one");
      const name = (what: string): string => `${subject.prefix}${what}`;
      await log.ensureTopics([
        topicSpec(name("kept")),
        topicSpec(name("compact"), { retention: "compact", internal: true }),
        topicSpec(name("made"), { retention: { ageMs: 60_000, bytes: 1_000 }, internal: true }),
        topicSpec(name("bounded"), { retention: { ageMs: 86_400_000 } }),
      ]);

      const configs = new Map<string, Record<string, string>>();
      await administrate(subject.bootstrap, async (admin) => {
        const resources = ["kept", "compact", "made", "bounded"].map((what) => ({ resourceType: 2, resourceName: name(what) }));
        for (const { resourceName, configs: entries } of await admin.describeConfigs({ resources } as never)) {
          configs.set(resourceName.slice(subject.prefix.length), Object.fromEntries(entries.map(({ name: key, value }) => [key, value ?? ""])));
        }
      });

      const of = (what: string): unknown =>
        ["cleanup.policy", "retention.ms", "message.timestamp.after.max.ms", "max.message.bytes"].map((key) => configs.get(what)?.[key]);
      const endless = "9223372036854775807";
      checkEqual(of("kept"), ["delete", "-1", endless, "8388608"], "forever");
      checkEqual([configs.get("compact")?.["cleanup.policy"], configs.get("compact")?.["delete.retention.ms"]], ["compact", "604800000"], "compact");
      checkEqual(of("made"), ["delete", "-1", endless, "8388608"], "internal with bounds");
      checkEqual(of("bounded"), ["delete", "86400000", endless, "8388608"], "bounds of a user's");
    },
  },
];

/** Listeners that fail. */
const listenerCases: readonly Case<KafkaSubject>[] = [
  {
    name: "L8 a listener that fails in assigned is out, join() says so, and others get its partitions",
    async run(subject) {
      const [source, group] = [`${subject.prefix}.in`, `${subject.prefix}g`];
      const log = await subject.open("one");
      await log.ensureTopics([topicSpec(source, { partitions: 2 })]);
      const heard: string[] = [];

      const failing = listener("bad", heard, {
        assigned() {
          throw new RangeError("no room");
        },
      });
      const error = await refusal(log, "HANDLER_FAILED", "join", () => log.join(group, [source], failing));
      const good = await log.join(group, [source], listener("good", heard));

      check(error.cause instanceof RangeError, "the cause is not what the listener threw");
      checkEqual(heard, ["bad assigned in/0 in/1", "bad lost in/0 in/1", "good assigned in/0 in/1"], "calls");
      await commitDurably(log, unit(good, { positions: [{ topic: source, partition: 0, position: 1 }] }));
    },
  },
  {
    name: "L8 a listener that fails in revoked hands back all the same, with a warning",
    async run(subject) {
      const [source, group] = [`${subject.prefix}.in`, `${subject.prefix}g`];
      const warned: string[] = [];
      const log = await subject.open("one", { warn: (message) => warned.push(message) });
      await log.ensureTopics([topicSpec(source, { partitions: 2 })]);
      const failing = listener("bad", [], { revoked: () => Promise.reject(new RangeError("no time")) });
      const bad = await log.join(group, [source], failing);

      await bad.leave();
      const good = await member(log, group, source);

      checkEqual([bad.assigned.length, good.assigned.length], [0, 2], "partitions");
      check(warned.some((message) => message.includes("failed in revoked: no time")), `warnings: ${warned}`);
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
      for (const [index, log] of logs.entries()) members.push(await log.join(group, [source], listener(`${index}`, heard)));

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

/** Counts up on each partition it owns: each commit says `partition:count` and moves the position by one. What it has not committed before `revoked` is done is dropped. */
class CountingWorker {
  readonly #log: Log;
  readonly #join: () => Promise<Membership>;
  readonly #source: string;
  readonly #target: string;
  readonly #group: string;
  readonly #next = new Map<number, number>();
  readonly #waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  #membership: Membership | null = null;
  #commits = 0;
  /** Counts what was told of partitions: an answer that comes after the next of it is not used. */
  #told = 0;
  #isStopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(log: Log, group: string, source: string, target: string, index: number) {
    this.#log = log;
    this.#source = source;
    this.#target = target;
    this.#group = group;
    this.#join = () =>
      log.join(group, [source], {
        assigned: async (partitions) => {
          this.#told++;
          const positions = new Map((await log.committed(this.#group, partitions)).map(({ partition, position }) => [partition, position]));
          for (const { partition } of partitions) this.#next.set(partition, positions.get(partition) ?? 0);
        },
        // Worker 1 hands back in the middle of a commit; the others end it first.
        revoked: async () => {
          this.#told++;
          this.#next.clear();
          if (index !== 1) await this.#loop.catch(() => {});
        },
        lost: () => {
          this.#told++;
          this.#next.clear();
        },
      });
  }

  async start(): Promise<void> {
    this.#membership = await this.#join();
    void this.#run();
  }

  /** Waits for so many commits of this worker. */
  until(count: number): Promise<void> {
    if (this.#commits >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#membership!.leave();
    await this.#loop.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#loop = this.#commit();
      try {
        await this.#loop;
      } catch {
        // Refused or failed: what is committed tells where to go on.
        await this.#again();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #again(): Promise<void> {
    const told = this.#told;
    const owned = [...this.#next.keys()].map((partition) => ({ topic: this.#source, partition }));
    const positions = new Map((await this.#log.committed(this.#group, owned)).map(({ partition, position }) => [partition, position]));
    if (told === this.#told) { for (const { partition } of owned) this.#next.set(partition, positions.get(partition) ?? 0); }
  }

  async #commit(): Promise<void> {
    const counts = [...this.#next];
    if (counts.length === 0 || this.#membership === null) return;
    const positions = counts.map(([partition, count]) => ({ topic: this.#source, partition, position: count + 1 }));
    await this.#log.commit(
      unit(this.#membership, { positions, outputs: [output(this.#target, 0, ...counts.map(([partition, count]) => `${partition}:${count}`))] }),
      () => {},
    );
    for (const [partition, count] of counts) if (this.#next.get(partition) === count) this.#next.set(partition, count + 1);
    this.#commits++;
    for (const waiter of this.#waiters) if (this.#commits >= waiter.count) waiter.resolve();
  }
}
