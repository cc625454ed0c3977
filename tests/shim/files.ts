/** The files of the repository, for tests that look at the code itself. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What is never looked at. */
const LEFT_OUT: ReadonlySet<string> = new Set(["node_modules", ".git", ".millrace", "dist", "out", "tmp"]);

/** A file of the repository. */
export interface RepositoryFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** The names of all files below some folders, or files, sorted; missing ones are left out. */
export function namesBelow(...starts: readonly string[]): readonly string[] {
  return starts.flatMap(walk).sort();
}

/** The files below some folders whose names end in one of `endings`. */
export function filesBelow(starts: readonly string[], endings: readonly string[]): readonly RepositoryFile[] {
  return namesBelow(...starts)
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .map((path) => ({ path, text: readFileSync(`${root}/${path}`, "utf8") }));
}

function walk(path: string): readonly string[] {
  let entries;
  try {
    entries = readdirSync(`${root}/${path}`, { withFileTypes: true });
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "ENOTDIR") return [path];
    if (code === "ENOENT") return [];
    throw cause;
  }
  return entries.filter(({ name }) => !LEFT_OUT.has(name)).flatMap((entry) => (entry.isDirectory() ? walk(`${path}/${entry.name}`) : [`${path}/${entry.name}`]));
}
