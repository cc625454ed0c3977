import { expect, test } from "bun:test";
import type { DefinitionError } from "../../../src/base/errors.ts";
import { checkTopicSpecs } from "../../../src/log/topic-check.ts";
import { topicSpec } from "../../../src/testing/conformance/log-subject.ts";

function faultsOf(...specs: Parameters<typeof checkTopicSpecs>[1]): DefinitionError | null {
  try {
    checkTopicSpecs("memory", specs, (topic) => topic === "known" ? 3 : null);
    return null;
  } catch (thrown) {
    return thrown as DefinitionError;
  }
}

test("checkTopicSpecs() names all faults at once", () => {
  const error = faultsOf(topicSpec("a b"), topicSpec(".."), topicSpec("c", { partitions: 0 }), topicSpec("d", { partitions: 1.5 }), topicSpec("e", { retention: { ageMs: 0 } }));

  expect([error?.code, error?.faults]).toEqual(["OPTION_INVALID", [
    'topic name "a b" is not made of 1 to 249 letters, digits, ".", "_" and "-"',
    'topic name ".." is not made of 1 to 249 letters, digits, ".", "_" and "-"',
    'topic "c" asks for 0 partitions, not for a whole number from 1 to 10000',
    'topic "d" asks for 1.5 partitions, not for a whole number from 1 to 10000',
    'topic "e" has a retention that is neither "forever", "compact" nor positive bounds',
  ]]);
});

test("L10 checkTopicSpecs() refuses another number of partitions, of a topic that is there or said twice", () => {
  expect(faultsOf(topicSpec("known", { partitions: 3 }))).toBe(null);
  expect(faultsOf(topicSpec("known", { partitions: 4 }))?.code).toBe("LOG_TOPIC_MISMATCH");
  expect(faultsOf(topicSpec("new", { partitions: 1 }), topicSpec("new", { partitions: 2 }))?.faults).toEqual(['topic "new" has 1 partitions, not the 2 asked for: a topic keeps its number. Say 1, or give the topic another name']);
});
