/** Both Kafka clients, as tests open them: straight on a broker, without an app around. */
import { hostRuntime } from "../../adapters/host/host.ts";
import type { ClientSettings, KafkaClient } from "../../adapters/kafka/client.ts";
import { kafkaLog } from "../../adapters/kafka/kafka-log.ts";
import type { Log } from "../../src/log/log.ts";
import { isStreamError } from "../../src/base/errors.ts";
import { selfName } from "../shim/spawn.ts";
import { whyNoBroker } from "./broker.ts";

/** A client by its name in the options. */
export type ClientName = "platformatic" | "confluent";

/** Both. */
export const clientNames: readonly ClientName[] = ["platformatic", "confluent"];

/** In a variable: it need not be installed, and compilers look for it otherwise. */
const NATIVE_PACKAGE = "@confluentinc/kafka-javascript";

/** Why a client cannot run here, broker included; null when it can. */
export async function whyNoClient(name: ClientName): Promise<string | null> {
  const noBroker = whyNoBroker();
  if (noBroker !== null || name === "platformatic") return noBroker;
  if (selfName() !== "node") return "the native client runs on Node only";
  try {
    await import(NATIVE_PACKAGE);
    return null;
  } catch {
    return "@confluentinc/kafka-javascript is not installed, or not built for this Node";
  }
}

/** Settings for tests: short time-outs, and warnings kept in `warnings`. */
export async function testSettings(bootstrap: string, transactionalId: string, more: Partial<ClientSettings> = {}): Promise<ClientSettings> {
  return {
    runtime: await hostRuntime(),
    brokers: [bootstrap],
    clientId: transactionalId,
    tls: null,
    sasl: null,
    transactionalId,
    instanceId: null,
    transactionTimeoutMs: 10_000,
    sessionTimeoutMs: 6_000,
    rebalanceTimeoutMs: 10_000,
    timeoutMs: 15_000,
    compression: "none",
    prefetchBytes: 1_048_576,
    warn: () => undefined,
    ...more,
  };
}

/** Opens a client. */
export async function openClient(name: ClientName, settings: ClientSettings): Promise<KafkaClient> {
  if (name === "platformatic") return await (await import("../../adapters/kafka/pure/pure-client.ts")).openPureClient(settings);
  return await (await import("../../adapters/kafka/native/native-client.ts")).openNativeClient(settings);
}

/** Opens a log on a client of its own. */
export async function openLog(name: ClientName, settings: ClientSettings): Promise<Log> {
  const client = await openClient(name, settings);
  try {
    return await kafkaLog(client, { runtime: settings.runtime, warn: settings.warn });
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The code of what a call rejects with; `null` when it does not. */
export async function codeOf(call: Promise<unknown>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    return isStreamError(error) ? error.code : `foreign: ${String(error)}`;
  }
}
