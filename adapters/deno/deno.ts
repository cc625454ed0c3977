/**
 * Millrace on Deno.
 *
 * @module
 */
import type { Runtime } from "../../src/runtime/runtime.ts";
import { openNodeGuard } from "../shared/node-guard.ts";
import { processRuntime } from "../shared/process-runtime.ts";
import { denoGlobal } from "./global.ts";
import { serve } from "./serve.ts";

/** The `Runtime` of Deno. */
export function deno(): Runtime {
  return processRuntime({ name: "deno", version: denoGlobal.version.deno, serve, openGuard: openNodeGuard, commandLine: mayAll() ? commandLine : null });
}

/** A process that Deno starts cannot be held to the permissions of this one, so one that lacks any starts none. */
function mayAll(): boolean {
  return (["run", "read", "write", "net", "env", "sys", "ffi"] as const).every((name) => denoGlobal.permissions.querySync({ name }).state === "granted");
}

function commandLine(program: string): readonly string[] {
  return ["run", "--allow-all", "--quiet", program];
}
