/** What operators type, and what is made of it. */
import { describe, expect, test } from "bun:test";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { commandText, quoted } from "../../../src/cli/operator.ts";

const NOON = Date.UTC(2026, 0, 1, 12);

async function asked(line: string): Promise<unknown> {
  const understood = await parseArguments(line.split(" "), "0.0.0");
  if ("exitCode" in understood) throw new Error(understood.error);
  return understood.asked;
}

async function refused(line: string): Promise<string> {
  const understood = await parseArguments(line.split(" "), "0.0.0");
  return "exitCode" in understood ? `${understood.exitCode} ${understood.error}` : "taken";
}

describe("arguments of operators' commands", () => {
  test.each<readonly [string, object]>([
    ["dlq list app.ts", { file: "app.ts", source: undefined, isSingle: false, json: false }],
    ["dlq list app.ts orders --json --step price", { source: "orders", filter: { step: "price" }, json: true }],
    ["dlq list app.ts orders --limit 5", { isSingle: true, limit: 5 }],
    ["dlq list app.ts orders --letters --state all --after 7", { isSingle: true, state: "all", after: 7 }],
    ["dlq list --url http://h:1 orders", { file: undefined, url: "http://h:1", source: "orders" }],
    ["dlq list app.ts orders --url http://h:1 --token-env TOKEN", { file: "app.ts", url: "http://h:1", tokenEnv: "TOKEN", source: "orders" }],
    ["late show app.mjs orders 17 --dir data --as ann", { file: "app.mjs", source: "orders", id: 17, directory: "data", operator: "ann" }],
    [
      "dlq replay app.ts orders --since 2026-01-01T12:00Z --until 2h --dry-run --no-wait",
      { choice: { source: "orders", ids: [], filter: { since: { at: NOON }, until: { agoMs: 7_200_000 } }, all: false }, isDryRun: true, waits: false, isAgain: false },
    ],
    ["late replay app.ts orders 1 2 3 --at now --again", { choice: { source: "orders", ids: [1, 2, 3], filter: {}, all: false }, at: "now", isAgain: true, waits: true }],
    ["dlq purge app.ts orders --all --yes", { choice: { source: "orders", ids: [], filter: {}, all: true }, isDryRun: false }],
    ["dlq edit app.ts orders 4 --value null", { repair: { how: "value", value: null } }],
    ["dlq edit app.ts orders 4 --set a=1 --set b.0=[2]", { repair: { how: "set", assignments: [{ path: ["a"], value: 1 }, { path: ["b", "0"], value: [2] }] } }],
    ["dlq edit app.ts orders --fingerprint 1a2b3c4d --with fix.mjs --dry-run", { repair: { how: "with", file: "fix.mjs" }, isDryRun: true, isForced: false }],
    ["pause app.ts orders --reason upgrade", { target: { topic: "orders", partition: undefined }, reason: "upgrade" }],
    ["seek app.ts orders/3 --to -5", { target: { topic: "orders", partition: 3 }, to: { by: -5 } }],
    ["skip app.ts orders/0", { to: { by: 1 } }],
    ["skip app.ts orders/0 12", { to: { by: 12 } }],
    ["skip app.ts orders/0 --to 2026-01-01T12:00Z", { to: { time: NOON } }],
    ["status app.ts --dir data", { directory: "data" }],
    ["audit app.ts --limit 3 --after 9", { limit: 3, after: 9 }],
  ])("millrace %s", async (line, expected) => {
    expect(await asked(line)).toEqual(expect.objectContaining(expected));
  });

  test.each([
    ["dlq list", "wanted millrace dlq list <app.ts> [source]"],
    ["dlq list app.ts --step price", "Of which source?"],
    ["dlq list app.ts orders more", 'Too many arguments, from "more" on'],
    ["dlq list --url localhost:8080", "wanted an address such as http://127.0.0.1:8080"],
    ["dlq list app.ts --url http://h:1 --dir data", "choose one"],
    ["dlq list app.ts --token-env TOKEN", "--token-env goes with --url"],
    ["dlq list app.ts --url http://h:1 --token-env s3cret!", "takes the name of an environment variable"],
    ["dlq list app.ts orders --state gone", "gone"],
    ["dlq list app.ts orders --since noon", "wanted a moment such as"],
    ["dlq show app.ts orders x1", '"x1" is no id of a letter'],
    ["dlq show app.ts orders", "wanted millrace dlq show <app.ts> <source> <id>"],
    ["dlq replay app.ts orders", "Which letters? Wanted (<id>... |"],
    ["dlq replay app.ts orders 1 --all", "choose one"],
    ["dlq replay app.ts orders first", '"first" is no id of a letter'],
    ["dlq purge app.ts orders --all", "say --yes as well"],
    ["dlq edit app.ts orders 1", "Wanted one of --value, --set, --with"],
    ["dlq edit app.ts orders 1 --value 1 --set a=2", "Wanted one of --value, --set, --with"],
    ["dlq edit app.ts orders 1 --value Berlin", "texts stand in double quotes"],
    ["pause app.ts", "wanted millrace pause <app.ts> <topic>[/<partition>]"],
    ["pause app.ts orders/x", "is no topic and no partition"],
    ["seek app.ts orders/0", "Where to?"],
    ["seek app.ts orders/0 --to first", "wanted a position, start, end"],
    ["skip app.ts orders", "wanted such as orders/0"],
    ["skip app.ts orders/0 0", "wanted a whole number from 1 on"],
    ["skip app.ts orders/0 2 --to end", "choose one"],
    ["audit app.ts --limit 0", "wanted a whole number from 1 to 1000"],
  ])("millrace %s says what is wrong", async (line, says) => {
    const answer = await refused(line);

    expect(answer.slice(0, 2)).toBe("2 ");
    expect(answer).toContain(says);
    expect(answer).not.toContain("s3cret");
  });

  test("commands that are proposed can be typed as they stand", () => {
    const command = commandText({ file: undefined, url: "http://h:1", tokenEnv: "TOKEN", directory: undefined });

    expect(command("dlq list", "orders")).toBe("millrace dlq list orders --url http://h:1 --token-env TOKEN");
    expect([quoted("a-b/c.ts"), quoted("it's"), quoted("a b")]).toEqual(["a-b/c.ts", "'it'\\''s'", "'a b'"]);
  });
});
