/** The command line: understands the arguments, does what they ask for, and says with which code the process is to end. */
import { unreachable } from "../base/assert.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { parseArguments } from "./arguments.ts";
import { describeFailure } from "./failure.ts";
import { runCommand } from "./run-command.ts";
import { topologyCommand } from "./topology-command.ts";
import { version } from "../app/version.ts";

/**
 * Runs one command. `load` imports a module of the user's.
 *
 * Never rejects. Gives the exit code: 0 done, or stopped by a signal; 1 failed; 2 what the user wrote must change (definitions, settings, arguments).
 */
export async function main(args: readonly string[], runtime: Runtime, load: (file: string) => Promise<unknown>): Promise<number> {
  const asked = await parseArguments(args, version);
  if (asked.command === "answer") {
    if (asked.out !== "") runtime.print(asked.out);
    if (asked.error !== "") runtime.print(asked.error, "error");
    return asked.exitCode;
  }
  try {
    if (asked.command === "run") await runCommand(asked, runtime, load);
    else if (asked.command === "topology") await topologyCommand(asked, runtime, load);
    else unreachable(asked);
    return 0;
  } catch (error) {
    const { text, exitCode } = describeFailure(error, asked);
    runtime.print(text, "error");
    return exitCode;
  }
}
