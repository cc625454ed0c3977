/**
 * Kafka as the log of an app, exactly once: the same program as on the embedded log, on several machines. Its topics hold the records, and changelogs its state; the app's directory only a
 * copy of the state.
 *
 * @module
 */
import { DefinitionError, isStreamError, messageOf } from "../../src/base/errors.ts";
import type { LogDriver, LogDriverContext, OpenLog } from "../../src/log/driver.ts";
import { errorFacts } from "../../src/observe/events.ts";
import type { ClientSettings, KafkaClient } from "./client.ts";
import { kafkaLog } from "./kafka-log.ts";
import { checkOptions, settingsOf } from "./options.ts";
import type { CheckedOptions, KafkaOptions } from "./options.ts";
import { keptWorkerId, openState } from "./worker-files.ts";

export type { KafkaOptions, KafkaSasl, KafkaSsl } from "./options.ts";

/**
 * Puts an app on a Kafka cluster. Nothing is reached before the app starts.
 *
 * Throws `DefinitionError` `OPTION_INVALID` with every fault of the options.
 *
 * @example
 * ```ts
 * import { createApp, env } from "millrace";
 * import { kafka } from "millrace/kafka";
 *
 * const log = kafka({
 *   brokers: env("KAFKA_BROKERS", "localhost:9092"),
 *   ssl: true,
 *   sasl: { mechanism: "scram-sha-512", username: env("KAFKA_USER"), password: env("KAFKA_PASSWORD") },
 * });
 * const app = createApp("shop", { log });
 * app.stream(app.topic("orders")).to("copies");
 * if (app.topology().topics.length === 0) throw new Error("wanted topics");
 * ```
 */
export function kafka(options: KafkaOptions): LogDriver {
  const checked = checkOptions(options);
  return Object.freeze({ "~log": "kafka", open: (context: LogDriverContext): Promise<OpenLog> => open(checked, context) });
}

async function open(options: CheckedOptions, { app, runtime, directory, report, workerIndex }: LogDriverContext): Promise<OpenLog> {
  const warn = (message: string, error: unknown): void =>
    report({ type: "warning", message, error: error === null || error === undefined ? null : errorFacts(error) });
  const disk = runtime.disk(directory);
  // First, for it has the lock: two workers in one directory would share an id.
  const database = await openState(runtime, disk, warn);
  try {
    // One that was given is the same in each of several workers.
    const given = options.workerId === null || workerIndex === undefined ? options.workerId : `${options.workerId}-${workerIndex}`;
    const settings = settingsOf(options, { app, workerId: given ?? keptWorkerId(runtime, disk), runtime, warn });
    const client = await openClient(options.client, settings);
    try {
      const log = await kafkaLog(client, { runtime, warn, replicationFactor: options.replicationFactor });
      return { log, database, place: `${settings.brokers.join(", ")} (state in ${directory})` };
    } catch (error) {
      await client.close();
      throw error;
    }
  } catch (error) {
    database.close();
    throw error;
  }
}

async function openClient(client: CheckedOptions["client"], settings: ClientSettings): Promise<KafkaClient> {
  if (client === "platformatic") return await (await import("./pure/pure-client.ts")).openPureClient(settings);
  try {
    return await (await import("./native/native-client.ts")).openNativeClient(settings);
  } catch (error) {
    if (isStreamError(error)) throw error;
    throw new DefinitionError(
      `[kafka] Cannot load the client "confluent": ${
        messageOf(error)
      }. It needs Node, and the package @confluentinc/kafka-javascript; client: "platformatic" runs everywhere`,
      { code: "RUNTIME_UNSUPPORTED", cause: error },
    );
  }
}
