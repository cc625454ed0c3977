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
  return processRuntime({ name: "deno", version: denoGlobal.version.deno, serve, openGuard: openNodeGuard });
}
