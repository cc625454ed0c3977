/** What operators are told when the admin pages answer, refuse, or are not there. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { AdminClient } from "../../../src/cli/admin-client.ts";
import { describeFailure } from "../../../src/cli/failure.ts";
import { problemResponse } from "../../../src/http/problem.ts";

const runtime = await hostRuntime();

function clientOf(fetch: (request: Request) => Promise<Response>, options: { readonly token?: string; readonly operator?: string } = {}): AdminClient {
  return new AdminClient({ runtime, url: "http://app:1", token: options.token ?? null, operator: options.operator ?? "ann", fetch, where: "http://app:1 (process 4711)" });
}

/** What is printed, and the exit code. */
async function failureOf(response: Response | Error): Promise<readonly [string, number]> {
  const client = clientOf(async () => {
    if (response instanceof Error) throw response;
    return response;
  });
  const error = await client.get("/admin/letters").then(() => null, (thrown: unknown) => thrown);
  const { text, exitCode } = describeFailure(error, { json: false, debug: false });
  return [text, exitCode];
}

describe("AdminClient", () => {
  test("asks with token, name and query, and posts JSON", async () => {
    const asked: unknown[] = [];
    const client = clientOf(async (request) => {
      asked.push([request.method, request.url, request.headers.get("authorization"), request.headers.get("x-millrace-operator"), request.headers.get("content-type"), await request.text()]);
      return Response.json({ ok: true });
    }, { token: "s3", operator: "Jürgen" });

    const answers = [await client.get("/admin/letters", { step: "a b", limit: 3, after: undefined }), await client.post("/admin/control/pause", { topic: "orders" })];

    expect(answers).toEqual([{ ok: true }, { ok: true }]);
    expect(asked).toEqual([
      ["GET", "http://app:1/admin/letters?step=a+b&limit=3", "Bearer s3", "J%C3%BCrgen", null, ""],
      ["POST", "http://app:1/admin/control/pause", "Bearer s3", "J%C3%BCrgen", "application/json", '{"topic":"orders"}'],
    ]);
  });

  test.each<readonly [string, Response | Error, number, string]>([
    [
      "what was asked is wrong",
      problemResponse({ status: 404, reason: "unknown", detail: 'There is no source "ordres": there are orders and payments.' }),
      2,
      'OPTION_INVALID: There is no source "ordres": there are orders and payments.',
    ],
    [
      "values do not fit, each said",
      problemResponse({ status: 400, reason: "schema", code: "SCHEMA_MISMATCH", detail: "The value of letter 7 does not fit.", issues: [{ path: "price", message: "wanted a number" }] }),
      2,
      "SCHEMA_MISMATCH: The value of letter 7 does not fit.\n- price: wanted a number",
    ],
    ["the app is busy", problemResponse({ status: 503, reason: "log", code: "LOG_BUSY", detail: "Try again." }), 1, "LOG_BUSY: The app at http://app:1 (process 4711) refused: Try again."],
    [
      "the token is wrong",
      problemResponse({ status: 401, reason: "wrong_token", detail: "A token is needed." }),
      1,
      "ADMIN_FAILED: The app at http://app:1 (process 4711) asks for its token: --token-env NAME names the variable that holds it. A token is needed.",
    ],
    [
      "something else answers",
      new Response("<html>", { status: 200 }),
      1,
      "ADMIN_FAILED: What answers at http://app:1 (process 4711) is no app of Millrace: status 200, without JSON. --url names another address",
    ],
    [
      "nothing answers",
      new TypeError("connect ECONNREFUSED"),
      1,
      "ADMIN_FAILED: Cannot ask the app at http://app:1 (process 4711): nothing answers there. Is it running, and is that its address? --url names another\n  because connect ECONNREFUSED",
    ],
  ])("says in a sentence that %s", async (_what, response, exitCode, says) => {
    expect(await failureOf(response)).toEqual([says, exitCode]);
  });
});
