/**
 * Backup and restore as an operator has them, on the runtime that runs the tests: of an app under load, by its own process; of one that does not run; into an empty directory and by force. The app that
 * goes on from a backup, when its senders send all they have once more, ends where an undisturbed one does.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "bun:test";
import { hostRuntime } from "../../adapters/host/host.ts";
import { main } from "../../src/cli/main.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { type Program, spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";
import { nativeText } from "../unit/sqlite/native.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
const fixture = new URL("./kill-fixture.ts", import.meta.url).pathname;
const runtime = await hostRuntime();
const temp = tempDirectory();
const programs: Program[] = [];
afterAll(() => {
  for (const program of programs) program.kill("SIGKILL");
  temp.remove();
});
const at = (name: string): string => `${temp.path}/${name}`;

const FIRST_AT = Date.UTC(2025, 0, 1);
const ACCOUNTS = 7;
const SETTLE_MS = 20_000;

interface Running {
  readonly url: string;
  readonly program: Program;
}

async function start(directory: string): Promise<Running> {
  const program = spawnProgram("self", command, ["run", fixture, "--no-supervise", "--port", "0", "--dir", directory, "--json"]);
  programs.push(program);
  for await (const line of program.lines()) {
    const said = JSON.parse(line) as { readonly type?: unknown; readonly url?: unknown };
    if (said.type === "started" && typeof said.url === "string") return { url: said.url, program };
  }
  throw new Error(`The app has not started: ${program.stderr()}`);
}

/** A command, without a process of its own. */
async function millrace(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const out: string[] = [];
  const errors: string[] = [];
  const print: Runtime["print"] = (line, stream = "out") => void (stream === "out" ? out : errors).push(line);
  const code = await main(args, { runtime: { ...runtime, print }, load: (file) => import(file), fetch });
  return { code, out: out.join("\n"), error: errors.join("\n") };
}

/** Posts hit n until it is acknowledged. */
async function post({ url, program }: Running, n: number): Promise<void> {
  const body = JSON.stringify({ id: `hit-${n}`, account: `account-${n % ACCOUNTS}`, amount: n % 5, at: FIRST_AT + n });
  const asked = fetch(`${url}/hits`, { method: "POST", headers: { "content-type": "application/json", "x-id": `hit-${n}` }, body });
  const response = await asked.catch((cause: unknown) => {
    throw new Error(`Hit ${n} was not answered: ${program.stderr()}`, { cause });
  });
  if (response.status !== 202) throw new Error(`Hit ${n} was answered ${response.status}: ${await response.text()}`);
  await response.body?.cancel();
}

async function feature(url: string, entity: string, key: string): Promise<Readonly<Record<string, unknown>>> {
  return await (await fetch(`${url}/features/${entity}/${key}`)).json() as Readonly<Record<string, unknown>>;
}

/** Does it for 0 to count - 1, some at once. */
async function inParallel(count: number, act: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < count) await act(next++);
  }));
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + SETTLE_MS; !(await isSo());) {
    if (performance.now() > deadline) throw new Error(`After ${SETTLE_MS} ms it is not so that ${what}`);
    await runtime.yield();
  }
}

/** What is wrong with the state after hits 0 to count - 1, each exactly once; waits a while until nothing is. */
async function wrongAfter(url: string, count: number): Promise<readonly string[]> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const wrong: string[] = [];
    for (let account = 0; account < ACCOUNTS; account++) {
      const ns = Array.from({ length: count }, (_, n) => n).filter((n) => n % ACCOUNTS === account);
      const wanted = { hits: ns.length, amount: ns.reduce((sum, n) => sum + n % 5, 0) };
      const { hits, amount } = await feature(url, "account", `account-${account}`);
      if (hits !== wanted.hits || amount !== wanted.amount) wrong.push(`account-${account}: ${hits} ${amount}, wanted ${wanted.hits} ${wanted.amount}`);
    }
    await inParallel(count, async (n) => {
      const { times } = await feature(url, "hit", `hit-${n}`);
      if (times !== 1) wrong.push(`hit-${n} was seen ${times} times`);
    });
    if (wrong.length === 0 || performance.now() > deadline) return wrong;
  }
}

/** What native SQLite finds; on a copy, for it would leave files of its own. */
async function nativeCheck(file: string): Promise<string> {
  const copy = `${file}.looked-at`;
  copyFileSync(file, copy);
  return await nativeText(copy, "PRAGMA integrity_check");
}

