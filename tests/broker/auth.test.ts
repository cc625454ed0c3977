/** Logins and encryption, through both clients. */
import { describe, expect, test } from "bun:test";
import type { ClientSettings, SaslSettings } from "../../adapters/kafka/client.ts";
import { isStreamError } from "../../src/base/errors.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import { authBroker, whyNoKeys } from "./auth-broker.ts";
import type { AuthBroker } from "./auth-broker.ts";
import { brokerTest, hasBroker } from "./broker.ts";
import { clientNames, openClient, testSettings, whyNoClient } from "./kafka-clients.ts";
import type { ClientName } from "./kafka-clients.ts";

const whyNot = hasBroker() ? whyNoKeys() : null;
const reasons = new Map<ClientName, string | null>();
for (const client of clientNames) reasons.set(client, await whyNoClient(client));

/** Opens a client and appends; the position, or the code and message of what failed. */
async function appended(client: ClientName, topic: string, bootstrap: string, more: Partial<ClientSettings>): Promise<unknown> {
  const settings = await testSettings(bootstrap, "auth", { timeoutMs: 8_000, ...more });
  try {
    await using opened = await openClient(client, settings);
    await opened.createTopics([{ name: topic, partitions: 1, replicationFactor: 1, configs: { "retention.ms": "-1" } }]);
    const encoder = new BatchEncoder();
    encoder.append(1, "k", "v", null);
    return await opened.produce([{ topic, partition: 0, encoder }]);
  } catch (error) {
    return isStreamError(error) ? `${error.code} ${error.message}` : error;
  }
}

function login({ username, password }: AuthBroker, mechanism: SaslSettings["mechanism"], change: Partial<SaslSettings> = {}): SaslSettings {
  return { mechanism, username, password, ...change };
}

describe("logins and encryption", () => {
  for (const client of clientNames) {
    const why = whyNot ?? reasons.get(client) ?? null;
    if (why !== null) {
      test.skip(`${client} [skipped: ${why}]`, () => undefined);
      continue;
    }
    brokerTest(`each mechanism, with TLS and without, works with the right password and authority and is refused with others, client ${client}`, async () => {
      const server = await authBroker();
      try {
        const tls = { ca: server.ca, cert: null, key: null };
        // librdkafka may say no more than that the connection failed.
        const refused = client === "platformatic"
          ? /^CONFIG_INVALID \[kafka\] Cannot .*SASL_AUTHENTICATION_FAILED/
          : /^(CONFIG_INVALID|LOG_UNAVAILABLE) \[kafka\] Cannot /;
        for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
          const sasl = login(server, mechanism);
          expect(await appended(client, mechanism, server.sasl, { sasl })).toEqual([0]);
          expect(await appended(client, mechanism, server.saslTls, { sasl, tls })).toEqual([1]);
          const wrong = await appended(client, mechanism, server.sasl, { sasl: login(server, mechanism, { password: "wrong" }), timeoutMs: 3_000 });
          expect(wrong).toMatch(refused);
        }
        expect(await appended(client, "tls", server.tls, { tls })).toEqual([0]);
        expect(await appended(client, "tls", server.tls, { tls: { ...tls, ca: null }, timeoutMs: 2_000 })).toMatch(/^LOG_UNAVAILABLE \[kafka\] Cannot /);
      } finally {
        await server.broker.remove();
      }
    });
  }
});
