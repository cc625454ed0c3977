/**
 * Picks the adapter of the runtime that runs the program, by what the runtime offers, and imports no other.
 *
 * @module
 */
import { ExternalError } from "../../src/base/errors.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

/** What tells the hosts apart. */
interface HostGlobals {
  readonly Bun?: unknown;
  readonly Deno?: { readonly version?: unknown };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/** The `Runtime` of this process: Bun, Deno or Node. */
export async function hostRuntime(): Promise<Runtime> {
  const host = globalThis as HostGlobals;
  if (host.Bun !== undefined) return (await import("../bun/bun.ts")).bun();
  if (host.Deno?.version !== undefined) return (await import("../deno/deno.ts")).deno();
  if (host.process?.versions?.node !== undefined) return (await import("../node/node.ts")).node();
  throw new ExternalError("RUNTIME_UNSUPPORTED", "Cannot tell which runtime this is: import millrace/workerd and hand its runtime over");
}
