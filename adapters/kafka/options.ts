/** Options of Kafka as people write them, checked all at once, and what clients are opened with. */
import { finiteDurationMs } from "../../src/base/duration.ts";
import type { Duration } from "../../src/base/duration.ts";
import { DefinitionError, isStreamError } from "../../src/base/errors.ts";
import { isEnvValue, resolveSecret } from "../../src/runtime/env-value.ts";
import type { EnvValue, Secret } from "../../src/runtime/env-value.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { ClientSettings, Compression, SaslSettings, TlsSettings } from "./client.ts";

/** How to reach a Kafka cluster, and how to work with it. */
export interface KafkaOptions {
  /** `host:port` of one broker or more, or `env("NAME")` of a variable that holds them with commas between. */
  readonly brokers: readonly string[] | EnvValue;
  /**
   * `"platformatic"` speaks Kafka's protocol in TypeScript, on Node, Bun and Deno. `"confluent"` is librdkafka, on Node, where `@confluentinc/kafka-javascript` is installed.
   * @default "platformatic"
   */
  readonly client?: "platformatic" | "confluent";
  /** Encrypts connections; an object brings own certificates. @default not encrypted */
  readonly ssl?: boolean | KafkaSsl;
  /** Who we are. @default nobody */
  readonly sasl?: KafkaSasl;
  /** How batches are compressed that the app writes; it reads all of them. @default "none" */
  readonly compression?: "none" | "gzip" | "snappy" | "lz4" | "zstd";
  /** Of topics that the app makes. @default the cluster's own default */
  readonly replicationFactor?: number;
  /** After so long the brokers end a transaction that its worker has left behind; readers of its outputs wait for that. @default "10s" */
  readonly transactionTimeout?: Duration;
  /** A worker that is not heard of for so long loses its partitions. @default "10s" */
  readonly sessionTimeout?: Duration;
  /** In a rebalance a worker has so long to finish what it does. @default "60s" */
  readonly rebalanceTimeout?: Duration;
  /** How long one call tries before it gives up; commits and reads begin anew then. @default "30s" */
  readonly requestTimeout?: Duration;
  /**
   * Tells this worker from others of the app, also after a restart: letters, digits, `.`, `_`, `-`. Two that run at the same time must not share one. Worth giving where the app's directory
   * does not outlive a restart. @default made up once, and kept in the app's directory
   */
  readonly workerId?: string;
}

/** Certificates, as PEM text. */
export interface KafkaSsl {
  /** Who is trusted. @default those the runtime trusts */
  readonly ca?: string | EnvValue;
  /** Our own. */
  readonly cert?: string | EnvValue;
  /** The key of `cert`. */
  readonly key?: Secret;
}

/** User name and password. */
export interface KafkaSasl {
  /** How they are proven. `plain` shows the password to the broker: only with `ssl`. */
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  /** The user. */
  readonly username: string | EnvValue;
  /** The user's password. */
  readonly password: Secret;
}

/** Options with every choice made, but for what comes from the environment. */
export interface CheckedOptions {
  readonly brokers: readonly string[] | EnvValue;
  readonly client: "platformatic" | "confluent";
  readonly ssl: KafkaSsl | null;
  readonly sasl: KafkaSasl | null;
  readonly compression: Compression;
  readonly replicationFactor: number;
  readonly transactionTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly workerId: string | null;
}

