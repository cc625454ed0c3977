/**
 * Millrace on Bun.
 *
 * @module
 */
import process from "node:process";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { processRuntime } from "../shared/process-runtime.ts";
import { bunGlobal } from "./global.ts";
import { openBunGuard } from "./guard.ts";
import { serve } from "./serve.ts";

/** The `Runtime` of Bun. */
export function bun(): Runtime {
  return processRuntime({ name: "bun", version: bunGlobal.version, serve, openGuard: openBunGuard, commandLine });
}

function commandLine(program: string): readonly string[] {
  return [...process.execArgv, program];
}
