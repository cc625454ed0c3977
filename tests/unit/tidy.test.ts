/** What holds the house together and no compiler checks: who imports whom, which names are banned, and the small rules of writing. Each rule is tried on samples that break it. */
import { describe, expect, test } from "bun:test";
import { errorCodes } from "../../src/base/errors.ts";
import { filesBelow, namesBelow } from "../shim/files.ts";
import { bannedUses } from "./tidy/banned-names.ts";
import { faultOf, importsOf, layers, packageHomes, resolved, roomOf } from "./tidy/imports.ts";
import { sourceText } from "./tidy/source-text.ts";

const product = filesBelow(["src", "adapters", "mod.ts"], [".ts"]);
const code = filesBelow(["src", "adapters", "tests", "bench", "examples", "scripts", "bin", "mod.ts"], [".ts", ".mjs"]);
const pages = filesBelow(["docs", "README.md", "CHANGELOG.md"], [".md"]);

/** We aim at 160; beyond this nobody reads on. */
const LINE_LENGTH_MAX = 220;

/** Codes that nothing in the repository throws, with the reason. */
const CODES_UNUSED: Readonly<Record<string, string>> = {};

function where(path: string, line: number, what: string): string {
  return `${path}:${line} ${what}`;
}

/** Lines of a file that match, as `path:line text`. */
function linesWith(files: readonly { readonly path: string; readonly text: string }[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) => text.split("\n").flatMap((line, index) => (pattern.test(line) ? [where(path, index + 1, line.trim())] : [])));
}

describe("imports", () => {
  test("src/ and adapters/ import only what their layer may", () => {
    const faults = product.flatMap(importsOf).flatMap((one) => {
      const fault = faultOf(one);
      return fault === null ? [] : [where(one.from, one.line, `imports ${one.specifier}: ${fault}`)];
    });

    expect(faults).toEqual([]);
  });

  test("every relative import names a file that exists", () => {
    const names = new Set(namesBelow("src", "adapters", "mod.ts"));
    const missing = product.flatMap(importsOf).filter(({ from, specifier }) => specifier.startsWith(".") && !names.has(resolved(from, specifier)));

    expect(missing).toEqual([]);
  });

  test("every room of src/ is in the table of layers", () => {
    const known = new Set([...layers.flat(), "testing"]);

    expect([...new Set(namesBelow("src").map(roomOf))].filter((room) => room === null || !known.has(room))).toEqual([]);
  });

  test("src/ has no cycle between files, type-only imports left out", () => {
    const graph = new Map(product.map((file) => [file.path, importsOf(withoutTypeImports(file)).flatMap(({ from, specifier }) => (specifier.startsWith(".") ? [resolved(from, specifier)] : []))]));

    expect(cyclesOf(graph)).toEqual([]);
  });

  test("a package that is not ours is a dependency", () => {
    const [manifest] = filesBelow(["package.json"], ["package.json"]);
    const { dependencies, peerDependencies = {} } = JSON.parse(manifest?.text ?? "{}") as { dependencies: Record<string, string>; peerDependencies?: Record<string, string> };
    const used = new Set(product.flatMap(importsOf).flatMap(({ specifier }) => Object.keys(packageHomes).filter((name) => specifier === name || specifier.startsWith(`${name}/`))));

    expect([...used].filter((name) => dependencies[name] === undefined && peerDependencies[name] === undefined)).toEqual([]);
  });

  test.each([
    ["src/base/a.ts", 'import { b } from "../record/b.ts";'],
    ["src/base/a.ts", 'import type { b } from "../record/b.ts";'],
    ["src/base/a.ts", 'export { b } from "../record/b.ts";'],
    ["src/base/a.ts", 'export * from "../record/b.ts";'],
    ["src/base/a.ts", 'const b = await import("../record/b.ts");'],
    ["src/base/a.ts", 'let b: import("../record/b.ts").B;'],
    ["src/base/a.ts", 'import "../record/b.ts";'],
    ["src/base/a.ts", 'import {\n  a,\n  b,\n} from "../record/b.ts";'],
    ["src/log/a.ts", 'import { b } from "../state/b.ts";'],
    ["src/task/a.ts", 'import { b } from "../stream/b.ts";'],
    ["src/agent/a.ts", 'import { b } from "../feature/b.ts";'],
    ["src/feature/a.ts", 'import { b } from "../agent/b.ts";'],
    ["src/app/a.ts", 'import { b } from "../cli/b.ts";'],
    ["src/app/a.ts", 'import { b } from "../testing/b.ts";'],
    ["src/app/a.ts", 'import { b } from "../../adapters/node/node.ts";'],
    ["src/app/a.ts", 'import { b } from "../unknown/b.ts";'],
    ["src/app/a.ts", 'import { b } from "node:fs";'],
    ["src/app/a.ts", 'import { b } from "bun:sqlite";'],
    ["src/app/a.ts", 'import { b } from "left-pad";'],
    ["src/app/a.ts", 'import { pack } from "msgpackr";'],
    ["src/app/a.ts", 'import { b } from "./b";'],
    ["src/app/a.ts", 'import { b } from "./b.js";'],
    ["adapters/node/a.ts", 'import { b } from "../../src/task/b.ts";'],
    ["adapters/node/a.ts", 'import { b } from "../../src/testing/b.ts";'],
    ["adapters/node/a.ts", 'import { b } from "../bun/bun.ts";'],
  ])("the rule refuses, in %s: %s", (path, text) => {
    expect(importsOf({ path, text }).map(faultOf)).toEqual([expect.any(String)]);
  });

  test.each([
    ["src/record/a.ts", 'import { b } from "../base/b.ts";'],
    ["src/record/codec-msgpack.ts", 'import { Packr } from "msgpackr";'],
    ["src/state/a.ts", 'import type { b } from "../log/b.ts";'],
    ["src/testing/a.ts", 'import { b } from "../cli/b.ts";'],
    ["adapters/host/host.ts", 'await import("../bun/bun.ts");'],
    ["adapters/kafka/client.ts", 'import { b } from "../../src/log/log.ts";'],
    ["tests/a.ts", 'import { b } from "left-pad";'],
  ])("the rule takes, in %s: %s", (path, text) => {
    expect(importsOf({ path, text }).map(faultOf)).toEqual([null]);
  });

  test("an import in a comment or a text is none", () => {
    const text = '// import { b } from "../record/b.ts";\n/* import "../record/b.ts" */\nconst a = `import "../record/b.ts"`;\n';

    expect(importsOf({ path: "src/base/a.ts", text })).toEqual([]);
  });

  test("a cycle is found", () => {
    expect(cyclesOf(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]]))).toEqual(["b → c → b"]);
  });
});

