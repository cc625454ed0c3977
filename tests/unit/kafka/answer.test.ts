/** What the errors of connections become. */
import { describe, expect, test } from "bun:test";
import { AuthenticationError, NetworkError, ResponseError, TimeoutError } from "@platformatic/kafka";
import { answerFailure, isAuthenticationError, reasonOf, withCodes } from "../../../adapters/kafka/pure/answer.ts";
import { isRetriable, kafkaFailure, needsRefresh } from "../../../adapters/kafka/failure.ts";

describe("answerFailure()", () => {
  test("a code of the broker's is the error that it means", () => {
    const failure = answerFailure("join", new ResponseError(11, 9, { "/": [25, null] }, {}));
    expect([failure.code, failure.details["kafkaName"], isRetriable(failure)]).toEqual(["FENCED", "UNKNOWN_MEMBER_ID", false]);
    expect(failure.message.startsWith("[kafka] Cannot join: ")).toBe(true);
  });

  test("a lost connection and an answer that is late may be asked for again, at another broker", () => {
    for (const error of [new NetworkError("Connection closed"), new TimeoutError("Request timed out"), new TypeError("of whatever kind")]) {
      const failure = answerFailure("fetch", error);
      expect([failure.code, isRetriable(failure), needsRefresh(failure)]).toEqual(["LOG_UNAVAILABLE", true, true]);
      expect(failure.message).toContain(error.message);
    }
  });

  test("an error of ours stays as it is", () => {
    const failure = kafkaFailure(90, "commit");
    expect(answerFailure("commit", failure)).toBe(failure);
  });
});

describe("reasonOf()", () => {
  test("the error of the socket, below what wraps it, unless it says nothing", () => {
    const socket = new Error("connect ECONNREFUSED 127.0.0.1:1");
    expect(reasonOf(new NetworkError("Connection failed", { cause: socket }))).toBe(socket);
    const silent = new AggregateError([socket], "");
    const wrapped = new NetworkError("Connection failed", { cause: silent });
    expect(reasonOf(wrapped)).toBe(wrapped);
  });
});

describe("isAuthenticationError()", () => {
  test("also below what wraps it", () => {
    expect(isAuthenticationError(new NetworkError("Connection failed", { cause: new AuthenticationError("SASL authentication failed.") }))).toBe(true);
    expect(isAuthenticationError(new NetworkError("Connection failed"))).toBe(false);
  });
});

describe("withCodes()", () => {
  test("gives an answer that holds codes, and leaves other errors alone", async () => {
    const answer = { topics: [{ errorCode: 3 }] };
    expect(await withCodes<unknown>(Promise.reject(new ResponseError(3, 12, { "/topics/0": [3, null] }, answer)))).toBe(answer);
    const lost = new NetworkError("Connection closed");
    expect(await withCodes(Promise.reject(lost)).catch((error: unknown) => error)).toBe(lost);
  });
});
