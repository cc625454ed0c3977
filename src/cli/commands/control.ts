/** `millrace pause`, `resume`, `restart`, `seek` and `skip`: what operators have done to partitions. */
import type { AdminClient } from "../admin-client.ts";
import type { ControlPage } from "../admin-answers.ts";
import type { ControlAnswer, SeekTo } from "../../task/control-desk.ts";
import { type CliCommand, type CommandHost, defineCommand } from "../command.ts";
import { type ControlTarget, controlTarget, seekTo } from "../control-target.ts";
import {
  commandText,
  connect,
  type Connection,
  laterNote,
  type OperatorArguments,
  type OperatorFlags,
  operatorFlags,
  understandOperator,
} from "../operator.ts";
import { text, type TextFlag, textFlag, typedArguments } from "../parameters.ts";

type Action = "pause" | "resume" | "restart" | "seek";

interface ControlArguments extends OperatorArguments {
  readonly target: ControlTarget;
  readonly reason: string | undefined;
  readonly to: SeekTo | undefined;
}

interface Flags extends OperatorFlags {
  readonly reason?: string;
  readonly to?: SeekTo;
}

const reason: TextFlag = textFlag("Why, for whoever comes after you", "text", text("reason"));
const to: TextFlag<SeekTo> = textFlag("A position, start, end, +n, -n, or a moment such as 2026-01-01T12:00Z", "place", seekTo);
const TARGET = "<topic>[/<partition>]";

/** Stops reading. */
export const pauseCommand: CliCommand = plainCommand("pause", "Stop reading a topic or a partition, until it is resumed", [
  "What is in hand is finished and committed. Event time stands still with the partition: windows that other partitions feed wait for it. It stays paused over restarts.",
]);
/** Goes on. */
export const resumeCommand: CliCommand = plainCommand("resume", "Go on with a topic or a partition that was paused", []);
/** Begins again. */
export const restartCommand: CliCommand = plainCommand("restart", "Start tasks again that have stopped, from what they committed", [
  "For tasks that a policy has stopped, or that are stuck: what was not committed is done again.",
]);

/** Goes on elsewhere. */
export const seekCommand: CliCommand = defineCommand<Flags, readonly string[], ControlArguments>({
  brief: "Go on reading at another position",
  description: [
    "Where reading of a partition goes on: a position, the start, the end, so many records forward or back, or the first record of a moment.",
    "Going back works on records again, and adds their effects to state that has them already; going forward leaves records out. --reason is kept in the audit.",
  ],
  usage: `<app.ts> ${TARGET} --to <place> [--reason <text>]`,
  positional: typedArguments("The module with the app, then topic or topic/partition", "app.ts topic/partition"),
  flags: { ...operatorFlags, reason, to },
  understand: (flags, ...typed) => {
    const asked = controlArguments("seek", flags, typed, 1);
    if (asked instanceof Error) return asked;
    return flags.to === undefined ? new Error("Where to? Wanted --to with a position, start, end, +n, -n or a moment") : { ...asked.asked, to: flags.to };
  },
  run: (asked, host) => order("seek", asked, host),
});

/** Leaves records out. */
export const skipCommand: CliCommand = defineCommand<Flags, readonly string[], ControlArguments>({
  brief: "Leave out the next record of a partition, or the next few",
  description: [
    "The short form of `seek --to +n`: reading goes on behind the next n records, 1 if not said, or at --to. They are not worked on; the audit says who left them out, and why.",
  ],
  usage: "<app.ts> <topic>/<partition> [n] [--to <place>] [--reason <text>]",
  positional: typedArguments("The module with the app, topic/partition, and how many records", "app.ts topic/partition n"),
  flags: { ...operatorFlags, reason, to },
  understand: (flags, ...typed) => {
    const asked = controlArguments("skip", flags, typed, 2);
    if (asked instanceof Error) return asked;
    const [, count] = asked.rest;
    if (asked.asked.target.partition === undefined) return new Error(`Which partition? Positions differ: wanted such as ${asked.asked.target.topic}/0`);
    if (count !== undefined && flags.to !== undefined) return new Error("Cannot skip a number of records and --to a place at once: choose one");
    if (count !== undefined && !/^[1-9]\d{0,8}$/.test(count)) return new Error(`Cannot skip ${JSON.stringify(count)} records, wanted a whole number from 1 on`);
    return { ...asked.asked, to: flags.to ?? { by: Number(count ?? 1) } };
  },
  run: (asked, host) => order("seek", asked, host),
});

