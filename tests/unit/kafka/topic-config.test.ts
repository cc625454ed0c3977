/** How topics are set up on Kafka. */
import { describe, expect, test } from "bun:test";
import { checkTopicConfig, isPurged, newTopicOf, plainTopic } from "../../../adapters/kafka/topic-config.ts";
import type { Retention, TopicSpec } from "../../../src/log/log.ts";

function spec(retention: Retention, internal = false): TopicSpec {
  return { name: "orders", partitions: 3, retention, internal };
}

function configsOf(retention: Retention, internal = false): Readonly<Record<string, string>> {
  return newTopicOf(spec(retention, internal), -1).configs;
}

describe("newTopicOf()", () => {
  test("takes name, partitions and replication factor as they are", () => {
    const { name, partitions, replicationFactor } = newTopicOf(spec("forever"), 3);

    expect([name, partitions, replicationFactor]).toEqual(["orders", 3, 3]);
  });

  test("event times lie anywhere, in every topic", () => {
    for (const retention of ["forever", "compact", { ageMs: 1_000 }] as const) {
      const configs = configsOf(retention);

      expect(configs["message.timestamp.type"]).toBe("CreateTime");
      expect([configs["message.timestamp.before.max.ms"], configs["message.timestamp.after.max.ms"]]).toEqual(["9223372036854775807", "9223372036854775807"]);
    }
  });

  test("F08 letters of old events are kept as long as those of new ones: their topics go by the time of the append", () => {
    expect(newTopicOf({ ...spec({ ageMs: 1_000 }), takesAppendTime: true }, -1).configs["message.timestamp.type"]).toBe("LogAppendTime");
  });

  test('"forever" deletes nothing, "compact" compacts and keeps deletions for a week', () => {
    const [forever, compact] = [configsOf("forever"), configsOf("compact", true)];

    expect([forever["cleanup.policy"], forever["retention.ms"], forever["retention.bytes"]]).toEqual(["delete", "-1", "-1"]);
    expect([compact["cleanup.policy"], compact["retention.ms"], compact["delete.retention.ms"]]).toEqual(["compact", undefined, "604800000"]);
  });

  test("bounds become Kafka's, with segments small enough for them to bite", () => {
    const both = configsOf({ ageMs: 86_400_000, bytes: 1_000_000_000 });
    const age = configsOf({ ageMs: 60_000 });
    const bytes = configsOf({ bytes: 10_000 });

    expect([both["retention.ms"], both["retention.bytes"], both["segment.ms"], both["segment.bytes"]]).toEqual([
      "86400000",
      "1000000000",
      "43200000",
      "250000000",
    ]);
    expect([age["retention.ms"], age["retention.bytes"], age["segment.ms"], age["segment.bytes"]]).toEqual(["60000", "-1", "14400000", "1073741824"]);
    expect([bytes["retention.ms"], bytes["retention.bytes"], bytes["segment.ms"], bytes["segment.bytes"]]).toEqual(["-1", "10000", "604800000", "52428800"]);
  });

  test("bounds of an internal topic are left to the purge: event times of a replay would be over at once", () => {
    const configs = configsOf({ ageMs: 60_000, bytes: 10_000 }, true);

    expect([configs["retention.ms"], configs["retention.bytes"]]).toEqual(["-1", "-1"]);
    expect([isPurged(spec({ ageMs: 1 }, true)), isPurged(spec({ ageMs: 1 })), isPurged(spec("compact", true)), isPurged(spec("forever", true))])
      .toEqual([true, false, false, false]);
  });

  test("plainTopic() keeps what decides over records", () => {
    expect(plainTopic(newTopicOf(spec({ ageMs: 60_000 }), -1)).configs).toEqual({
      "cleanup.policy": "delete",
      "message.timestamp.type": "CreateTime",
      "retention.ms": "60000",
      "retention.bytes": "-1",
    });
    expect(plainTopic(newTopicOf(spec("compact"), -1)).configs).toEqual({ "cleanup.policy": "compact", "message.timestamp.type": "CreateTime" });
  });
});

describe("checkTopicConfig()", () => {
  test("a changelog that is not compacted is refused, with both values", () => {
    for (const policy of ["delete", "compact,delete"]) {
      expect(() => checkTopicConfig(spec("compact", true), { "cleanup.policy": policy })).toThrow(`has cleanup.policy=${policy}, wanted compact`);
    }
    expect(checkTopicConfig(spec("compact", true), { "cleanup.policy": "compact" })).toBeNull();
  });

  test("a changelog that forgets deletions sooner than a worker's disk is trusted is warned of", () => {
    const known = { "cleanup.policy": "compact" };
    expect(checkTopicConfig(spec("compact", true), { ...known, "delete.retention.ms": "86400000" })).toContain(
      "delete.retention.ms=86400000, wanted 604800000",
    );
    expect(checkTopicConfig(spec("compact", true), { ...known, "delete.retention.ms": "604800000" })).toBeNull();
    expect(checkTopicConfig(spec("compact"), { ...known, "delete.retention.ms": "1" })).toBeNull();
  });

  test("a repartition topic with a time bound is warned of", () => {
    expect(checkTopicConfig(spec({ ageMs: 1_000 }, true), { "retention.ms": "604800000" })).toContain("retention.ms=604800000, wanted -1");
    expect(checkTopicConfig(spec({ ageMs: 1_000 }, true), { "retention.ms": "-1" })).toBeNull();
  });

  test("topics of users are theirs, and settings that nobody may see are no fault", () => {
    expect(checkTopicConfig(spec("compact"), { "cleanup.policy": "delete" })).toBeNull();
    expect(checkTopicConfig(spec("compact", true), {})).toBeNull();
    expect(checkTopicConfig(spec({ ageMs: 1_000 }, true), {})).toBeNull();
  });
});
