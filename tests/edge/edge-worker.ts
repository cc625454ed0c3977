/** Builds a Worker from TypeScript and runs it in workerd, by esbuild and miniflare. No Node compatibility, no code from text. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** A running Worker. */
export interface EdgeWorker {
  /** The JSON of an answer. */
  get(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

const require = createRequire(import.meta.url);

/** Bundles the fixture; its `.wasm` imports stay imports. */
export async function bundleWorker(file: URL): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(file)],
    bundle: true,
    write: false,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
    external: ["*.wasm"],
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

/** Starts a bundled Worker with one class of Durable Objects, `CaseObject` as `CASES`, whose storage lies in `directory`. */
export async function startWorker(script: string, directory: string): Promise<EdgeWorker> {
  process.env["MINIFLARE_WORKERD_PATH"] ??= fileURLToPath(new URL("../../node_modules/workerd/bin/workerd", import.meta.url));
  const { Miniflare } = await import("miniflare");
  const wasm = (path: string, file: string | URL): { type: "CompiledWasm"; path: string; contents: Uint8Array<ArrayBuffer> } => ({
    type: "CompiledWasm",
    path,
    contents: new Uint8Array(readFileSync(file)),
  });
  const miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: "worker.mjs", contents: script },
      wasm("sqlite3.wasm", require.resolve("@sqlite.org/sqlite-wasm/sqlite3.wasm")),
      wasm("vfs.wasm", new URL("../../src/sqlite/vfs.wasm", import.meta.url)),
    ],
    compatibilityDate: "2026-07-01",
    durableObjects: { CASES: { className: "CaseObject", useSQLite: true } },
    durableObjectsPersist: directory,
    bindings: { GREETING: "hello" },
  });
  await miniflare.ready;
  return {
    get: async (path) => (await miniflare.dispatchFetch(`http://edge${path}`)).json(),
    stop: () => miniflare.dispose(),
  };
}
