/** The command line: understands the arguments, does what they ask for, and says with which code the process is to end. */
import { version } from "../app/version.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { parseArguments } from "./arguments.ts";
import type { CommandHost } from "./command.ts";
import { describeFailure } from "./failure.ts";
import { Supervised } from "./supervised.ts";

/** What the command line is given by whoever calls it. */
export interface MainOptions extends Pick<CommandHost, "runtime" | "load" | "fetch"> {
  /** The module that calls, by its path: `run` starts it again for each worker; without it the app runs in this process. */
  readonly program?: string;
}

/** Runs one command. Never rejects. Gives the exit code: 0 done, or stopped by a signal; 1 failed; 2 what the user wrote must change (definitions, settings, arguments). */
export async function main(args: readonly string[], { runtime, load, fetch, program }: MainOptions): Promise<number> {
  const understood = await parseArguments(args, version);
  if ("exitCode" in understood) {
    if (understood.out !== "") runtime.print(understood.out);
    if (understood.error !== "") runtime.print(understood.error, "error");
    return understood.exitCode;
  }
  const supervised = supervisedOf(runtime);
  try {
    return await understood.run({ runtime, load, fetch, program, args, supervised });
  } catch (error) {
    const { text, exitCode } = describeFailure(error, understood.asked);
    if (supervised === null || !(await supervised.failed(text, exitCode))) runtime.print(text, "error");
    return exitCode;
  }
}

function supervisedOf(runtime: Runtime): Supervised | null {
  return (runtime.parent ?? null) === null ? null : new Supervised(runtime.parent!, runtime);
}
