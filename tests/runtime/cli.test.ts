/** The command line: what it answers, prints and exits with, on the runtime that runs the tests. */
import { afterAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { main } from "../../src/cli/main.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const good = new URL("./cli-good-fixture.ts", import.meta.url).pathname;
const bad = new URL("./cli-bad-fixture.ts", import.meta.url).pathname;
const throwing = new URL("./cli-throwing-fixture.ts", import.meta.url).pathname;
const temp = tempDirectory();
afterAll(() => temp.remove());

interface Ended {
  readonly code: number | null;
  readonly out: readonly string[];
  readonly error: string;
}

async function millrace(...args: readonly string[]): Promise<Ended> {
  const program = spawnProgram("self", command, args, { directory: temp.path });
  const out: string[] = [];
  for await (const line of program.lines()) out.push(line);
  const { code } = await program.exited;
  return { code, out, error: program.stderr() };
}

/** Without a process of its own: quick, but nothing is listened on. */
async function inProcess(...args: readonly string[]): Promise<Ended> {
  const out: string[] = [];
  const errors: string[] = [];
  const print: Runtime["print"] = (line, stream = "out") => void (stream === "out" ? out : errors).push(line);
  const code = await main(args, { runtime: { ...await hostRuntime(), print }, load: (file) => import(file), fetch });
  return { code, out, error: errors.join("\n") };
}

describe("millrace run", () => {
  test("run says what stands, answers, and exits with 0 after SIGTERM", async () => {
    const program = spawnProgram("self", command, ["run", good, "--port", "0", "--dir", "people"], { directory: temp.path });
    const lines: string[] = [];
    for await (const line of program.lines()) {
      lines.push(line);
      if (line.trim().startsWith("stop")) break;
    }
    const url = /(http:\/\/\S+)\/hooks\/orders/.exec(lines.join("\n"))?.[1] ?? "";
    const posted = await fetch(`${url}/hooks/orders`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"customer":"ann","total":3}' });
    program.kill("SIGTERM");
    const { code } = await program.exited;

    expect(lines.map((line) => line.replace(url, "URL"))).toEqual([
      expect.stringMatching(/^millrace \d+\.\d+\.\d+ runs "good" on (node|bun|deno) \d/),
      "  log       embedded",
      "  state     people/millrace.db",
      "  webhook   POST URL/hooks/orders",
      "  features  URL/features/customer/<key>",
      "  health    URL/admin/health",
      "  topology  URL/admin/topology",
      "  metrics   URL/metrics",
      "  stop      Ctrl-C or SIGTERM: what is in hand is finished and committed first",
    ]);
    expect(posted.status).toBe(202);
    expect(code).toBe(0);
    expect(program.stderr()).toBe("");
  });

  test("run --json prints nothing but JSON lines, and SIGINT stops it as SIGTERM does", async () => {
    const program = spawnProgram("self", command, ["run", good, "--port", "0", "--dir", "json", "--json"], { directory: temp.path });
    const said: { readonly type?: unknown; readonly url?: unknown; readonly webhooks?: unknown }[] = [];
    for await (const line of program.lines()) {
      said.push(JSON.parse(line));
      if (said.at(-1)?.type === "started") program.kill("SIGINT");
    }
    const { code } = await program.exited;

    const started = said.find(({ type }) => type === "started");
    expect(started).toMatchObject({ app: "good", log: "embedded", place: "json/millrace.db", webhooks: ["/hooks/orders"], features: ["customer"], needsToken: false });
    expect(String(started?.url)).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(code).toBe(0);
  });

  test("run names every fault of a definition and exits with 2, without a stack", async () => {
    const { code, error } = await millrace("run", bad, "--port", "0");

    expect(code).toBe(2);
    expect(error.split("\n")).toEqual([
      'DEFINITION_INVALID: Cannot use app "bad":',
      expect.stringMatching(/^- partitions of topic "orders" is 0/),
      expect.stringMatching(/^- Topic "orders" is defined twice/),
      expect.stringMatching(/^- aggregate\(\) of window "orders-tumbling-60000" got no aggregators/),
      "",
    ]);
  });

  test("run exits with 1 when the module throws; --debug shows the stack", async () => {
    const plain = await millrace("run", throwing);
    const debug = await millrace("run", throwing, "--debug");

    expect([plain.code, debug.code]).toEqual([1, 1]);
    expect(plain.error).toBe("TypeError: this module is broken\n(--debug shows the stack)\n");
    expect(debug.error).toContain("cli-throwing-fixture.ts");
  });

  test("run refuses an address that others can reach without a token, a token variable that is not set, and a file that is not there", async () => {
    const open = await millrace("run", good, "--host", "0.0.0.0", "--port", "0");
    const unset = await millrace("run", good, "--port", "0", "--token-env", "MILLRACE_TEST_UNSET");
    const missing = await millrace("run", "missing.ts");

    expect([open.code, unset.code, missing.code]).toEqual([2, 2, 2]);
    expect(missing.error).toContain("Cannot find");
    expect(open.error).toContain("token");
    expect(unset.error).toContain("MILLRACE_TEST_UNSET");
  });

  test("F32 a second run on the same directory is refused by name", async () => {
    const first = spawnProgram("self", command, ["run", good, "--port", "0", "--dir", "locked", "--json"], { directory: temp.path });
    let holder: unknown;
    for await (const line of first.lines()) {
      const { type, processId } = JSON.parse(line) as { readonly type?: unknown; readonly processId?: unknown };
      if (type !== "started") continue;
      holder = processId;
      break;
    }
    const second = await millrace("run", good, "--port", "0", "--dir", "locked");
    first.kill("SIGTERM");
    await first.exited;

    expect(second.code).toBe(1);
    expect(second.error).toContain("DISK_LOCKED");
    expect(second.error).toContain(`process ${String(holder)} `);
    expect(second.error.match(/DISK_LOCKED/g)).toHaveLength(1);
  });
});

describe("main()", () => {
  test("topology prints text, JSON or Mermaid without running anything", async () => {
    const text = await inProcess("topology", good);
    const json = await inProcess("topology", good, "--json");
    const mermaid = await inProcess("topology", good, "--mermaid");
    const wrong = await inProcess("topology", bad);

    expect([text.code, json.code, mermaid.code, wrong.code]).toEqual([0, 0, 0, 2]);
    expect(text.out[0]).toMatch(/^app "good": \d+ topics, \d+ kinds of tasks$/);
    expect(text.out).toContain("  orders → last order (resolver): to topic good-customer");
    expect(JSON.parse(json.out.join(""))).toMatchObject({ app: "good" });
    expect(mermaid.out[0]).toMatch(/^flowchart LR\n/);
    expect(wrong.error).toContain('Topic "orders" is defined twice');
  });

  test.each([
    [["run"], "Expected argument for file"],
    [["run", good, "--port", "70000"], "wanted a whole number from 0 to 65535"],
    [["run", good, "--prot", "1"], "did you mean --port?"],
    [["rnu", good], "did you mean `run`?"],
    [["run", good, "--dir", " "], "--dir is empty"],
    [["run", good, "--workers", "0"], "wanted a whole number from 1 to 64"],
    [["run", good, "--workers", "65"], "wanted a whole number from 1 to 64"],
    [["run", good, "--workers", "2.5"], "wanted a whole number from 1 to 64"],
    [["run", good, "--workers", "2", "--no-supervise"], "Cannot run 2 workers with --no-supervise"],
    [["run", good, "--stuck-after", "soon"], "units w d h m s ms"],
    [["run", good, "--stuck-after", "20ms"], "wanted 500ms to 1h"],
    [["run", good, "--stop-within", "2h"], "wanted 500ms to 1h"],
    [["run", new URL("../shim/temp.ts", import.meta.url).pathname], "wanted `export const app = createApp("],
    [["topology", good, "--json", "--mermaid"], "choose one"],
    [["run", good, "--token-env", "s3cret!"], "takes the name of an environment variable"],
  ])("main() answers wrong arguments with what is wrong, and 2: case %#", async (args, says) => {
    const { code, out, error } = await inProcess(...args);

    expect({ code, out }).toEqual({ code: 2, out: [] });
    expect(error).toContain(says);
    expect(error).not.toContain("s3cret");
  });

  test("main() answers --help and --version with 0", async () => {
    const [help, version, packaged] = [await inProcess("--help"), await inProcess("--version"), await import("../../package.json", { with: { type: "json" } })];

    expect([help.code, version.code]).toEqual([0, 0]);
    expect(help.out.join("\n")).toContain("millrace topology");
    expect(version.out).toEqual([packaged.default.version]);
  });

  test("main() answers run --help with every option, its default and the exit codes", async () => {
    const { code, out } = await inProcess("run", "--help");
    const text = out.join("\n");

    expect(code).toBe(0);
    for (const flag of ["--port", "--host", "--token-env", "--dir", "--workers", "--supervise/--no-supervise", "--stuck-after", "--stop-within", "--json", "--quiet", "--debug"]) {
      expect(text).toContain(flag);
    }
    for (const fact of ["worker-<i>", "port + i", "[default = 30s]", "[default = 20s]", "0 stopped by a signal", "2 a definition", "130 interrupted twice"]) expect(text).toContain(fact);
  });
});
