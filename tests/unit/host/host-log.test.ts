/** Which log the environment chooses, and that a wrong word of it chooses none. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { hostLog } from "../../../adapters/host/host-log.ts";
import { kafkaOptions } from "../../../adapters/host/kafka-environment.ts";
import { createApp, embedded, memory } from "../../../mod.ts";
import type { App, Runtime } from "../../../mod.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";

const host = await hostRuntime();

type Variables = Readonly<Record<string, string>>;

function runtimeOf(variables: Variables): Runtime {
  return { ...host, env: (name) => variables[name], disk: () => memoryDisk() };
}

function appOf(variables: Variables, log?: ReturnType<typeof memory>): App {
  const app = createApp("t", { runtime: runtimeOf(variables), ...(log === undefined ? {} : { log }) });
  app.webhook("/hook", { verify: "none" });
  return app;
}

/** The log that an app runs on. */
async function logOf(variables: Variables, log?: ReturnType<typeof memory>): Promise<string> {
  const app = appOf(variables, log);
  const stop = new AbortController();
  let name = "";
  await app.run({
    port: null,
    signal: stop.signal,
    onStart: (started) => {
      name = started.log;
      stop.abort();
    },
  });
  return name;
}

describe("the log of an app that names none", () => {
  test("is embedded, unless the environment says another", async () => {
    expect(await Promise.all([logOf({}), logOf({ MILLRACE_LOG: "" }), logOf({ MILLRACE_LOG: "embedded" }), logOf({ MILLRACE_LOG: "memory" })])).toEqual([
      "embedded",
      "embedded",
      "embedded",
      "memory",
    ]);
  });

  test("is not asked of the environment where the program names one", async () => {
    expect(await logOf({ MILLRACE_LOG: "nonsense" }, memory())).toBe("memory");
  });

  test("is none where the environment says nonsense: the app does not start", async () => {
    const app = appOf({ MILLRACE_LOG: "Kafka" });

    await expect(app.start()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: 'The environment variable MILLRACE_LOG is "Kafka", wanted "embedded", "memory" or "kafka"',
    });
    await expect(app.run({ port: null })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("is Kafka's by its name, and by brokers at least", async () => {
    const brokers = { MILLRACE_LOG: "kafka", KAFKA_BROKERS: "127.0.0.1:9092" };

    expect((await hostLog(runtimeOf(brokers), { embedded, memory }))["~log"]).toBe("kafka");
    await expect(appOf({ MILLRACE_LOG: "kafka" }).start()).rejects.toMatchObject({ code: "CONFIG_INVALID", details: { variable: "KAFKA_BROKERS" } });
  });
});

describe("kafkaOptions()", () => {
  const KAFKA_BROKERS = "one.example:9092, [::1]:9093,two:1";

  test("reads brokers, client, encryption and credentials", () => {
    expect(kafkaOptions(runtimeOf({ KAFKA_BROKERS }))).toEqual({ brokers: ["one.example:9092", "[::1]:9093", "two:1"] });
    const all = {
      KAFKA_BROKERS,
      KAFKA_CLIENT: "confluent",
      KAFKA_SSL: "true",
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: "ann",
      KAFKA_SASL_PASSWORD: "hunter2",
    };
    expect(kafkaOptions(runtimeOf(all))).toEqual({
      brokers: ["one.example:9092", "[::1]:9093", "two:1"],
      client: "confluent",
      ssl: true,
      sasl: { mechanism: "scram-sha-512", username: "ann", password: "hunter2" },
    });
  });

  const wrong: readonly (readonly [variable: string, Variables])[] = [
    ["KAFKA_BROKERS", {}],
    ["KAFKA_BROKERS", { KAFKA_BROKERS: "" }],
    ["KAFKA_BROKERS", { KAFKA_BROKERS: "one.example" }],
    ["KAFKA_BROKERS", { KAFKA_BROKERS: "one:9092," }],
    ["KAFKA_BROKERS", { KAFKA_BROKERS: "kafka://one:9092" }],
    ["KAFKA_CLIENT", { KAFKA_BROKERS, KAFKA_CLIENT: "kafkajs" }],
    ["KAFKA_SSL", { KAFKA_BROKERS, KAFKA_SSL: "yes" }],
    ["KAFKA_SASL_MECHANISM", { KAFKA_BROKERS, KAFKA_SASL_MECHANISM: "gssapi", KAFKA_SASL_USERNAME: "ann", KAFKA_SASL_PASSWORD: "hunter2" }],
    ["KAFKA_SASL_MECHANISM", { KAFKA_BROKERS, KAFKA_SASL_USERNAME: "ann", KAFKA_SASL_PASSWORD: "hunter2" }],
    ["KAFKA_SASL_USERNAME", { KAFKA_BROKERS, KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_PASSWORD: "hunter2" }],
    ["KAFKA_SASL_PASSWORD", { KAFKA_BROKERS, KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "ann", KAFKA_SASL_PASSWORD: "" }],
  ];
  for (const [variable, variables] of wrong) {
    test(`refuses ${JSON.stringify(variables)}: ${variable} must change`, () => {
      let thrown: unknown = null;
      try {
        kafkaOptions(runtimeOf(variables));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: "CONFIG_INVALID", details: { variable } });
      expect((thrown as Error).message).toContain(`The environment variable ${variable} `);
      expect((thrown as Error).message).not.toContain("hunter2");
    });
  }
});
