/** Who leads a partition, asked for by several at once. */
import { describe, expect, test } from "bun:test";
import { Metadata } from "../../../adapters/kafka/pure/metadata.ts";
import { isStreamError } from "../../../src/base/errors.ts";

type Ask = ConstructorParameters<typeof Metadata>[0];

/** A cluster whose one broker leads the one partition of each topic, or knows none. */
function cluster(knows: boolean): Ask {
  const topics = [{
    errorCode: knows ? 0 : 3,
    name: "a",
    topicId: "id",
    isInternal: false,
    partitions: [{ errorCode: 0, partitionIndex: 0, leaderId: 1, leaderEpoch: 0 }],
  }];
  const answer = { brokers: [{ nodeId: 1, host: "broker", port: 9_092 }], controllerId: 1, topics };
  return (() => Promise.resolve(answer)) as unknown as Ask;
}

describe("the leader of a partition", () => {
  test("that is forgotten by another call while it is asked for is not known for now: the topic is none that does not exist", async () => {
    const outcomes = new Set<string>();
    for (let turns = 0; turns < 20; turns++) {
      const metadata = new Metadata(cluster(true));
      const asked = metadata.leader({ topic: "a", partition: 0 }).then(
        ({ broker }) => String(broker),
        (error: unknown) => isStreamError(error) ? error.code : String(error),
      );
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      metadata.forget("a");
      outcomes.add(await asked);
    }

    expect([...outcomes].toSorted()).toEqual(["1", "LOG_UNAVAILABLE"]);
  });

  test("of a topic that does not exist is LOG_TOPIC_UNKNOWN", async () => {
    await expect(new Metadata(cluster(false)).leader({ topic: "a", partition: 0 })).rejects.toMatchObject({ code: "LOG_TOPIC_UNKNOWN" });
  });
});
