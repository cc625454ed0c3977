/**
 * Names that `src/` does not use, with what to use instead. `tsc -p tsconfig.core.json` refuses what only a server has (`process`, `Buffer`, …); this list adds what browsers and workers have too.
 */
import type { RepositoryFile } from "../../shim/files.ts";
import { lineOf, sourceText } from "./source-text.ts";

/** A use of a banned name. */
export interface BannedUse {
  readonly path: string;
  readonly line: number;
  readonly name: string;
  readonly instead: string;
}

interface Ban {
  readonly name: string;
  /** Finds it in code whose comments and texts are blank. */
  readonly pattern: RegExp;
  readonly instead: string;
}

const bans: readonly Ban[] = [
  { name: "Date.now", pattern: /\bDate\s*\.\s*now\b/g, instead: "runtime.now()" },
  { name: "new Date()", pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?![\s(.\w]))/g, instead: "new Date(runtime.now())" },
  { name: "Date()", pattern: /(?<!new\s+)(?<![.\w$])Date\s*\(/g, instead: "new Date(runtime.now())" },
  { name: "Math.random", pattern: /\bMath\s*\.\s*random\b/g, instead: "runtime.randomBytes(), or a seeded Random from base/random.ts" },
  ...calls(["setTimeout", "setInterval", "clearTimeout", "clearInterval"], "runtime.setTimer()"),
  ...calls(["setImmediate", "clearImmediate", "queueMicrotask", "requestAnimationFrame"], "runtime.yield(), or Promise.resolve().then()"),
  ...calls(["fetch"], "an HTTP client that was handed in"),
  ...calls(["structuredClone"], "an explicit copy"),
  ...calls(["eval", "Function"], "plain code: the edge forbids it"),
  ...globals(["performance"], "runtime.monotonic()"),
  ...globals(["crypto"], "runtime.randomBytes(), runtime.digest(), runtime.hmac()"),
  ...globals(["process", "Bun", "Deno"], "the Runtime contract"),
  ...globals(["Buffer"], "Uint8Array and base/bytes.ts"),
  ...globals(["console"], "runtime.print(), or an event of observe"),
  ...globals(["localStorage", "sessionStorage", "indexedDB", "caches", "navigator"], "the Disk contract"),
  ...globals(["globalThis", "self", "window"], "what was handed in"),
  { name: "import.meta", pattern: /\bimport\s*\.\s*meta\b/g, instead: "runtime.wasm(), or what was handed in" },
];

/** A name that is called or handed on, but not a member, key or method of that name. */
function calls(names: readonly string[], instead: string): readonly Ban[] {
  return names.map((name) => ({ name, pattern: new RegExp(String.raw`(?<![.#\w$]|function\s+)${name}\s*\((?!\s*\)\s*[:{]|\s*[{\w]+\??\s*:|\s*$)`, "gm"), instead }));
}

/** A name of which a member is taken, or that is handed on. A variable of one's own of that name would hide the global: it is declared with `const`, `let`, or as a parameter. */
function globals(names: readonly string[], instead: string): readonly Ban[] {
  return names.map((name) => ({ name, pattern: new RegExp(String.raw`(?<![.#\w$])${name}\s*(?:\?\.|\.|\[)`, "g"), instead }));
}

/** The banned names that a file uses. */
export function bannedUses({ path, text }: RepositoryFile): readonly BannedUse[] {
  const { code } = sourceText(text);
  const uses: BannedUse[] = [];
  for (const { name, pattern, instead } of bans) {
    if (isDeclared(code, name)) continue;
    for (const match of code.matchAll(pattern)) uses.push({ path, line: lineOf(text, match.index), name, instead });
  }
  return uses;
}

/** Whether a file has a variable or parameter of its own of this name. */
function isDeclared(code: string, name: string): boolean {
  if (!/^\w+$/.test(name)) return false;
  return new RegExp(String.raw`\b(?:const|let|function)\s+${name}\b|\b(?:const|let)\s*\{[^}=]*\b${name}\b[^}]*\}\s*=|[(,]\s*(?:\{[^}]*\b)?${name}\b\s*(?:[,}][^)]*)?\??\s*:|[(,]\s*${name}\s*[,)][^;{]*=>`).test(code);
}
