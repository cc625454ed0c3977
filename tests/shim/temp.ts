/** A directory that lasts as long as a test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const pending = new Set<string>();
process.on("exit", () => {
  for (const path of pending) rmSync(path, { recursive: true, force: true });
});

/** Makes an empty directory; what `remove()` has not removed goes when the process ends. */
export function tempDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "millrace-"));
  pending.add(path);
  return {
    path,
    remove: () => {
      pending.delete(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
