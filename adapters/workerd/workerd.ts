/**
 * Millrace in workerd: a Durable Object holds the files, and the Worker hands requests in.
 *
 * @module
 */
import { ExternalError, StoreError } from "../../src/base/errors.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { webBase } from "../../src/runtime/web.ts";
import { setTimer } from "../shared/timers.ts";
import { durableDisk } from "./durable-disk.ts";
import type { DurableStorage } from "./storage.ts";

export { durableDisk } from "./durable-disk.ts";
export type { DurableStorage, SqlValue } from "./storage.ts";

/** What a Worker hands over. */
export interface WorkerdOptions {
  /** `ctx.storage` of a Durable Object with SQLite; without it there are no files. */
  readonly storage?: DurableStorage;
  /** The modules of the package, which workerd takes as imports only: `import sqlite from "….wasm"`. */
  readonly modules: { readonly sqlite: WebAssembly.Module; readonly vfs: WebAssembly.Module };
  /** The Worker's `env`; only its texts are given on. */
  readonly env?: Readonly<Record<string, unknown>>;
  /** For people, such as the compatibility date. @default "edge" */
  readonly version?: string;
}

/** The `Runtime` of a Durable Object. It listens to no port and hears no signals. Make it inside of the object, not in the Worker's global scope. */
export function workerd({ storage, modules, env = {}, version = "edge" }: WorkerdOptions): Runtime {
  return Object.freeze({
    name: "workerd",
    version,
    capabilities: Object.freeze({ keepsFiles: storage !== undefined, listens: false, hasProcess: false, spawns: false }),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimer,
    yield: () => new Promise<void>((resolve) => void setTimeout(resolve, 0)),
    ...webBase({ webCrypto: crypto }),
    env: (name: string) => {
      const value = env[name];
      return typeof value === "string" ? value : undefined;
    },
    disk: (directory: string) => {
      if (storage === undefined) {
        throw new StoreError("DISK_FAILED", `Cannot keep files in "${directory}": the runtime was made without a Durable Object's storage`);
      }
      return durableDisk(storage, directory);
    },
    wasm: (name: "sqlite" | "vfs") => Promise.resolve(modules[name]),
    serve: () => Promise.reject(new ExternalError("RUNTIME_UNSUPPORTED", "Cannot listen in workerd: hand requests over from the Worker's own fetch()")),
    onSignal: () => () => undefined,
    print: (line: string, stream: "out" | "error" = "out") => {
      if (stream === "out") console.log(line);
      else console.error(line);
    },
  });
}
