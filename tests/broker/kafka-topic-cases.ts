/** What Kafka can do to a log through its topics: codecs, topics that change or go, settings; and listeners that fail. */
import { check, checkEqual } from "../../src/testing/conformance/cases.ts";
import type { Case } from "../../src/testing/conformance/cases.ts";
import { commitDurably, listener, member, output, refusal, texts, topicSpec, unit, valuesOf } from "../../src/testing/conformance/log-subject.ts";
import { administrate } from "./foreign-producer.ts";
import type { KafkaSubject } from "./kafka-subject.ts";
import { codeOf } from "./kafka-clients.ts";

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/** Topics and codecs. */
export const topicCases: readonly Case<KafkaSubject>[] = [
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
      for (const [timestamp, position] of [[-1, 3], [0, 3], [1_000, 3], [1_001, 4]] as const) {
        checkEqual(await log.positionAt(at, timestamp), position, `L14: position at ${timestamp}`);
      }
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
export const listenerCases: readonly Case<KafkaSubject>[] = [
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
