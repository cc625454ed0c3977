import { describe, expect, test } from "bun:test";
import { github, hmac } from "../../../../src/http/ingest/hmac.ts";
import { standardWebhooks } from "../../../../src/http/ingest/standard-webhooks.ts";
import { defineWebhook, type WebhookOptions } from "../../../../src/http/ingest/webhook.ts";
import { env } from "../../../../src/runtime/env-value.ts";

type AnyOptions = WebhookOptions<unknown, unknown, unknown, unknown>;

function faultsOf(path: string, options: unknown): string[] {
  const faults: string[] = [];
  defineWebhook(path, options as AnyOptions, (sentence) => faults.push(sentence));
  return faults;
}

describe("defineWebhook()", () => {
  test("fills in the defaults", () => {
    const definition = defineWebhook("/hooks/pay", { verify: standardWebhooks({ secret: env("S") }) }, (sentence) => expect(sentence).toBe("no fault"));

    expect({ ...definition, scheme: definition.scheme?.name }).toEqual({
      path: "/hooks/pay",
      scheme: "standardWebhooks",
      body: null,
      query: null,
      headers: null,
      topic: undefined,
      map: null,
      idempotencyKey: null,
      idempotencyTtlMs: 86_400_000,
      bodyBytesMax: 1_048_576,
    });
  });

  test("says every fault at once", () => {
    const options = { body: {}, query: 1, map: "x", idempotencyKey: 1, topic: "t", idempotencyTtl: "soon", bodyBytesMax: 0 };

    expect(faultsOf("hooks", options)).toEqual([
      'Webhook "hooks": the path must begin with / and hold letters, digits and . _ ~ - between single slashes, without one at the end',
      'Webhook "hooks": verify is missing, wanted standardWebhooks(), github() or hmac(), or "none" for a hook that is open to everybody',
      'Webhook "hooks": body is no schema, wanted one that speaks Standard Schema',
      'Webhook "hooks": query is no schema, wanted one that speaks Standard Schema',
      'Webhook "hooks": map is of type string, wanted a function',
      'Webhook "hooks": idempotencyKey is of type number, wanted a function',
      'Webhook "hooks": topic is nothing that takes records, wanted a topic',
      'Webhook "hooks": idempotencyTtl is "soon", wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once',
      'Webhook "hooks": bodyBytesMax is 0, wanted a whole number from 1 to 67108864',
    ]);
  });

  test.each([["/"], ["/a/"], ["//a"], ["/a/../b"], ["/."], ["/a b"], ["/a?b"], ["/:id"], ["/*"], ["/ä"], ["/%41"], [""]])("refuses the path %s", (path) => {
    expect(faultsOf(path, { verify: "none" }).length).toBe(1);
  });

  test.each([["/admin"], ["/admin/x"], ["/features/a/b"], ["/metrics"]])("refuses the server's own path %s", (path) => {
    expect(faultsOf(path, { verify: "none" })).toEqual([`Webhook "${path}": the path is taken by the server's own pages: /admin, /features and /metrics`]);
  });

  test.each([["/a"], ["/administrator"], ["/hooks/tenant-1/env_2/~x.y"]])("takes the path %s", (path) => {
    expect(faultsOf(path, { verify: "none" })).toEqual([]);
  });

  test.each([
    ["no secret", standardWebhooks({ secret: [] }), 'standardWebhooks() has no secret, wanted text, env("NAME") or a list of them'],
    ["a tolerance without a timestamp", github({ secret: "s", tolerance: "1m" }), "github() takes no tolerance: it signs no timestamp"],
    ["a header that is none", hmac({ secret: "s", header: "a b" }), 'hmac() has the header "a b", wanted the name of a header'],
    ["an unknown algorithm", hmac({ secret: "s", header: "x", algorithm: "md5" as "sha256" }), 'hmac() has the algorithm "md5", wanted "sha256" or "sha512"'],
    ["an unknown encoding", hmac({ secret: "s", header: "x", encoding: "utf8" as "hex" }), 'hmac() has the encoding "utf8", wanted "hex" or "base64"'],
  ])("tells of %s in the verifier", (_what, verify, fault) => {
    expect(faultsOf("/a", { verify })).toEqual([`Webhook "/a": ${fault}`]);
  });

  test("keeps ids at least twice as long as a timestamp is good", () => {
    const verify = standardWebhooks({ secret: "s", tolerance: "1h" });

    expect(faultsOf("/a", { verify, idempotencyTtl: "2h" })).toEqual([]);
    expect(faultsOf("/a", { verify, idempotencyTtl: "119m" })).toEqual(['Webhook "/a": idempotencyTtl is 7140000 ms, wanted at least 7200000 ms, twice the tolerance of the verifier']);
    expect(defineWebhook("/a", { verify: standardWebhooks({ secret: "s", tolerance: "2d" }) }, () => undefined).idempotencyTtlMs).toBe(4 * 86_400_000);
  });
});
