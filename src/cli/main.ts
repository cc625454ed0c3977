/** The command line: understands the arguments, does what they ask for, and says with which code the process is to end. */
import { unreachable } from "../base/assert.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { parseArguments } from "./arguments.ts";
import { describeFailure } from "./failure.ts";
import { runCommand } from "./run-command.ts";
import { supervise } from "./supervise.ts";
import { Supervised } from "./supervised.ts";
import { topologyCommand } from "./topology-command.ts";
import { version } from "../app/version.ts";

/**
 * Runs one command. `load` imports a module of the user's. `program` is the module that calls this, by its path: `run` starts it again for each worker; without it the app runs in this process.
 *
 * Never rejects. Gives the exit code: 0 done, or stopped by a signal; 1 failed; 2 what the user wrote must change (definitions, settings, arguments).
 */
export async function main(args: readonly string[], runtime: Runtime, load: (file: string) => Promise<unknown>, program?: string): Promise<number> {
  const asked = await parseArguments(args, version);
  if (asked.command === "answer") {
    if (asked.out !== "") runtime.print(asked.out);
    if (asked.error !== "") runtime.print(asked.error, "error");
    return asked.exitCode;
  }
  const supervised = (runtime.parent ?? null) === null ? null : new Supervised(runtime.parent!, runtime);
  try {
    if (asked.command === "run") {
      const isParent = supervised === null && asked.isSupervised && program !== undefined && runtime.capabilities.spawns;
      if (isParent) return await supervise(asked, runtime, { program, args });
      await runCommand(asked, runtime, load, supervised);
    } else if (asked.command === "topology") await topologyCommand(asked, runtime, load);
    else unreachable(asked);
    return 0;
  } catch (error) {
    const { text, exitCode } = describeFailure(error, asked);
    if (supervised === null || !(await supervised.failed(text, exitCode))) runtime.print(text, "error");
    return exitCode;
  }
}
