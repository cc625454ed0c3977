/**
 * What Node, Bun and Deno share of the `Runtime` contract, by Web APIs and the modules of Node that all three have. Each adapter adds its name, its HTTP server and its lock.
 */
import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import process from "node:process";
import { setImmediate } from "node:timers";
import { ExternalError, messageOf } from "../../src/base/errors.ts";
import { useUtf8Slice } from "../../src/record/utf8.ts";
import type { SpawnOptions } from "../../src/runtime/processes.ts";
import type { Runtime, ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { webBase } from "../../src/runtime/web.ts";
import { parentProcess, spawnProcess } from "./child-processes.ts";
import { FileDisk } from "./file-disk.ts";
import type { LockHost } from "./lock.ts";
import { setTimer } from "./timers.ts";

/** What one adapter brings. */
export interface ProcessHost {
  readonly name: string;
  readonly version: string;
  serve(options: ServeOptions): Promise<Server>;
  readonly openGuard: LockHost["openGuard"];
  /** What the runtime's binary is given to run a module as this process runs; null: processes cannot be started. */
  readonly commandLine: ((program: string) => readonly string[]) | null;
}

// Node, Bun and Deno have it on every Buffer; the types of Node leave it out.
const { utf8Slice } = Buffer.prototype as unknown as { utf8Slice(this: Uint8Array, start: number, end: number): string };
useUtf8Slice((bytes, start, end) => utf8Slice.call(bytes, start, end));

const modules = new Map<"sqlite" | "vfs", Promise<WebAssembly.Module>>();

/** A `Runtime` over one process. */
export function processRuntime(host: ProcessHost): Runtime {
  const lockHost: LockHost = {
    openGuard: host.openGuard,
    description: `${path.basename(process.argv[1] ?? host.name)} on ${host.name} ${host.version}`,
    syncsDirectories: process.platform !== "win32",
  };
  const { commandLine } = host;
  return Object.freeze({
    name: host.name,
    version: host.version,
    capabilities: Object.freeze({ keepsFiles: true, listens: true, hasProcess: true, spawns: commandLine !== null }),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimer,
    yield: () => new Promise<void>((resolve) => void setImmediate(resolve)),
    ...webBase({ webCrypto: globalThis.crypto }),
    env: (name: string) => process.env[name],
    disk: (directory: string) => new FileDisk({ name: host.name, directory: path.resolve(directory).replaceAll(path.sep, "/"), lockHost }),
    wasm,
    serve: (options: ServeOptions) => host.serve(options),
    onSignal,
    ...(commandLine === null ? {} : { spawn: (options: SpawnOptions) => spawnProcess(commandLine, options), parent: parentProcess }),
    print,
  });
}

function wasm(name: "sqlite" | "vfs"): Promise<WebAssembly.Module> {
  let compiled = modules.get(name);
  if (compiled === undefined) {
    compiled = compile(name);
    modules.set(name, compiled);
  }
  return compiled;
}

async function compile(name: "sqlite" | "vfs"): Promise<WebAssembly.Module> {
  try {
    const file = name === "sqlite"
      ? createRequire(import.meta.url).resolve("@sqlite.org/sqlite-wasm/sqlite3.wasm")
      : new URL("../../src/sqlite/vfs.wasm", import.meta.url);
    return await WebAssembly.compile(await fs.promises.readFile(file));
  } catch (cause) {
    modules.delete(name);
    throw new ExternalError("RUNTIME_UNSUPPORTED", `Cannot load the WebAssembly module "${name}": ${messageOf(cause)}`, { cause });
  }
}

function onSignal(handler: (signal: "SIGTERM" | "SIGINT") => void): () => void {
  const signals = ["SIGTERM", "SIGINT"] as const;
  const listeners = signals.map((signal) => {
    const listener = (): void => handler(signal);
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => {
    for (const stop of listeners) stop();
  };
}

function print(line: string, stream: "out" | "error" = "out"): void {
  const target = stream === "out" ? process.stdout : process.stderr;
  target.write(`${line}\n`);
}
