/** Options of Kafka: what people write, checked at once, and what clients get. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { kafka } from "../../../adapters/kafka/kafka.ts";
import { checkOptions, settingsOf } from "../../../adapters/kafka/options.ts";
import type { KafkaOptions } from "../../../adapters/kafka/options.ts";
import { DefinitionError } from "../../../src/base/errors.ts";
import { env } from "../../../src/runtime/env-value.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";

const brokers = ["localhost:9092"];

async function runtimeWith(variables: Readonly<Record<string, string>>): Promise<Runtime> {
  return { ...await hostRuntime(), env: (name) => variables[name] };
}

async function settings(options: KafkaOptions, variables: Readonly<Record<string, string>> = {}): Promise<ReturnType<typeof settingsOf>> {
  return settingsOf(checkOptions(options), { app: "shop", workerId: "w1", runtime: await runtimeWith(variables), warn() {} });
}

function faultsOf(options: unknown): readonly string[] {
  try {
    kafka(options as KafkaOptions);
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    expect([error.code, error.message]).toEqual(["OPTION_INVALID", `[kafka] Cannot use kafka(): ${error.faults.join("; ")}`]);
    return error.faults;
  }
  return [];
}

describe("kafka()", () => {
  test("takes brokers alone, and every option", () => {
    expect(kafka({ brokers })["~log"]).toBe("kafka");
    expect(faultsOf({
      brokers: ["a.example:9092", "[::1]:9093", "10.0.0.1:65535"],
      client: "confluent",
      ssl: { ca: "pem", cert: "pem", key: env("KEY") },
      sasl: { mechanism: "plain", username: "ann", password: env("PASSWORD") },
      compression: "zstd",
      replicationFactor: 3,
      transactionTimeout: "20s",
      sessionTimeout: 6_000,
      rebalanceTimeout: "2m",
      requestTimeout: "1m",
      workerId: "shop-0",
    })).toEqual([]);
  });

  test("tells all faults at once, each with what it is and what is wanted", () => {
    const faults = faultsOf({
      brokers: ["localhost", "a:0"],
      client: "kafkajs",
      ssl: { cert: "pem" },
      sasl: { mechanism: "gssapi", username: "", password: 7 },
      compression: "brotli",
      replicationFactor: 0,
      transactionTimeout: "soon",
      sessionTimeout: 0,
      workerId: "a b",
      groupId: "x",
    });

    expect(faults.map((fault) => fault.split(",")[0])).toEqual([
      "there is no option groupId",
      'brokers has "localhost"',
      'brokers has "a:0"',
      "ssl.cert and ssl.key belong together: give both or none",
      'sasl.mechanism is "gssapi"',
      "sasl.username is missing or empty",
      "sasl.password is missing or empty",
      "replicationFactor is 0",
      'workerId is "a b"',
      'client is "kafkajs"',
      'compression is "brotli"',
      'transactionTimeout is "soon"',
      "sessionTimeout is 0",
    ]);
  });

  test("options that are none, and no brokers", () => {
    expect(faultsOf(null)).toEqual(["the options are null, wanted an object with brokers"]);
    expect(faultsOf({})).toEqual(['brokers is undefined, wanted a list such as ["localhost:9092"] or env("NAME")']);
    expect(faultsOf({ brokers: [] })).toEqual(['brokers names no broker, wanted at least one such as "localhost:9092"']);
    expect(faultsOf({ brokers, ssl: null })).toEqual(["ssl is null, wanted true, false or certificates"]);
    expect(faultsOf({ brokers, sasl: "x" })).toEqual(["sasl is of type string, wanted mechanism, username and password"]);
  });

  test("a password is in no message", () => {
    const text = faultsOf({ brokers, sasl: { mechanism: "no", username: "ann", password: "hush" } }).join() + faultsOf({ brokers, sasl: "hush" }).join() +
      faultsOf({ brokers, ssl: "hush" }).join();

    expect(text).not.toContain("hush");
  });
});

describe("settingsOf()", () => {
  test("defaults: no encryption, nobody, no compression; names are made of app and worker", async () => {
    const { runtime, warn, ...rest } = await settings({ brokers });

    expect([typeof runtime.now, typeof warn]).toEqual(["function", "function"]);
    expect(rest).toEqual({
      brokers,
      clientId: "shop-w1",
      tls: null,
      sasl: null,
      transactionalId: "shop-w1",
      instanceId: "shop-w1",
      transactionTimeoutMs: 10_000,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      timeoutMs: 30_000,
      compression: "none",
      prefetchBytes: 1_048_576,
    });
  });

  test("what comes from the environment is read now", async () => {
    const { brokers: read, tls, sasl } = await settings({
      brokers: env("BROKERS"),
      ssl: { ca: env("CA") },
      sasl: { mechanism: "scram-sha-256", username: env("WHO", "bob"), password: env("HUSH") },
    }, { BROKERS: " a:1, b:2 ,", CA: "pem", HUSH: "pssst" });

    expect(read).toEqual(["a:1", "b:2"]);
    expect(tls).toEqual({ ca: "pem", cert: null, key: null });
    expect(sasl).toEqual({ mechanism: "scram-sha-256", username: "bob", password: "pssst" });
    expect((await settings({ brokers, ssl: true })).tls).toEqual({ ca: null, cert: null, key: null });
    expect((await settings({ brokers, ssl: false })).tls).toBeNull();
  });

  test("a variable that is missing or wrong is named", async () => {
    await expect(settings({ brokers: env("BROKERS") })).rejects.toThrow(
      "The list of Kafka brokers comes from the environment variable BROKERS, which is missing or empty",
    );
    await expect(settings({ brokers: env("BROKERS") }, { BROKERS: "localhost" })).rejects.toThrow(
      'the environment variable BROKERS has "localhost", wanted host and port',
    );
    await expect(settings({ brokers, sasl: { mechanism: "plain", username: "a", password: env("HUSH") } })).rejects.toThrow("variable HUSH, which is missing");
  });
});
