#!/usr/bin/env node
// The command: finds out which runtime runs it (Node, Bun or Deno), hands the arguments over, and ends the process with the code it gets back.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (process.versions.bun === undefined && process.versions.deno === undefined && (major < 22 || (major === 22 && minor < 18))) {
  console.error(`millrace needs Node 22.18 or newer (it runs TypeScript as it is), Bun or Deno; this is Node ${process.versions.node}`);
  process.exit(1);
}

const [{ hostRuntime }, { main }, { DefinitionError }] = await Promise.all([
  import("../adapters/host/host.ts"),
  import("../src/cli/main.ts"),
  import("../src/base/errors.ts"),
]);

/** @param {string} file */
async function load(file) {
  const path = resolve(file);
  if (!existsSync(path)) throw new DefinitionError(`Cannot find ${path}`, { code: "CONFIG_INVALID" });
  return await import(pathToFileURL(path).href);
}

// Whoever presses Ctrl-C twice does not want to wait for the drain.
let interrupts = 0;
process.on("SIGINT", () => {
  if (++interrupts === 2) process.exit(130);
});

const runtime = await hostRuntime();
// Not awaited: as long as its first module awaits, Bun prints what nobody catches and goes on.
void main(process.argv.slice(2), { runtime, load, fetch, program: fileURLToPath(import.meta.url) }).then((code) => process.exit(code));
