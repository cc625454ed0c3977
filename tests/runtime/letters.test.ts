/** Operators' commands on letters against an app that really runs, each a process of its own, on the runtime that runs the tests. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { tempDirectory } from "../shim/temp.ts";
import { millrace as millraceIn, type Order, openLetters, send, shop as shopIn, shopModule as app, total, until } from "./operators.ts";

const temp = tempDirectory();
afterAll(() => temp.remove());

const millrace = (...args: readonly string[]) => millraceIn(temp.path, ...args);
const shop = (directory: string, ...args: readonly string[]) => shopIn(temp.path, directory, ...args);

/** The first sixty have prices that are text, the others no customer. */
const badOrders = Array.from({ length: 100 }, (_, i): Order => (i < 60 ? { id: `o${i}`, customer: "ann", price: String(i) } : { id: `o${i}`, customer: "", price: i }));

describe("millrace dlq", () => {
  test("PS-55 100 dead letters of two fingerprints are found, understood, repaired and replayed with four commands", async () => {
    const { program, url } = await shop("four");
    await send(url, badOrders);
    expect(await until(() => openLetters(url), (open) => open === 100)).toBe(100);
    writeFileSync(`${temp.path}/fix.mjs`, 'export default (order, { error }) => error.name === "TypeError" ? { ...order, price: Number(order.price) } : { ...order, customer: "unknown" };\n');

    const listed = await millrace("dlq", "list", app, "orders", "--dir", "four");
    const shown = await millrace("dlq", "show", app, "orders", "99", "--dir", "four");
    const edited = await millrace("dlq", "edit", app, "orders", "--all", "--with", "fix.mjs", "--dir", "four");
    const replayed = await millrace("dlq", "replay", app, "orders", "--all", "--dir", "four");

    expect(listed.out.slice(1, 3).map((line) => line.replace(/\S+T\S+Z/g, "WHEN").replace(/^\S+/, "PRINT"))).toEqual([
      expect.stringMatching(/^PRINT +60 +60 +price +WHEN +WHEN +59 +TypeError: The price of order o\d+ is text$/),
      expect.stringMatching(/^PRINT +40 +40 +price +WHEN +WHEN +99 +RangeError: Order o\d+ has no customer$/),
    ]);
    expect(shown.out.join("\n")).toContain('value\n  {\n    "id": "o99",\n    "customer": "",\n    "price": 99\n  }');
    expect(shown.out.join("\n")).toContain("RangeError: Order o99 has no customer\n");
    expect(edited.out[0]).toBe("100 letters selected, 100 changed");
    expect(replayed.out).toEqual(["100 letters selected, 100 to be replayed", "100 replayed: 100 went through, 0 failed again"]);
    expect([listed.code, shown.code, edited.code, replayed.code]).toEqual([0, 0, 0, 0]);
    expect(await until(async () => [await total(url, "o7"), await total(url, "o99")], ([first, last]) => first === 7 && last === 99)).toEqual([7, 99]);
    expect(await openLetters(url)).toBe(0);

    // What was done is known, and by whom.
    const after = await millrace("dlq", "show", app, "orders", "0", "--dir", "four");
    const audit = await millrace("audit", app, "--dir", "four", "--limit", "1000", "--json");
    expect(after.out[0]).toBe("letter 0 of orders-dlq: replayed");
    expect(after.out.slice(after.out.indexOf("history") + 1, after.out.indexOf("stack") - 1).map((line) => line.replace(/\S+T\S+Z/, "WHEN"))).toEqual([
      expect.stringMatching(/^ {2}WHEN {2}ann gave it another value, \d+ bytes$/),
      "  WHEN  ann ordered its replay",
      "  WHEN  it was tried again",
    ]);
    const { entries } = JSON.parse(audit.out.join("")) as { readonly entries: readonly { readonly by: string; readonly action: string }[] };
    const count = (by: string, action: string): number => entries.filter((entry) => entry.by === by && entry.action === action).length;
    expect([entries.length, count("ann", "edit"), count("ann", "replay"), count("millrace", "replayed")]).toEqual([300, 100, 100, 100]);
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);
  });

  test("a replay that fails again says so, exits with 1, and what failed is a new letter", async () => {
    const { program, url } = await shop("again");
    await send(url, badOrders.slice(59, 61));
    expect(await until(() => openLetters(url), (open) => open === 2)).toBe(2);

    const none = await millrace("dlq", "replay", app, "orders", "--fingerprint", "00000000", "--dir", "again");
    const dry = await millrace("dlq", "replay", app, "orders", "--all", "--dry-run", "--dir", "again");
    await millrace("dlq", "edit", app, "orders", "0", "--set", "price=59", "--dir", "again");
    const replayed = await millrace("dlq", "replay", app, "orders", "0", "1", "--dir", "again");
    const listed = await millrace("dlq", "list", app, "orders", "--letters", "--json", "--dir", "again");
    const purged = await millrace("dlq", "purge", app, "orders", "--all", "--yes", "--dir", "again");

    expect(none.out).toEqual(["0 letters selected, 0 to be replayed", expect.stringMatching(/^No letter is like that\. Which there are: millrace dlq list \S+ orders --dir again$/)]);
    expect([dry.code, dry.out]).toEqual([0, ["2 letters selected, 2 would be replayed"]]);
    expect(replayed.out.slice(0, 2)).toEqual(["2 letters selected, 2 to be replayed", "2 replayed: 1 went through, 1 failed again"]);
    expect(replayed.code).toBe(1);
    expect(JSON.parse(listed.out.join(""))).toEqual({ letters: [expect.objectContaining({ id: 2, state: "open", replayOf: "orders-dlq@1" })], next: null });
    expect(purged.out).toEqual(["3 letters selected, 3 purged"]);
    expect(await until(() => total(url, "o59"), (found) => found === 59)).toBe(59);
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);
  });

  test("while nobody runs, letters are read, and what is ordered is done at the next start", async () => {
    const first = await shop("later");
    await send(first.url, badOrders.slice(60, 62));
    expect(await until(() => openLetters(first.url), (open) => open === 2)).toBe(2);
    first.program.kill("SIGTERM");
    await first.program.exited;

    const listed = await millrace("dlq", "list", app, "--dir", "later");
    const edited = await millrace("dlq", "edit", app, "orders", "--all", "--set", 'customer="bob"', "--dir", "later");
    const replayed = await millrace("dlq", "replay", app, "orders", "--all", "--dir", "later");
    const elsewhere = await millrace("dlq", "list", app, "--dir", "nowhere");
    const { program, url } = await shop("later");

    expect(listed.out[1]).toMatch(/^orders +2 +0 +0 +0 +orders-dlq$/);
    expect([edited.code, replayed.code]).toEqual([0, 0]);
    expect(replayed.out[1]).toBe("No process of the app was found: the replay is ordered in the log at later/millrace.db, and done when the app runs");
    expect([elsewhere.code, elsewhere.error]).toEqual([2, expect.stringContaining("nothing is there, the app has not run in it")]);
    expect(await until(() => total(url, "o61"), (found) => found === 61)).toBe(61);
    expect(await openLetters(url)).toBe(0);
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);
  });

  test("an app with a token is found by its directory without one being said; at its address it asks for it", async () => {
    const { program, url } = await shop("token", "--token-env", "MILLRACE_TEST_TOKEN");
    const found = await millrace("dlq", "list", app, "--dir", "token");
    const refused = await millrace("dlq", "list", "--url", url);
    const given = await millrace("dlq", "list", "--url", url, "--token-env", "MILLRACE_TEST_TOKEN");
    program.kill("SIGTERM");
    expect((await program.exited).code).toBe(0);

    expect([found.code, found.out]).toEqual([0, ["There are no dead letters."]]);
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining("--token-env NAME")]);
    expect([given.code, given.out]).toEqual([0, ["There are no dead letters."]]);
  });
});
