/** Operators' commands and the shop of letters-fixture.ts, as processes on the runtime that runs the tests. */
import { expect } from "bun:test";
import { type Program, spawnProgram } from "../shim/spawn.ts";

const command = new URL("../../bin/millrace.mjs", import.meta.url);
/** The module of the shop. */
export const shopModule: string = new URL("./letters-fixture.ts", import.meta.url).pathname;

/** A command that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: readonly string[];
  readonly error: string;
}

/** Runs a command in a directory, as user ann. */
export async function millrace(directory: string, ...args: readonly string[]): Promise<Ended> {
  const program = spawnProgram("self", command, args, { directory, env: { USER: "ann", MILLRACE_TEST_TOKEN: "let-me-in" } });
  const out: string[] = [];
  for await (const line of program.lines()) out.push(line);
  const { code } = await program.exited;
  return { code, out, error: program.stderr() };
}

/** Runs the shop in `root`, its data in `directory` there; gives its address once it stands. */
export async function shop(root: string, directory: string, ...args: readonly string[]): Promise<{ readonly program: Program; readonly url: string }> {
  const program = spawnProgram("self", command, ["run", shopModule, "--port", "0", "--dir", directory, "--json", ...args], {
    directory: root,
    env: { MILLRACE_TEST_TOKEN: "let-me-in" },
  });
  for await (const line of program.lines()) {
    const { type, url } = JSON.parse(line) as { readonly type?: string; readonly url?: string };
    if (type === "started") return { program, url: url! };
  }
  throw new Error(`the shop did not start: ${program.stderr()}`);
}

/** An order of the shop. */
export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly price: string | number;
}

/** Sends orders by the webhook. */
export async function send(url: string, orders: readonly Order[]): Promise<void> {
  for (const order of orders) {
    const { status } = await fetch(`${url}/hooks/orders`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(order) });
    expect(status).toBe(202);
  }
}

/** Asks until what comes back is right, a minute at most. */
export async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const end = performance.now() + 60_000;
  for (;;) {
    const answer = await ask();
    if (isRight(answer) || performance.now() > end) return answer;
  }
}

/** What the shop knows of an order; undefined or null: nothing. */
export async function total(url: string, id: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const response = await fetch(`${url}/features/order/${id}`, { headers });
  return ((await response.json()) as { readonly total?: unknown }).total;
}

/** How many letters nothing was done about. */
export async function openLetters(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const { sources } = (await (await fetch(`${url}/admin/letters`, { headers })).json()) as { readonly sources: readonly { readonly open: number }[] };
  return sources.reduce((sum, { open }) => sum + open, 0);
}
