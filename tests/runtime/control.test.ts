/** Operators' commands on partitions against an app that really runs, each a process of its own, on the runtime that runs the tests. */
import { afterAll, describe, expect, test } from "bun:test";
import { tempDirectory } from "../shim/temp.ts";
import { millrace as millraceIn, openLetters, send, shop as shopIn, shopModule as app, total, until } from "./operators.ts";

const temp = tempDirectory();
afterAll(() => temp.remove());

const millrace = (...args: readonly string[]) => millraceIn(temp.path, ...args);
const shop = (directory: string, ...args: readonly string[]) => shopIn(temp.path, directory, ...args);

interface Status {
  readonly workers: readonly { readonly partitions: readonly { readonly topic: string; readonly status: string; readonly position: number | null; readonly lag: number; readonly paused: unknown }[] }[];
}

async function partition(topic: string, directory: string): Promise<unknown> {
  const { out } = await millrace("status", app, "--dir", directory, "--json");
  const { status, position, lag, paused } = (JSON.parse(out.join("")) as Status).workers[0]!.partitions.find((one) => one.topic === topic)!;
  return { status, position, lag, paused };
}

const order = (id: string, price: string | number = 5) => ({ id, customer: "ann", price });

describe("millrace pause, skip, seek, resume", () => {
  test("a paused partition stands still with its lag and its reason, over a restart too, and goes on where it is told", async () => {
    const first = await shop("held");
    const paused = await millrace("pause", app, "orders", "--dir", "held", "--reason", "bad deploy");
    await send(first.url, [order("o1"), order("o2"), order("o3")]);
    expect([paused.code, paused.out]).toEqual([0, ["orders/0 is paused"]]);
    expect(await partition("orders", "held")).toEqual({ status: "paused", position: null, lag: 3, paused: { since: expect.any(Number), by: "ann", reason: "bad deploy" } });
    first.program.kill("SIGTERM");
    await first.program.exited;

    const { program, url } = await shop("held");
    expect(await partition("orders", "held")).toMatchObject({ status: "paused", lag: 3 });
    const skipped = await millrace("skip", app, "orders/0", "2", "--dir", "held");
    const resumed = await millrace("resume", app, "orders", "--dir", "held");
    expect([skipped.out, resumed.out]).toEqual([["orders/0 goes on at position 2"], ["orders/0 goes on"]]);
    expect(await until(() => total(url, "o3"), (found) => found === 5)).toBe(5);
    expect(await total(url, "o2") ?? null).toBe(null);

    const back = await millrace("seek", app, "orders/0", "--to", "start", "--dir", "held");
    expect(back.out).toEqual(["orders/0 goes on at position 0"]);
    expect(await until(() => total(url, "o2"), (found) => found === 5)).toBe(5);
    expect(await until(() => partition("orders", "held"), (now) => (now as { readonly lag: number }).lag === 0)).toEqual({ status: "running", position: 3, lag: 0, paused: null });

    const audit = await millrace("audit", app, "--dir", "held");
    expect(audit.out.slice(1).map((line) => line.replace(/^\S+ +/, ""))).toEqual([
      "ann  seek    orders/0, from 3, to 0",
      "ann  resume  orders/0",
      "ann  seek    orders/0, to 2",
      "ann  pause   orders/0, reason bad deploy",
    ]);
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);
  });

  test("while nobody runs, status says so, and what is ordered is done at the next start", async () => {
    const first = await shop("off");
    await send(first.url, [order("o1")]);
    expect(await until(() => total(first.url, "o1"), (found) => found === 5)).toBe(5);
    first.program.kill("SIGTERM");
    await first.program.exited;

    const status = await millrace("status", app, "--dir", "off");
    const paused = await millrace("pause", app, "orders/0", "--dir", "off");
    const unknown = await millrace("pause", app, "ordres", "--dir", "off");
    const { program, url } = await shop("off");
    await send(url, [order("o2", "text")]);
    expect([status.code, status.out[0]]).toEqual([1, "off/millrace.db: stopped: no process of the app runs"]);
    expect(paused.out).toEqual(["orders/0 will be paused", "No process of the app was found: it is ordered in the log at off/millrace.db, and done when the app runs"]);
    expect([unknown.code, unknown.error]).toEqual([2, expect.stringContaining('Cannot pause "ordres": app "shop" reads')]);
    expect(await partition("orders", "off")).toMatchObject({ status: "paused", position: 1, lag: 1 });
    expect(await openLetters(url)).toBe(0);

    await millrace("resume", app, "orders/0", "--url", url);
    expect(await until(() => openLetters(url), (open) => open === 1)).toBe(1);
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);
  });
});
