/**
 * Millrace on Node.
 *
 * @module
 */
import process from "node:process";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { openNodeGuard } from "../shared/node-guard.ts";
import { processRuntime } from "../shared/process-runtime.ts";
import { serve } from "./serve.ts";

/** The `Runtime` of Node. */
export function node(): Runtime {
  return processRuntime({ name: "node", version: process.versions.node, serve, openGuard: openNodeGuard, commandLine });
}

function commandLine(program: string): readonly string[] {
  return [...process.execArgv, program];
}
