/** Who gets what by `range`: what Kafka's own assignor does, known from its documentation and checked against members of another client. */
import { describe, expect, test } from "bun:test";
import { shareOut } from "../../../adapters/kafka/pure/group-protocol.ts";
import type { JoinedMember } from "../../../adapters/kafka/pure/group-protocol.ts";

function member(memberId: string, instanceId: string | null = null, topics: readonly string[] = ["a"]): JoinedMember {
  return { memberId, instanceId, topics };
}

function shares(members: readonly JoinedMember[], counts: Record<string, number>): Record<string, string> {
  const all = shareOut(members, (topic) => counts[topic] ?? 0);
  return Object.fromEntries(all.map(({ memberId, partitions }) => [memberId, partitions.map(({ topic, partition }) => `${topic}${partition}`).join(" ")]));
}

describe("range", () => {
  test("members stand by their ids, whatever order they came in; the first ones get one more", () => {
    expect(shares([member("c"), member("a"), member("b")], { a: 5 })).toEqual({ a: "a0 a1", b: "a2 a3", c: "a4" });
  });

  test("members with instance ids stand before those without, by these and not by their member ids", () => {
    const members = [member("a"), member("z", "1"), member("b", "2"), member("B")];
    expect(shares(members, { a: 4 })).toEqual({ z: "a0", b: "a1", B: "a2", a: "a3" });
  });

  test("each topic is shared among those that want it; one that does not exist has nothing; everybody is answered", () => {
    const members = [member("a", null, ["a", "b"]), member("b", null, ["b"]), member("c", null, ["none"])];
    expect(shares(members, { a: 2, b: 3 })).toEqual({ a: "a0 a1 b0 b1", b: "b2", c: "" });
  });
});
