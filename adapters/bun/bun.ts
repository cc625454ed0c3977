/**
 * Millrace on Bun.
 *
 * @module
 */
import { Database } from "bun:sqlite";
import type { Runtime, ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { processRuntime } from "../shared/process-runtime.ts";

/** The `Runtime` of Bun. */
export function bun(): Runtime {
  return processRuntime({ name: "bun", version: Bun.version, serve, openGuard });
}

/** SQLITE_BUSY */
const BUSY = 5;

/** See `adapters/shared/node-guard.ts`. */
function openGuard(path: string, waitMs: number): { close(): void } | null {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    database.exec(`PRAGMA journal_mode=memory; PRAGMA busy_timeout=${waitMs}; BEGIN EXCLUSIVE`);
    return { close: () => database.close() };
  } catch (cause) {
    database.close();
    if ((cause as { errno?: number }).errno === BUSY) return null;
    throw cause;
  }
}

async function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const server = Bun.serve({
    hostname,
    port,
    fetch: (request, self) => fetch(request, { remoteAddress: self.requestIP(request)?.address ?? null }),
  });
  return {
    hostname: server.hostname ?? hostname,
    port: server.port ?? port,
    stop: () => server.stop(),
  };
}
