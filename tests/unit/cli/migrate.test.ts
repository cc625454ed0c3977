/** What people type to move an app, and what they are told; that it moves is tested on the logs. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { type App, createApp, embedded, json, type LogDriver } from "../../../mod.ts";
import { main } from "../../../src/cli/main.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { open } from "../task/harness.ts";

const host = await hostRuntime();

function appOf(log: LogDriver): App {
  const app = createApp("shop", { log });
  app.stream(app.topic("orders", { value: json<string>(), partitions: 2, retention: "infinity" })).map((order) => order).to("copies");
  return app;
}

/** An app that ran once. */
async function ranOnce(): Promise<App> {
  const log = embedded({ disk: memoryDisk() });
  const stand = await open(appOf(log), { driver: log });
  await stand.append("orders", [{ key: "a", value: '"x"' }, { key: "b", value: '"y"' }], 1);
  await stand.drain();
  await stand.append("orders", [{ key: "c", value: '"z"' }], 1);
  await stand.crash();
  return appOf(log);
}

async function millrace(app: App, ...args: readonly string[]): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const runtime = { ...host, print: (line: string) => void lines.push(line) };
  const code = await main(["migrate", "app.ts", ...args], { runtime, load: () => Promise.resolve({ app }), fetch });
  return { code, lines: lines.flatMap((line) => line.split("\n")) };
}

describe("millrace migrate", () => {
  test("says what would move, and writes nothing", async () => {
    const app = await ranOnce();
    const { code, lines } = await millrace(app, "--to", "kafka", "--dry-run");
    expect(code).toBe(0);
    expect(lines[0]).toBe('"shop" would move to kafka; nothing was written.');
    expect(lines.find((line) => line.startsWith("orders "))).toMatch(/^orders +2 +3 +\d+$/);
    expect(lines.filter((line) => line.startsWith("orders/1 ")).at(-1)).toMatch(/^orders\/1 +2 +1$/);
    expect(lines).toContain("0 ids of webhooks");
    const asJson = await millrace(app, "--to", "kafka", "--dry-run", "--json");
    const found = JSON.parse(asJson.lines[0]!) as { readonly positions: readonly unknown[]; readonly tasks: readonly unknown[] };
    expect(found).toMatchObject({ type: "wouldMove", app: "shop", ids: 0, left: [], otherGroups: [] });
    expect(found.positions).toContainEqual({ input: "orders/1", position: 2, behind: 1 });
    expect(found.tasks.length).toBe(2);
    await using stand = await open(app);
    expect(stand.engine.log.name).toBe("embedded");
  });

  test("refuses what cannot be meant, and a log that was never the app's", async () => {
    const app = await ranOnce();
    for (
      const [args, told] of [
        [[], "wanted --to kafka"],
        [["--to", "paper"], "kafka"],
        [["--undo", "--to", "kafka"], "--undo stands alone"],
        [["--undo"], "was not moved"],
      ] as const
    ) {
      const { code, lines } = await millrace(app, ...args);
      expect(code).toBe(2);
      expect(lines.join("\n")).toContain(told);
    }
    const empty = await millrace(appOf(embedded({ disk: memoryDisk() })), "--to", "kafka", "--dry-run");
    expect(empty.code).toBe(2);
    expect(empty.lines.join("\n")).toContain("run it once more there");
  });
});
