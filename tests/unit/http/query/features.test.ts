import { describe, expect, test } from "bun:test";
import { DefinitionError, ExternalError } from "../../../../src/base/errors.ts";
import { httpApp } from "../../../../src/http/server.ts";
import { detail, type FakeHost, fakeHost, read } from "../fake-host.ts";

function get(host: FakeHost, path: string): Promise<Response> {
  return httpApp(host).fetch(new Request(`http://localhost${path}`));
}

describe("GET /features/:entity/:key", () => {
  test("gives the values", async () => {
    const host = fakeHost();

    expect(await read(get(host, "/features/account/a1"))).toEqual([200, { spend: 12.5, last: null }]);
    expect(host.queries).toEqual([["account", "a1", { names: null, at: null }]]);
  });

  test.each([
    ["?names=a,b", ["a", "b"]],
    ["?names=a&names=b,%20c,a", ["a", "b", "c"]],
    ["?names=", null],
    ["?names=,,", null],
  ])("reads %s", async (query, names) => {
    const host = fakeHost();

    await get(host, `/features/account/a1${query}`);

    expect(host.queries[0]?.[2].names).toEqual(names as readonly string[] | null);
  });

  test.each([
    ["1767225600000", 1_767_225_600_000],
    ["0", 0],
    ["-1", -1],
    ["2026-01-01", 1_767_225_600_000],
    ["2026-01-01T00:00Z", 1_767_225_600_000],
    ["2026-01-01T00:00:00.250Z", 1_767_225_600_250],
    ["2026-01-01T02:00:00%2B02:00", 1_767_225_600_000],
    ["2026-01-01T02:00:00+02:00", 1_767_225_600_000],
    ["2025-12-31T22:00:00-02:00", 1_767_225_600_000],
  ])("reads at=%s", async (at, wanted) => {
    const host = fakeHost();

    await get(host, `/features/account/a1?at=${at}`);

    expect(host.queries[0]?.[2].at).toBe(wanted);
  });

  test.each([["now"], [""], ["2026-01-01T00:00:00"], ["2026-13-01"], ["1.5"], ["1e3"], ["99999999999999999"], ["Jan 1 2026"]])("answers 400 to at=%j", async (at) => {
    const host = fakeHost();

    expect(await detail(get(host, `/features/account/a1?at=${encodeURIComponent(at)}`))).toBe(
      "400 The parameter at must be milliseconds since the epoch, or a moment such as 2026-01-31T12:00:00Z.",
    );
    expect(host.queries).toEqual([]);
  });

  test.each([
    ["a%2Fb", "a/b"],
    ["%C3%A4%20%E2%82%AC", "ä €"],
    ["a%2525", "a%25"],
    ["__proto__", "__proto__"],
    ["..%2F..%2Fetc", "../../etc"],
  ])("decodes the key %s once", async (text, key) => {
    const host = fakeHost();

    await get(host, `/features/account/${text}`);

    expect(host.queries[0]?.[1]).toBe(key);
  });

  test("answers 404 to an unknown entity, as to an unknown path", async () => {
    expect(await read(get(fakeHost(), "/features/nobody/a1"))).toEqual(await read(get(fakeHost(), "/nowhere")));
  });

  test("answers 400 with the message to an unknown feature", async () => {
    const host = fakeHost({ query: () => Promise.reject(new DefinitionError('Feature set "account" has no "spent"', { code: "OPTION_INVALID" })) });

    expect(await detail(get(host, "/features/account/a1?names=spent"))).toBe('400 Feature set "account" has no "spent"');
  });

  test.each([[new ExternalError("DISK_FAILED", "hunter2", { retryAfterMs: 2_500 }), "3"], [new Error("hunter2"), "1"]])("answers 503 without the text of other errors", async (error, retryAfter) => {
    const host = fakeHost({ query: () => Promise.reject(error) });

    const answer = await get(host, "/features/account/a1");

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, retryAfter]);
    expect(await answer.text()).not.toContain("hunter2");
  });

  test("writes what JSON does not know", async () => {
    const values = { big: 2n ** 60n, map: new Map([["a", 1]]), set: new Set([1, 2]), bytes: new Uint8Array([1, 2, 3]), at: new Date(0), nan: Number.NaN };
    const host = fakeHost({ query: async () => values });

    expect(await read(get(host, "/features/account/a1"))).toEqual([
      200,
      { big: "1152921504606846976", map: [["a", 1]], set: [1, 2], bytes: "AQID", at: "1970-01-01T00:00:00.000Z", nan: null },
    ]);
  });
});
