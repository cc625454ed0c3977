/** Whether a broker takes the requests of the pure client. */
import { describe, expect, test } from "bun:test";
import { missingRequest, requests } from "../../../adapters/kafka/pure/versions.ts";

const all = requests.map(([, apiKey, version]) => ({ apiKey, minVersion: 0, maxVersion: version }));

describe("missingRequest()", () => {
  test("none is missing where each is in range", () => {
    expect(missingRequest(all)).toBe(null);
    expect(missingRequest(all.map((range) => ({ ...range, minVersion: range.maxVersion })))).toBe(null);
  });

  test("says which one, for a broker that is too old or too new, or does not know it at all", () => {
    const change = (apiKey: number, change: object) => all.map((range) => range.apiKey === apiKey ? { ...range, ...change } : range);
    expect(missingRequest(change(3, { maxVersion: 9 }))).toBe("it takes Metadata 0 to 9, wanted 12");
    expect(missingRequest(change(0, { minVersion: 12, maxVersion: 13 }))).toBe("it takes Produce 12 to 13, wanted 9");
    expect(missingRequest(all.filter(({ apiKey }) => apiKey !== 28))).toBe("it does not know TxnOffsetCommit, wanted version 3");
  });
});
