/** The example and the programs of the README and the first guide: that they run, and do what their text says. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadExamples, makeDelivery, signedHeaders } from "../../examples/github-activity/deliveries.ts";
import { momentOf } from "../../examples/github-activity/moment.ts";
import { type Program, selfName, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

const root = new URL("../../", import.meta.url);
const command = new URL("bin/millrace.mjs", root);
const env = { GITHUB_WEBHOOK_SECRET: "a secret of the test" };
const temp = tempDirectory();
// Inside of the package, so that the programs find "millrace" and valibot as a reader's would.
const programs = fileURLToPath(new URL(`.millrace/programs-${selfName()}/`, root));
afterAll(() => {
  temp.remove();
  rmSync(programs, { recursive: true, force: true });
});

async function linesOf(program: Program): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of program.lines()) lines.push(line);
  return lines;
}

/** Starts a program and gives its address once it listens. */
async function start(file: string, directory: string): Promise<{ readonly program: Program; readonly url: string }> {
  const program = spawnProgram("self", command, ["run", file, "--port", "0", "--dir", `${temp.path}/${directory}`, "--json"], { env });
  for await (const line of program.lines()) {
    const { type, url } = JSON.parse(line) as { readonly type?: unknown; readonly url?: unknown };
    if (type === "started") return { program, url: String(url) };
  }
  throw new Error(`The app did not start: ${program.stderr()}`);
}

/** The TypeScript blocks of a page. */
function blocksOf(page: string): readonly string[] {
  return [...readFileSync(new URL(page, root), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
}

function write(name: string, code: string): string {
  mkdirSync(programs, { recursive: true });
  writeFileSync(`${programs}${name}`, code);
  return `${programs}${name}`;
}

async function post(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<readonly [status: number, answer: unknown]> {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  return [response.status, await response.json()];
}

/** Asks until the answer is as wanted, or for ten seconds. */
async function settled(url: string, wanted: Readonly<Record<string, unknown>>): Promise<unknown> {
  for (const deadline = performance.now() + 10_000;;) {
    const answer = await (await fetch(url)).json() as Readonly<Record<string, unknown>>;
    if (Object.entries(wanted).every(([name, value]) => answer[name] === value) || performance.now() > deadline) return answer;
  }
}

test("github-activity counts each acknowledged delivery once: repeated, tampered and late ones among them", async () => {
  const { program, url } = await start(fileURLToPath(new URL("examples/github-activity/app.ts", root)), "github");
  const sender = spawnProgram("self", new URL("examples/github-activity/send.ts", root), ["--url", url, "--seconds", "3"], { env });
  const lines = await linesOf(sender);
  const { code } = await sender.exited;
  program.kill("SIGTERM");
  const ended = await program.exited;

  expect({ code, error: sender.stderr(), app: ended.code }).toEqual({ code: 0, error: "", app: 0 });
  expect(lines.slice(-2)).toEqual([
    "✓ 270 deliveries about 13 repositories were acknowledged, and each was counted exactly once.",
    '✓ 48 about no repository were acknowledged and left out; 10 came too late for their window and lie in "deliveries-late".',
  ]);
});

test("makeDelivery() moves all times of a payload by as much, and signs what it posts", async () => {
  const push = loadExamples().find(({ event }) => event === "push")!;

  const delivery = makeDelivery(push, "an-id", Date.UTC(2030, 0, 2));
  const headers = await signedHeaders(delivery, "a secret");

  expect(momentOf(push.payload)).toBe(Date.UTC(2019, 4, 15, 15, 20, 57));
  expect(delivery.happenedAt).toBe(Date.UTC(2030, 0, 2));
  expect(headers).toMatchObject({ "x-github-event": "push", "x-github-delivery": "an-id", "x-hub-signature-256": expect.stringMatching(/^sha256=[0-9a-f]{64}$/) });
});

test("the README's program runs as it stands", async () => {
  const [code] = blocksOf("README.md");
  const { program, url } = await start(write("readme.ts", code!.replace('secret: env("PAYMENTS_SECRET")', 'secret: "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0LCBsb25nIGVub3VnaA=="')), "readme");
  const [status] = await post(`${url}/hooks/payments`, {});
  program.kill("SIGTERM");
  const { code: exitCode } = await program.exited;

  expect({ status, exitCode }).toEqual({ status: 401, exitCode: 0 });
});

test("the first guide's program answers as the guide says", async () => {
  const [topic, features, windows] = blocksOf("docs/getting-started.md");
  const imports = 'import { sum, count, tumbling } from "millrace";\n';
  const { program, url } = await start(write("guide.ts", [imports, topic, features, windows].join("\n")), "guide");
  const first = await post(`${url}/hooks/orders`, { id: "1", customer: "ann", total: 30 }, { "x-order-id": "1" });
  const again = await post(`${url}/hooks/orders`, { id: "1", customer: "ann", total: 30 }, { "x-order-id": "1" });
  const second = await post(`${url}/hooks/orders`, { id: "2", customer: "ann", total: 12 }, { "x-order-id": "2" });
  const [wrong] = await post(`${url}/hooks/orders`, { id: "3", customer: "ann" }, { "x-order-id": "3" });
  const answer = await settled(`${url}/features/customer/ann`, { lastOrder: "2", spentToday: 42 });
  program.kill("SIGTERM");
  await program.exited;

  expect([first, again, second]).toEqual([[202, { status: "accepted" }], [202, { status: "duplicate" }], [202, { status: "accepted" }]]);
  expect(wrong).toBe(400);
  expect(answer).toEqual({ lastOrder: "2", spentToday: 42 });
});