const CLIENTS: readonly string[] = ["platformatic", "confluent"];
const COMPRESSIONS: readonly string[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const MECHANISMS: readonly string[] = ["plain", "scram-sha-256", "scram-sha-512"];
const KNOWN: readonly string[] = [
  "brokers",
  "client",
  "ssl",
  "sasl",
  "compression",
  "replicationFactor",
  "transactionTimeout",
  "sessionTimeout",
  "rebalanceTimeout",
  "requestTimeout",
  "workerId",
];
const WORKER_ID = /^[a-zA-Z0-9._-]{1,100}$/;
/** A name or address, IPv6 in brackets, and a port. */
const BROKER = /^(?:[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/;
const DURATION_MAX_MS = 2_147_483_647;
/** What is fetched ahead for a partition. */
const PREFETCH_BYTES = 1_048_576;

/** Checks options. Throws one `DefinitionError` `OPTION_INVALID` with every fault. */
export function checkOptions(options: KafkaOptions): CheckedOptions {
  const faults: string[] = [];
  const oneOf = <T extends string>(what: string, value: T, values: readonly string[]): T => {
    if (!values.includes(value)) faults.push(`${what} is ${show(value)}, wanted one of ${values.map(show).join(", ")}`);
    return value;
  };
  const duration = (what: "transactionTimeout" | "sessionTimeout" | "rebalanceTimeout" | "requestTimeout", fallback: Duration): number => {
    try {
      const ms = finiteDurationMs(options[what] ?? fallback, what);
      if (ms < 1 || ms > DURATION_MAX_MS) faults.push(`${what} is ${show(options[what])}, wanted from 1 ms to ${DURATION_MAX_MS} ms`);
      return ms;
    } catch (error) {
      if (!isStreamError(error)) throw error;
      faults.push(error.message);
      return 0;
    }
  };
  if (typeof options !== "object" || options === null) throw failure([`the options are ${show(options)}, wanted an object with brokers`]);
  for (const name of Object.keys(options)) if (!KNOWN.includes(name)) faults.push(`there is no option ${name}, only ${KNOWN.join(", ")}`);
  const { brokers, ssl = false, sasl, replicationFactor = -1, workerId = null } = options;
  if (!isEnvValue(brokers)) faults.push(...brokerFaults(brokers, "brokers"));
  if (ssl !== true && ssl !== false) faults.push(...sslFaults(ssl));
  if (sasl !== undefined) faults.push(...saslFaults(sasl));
  if (replicationFactor !== -1 && !(Number.isInteger(replicationFactor) && replicationFactor >= 1 && replicationFactor <= 32_767)) {
    faults.push(`replicationFactor is ${show(replicationFactor)}, wanted a whole number from 1 on`);
  }
  if (workerId !== null && !(typeof workerId === "string" && WORKER_ID.test(workerId))) {
    faults.push(`workerId is ${show(workerId)}, wanted 1 to 100 letters, digits, ".", "_" and "-"`);
  }
  const checked: CheckedOptions = {
    brokers,
    client: oneOf("client", options.client ?? "platformatic", CLIENTS),
    ssl: ssl === true ? {} : ssl === false ? null : ssl,
    sasl: sasl ?? null,
    compression: oneOf("compression", options.compression ?? "none", COMPRESSIONS),
    replicationFactor,
    transactionTimeoutMs: duration("transactionTimeout", "10s"),
    sessionTimeoutMs: duration("sessionTimeout", "10s"),
    rebalanceTimeoutMs: duration("rebalanceTimeout", "60s"),
    requestTimeoutMs: duration("requestTimeout", "30s"),
    workerId,
  };
  if (faults.length > 0) throw failure(faults);
  return checked;
}

/** What a client is opened with, once the app starts: reads the environment. Throws `CONFIG_INVALID` for what is missing there. */
export function settingsOf(
  options: CheckedOptions,
  worker: { readonly app: string; readonly workerId: string; readonly runtime: Runtime; readonly warn: ClientSettings["warn"] },
): ClientSettings {
  const { app, workerId, runtime, warn } = worker;
  const name = `${app}-${workerId}`;
  return {
    runtime,
    brokers: resolveBrokers(runtime, options.brokers),
    clientId: name,
    tls: options.ssl === null ? null : resolveTls(runtime, options.ssl),
    sasl: options.sasl === null ? null : resolveSasl(runtime, options.sasl),
    transactionalId: name,
    instanceId: name,
    transactionTimeoutMs: options.transactionTimeoutMs,
    sessionTimeoutMs: options.sessionTimeoutMs,
    rebalanceTimeoutMs: options.rebalanceTimeoutMs,
    timeoutMs: options.requestTimeoutMs,
    compression: options.compression,
    prefetchBytes: PREFETCH_BYTES,
    warn,
  };
}

function resolveBrokers(runtime: Runtime, brokers: readonly string[] | EnvValue): readonly string[] {
  if (!isEnvValue(brokers)) return [...brokers];
  const all = resolveSecret(runtime, brokers, "list of Kafka brokers").split(",").map((broker) => broker.trim()).filter((broker) => broker !== "");
  const faults = brokerFaults(all, `the environment variable ${brokers["~env"]}`);
  if (faults.length > 0) throw new DefinitionError(`[kafka] Cannot use the brokers: ${faults.join("; ")}`, { code: "CONFIG_INVALID", faults });
  return all;
}

function resolveTls(runtime: Runtime, { ca, cert, key }: KafkaSsl): TlsSettings {
  const pem = (value: Secret | undefined, what: string): string | null => value === undefined ? null : resolveSecret(runtime, value, what);
  return { ca: pem(ca, "ssl.ca of Kafka"), cert: pem(cert, "ssl.cert of Kafka"), key: pem(key, "ssl.key of Kafka") };
}

function resolveSasl(runtime: Runtime, { mechanism, username, password }: KafkaSasl): SaslSettings {
  return {
    mechanism,
    username: resolveSecret(runtime, username, "sasl.username of Kafka"),
    password: resolveSecret(runtime, password, "sasl.password of Kafka"),
  };
}

function brokerFaults(brokers: unknown, what: string): string[] {
  if (!Array.isArray(brokers)) return [`${what} is ${show(brokers)}, wanted a list such as ["localhost:9092"] or env("NAME")`];
  if (brokers.length === 0) return [`${what} names no broker, wanted at least one such as "localhost:9092"`];
  return brokers.filter((broker) => !isBroker(broker)).map((broker) => `${what} has ${show(broker)}, wanted host and port such as "localhost:9092"`);
}

function isBroker(broker: unknown): boolean {
  const port = typeof broker === "string" ? Number(BROKER.exec(broker)?.[1]) : NaN;
  return port >= 1 && port <= 65_535;
}

function sslFaults(ssl: KafkaSsl): string[] {
  if (typeof ssl !== "object" || ssl === null) return [`ssl is ${kindOf(ssl)}, wanted true, false or certificates`];
  const faults = (["ca", "cert", "key"] as const).filter((name) => ssl[name] !== undefined && !isSecret(ssl[name])).map((name) =>
    `ssl.${name} is neither PEM text nor env("NAME")`
  );
  if ((ssl.cert === undefined) !== (ssl.key === undefined)) faults.push("ssl.cert and ssl.key belong together: give both or none");
  return faults;
}

function saslFaults(sasl: KafkaSasl): string[] {
  if (typeof sasl !== "object" || sasl === null) return [`sasl is ${kindOf(sasl)}, wanted mechanism, username and password`];
  const faults: string[] = [];
  if (!MECHANISMS.includes(sasl.mechanism)) faults.push(`sasl.mechanism is ${show(sasl.mechanism)}, wanted one of ${MECHANISMS.map(show).join(", ")}`);
  for (const name of ["username", "password"] as const) if (!isSecret(sasl[name])) faults.push(`sasl.${name} is missing or empty, wanted text or env("NAME")`);
  return faults;
}

function isSecret(value: unknown): boolean {
  return (typeof value === "string" && value !== "") || isEnvValue(value);
}

/** For what may hold a secret. */
function kindOf(value: unknown): string {
  return value === null ? "null" : `of type ${typeof value}`;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

function failure(faults: readonly string[]): DefinitionError {
  return new DefinitionError(`[kafka] Cannot use kafka(): ${faults.join("; ")}`, { code: "OPTION_INVALID", faults });
}
