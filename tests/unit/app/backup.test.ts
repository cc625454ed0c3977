/** Where a log is no file of its own, backup and restore say what to do instead. */
import { describe, expect, test } from "bun:test";
import { type App, createApp, type Topic } from "../../../mod.ts";
import { restoreLog } from "../../../src/app/backup.ts";
import { embedded, memory } from "../../../src/app/log-driver.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { isStreamError } from "../../../src/base/errors.ts";
import type { LogDriver } from "../../../src/log/driver.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { testApp } from "../../../src/testing/testing.ts";

const runtime = await hostRuntime();

function shop(): { readonly app: App; readonly orders: Topic<string | null, unknown> } {
  const app = createApp("shop");
  const orders = app.topic("orders");
  app.stream(orders).map((order) => order).to("copied");
  return { app, orders };
}

const request = (): Request => new Request("http://localhost/admin/backup", { method: "POST", body: "{}", headers: { "content-type": "application/json" } });

async function refusal(driver: LogDriver): Promise<string> {
  const from = { disk: memoryDisk(), path: "kept.db", force: false };
  try {
    await restoreLog(driver, { app: "shop", runtime, directory: "unused" }, from);
  } catch (error) {
    return isStreamError(error) ? `${error.code}: ${error.message}` : String(error);
  }
  return "restored";
}

describe("backup of an app", () => {
  test("the embedded log is copied by its admin pages, and restored by its driver", async () => {
    const { app, orders } = shop();
    const test = testApp(app, { log: "embedded" });
    await test.send(orders, "one");
    const answer = await test.fetch(request());
    const bytes = new Uint8Array(await answer.arrayBuffer());
    await test[Symbol.asyncDispose]();
    expect(answer.status).toBe(200);

    const [kept, target] = [memoryDisk(), memoryDisk()];
    const file = kept.open("kept.db");
    file.write(bytes, 0);
    const driver = embedded({ disk: target });
    expect(await restoreLog(driver, { app: "shop", runtime, directory: "unused" }, { disk: kept, path: "kept.db", force: false })).toEqual({
      bytes: bytes.length,
      replaced: null,
    });
    const { log } = await driver.open({ app: "shop", runtime, directory: "unused", report: () => {} });
    expect((await log.describe(["orders", "copied"])).map(({ topic, end }) => [topic, end])).toEqual([["orders", 1], ["copied", 1]]);
    await log.close();
  });

  test("the memory log has nothing to copy", async () => {
    const { app } = shop();
    await using test = testApp(app);
    const answer = await test.fetch(request());

    expect([answer.status, await answer.json()]).toMatchObject([501, {
      code: "RUNTIME_UNSUPPORTED",
      detail: 'Cannot back up app "shop" on the memory log: its records and its state end with the process; the embedded log keeps both.',
    }]);
    expect(await refusal(memory())).toBe(
      'RUNTIME_UNSUPPORTED: Cannot restore app "shop" on the memory log: its records and its state end with the process; the embedded log keeps both',
    );
  });

  test("Kafka's topics are copied by Kafka's means", async () => {
    const kafka: LogDriver = { "~log": "kafka", open: () => Promise.reject(new Error("not opened")) };

    expect(await refusal(kafka)).toBe(
      'RUNTIME_UNSUPPORTED: Cannot restore app "shop" on the kafka log: others keep its records, and state here is restored from them: restore its topics by the means of kafka',
    );
  });
});
