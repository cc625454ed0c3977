/** The table of commands. */
import { type Answer, type CliGroup, commandGroup, type Invocation, understand } from "./command.ts";
import { auditCommand } from "./commands/audit.ts";
import { backupCommand } from "./commands/backup.ts";
import { pauseCommand, restartCommand, resumeCommand, seekCommand, skipCommand } from "./commands/control.ts";
import { dlqCommands, lateCommands } from "./commands/letters.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { restoreCommand } from "./commands/restore.ts";
import { runCommand } from "./commands/run.ts";
import { statusCommand } from "./commands/status.ts";
import { topologyCommand } from "./commands/topology.ts";

const commands: CliGroup = commandGroup("Runs stream programs: topics, webhooks, windows and features, on Node, Bun and Deno", {
  run: runCommand,
  topology: topologyCommand,
  status: statusCommand,
  pause: pauseCommand,
  resume: resumeCommand,
  restart: restartCommand,
  seek: seekCommand,
  skip: skipCommand,
  dlq: dlqCommands,
  late: lateCommands,
  audit: auditCommand,
  migrate: migrateCommand,
  backup: backupCommand,
  restore: restoreCommand,
});

/** Understands arguments; `version` is what `--version` answers. Never throws for what a user typed. */
export function parseArguments(args: readonly string[], version: string): Promise<Invocation | Answer> {
  return understand(commands, args, version);
}