function plainCommand(action: Exclude<Action, "seek">, brief: string, description: readonly string[]): CliCommand {
  return defineCommand<Omit<Flags, "to">, readonly string[], ControlArguments>({
    brief,
    ...(description.length === 0 ? {} : { description }),
    usage: `<app.ts> ${TARGET} [--reason <text>]`,
    positional: typedArguments("The module with the app, then topic or topic/partition", "app.ts topic/partition"),
    flags: { ...operatorFlags, reason },
    understand: (flags, ...typed) => {
      const asked = controlArguments(action, flags, typed, 1);
      return asked instanceof Error ? asked : asked.asked;
    },
    run: (asked, host) => order(action, asked, host),
  });
}

function controlArguments(
  word: string,
  flags: Omit<Flags, "to">,
  typed: readonly string[],
  most: number,
): { readonly asked: ControlArguments; readonly rest: readonly string[] } | Error {
  const operator = understandOperator(flags, typed, { wanted: 1, most, usage: `millrace ${word} <app.ts> ${TARGET}` });
  if (operator instanceof Error) return operator;
  const target = controlTarget(operator.rest[0]!);
  if (target instanceof Error) return target;
  return { asked: { ...operator.asked, target, reason: flags.reason, to: undefined }, rest: operator.rest };
}

async function order(action: Action, asked: ControlArguments, host: CommandHost): Promise<void> {
  await using connection = await connect(asked, host);
  const answer = await orderAt(await clientFor(connection, asked), action, asked);
  if (asked.json) return host.runtime.print(JSON.stringify(answer));
  for (const line of orderLines(action, answer)) host.runtime.print(line);
  const note = laterNote(connection, "it is ordered") ??
    (answer.applied ? null : `It is ordered, and done by whichever worker has it within a moment: ${commandText(asked)("status")}`);
  if (note !== null) host.runtime.print(note);
}

/** Who is asked: records are counted by whoever has the partition. */
async function clientFor({ client, workers }: Connection, { target: { topic, partition }, to }: ControlArguments): Promise<AdminClient> {
  if (workers.length === 1 || typeof to !== "object" || !("by" in to)) return client;
  const pages = await Promise.all(workers.map((worker) => worker.get<ControlPage>("/admin/control").catch(() => null)));
  const isHere = (page: ControlPage | null): boolean =>
    page?.partitions.some((one) => one.topic === topic && one.partition === partition && one.status !== "elsewhere" && one.status !== "not running") === true;
  return workers[pages.findIndex(isHere)] ?? client;
}

function orderAt(client: AdminClient, action: Action, { target, reason, to }: ControlArguments): Promise<ControlAnswer> {
  return client.post(`/admin/control/${action}`, { topic: target.topic, partition: target.partition, reason, to });
}

const DONE: Readonly<Record<Action, string>> = { pause: "is paused", resume: "goes on", restart: "has started again", seek: "goes on" };
const ORDERED: Readonly<Record<Action, string>> = { pause: "will be paused", resume: "will go on", restart: "will start again", seek: "will go on" };

/** What has been done, or will be: a line a partition. */
export function orderLines(action: Action, { commands, applied }: ControlAnswer): readonly string[] {
  const said = applied ? DONE[action] : ORDERED[action];
  return commands.map(({ topic, partition, to }) => `${topic}/${partition} ${said}${to === undefined ? "" : ` at position ${to}`}`);
}
