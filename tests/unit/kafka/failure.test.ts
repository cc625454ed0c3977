/** Kafka's error codes: each has a meaning, and makes the error that its reader must act on. */
import { describe, expect, test } from "bun:test";
import { failureKind, isFencing, isRetriable, kafkaCodeOf, kafkaCodes, kafkaFailure, lostConnection, needsRefresh } from "../../../adapters/kafka/failure.ts";
import type { FailureKind } from "../../../adapters/kafka/failure.ts";
import { isStreamError } from "../../../src/base/errors.ts";

/** What each kind becomes: code and domain. */
const outcomes: Readonly<Record<FailureKind, readonly [code: string, domain: string]>> = {
  retriable: ["LOG_UNAVAILABLE", "external"],
  refresh: ["LOG_UNAVAILABLE", "external"],
  fatal: ["LOG_UNAVAILABLE", "external"],
  fenced: ["FENCED", "control"],
  abort: ["LOG_COMMIT_FAILED", "external"],
  unknownTopic: ["LOG_TOPIC_UNKNOWN", "user"],
  tooLarge: ["RECORD_TOO_LARGE", "data"],
  outOfRange: ["LOG_POSITION_OUT_OF_RANGE", "external"],
  auth: ["CONFIG_INVALID", "user"],
  invalid: ["OPTION_INVALID", "user"],
};

describe("kafkaFailure()", () => {
  test("every code from -1 to 129 but 0 has a meaning of its own name, and none can be changed", () => {
    const numbers = Object.keys(kafkaCodes).map(Number).sort((a, b) => a - b);

    expect(numbers).toEqual([-1, ...Array.from({ length: 129 }, (_, index) => index + 1)]);
    expect(new Set(Object.values(kafkaCodes).map(({ name }) => name)).size).toBe(130);
    expect(Object.isFrozen(kafkaCodes)).toBe(true);
    expect(Object.values(kafkaCodes).filter((code) => !Object.isFrozen(code))).toEqual([]);
  });

  test("every code makes the error of its kind, with what, why and Kafka's name", () => {
    for (const [number, { name, kind, says }] of Object.entries(kafkaCodes)) {
      const cause = new Error("from below");
      const error = kafkaFailure(Number(number), "do it", cause);

      expect([error.code, error.domain]).toEqual([...outcomes[kind]] as [typeof error.code, typeof error.domain]);
      expect(error.message).toBe(`[kafka] Cannot do it: ${says} (${name})`);
      expect(error.cause).toBe(cause);
      expect([failureKind(error), kafkaCodeOf(error)]).toEqual([kind, Number(number)]);
      expect(isRetriable(error)).toBe(kind === "retriable" || kind === "refresh");
      expect(needsRefresh(error)).toBe(kind === "refresh" || kind === "unknownTopic");
      expect(isFencing(error)).toBe(kind === "fenced");
      expect(error.retryAfterMs !== null).toBe(isRetriable(error));
    }
  });

  test("codes whose kind decides over lost or doubled records", () => {
    const kinds = (codes: readonly number[]): readonly (FailureKind | undefined)[] => codes.map((code) => kafkaCodes[code]?.kind);

    expect(kinds([22, 25, 27, 82, 90, 110, 113])).toEqual(Array.from({ length: 7 }, () => "fenced"));
    expect(kinds([45, 47, 48, 49, 59, 120])).toEqual(Array.from({ length: 6 }, () => "abort"));
    expect(kinds([5, 6, 13, 15, 16, 41, 56, 74, 75, 100])).toEqual(Array.from({ length: 10 }, () => "refresh"));
    expect(kinds([7, 14, 19, 20, 51, 78, 88, 89])).toEqual(Array.from({ length: 8 }, () => "retriable"));
    expect(kinds([1, 3, 10, 18, 58])).toEqual(["outOfRange", "unknownTopic", "tooLarge", "tooLarge", "auth"]);
  });

  test("a code that nobody knows is told by its number and not tried again", () => {
    const error = kafkaFailure(4_711, "do it");

    expect(error.message).toBe("[kafka] Cannot do it: the broker answered with a code that is not known here (code 4711)");
    expect([isStreamError(error), isRetriable(error), kafkaCodeOf(error)]).toEqual([true, false, 4_711]);
  });
});

describe("lostConnection()", () => {
  test("is tried again after looking for the leader, and keeps its cause", () => {
    const cause = new Error("socket closed");
    const error = lostConnection("fetch", cause);

    expect(error.message).toBe("[kafka] Cannot fetch: no answer from the broker (socket closed)");
    expect([error.code, isRetriable(error), needsRefresh(error), isFencing(error), kafkaCodeOf(error)]).toEqual(["LOG_UNAVAILABLE", true, true, false, null]);
    expect(error.cause).toBe(cause);
  });

  test("errors of others have no kind", () => {
    for (const other of [new Error("x"), "x", null, undefined]) {
      expect([isRetriable(other), needsRefresh(other), isFencing(other), failureKind(other), kafkaCodeOf(other)]).toEqual([false, false, false, null, null]);
    }
  });
});