describe("banned names", () => {
  test("src/ reaches clock, timers, randomness and the host through Runtime only", () => {
    const uses = product.filter(({ path }) => path.startsWith("src/")).flatMap(bannedUses);

    expect(uses.map(({ path, line, name, instead }) => where(path, line, `uses ${name}: use ${instead}`))).toEqual([]);
  });

  test.each([
    "const a = Date.now();",
    "const a = Date . now;",
    "const a = new Date();",
    "const a = new Date;",
    "const a = Date();",
    "const a = Math.random();",
    "setTimeout(() => a(), 5);",
    "await new Promise((resolve) => setTimeout(resolve, 5));",
    "setInterval(a, 5);",
    "queueMicrotask(a);",
    "setImmediate(a);",
    "await fetch(url);",
    'await fetch("https://example.com");',
    "const a = performance.now();",
    "const a = crypto.subtle;",
    "const a = crypto?.randomUUID();",
    "process.exit(1);",
    "const a = Buffer.from(b);",
    "console.log(a);",
    "const a = globalThis.Deno;",
    "const a = Deno.args;",
    "const a = Bun.version;",
    "const a = `at ${Date.now()}`;",
    "const a = `at ${`deep ${Date.now()}`}`;",
    "const a = b / c; const d = Date.now() / e;",
    "eval(a);",
    "const a = new Function(b);",
    "const a = import.meta.url;",
    "localStorage.setItem(a, b);",
  ])("the rule refuses: %s", (text) => {
    expect(bannedUses({ path: "src/base/a.ts", text }).length).toBeGreaterThan(0);
  });

  test.each([
    "// Date.now() is banned",
    "/** Like `setTimeout(fn, 5)`. */",
    'const a = "Date.now()";',
    "const a = `Math.random() ${b}`;",
    "const a = /Date.now()/;",
    "const a = new Date(runtime.now());",
    "const a: Date = b;",
    "runtime.setTimer(a, 5);",
    "this.process.run();",
    "const a = await options.fetch(request);",
    "interface A { fetch(request: Request): Promise<Response>; }",
    "class A { fetch(): Promise<Response> { return b; } }",
    "class A { fetch() { return b; } }",
    "const { fetch } = options; await fetch(request);",
    "function serve({ fetch, port }: Options): void { fetch(port); }",
    "const process = started(); process.kill();",
    "const a = { console: b };",
    "const performanceNow = 1;",
  ])("the rule takes: %s", (text) => {
    expect(bannedUses({ path: "src/base/a.ts", text })).toEqual([]);
  });
});

