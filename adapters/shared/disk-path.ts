/** The names a disk takes (D1), and where they lie on the machine. */
import { StoreError } from "../../src/base/errors.ts";

/** Throws `DISK_FAILED` unless `path` is made of plain names with `/` in between. */
export function checkDiskPath(path: string): void {
  const fault = faultOf(path);
  if (fault !== null) {
    throw new StoreError("DISK_FAILED", `Cannot use the path ${JSON.stringify(path)}: ${fault}; wanted plain names with / in between`, { details: { path } });
  }
}

function faultOf(path: string): string | null {
  if (path === "") return "it is empty";
  if (path.includes("\0")) return "it holds a zero byte";
  if (path.includes("\\")) return "it holds a backslash";
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path)) return "it is absolute";
  for (const name of path.split("/")) {
    if (name === "") return "it holds an empty name";
    if (name === "." || name === "..") return `it holds the name "${name}"`;
  }
  return null;
}
