/** `millrace status`: how an app is, and each partition of it. */
import type { AdminClient } from "../admin-client.ts";
import { isStreamError, messageOf } from "../../base/errors.ts";
import type { PartitionView } from "../../task/control-desk.ts";
import type { ControlPage, HealthAnswer } from "../admin-answers.ts";
import { type CliCommand, type CommandHost, defineCommand } from "../command.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { typedArguments } from "../parameters.ts";
import { type Column, moment, tableLines } from "../text.ts";
import { printable } from "../../observe/logger.ts";

/** How one process is. */
export interface WorkerStatus {
  readonly where: string;
  readonly health: HealthAnswer;
  readonly partitions: readonly PartitionView[];
  /** Why its partitions are not known: its log does not answer, say. */
  readonly trouble?: string;
}

/** In an outage of the log whoever asks how the app is must hear it soon. */
const PARTITIONS_WITHIN_MS = 5_000;

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
  const isAlone = connection.workers.length === 1;
  const workers = await Promise.all(connection.workers.map((client) => isAlone ? statusOf(client) : statusOf(client).catch((error) => mute(client, error))));
  const isWorking = workers.every(({ health }) => health.status === "ok" || health.status === "degraded");
  if (asked.json) host.runtime.print(JSON.stringify({ isRunning: connection.isRunning, workers }));
  else for (const line of statusLines(workers)) host.runtime.print(line);
  return connection.isRunning && isWorking ? 0 : 1;
}

/** One that does not answer must not hide what the others say. */
function mute({ where }: AdminClient, error: unknown): WorkerStatus {
  return { where, health: { status: "unreachable", reason: messageOf(error) }, partitions: [] };
}

async function statusOf(client: AdminClient): Promise<WorkerStatus> {
  const { where } = client;
  const page = client.request<ControlPage>("GET", "/admin/control", undefined, { withinMs: PARTITIONS_WITHIN_MS }).then(
    ({ partitions }) => ({ partitions }),
    // Whoever says how it is, is there.
    (error: unknown) => ({
      partitions: [],
      trouble: isStreamError(error) && error.code === "ADMIN_FAILED" ? `no answer within ${PARTITIONS_WITHIN_MS / 1_000} s` : messageOf(error),
    }),
  );
  // Of an app that has failed, too, it is the answer.
  const health = await client.request<HealthAnswer>("GET", "/admin/health", undefined, { accepts: [503] });
  return { where, health, ...await page };
}

/** A partition, and the worker that has it; null: none of those asked. */
interface PlacedPartition extends PartitionView {
  readonly where: string | null;
}

const columns: readonly Column<PlacedPartition>[] = [
  { name: "partition", of: ({ topic, partition }) => `${topic}/${partition}` },
  { name: "task", of: ({ task }) => task },
  { name: "status", of: ({ status }) => status },
  { name: "position", of: ({ position }) => position },
  { name: "end", of: ({ end }) => end },
  { name: "lag", of: ({ lag }) => lag },
  { name: "why", of: whyOf },
];
const where: Column<PlacedPartition> = { name: "worker", of: ({ where }) => where };

/** The lines for people: how each worker is, then all partitions. */
export function statusLines(workers: readonly WorkerStatus[]): readonly string[] {
  const health = workers.flatMap(({ where, health: { status, reason }, trouble }) => [
    `${where}: ${status}${reason === undefined ? "" : `: ${printable(reason)}`}`,
    ...(trouble === undefined ? [] : [`  its partitions are not known: ${printable(trouble)}`]),
  ]);
  const partitions = placed(workers);
  if (partitions.length === 0) return health;
  return [...health, "", ...tableLines(workers.length === 1 ? columns : columns.toSpliced(2, 0, where), partitions)];
}

/** Each worker tells of all partitions; of each the one that has it knows more than the others. */
function placed(workers: readonly WorkerStatus[]): readonly PlacedPartition[] {
  const found = new Map<string, PlacedPartition>();
  for (const { where, partitions } of workers) {
    for (const partition of partitions) {
      const id = `${partition.topic}/${partition.partition}`;
      const isHere = partition.status !== "elsewhere" && partition.status !== "not running";
      if (isHere || !found.has(id)) found.set(id, { ...partition, where: isHere ? where : null });
    }
  }
  return [...found.values()];
}

function whyOf({ status, paused, reason }: PartitionView): string {
  if (paused === null) return reason ?? "";
  return `${status === "paused" ? "" : "paused "}by ${paused.by} since ${moment(paused.since)}${paused.reason === null ? "" : `: ${paused.reason}`}`;
}
