/** How operators' commands find an app: at an address, by its directory, or by its log; and what they say when something is in the way. */
import { afterAll, describe, expect, test } from "bun:test";
import { type App, createApp, embedded, memory } from "../../../mod.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { sayAdminPlace } from "../../../src/app/admin-place.ts";
import { main } from "../../../src/cli/main.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { tempDirectory } from "../../shim/temp.ts";

const temp = tempDirectory();
afterAll(() => temp.remove());
const host = await hostRuntime();

interface Said {
  readonly code: number;
  readonly out: readonly string[];
  readonly error: string;
}

/** Runs a command in this process; `app` is what its module exports. */
async function millrace(app: unknown, ...args: readonly string[]): Promise<Said> {
  const out: string[] = [];
  const errors: string[] = [];
  const print: Runtime["print"] = (line, stream = "out") => void (stream === "out" ? out : errors).push(line);
  const runtime: Runtime = { ...host, print, env: (name) => (name === "USER" ? "root" : name === "SUDO_USER" ? "ann" : undefined) };
  const code = await main(args, { runtime, load: async () => ({ app }), fetch });
  return { code, out, error: errors.join("\n") };
}

function shop(log: "embedded" | "memory" = "embedded"): App {
  const app = createApp("shop", { log: log === "embedded" ? embedded() : memory() });
  app.stream(app.topic("orders")).forEach(() => {});
  return app;
}

/** Runs an app until `during` is through. */
async function whileRunning(app: App, options: { readonly directory: string; readonly port: number | null; readonly token?: string }, during: (url: string | null) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const started = Promise.withResolvers<string | null>();
  const running = app.run({ ...options, signal: stop.signal, observer: () => {}, onStart: ({ url }) => started.resolve(url) });
  running.catch(started.reject);
  const url = await started.promise;
  try {
    await during(url);
  } finally {
    stop.abort();
    await running;
  }
}

describe("an operator's command finds", () => {
  test("the process that runs on the directory, with its token", async () => {
    const app = shop();
    const directory = `${temp.path}/found`;

    await whileRunning(app, { directory, port: 0, token: "let-me-in" }, async () => {
      const { code, out } = await millrace(app, "status", "app.ts", "--dir", directory);

      expect(code).toBe(0);
      expect(out[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+ \(process \d+\): ok$/);
      expect(out.slice(2)).toEqual([expect.stringMatching(/^PARTITION +TASK +STATUS/), expect.stringMatching(/^orders\/0 +orders\/0 +running +- +0 +0$/)]);
    });
  });

  test("an app in memory too, by its directory alone", async () => {
    const app = shop("memory");
    const directory = `${temp.path}/memory`;

    await whileRunning(app, { directory, port: 0 }, async () => {
      expect(await millrace(app, "pause", "app.ts", "orders", "--dir", directory)).toEqual({ code: 0, out: ["orders/0 is paused"], error: "" });
      expect((await millrace(app, "audit", "app.ts", "--dir", directory)).out[1]).toMatch(/^\S+ +ann +pause +orders\/0$/);
    });
    const { code, error } = await millrace(app, "status", "app.ts", "--dir", directory);
    expect([code, error]).toEqual([2, expect.stringContaining("Cannot open the memory log of app \"shop\"")]);
  });

  test("no other app that runs on the directory", async () => {
    const directory = `${temp.path}/other`;
    const other = createApp("stock", { log: memory() });

    await whileRunning(shop("memory"), { directory, port: 0 }, async () => {
      const { code, error } = await millrace(other, "dlq", "purge", "app.ts", "orders", "--all", "--yes", "--dir", directory);

      expect([code, error]).toEqual([2, expect.stringContaining(`Cannot ask app "stock": in ${directory} app "shop" runs (process `)]);
    });
  });

  test("nobody, where a process works that does not listen, and says the way out", async () => {
    const app = shop();
    const directory = `${temp.path}/mute`;

    await whileRunning(app, { directory, port: null }, async () => {
      const { code, error } = await millrace(app, "dlq", "list", "app.ts", "--dir", directory);

      expect(code).toBe(1);
      expect(error).toContain("a process works in");
      expect(error).toContain("--url");
      expect(error).toMatch(/because .*Cannot lock "millrace\.db.*": process \d+/);
    });
  });

  test("the log, where nobody runs, and gives it back", async () => {
    const app = shop();
    const directory = `${temp.path}/offline`;
    await whileRunning(app, { directory, port: null }, async () => {});

    const first = await millrace(app, "pause", "app.ts", "orders/0", "--dir", directory, "--as", "bob");
    const second = await millrace(app, "status", "app.ts", "--dir", directory);
    const audit = await millrace(app, "audit", "app.ts", "--dir", directory, "--json");

    expect(first.out).toEqual(["orders/0 will be paused", `No process of the app was found: it is ordered in the log at ${directory}/millrace.db, and done when the app runs`]);
    expect(second.out[3]).toMatch(/^orders\/0 +orders\/0 +not running +- +0 +0 +paused by bob since \S+$/);
    expect(JSON.parse(audit.out[0]!)).toEqual({ entries: [expect.objectContaining({ action: "pause", by: "bob", topic: "orders", partition: 0 })], next: null });
  });

  test("several workers, and one that does not answer hides nothing of the others", async () => {
    const app = shop();
    const directory = `${temp.path}/several`;
    const dead = sayAdminPlace(host, `${directory}/worker-1`, { app: "shop", url: "http://127.0.0.1:1", token: null }, () => {});

    await whileRunning(app, { directory: `${directory}/worker-0`, port: 0 }, async () => {
      const { code, out } = await millrace(app, "status", "app.ts", "--dir", directory);

      expect(code).toBe(1);
      expect(out[0]).toMatch(/: ok$/);
      expect(out[1]).toMatch(/^http:\/\/127\.0\.0\.1:1 \(process \d+\): unreachable: Cannot ask the app/);
      expect(out[4]).toMatch(/^orders\/0 +orders\/0 +http:\S+ \(process \d+\) +running/);
    });
    dead();
  });

  test("an address without a module, and says when nothing answers there", async () => {
    const app = shop();

    await whileRunning(app, { directory: `${temp.path}/address`, port: 0 }, async (url) => {
      expect((await millrace(undefined, "status", "--url", url!)).out[0]).toBe(`${url}: ok`);
      expect((await millrace(undefined, "pause", "--url", `${url}/`, "ordres")).error).toBe('OPTION_INVALID: Cannot pause "ordres": app "shop" reads "orders"');
    });
    const { code, error } = await millrace(undefined, "status", "--url", "http://127.0.0.1:1");
    expect([code, error]).toEqual([1, expect.stringContaining("ADMIN_FAILED: Cannot ask the app at http://127.0.0.1:1: nothing answers there")]);
  });
});
