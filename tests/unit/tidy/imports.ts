/** Who may import what: the rooms of `src/` and their layers, the adapters, and the packages that are not ours. */
import type { RepositoryFile } from "../../shim/files.ts";
import { lineOf, sourceText } from "./source-text.ts";

/** An import, type-only ones and dynamic ones too. */
export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  readonly line: number;
}

/** From the bottom up; a room imports itself, rooms to its left in its row, and lower rows. */
export const layers: readonly (readonly string[])[] = [
  ["base", "runtime", "record", "time", "observe"],
  ["sqlite", "log", "state"],
  ["topology", "task", "letter"],
  ["stream"],
  ["agent", "feature", "facade"],
  ["http", "app", "cli"],
];

/** The rooms of this row don't know each other. */
const STRANGERS = 4;

/** Adapters import rows below this one. */
const ADAPTER_ROWS = 2;

/** Where a package that is not ours may be imported: in one file each. */
export const packageHomes: Readonly<Record<string, string>> = {
  "@hono/node-server": "adapters/node/serve.ts",
  "@confluentinc/kafka-javascript": "adapters/kafka/native/confluent.ts",
  "@platformatic/kafka": "adapters/kafka/pure/platformatic.ts",
  "@sqlite.org/sqlite-wasm": "adapters/shared/process-runtime.ts",
  "@stricli/core": "src/cli/command.ts",
  hono: "src/http/router.ts",
  msgpackr: "src/record/codec-msgpack.ts",
};

/** Every import of a file. */
export function importsOf({ path, text }: RepositoryFile): readonly Import[] {
  const { code } = sourceText(text);
  const found: Import[] = [];
  const forms = [/\b(?:import|export)\b[^;"'`]*?\bfrom\s*(["'])( *)\1/g, /\bimport\s*\(\s*(["'`])( *)\1/g, /\bimport\s*(["'])( *)\1/g, /\.resolve\(\s*(["'])( *)\1/g];
  for (const form of forms) {
    for (const match of code.matchAll(form)) {
      const end = match.index + match[0].length - 1;
      const specifier = text.slice(end - (match[2] ?? "").length, end);
      found.push({ from: path, specifier, line: lineOf(text, match.index) });
    }
  }
  return found;
}

/** Why an import is not allowed; null when it is. */
export function faultOf({ from, specifier }: Import): string | null {
  if (!from.startsWith("src/") && !from.startsWith("adapters/")) return null;
  if (!specifier.startsWith(".")) return outsideFault(from, specifier);
  const target = resolved(from, specifier);
  if (!specifier.endsWith(".ts") && !specifier.endsWith(".wasm") && !specifier.endsWith(".json")) return "a relative import names the file with its ending";
  return from.startsWith("src/") ? sourceFault(from, target) : adapterFault(from, target);
}

/** The room of a path in `src/`, or null. */
export function roomOf(path: string): string | null {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? null;
}

/** `a/b.ts` of `../b.ts` written in `a/c/d.ts`. */
export function resolved(from: string, specifier: string): string {
  const names = from.split("/").slice(0, -1);
  for (const name of specifier.split("/")) {
    if (name === "..") names.pop();
    else if (name !== ".") names.push(name);
  }
  return names.join("/");
}

function outsideFault(from: string, specifier: string): string | null {
  if (/^(?:node|bun):/.test(specifier)) return from.startsWith("src/") ? "src/ reaches the host through Runtime only" : null;
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  const home = packageHomes[name];
  if (home === undefined) return `the package ${name} has no home in the table of packages`;
  return home === from ? null : `the package ${name} is imported in ${home} only`;
}

function sourceFault(from: string, target: string): string | null {
  const room = roomOf(from);
  const other = roomOf(target);
  if (other === null) return "src/ imports src/ only";
  if (room === "testing") return null;
  if (other === "testing") return "src/testing is for tests: nothing in src/ imports it";
  if (room === other) return null;
  const [row, column] = placeOf(room);
  const [otherRow, otherColumn] = placeOf(other);
  if (row === -1 || otherRow === -1) return `the room ${row === -1 ? room : other} is not in the table of layers`;
  if (otherRow < row || (otherRow === row && row !== STRANGERS && otherColumn < column)) return null;
  return `the room ${room} may not import ${other}`;
}

function adapterFault(from: string, target: string): string | null {
  const folder = target.split("/")[1];
  if (target.startsWith("adapters/")) {
    const isHost = from.startsWith("adapters/host/");
    return isHost || folder === "shared" || folder === from.split("/")[1] ? null : "an adapter imports itself and adapters/shared";
  }
  const room = roomOf(target);
  const [row] = placeOf(room);
  return row !== -1 && row < ADAPTER_ROWS ? null : "adapters import layers 1 and 2 of src/ only";
}

function placeOf(room: string | null): readonly [number, number] {
  const row = layers.findIndex((rooms) => room !== null && rooms.includes(room));
  return [row, row === -1 ? -1 : (layers[row] ?? []).indexOf(room ?? "")];
}