describe("millrace backup and restore", () => {
  test("F33 a backup under load is restored, the app goes on, and ends where an undisturbed one does; a kill -9 during a backup harms nothing", async () => {
    const first = await start(at("app"));
    let next = 0, isOver = false;
    const senders = Array.from({ length: 4 }, async () => {
      while (!isOver) await post(first, next++);
    });
    await until("150 hits are in", () => next >= 150);
    const acknowledged = next - 4;
    const { code, out, error } = await millrace("backup", fixture, "--dir", at("app"), "--to", at("kept.db"));
    const during = next;
    await until("50 more are in", () => next >= during + 50);
    isOver = true;
    await Promise.all(senders);

    expect([code, error, out]).toEqual([0, "", expect.stringMatching(/^Backed up to .*kept\.db: [\d.]+ KB in [\d.]+ s, each page verified/)]);
    expect(await nativeCheck(at("kept.db"))).toBe("ok");
    const asking = fetch(`${first.url}/admin/backup`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then((response) =>
      response.arrayBuffer()
    );
    asking.catch(() => {});
    first.program.kill("SIGKILL");
    await first.program.exited;
    await asking.catch(() => {});

    const again = await start(at("app"));
    expect(await wrongAfter(again.url, next)).toEqual([]);
    expect(readdirSync(at("app")).filter((name) => name.includes("backup"))).toEqual([]);
    again.program.kill("SIGTERM");
    await again.program.exited;

    expect((await millrace("restore", fixture, "--dir", at("elsewhere"), "--from", at("kept.db"))).code).toBe(0);
    const restored = await start(at("elsewhere"));
    await until("what was acknowledged before the backup began is in it", async () => {
      const answers = await Promise.all(Array.from({ length: acknowledged }, (_, n) => feature(restored.url, "hit", `hit-${n}`)));
      return answers.every(({ times }) => times === 1);
    });
    await inParallel(next, (n) => post(restored, n));
    expect(await wrongAfter(restored.url, next)).toEqual([]);
    restored.program.kill("SIGTERM");
    expect((await restored.program.exited).code).toBe(0);
  });

  test("an app that does not run is backed up; one that runs is not restored; what is replaced is kept", async () => {
    const running = await start(at("quiet"));
    for (let n = 0; n < 20; n++) await post(running, n);
    const refused = await millrace("restore", fixture, "--dir", at("quiet"), "--from", at("kept.db"), "--force");
    expect([refused.code, refused.error]).toEqual([
      1,
      expect.stringMatching(/^DISK_LOCKED: Cannot restore into "millrace.db": .*process \d+ .* holds it\. Stop the app first$/),
    ]);
    expect(await wrongAfter(running.url, 20)).toEqual([]);
    running.program.kill("SIGTERM");
    await running.program.exited;

    const { code, out } = await millrace("backup", fixture, "--dir", at("quiet"), "--to", at("quiet.db"), "--json");
    expect([code, JSON.parse(out)]).toMatchObject([0, { type: "backedUp", to: at("quiet.db") }]);
    expect(await nativeCheck(at("quiet.db"))).toBe("ok");
    expect(await millrace("backup", fixture, "--dir", at("quiet"), "--to", at("quiet.db"))).toMatchObject({
      code: 2,
      error: expect.stringContaining("there is a file"),
    });

    const occupied = await millrace("restore", fixture, "--dir", at("quiet"), "--from", at("kept.db"));
    expect(occupied).toMatchObject({ code: 2, error: expect.stringContaining("millrace.db lies there") });
    const forced = await millrace("restore", fixture, "--dir", at("quiet"), "--from", at("kept.db"), "--force", "--json");
    const { replaced } = JSON.parse(forced.out) as { readonly replaced: string };
    expect([forced.code, existsSync(at(`quiet/${replaced}`))]).toEqual([0, true]);
    expect(readFileSync(at("quiet/millrace.db"))).toEqual(readFileSync(at("kept.db")));
  });

  test("F17 a backup with a flipped bit is found, and nothing is touched; so are a missing one, another log and a directory without an app", async () => {
    const bytes = readFileSync(at("kept.db"));
    bytes[bytes.length - 5_000]! ^= 4;
    writeFileSync(at("flipped.db"), bytes);
    const damaged = await millrace("restore", fixture, "--dir", at("new"), "--from", at("flipped.db"));
    expect(damaged).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^STORE_CORRUPT: Cannot trust "flipped\.db": the checksum of page \d+ does not fit/),
    });
    expect(existsSync(at("new/millrace.db"))).toBe(false);
    expect(await millrace("restore", fixture, "--dir", at("new"), "--from", at("missing.db"))).toMatchObject({
      code: 1,
      error: expect.stringContaining("missing.db"),
    });
    expect(await millrace("backup", fixture, "--dir", at("nothing"), "--to", at("nothing.db"))).toMatchObject({
      code: 2,
      error: expect.stringContaining("nothing is there"),
    });
    expect(existsSync(at("nothing.db"))).toBe(false);
    expect(await millrace("backup", fixture)).toMatchObject({ code: 2, error: expect.stringContaining("wanted --to <file>") });
    expect(await millrace("restore", fixture)).toMatchObject({ code: 2, error: expect.stringContaining("wanted --from <file>") });
  });
});
