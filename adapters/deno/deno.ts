/**
 * Millrace on Deno.
 *
 * @module
 */
import type { Runtime, ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { openNodeGuard } from "../shared/node-guard.ts";
import { processRuntime } from "../shared/process-runtime.ts";

/** The members of Deno's global that are used, so that the package type-checks on every runtime. */
interface DenoGlobal {
  readonly version: { readonly deno: string };
  serve(
    options: { readonly hostname: string; readonly port: number; readonly onListen: () => void },
    handler: (request: Request, info: { readonly remoteAddr: { readonly hostname?: string } }) => Promise<Response>,
  ): { readonly addr: { readonly hostname: string; readonly port: number }; shutdown(): Promise<void> };
}

const host = (globalThis as unknown as { readonly Deno: DenoGlobal }).Deno;

/** The `Runtime` of Deno. */
export function deno(): Runtime {
  return processRuntime({ name: "deno", version: host.version.deno, serve, openGuard: openNodeGuard });
}

async function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const server = host.serve({ hostname, port, onListen: () => undefined }, (request, info) => fetch(request, { remoteAddress: info.remoteAddr.hostname ?? null }));
  return { hostname, port: server.addr.port, stop: () => server.shutdown() };
}
