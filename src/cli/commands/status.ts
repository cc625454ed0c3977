/** `millrace status`: how an app is, and each partition of it. */
import type { AdminClient } from "../admin-client.ts";
import type { ControlAnswer, HealthAnswer, PartitionState } from "../admin-answers.ts";
import { type CliCommand, type CommandHost, defineCommand } from "../command.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { typedArguments } from "../parameters.ts";
import { type Column, moment, tableLines } from "../text.ts";
import { printable } from "../../observe/logger.ts";

/** How one process is. */
export interface WorkerStatus {
  readonly where: string;
  readonly health: HealthAnswer;
  readonly partitions: readonly PartitionState[];
}

/** The command. */
export const statusCommand: CliCommand = defineCommand<OperatorFlags, readonly string[], OperatorArguments>({
  brief: "Print how an app is: health, tasks, positions, lag, and what is paused or stopped and why",
  description: ["Asks each worker that runs on the directory. Exit codes: 0 the app works (ok or degraded), 1 it has stopped, failed or does not run."],
  usage: "<app.ts>",
  positional: typedArguments("The module with the app", "app.ts"),
  flags: operatorFlags,
  understand: (flags, ...typed) => {
    const operator = understandOperator(flags, typed, { wanted: 0, most: 0, usage: "millrace status <app.ts>" });
    return operator instanceof Error ? operator : operator.asked;
  },
  run: status,
});

async function status(asked: OperatorArguments, host: CommandHost): Promise<number> {
  await using connection = await connect(asked, host);
  const workers = await Promise.all(connection.workers.map(statusOf));
  const isWorking = workers.every(({ health }) => health.status === "ok" || health.status === "degraded");
  if (asked.json) host.runtime.print(JSON.stringify({ isRunning: connection.isRunning, workers }));
  else for (const line of statusLines(workers)) host.runtime.print(line);
  return connection.isRunning && isWorking ? 0 : 1;
}

async function statusOf(client: AdminClient): Promise<WorkerStatus> {
  const [health, { partitions }] = await Promise.all([
    // Of an app that has failed, too, it is the answer.
    client.request<HealthAnswer>("GET", "/admin/health", undefined, [503]),
    client.get<ControlAnswer>("/admin/control"),
  ]);
  return { where: client.where, health, partitions };
}

const columns: readonly Column<PartitionState>[] = [
  { name: "partition", of: ({ topic, partition }) => `${topic}/${partition}` },
  { name: "task", of: ({ task }) => task },
  { name: "status", of: ({ status }) => status },
  { name: "position", of: ({ position }) => position },
  { name: "end", of: ({ end }) => end },
  { name: "lag", of: ({ lag }) => lag },
  { name: "why", of: whyOf },
];

/** The lines for people: a worker after the other. */
export function statusLines(workers: readonly WorkerStatus[]): readonly string[] {
  return workers.flatMap(({ where, health: { status, reason }, partitions }, index) => [
    ...(index === 0 ? [] : [""]),
    `${where}: ${status}${reason === undefined ? "" : `: ${printable(reason)}`}`,
    ...(partitions.length === 0 ? [] : ["", ...tableLines(columns, partitions)]),
  ]);
}

function whyOf({ paused, reason = null }: PartitionState): string {
  if (paused === null) return reason ?? "";
  return `by ${paused.by} since ${moment(paused.since)}${paused.reason === null ? "" : `: ${paused.reason}`}`;
}
