/** The table of commands. */
import { type Answer, type CliGroup, commandGroup, type Invocation, understand } from "./command.ts";
import { runCommand } from "./commands/run.ts";
import { topologyCommand } from "./commands/topology.ts";

const commands: CliGroup = commandGroup("Runs stream programs: topics, webhooks, windows and features, on Node, Bun and Deno", {
  run: runCommand,
  topology: topologyCommand,
});

/** Understands arguments; `version` is what `--version` answers. Never throws for what a user typed. */
export function parseArguments(args: readonly string[], version: string): Promise<Invocation | Answer> {
  return understand(commands, args, version);
}
