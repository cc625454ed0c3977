/** How Kafka is reached, as the environment says it. */
import { DefinitionError } from "../../src/base/errors.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { KafkaOptions, KafkaSasl } from "../kafka/options.ts";

/** Options of Kafka from the environment. Throws DefinitionError `CONFIG_INVALID` that names the variable and what it takes, and no secret. */
export function kafkaOptions(runtime: Pick<Runtime, "env">): KafkaOptions {
  const read = (name: string): string | null => runtime.env(name) || null;
  const client = oneOf(read, "KAFKA_CLIENT", ["platformatic", "confluent"]);
  const ssl = oneOf(read, "KAFKA_SSL", ["true", "false"]);
  const sasl = saslOf(read);
  return {
    brokers: brokersOf(read),
    ...(client === null ? {} : { client }),
    ...(ssl === null ? {} : { ssl: ssl === "true" }),
    ...(sasl === null ? {} : { sasl }),
  };
}

type Read = (name: string) => string | null;

function brokersOf(read: Read): readonly string[] {
  const given = read("KAFKA_BROKERS");
  const wanted = 'wanted brokers between commas, such as "one.example:9092,two.example:9092"';
  if (given === null) throw invalid("KAFKA_BROKERS", `is missing or empty, and MILLRACE_LOG is "kafka": ${wanted}`);
  const brokers = given.split(",").map((broker) => broker.trim());
  const wrong = brokers.find((broker) => !/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/.test(broker));
  if (wrong !== undefined) throw invalid("KAFKA_BROKERS", `has ${JSON.stringify(wrong)}, ${wanted}`);
  return brokers;
}

function saslOf(read: Read): KafkaSasl | null {
  // Kafka writes mechanisms in capitals.
  const mechanism = oneOf((name) => read(name)?.toLowerCase() ?? null, "KAFKA_SASL_MECHANISM", ["plain", "scram-sha-256", "scram-sha-512"]);
  const username = read("KAFKA_SASL_USERNAME"), password = read("KAFKA_SASL_PASSWORD");
  if (mechanism === null && username === null && password === null) return null;
  if (mechanism === null) throw missing("KAFKA_SASL_MECHANISM");
  if (username === null) throw missing("KAFKA_SASL_USERNAME");
  if (password === null) throw missing("KAFKA_SASL_PASSWORD");
  return { mechanism, username, password };
}

function missing(variable: string): DefinitionError {
  return invalid(variable, "is missing or empty, wanted KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or none of them");
}

function oneOf<const T extends string>(read: Read, name: string, values: readonly T[]): T | null {
  const given = read(name);
  if (given === null) return null;
  const found = values.find((value) => value === given);
  if (found === undefined) throw invalid(name, `is ${JSON.stringify(given)}, wanted ${values.map((value) => JSON.stringify(value)).join(" or ")}`);
  return found;
}

function invalid(variable: string, what: string): DefinitionError {
  return new DefinitionError(`The environment variable ${variable} ${what}`, { code: "CONFIG_INVALID", details: { variable } });
}
