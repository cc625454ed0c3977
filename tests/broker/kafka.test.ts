/** `kafka()` as an app opens it: what lies in its directory, who else may, and what it says when it cannot. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { kafka } from "../../adapters/kafka/kafka.ts";
import type { KafkaOptions } from "../../adapters/kafka/kafka.ts";
import { isStreamError } from "../../src/base/errors.ts";
import type { OpenLog } from "../../src/log/driver.ts";
import { selfName } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { codeOf, whyNoClient } from "./kafka-clients.ts";

async function open(directory: string, app: string, options: KafkaOptions, warned: string[] = []): Promise<OpenLog & { close(): Promise<void> }> {
  const report: Parameters<ReturnType<typeof kafka>["open"]>[0]["report"] = (event) => {
    if (event.type === "warning") warned.push(event.message);
  };
  const opened = await kafka(options).open({ app, runtime: await hostRuntime(), directory, report });
  return {
    ...opened,
    async close() {
      await opened.log.close();
      opened.database?.close();
    },
  };
}

const whyNotNative = await whyNoClient("confluent");

describe("kafka()", () => {
  brokerTest("opens log and state, keeps its id, and lets one worker at a time into a directory", async () => {
    const { bootstrap, prefix } = await testBroker();
    const directory = tempDirectory();
    const disk = (await hostRuntime()).disk(directory.path);
    const app = `${prefix()}app`;
    const idOf = (): string => {
      const file = disk.open("worker-id", { create: false });
      const bytes = new Uint8Array(file.size());
      file.read(bytes, 0);
      file.close();
      return new TextDecoder().decode(bytes);
    };

    const first = await open(directory.path, app, { brokers: [bootstrap] });
    expect([first.log.name, first.place]).toEqual(["kafka", `${bootstrap} (state in ${directory.path})`]);
    expect(first.log.capabilities).toEqual({ holdsState: false, durable: true, rebalances: true, deduplicates: false });
    first.database!.exec("CREATE TABLE t (v)");
    expect(await codeOf(open(directory.path, app, { brokers: [bootstrap] }))).toBe("DISK_LOCKED");
    await first.close();
    const id = idOf();
    const again = await open(directory.path, app, { brokers: [bootstrap] });
    again.database!.exec("INSERT INTO t VALUES (1)");
    await again.close();

    expect([id, idOf()]).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/), id]);
    directory.remove();
  });

  brokerTest("F17 damaged state is deleted with a warning, and the app opens", async () => {
    const { bootstrap, prefix } = await testBroker();
    const directory = tempDirectory();
    const app = `${prefix()}app`;
    const file = (await hostRuntime()).disk(directory.path).open("state.db");
    file.write(new TextEncoder().encode("no database at all".repeat(1_000)), 0);
    file.close();
    const warned: string[] = [];

    await (await open(directory.path, app, { brokers: [bootstrap] }, warned)).close();

    expect(warned).toEqual(['[kafka] "state.db" is damaged and was deleted: state is restored from the changelog']);
    directory.remove();
  });

  test("a cluster that is not there is told with its address, within requestTimeout, and the directory is free again", async () => {
    const directory = tempDirectory();
    const began = performance.now();
    for (let i = 0; i < 2; i++) {
      const error = await open(directory.path, "app", { brokers: ["127.0.0.1:1"], requestTimeout: "500ms" }).catch((thrown: unknown) => thrown);

      expect(isStreamError(error) ? [error.code, error.message.slice(0, 8)] : error).toEqual(["LOG_UNAVAILABLE", "[kafka] "]);
      expect((error as Error).message).toContain("127.0.0.1:1");
    }
    expect(performance.now() - began).toBeLessThan(20_000);
    directory.remove();
  }, 30_000);

  test.skipIf(selfName() === "node")("the native client is refused where it cannot run, with the way round", async () => {
    const directory = tempDirectory();
    const error = await open(directory.path, "app", { brokers: ["127.0.0.1:1"], client: "confluent" }).catch((thrown: unknown) => thrown);

    expect(isStreamError(error) ? error.code : error).toBe("RUNTIME_UNSUPPORTED");
    expect((error as Error).message).toContain('client: "platformatic"');
    directory.remove();
  });

  test.skipIf(whyNotNative !== null)(`the native client opens as well${whyNotNative === null ? "" : ` [skipped: ${whyNotNative}]`}`, async () => {
    const { bootstrap, prefix } = await testBroker();
    const directory = tempDirectory();
    const opened = await open(directory.path, `${prefix()}app`, { brokers: [bootstrap], client: "confluent" });
    await opened.log.ensureTopics([]);
    await opened.close();
    directory.remove();
  });
});