describe("writing", () => {
  test(`no line of code is longer than ${LINE_LENGTH_MAX} columns, not counting what it says in quotes`, () => {
    const files = product.map(({ path, text }) => ({ path, text: sourceText(text).code.replace(/(["'`])( +)(?=["'`$])/g, "$1") }));
    const long = files.flatMap(({ path, text }) => text.split("\n").flatMap((line, index) => (line.trimEnd().length > LINE_LENGTH_MAX ? [where(path, index + 1, `${line.trimEnd().length} columns`)] : [])));

    expect(long).toEqual([]);
  });

  test("nothing is left to do, and no test is run alone", () => {
    const files = code.filter(({ path }) => path !== "tests/unit/tidy.test.ts");

    expect(linesWith(files, /\b(?:TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
    expect(linesWith(files, /\b(?:test|it|describe)\.only\(/)).toEqual([]);
  });

  test("names of files are kebab-case and say something", () => {
    const names = namesBelow("src", "adapters", "tests", "bench", "examples", "scripts", "docs");

    expect(names.filter((path) => !/^(?:[a-z0-9]+(?:[-.][a-z0-9]+)*\/)*[a-z0-9]+(?:[-.][a-z0-9]+)*$/.test(path) && !path.endsWith("README.md"))).toEqual([]);
    expect(names.filter((path) => /(?:^|\/)(?:utils?|helpers?|common|misc|index)\.ts$/.test(path))).toEqual([]);
  });

  test("nothing names a machine, a path of one, or a registry", () => {
    const lock = filesBelow(["package-lock.json", "package.json", "deno.json"], [".json"]);
    const files = [...code, ...pages, ...lock].filter(({ path }) => path !== "tests/unit/tidy.test.ts");

    expect(linesWith(files, /(?:^|[^\w./])\/(?:home|root|Users|work)\/\w|"resolved": "https?:/)).toEqual([]);
  });

  test("every error code is thrown somewhere, and every one that is named exists", () => {
    const users = product.filter(({ path }) => path !== "src/base/errors.ts").map(({ text }) => text);
    const unused = Object.keys(errorCodes).filter((name) => name !== "INVARIANT" && name !== "FENCED" && name !== "DEFINITION_INVALID" && !users.some((text) => text.includes(`"${name}"`)));

    expect(unused.filter((name) => CODES_UNUSED[name] === undefined)).toEqual([]);
    expect(Object.keys(CODES_UNUSED).filter((name) => !unused.includes(name))).toEqual([]);
  });

  test("each source file of more than a screen opens by saying what it is", () => {
    const bare = product.filter(({ text }) => text.split("\n").length > 20 && !text.startsWith("/**")).map(({ path }) => path);

    expect(bare).toEqual([]);
  });
});

describe("sourceText()", () => {
  test("sourceText() blanks comments, texts and regular expressions, and keeps positions", () => {
    const text = 'a("b") // c\n+ `d ${e("f")} g` /* h\n i */ + /[/"]j/g.test(k) / l';
    const { code } = sourceText(text);

    expect(code.replaceAll(" ", "_")).toBe('a("_")_____\n+_`__${e("_")}__`_____\n______+_________.test(k)_/_l');
    expect(code.length).toBe(text.length);
  });
});

function withoutTypeImports({ path, text }: { readonly path: string; readonly text: string }): { readonly path: string; readonly text: string } {
  return { path, text: text.replace(/\b(?:import|export) type\b[^;]*;/g, (whole) => whole.replace(/[^\n]/g, " ")) };
}

/** Each cycle once, as `a → b → a`. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): void => {
    const start = path.indexOf(node);
    if (start !== -1) {
      cycles.push([...path.slice(start), node].join(" → "));
      return;
    }
    if (done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return cycles;
}
