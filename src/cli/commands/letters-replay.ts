/** `millrace dlq replay` and `millrace late replay`: has letters tried again, and says what came of it. */
import type { ReplayAnswer } from "../../letter/letter-desk.ts";
import { type CliCommand, type CommandHost, defineCommand } from "../command.ts";
import {
  filterQuery,
  type LetterChoice,
  type LetterWord,
  SELECTION,
  type SelectionFlags,
  selectionFlags,
  selectOf,
  understandChoice,
} from "../letters/letter-flags.ts";
import { LetterPages, PAGE_MAX } from "../letters/letter-pages.ts";
import { type Replayed, waitForReplay } from "../letters/replay-wait.ts";
import {
  type CommandText,
  commandText,
  connect,
  type Connection,
  laterNote,
  type OperatorArguments,
  type OperatorFlags,
  operatorFlags,
  quoted,
} from "../operator.ts";
import { choiceFlag, flag, typedArguments } from "../parameters.ts";
import { counted } from "../text.ts";

/** The event time that records have then. */
type At = "original" | "now";

interface ReplayArguments extends OperatorArguments {
  readonly choice: LetterChoice;
  readonly isDryRun: boolean;
  readonly isAgain: boolean;
  readonly at: At | undefined;
  readonly waits: boolean;
}

interface Flags extends OperatorFlags, SelectionFlags {
  readonly dryRun: boolean;
  readonly again: boolean;
  readonly at?: At;
  readonly wait: boolean;
}

/** The command for one kind of letters. */
export function replayCommand(word: LetterWord): CliCommand {
  return defineCommand<Flags, readonly string[], ReplayArguments>({
    brief: `Have ${word.kind} letters tried again, where they failed`,
    description: [
      "The records go to the app alone, not to others that read the source; edited ones with their new values. Each is taken once, however often this is said.",
      "Waits until they were tried, as often as their policy wants, and says how many failed again: those are new letters. Exit codes: 0 all went through, 1 some failed again or are not done.",
    ],
    usage: `<app.ts> <source> ${SELECTION} [--dry-run] [--again] [--at original|now] [--no-wait]`,
    positional: typedArguments("The module with the app, then source and ids", "app.ts source id"),
    flags: {
      ...operatorFlags,
      ...selectionFlags,
      dryRun: flag("Say what would be done, and do nothing"),
      again: flag("Also those that were replayed before"),
      at: choiceFlag("Their event time: their own, or the earliest that is not late", ["original", "now"] as const),
      wait: { kind: "boolean", brief: "Wait until they were tried; with --no-wait they are ordered and that is all", default: true },
    },
    understand: (flags, ...typed) => {
      const understood = understandChoice(word, "replay", flags, typed);
      if (understood instanceof Error) return understood;
      const { dryRun, again, at, wait } = flags;
      return { ...understood.operator, choice: understood.choice, isDryRun: dryRun, isAgain: again, at, waits: wait };
    },
    run: (asked, host) => replay(word, asked, host),
  });
}

async function replay(word: LetterWord, asked: ReplayArguments, host: CommandHost): Promise<number> {
  await using connection = await connect(asked, host);
  const { choice, isDryRun, isAgain, at } = asked;
  const pages = new LetterPages(connection.client, word, choice.source);
  const waits = asked.waits && !isDryRun && connection.isRunning;
  const newest = waits ? await pages.newest() : -1;
  const select = selectOf(choice, host);
  const answer = await pages.post<ReplayAnswer>("replay", { select, dryRun: isDryRun, again: isAgain, ...(at === undefined ? {} : { at }) });
  if (!asked.json) { for (const line of orderedLines(answer, asked)) host.runtime.print(line); }
  const replayed = waits && answer.queued > 0 ? await wait(word, asked, answer, pages, newest, host) : null;
  if (asked.json) host.runtime.print(JSON.stringify({ ...answer, replayed }));
  else for (const line of endLines(word, asked, connection, answer, replayed)) host.runtime.print(line);
  return answer.unfit === 0 && (replayed === null || replayed.failedAgain + replayed.left === 0) ? 0 : 1;
}

function wait(
  word: LetterWord,
  { choice, json }: ReplayArguments,
  { queued, ids }: ReplayAnswer,
  pages: LetterPages,
  newest: number,
  host: CommandHost,
): Promise<Replayed> {
  const { runtime } = host;
  return waitForReplay({
    runtime,
    pages,
    choice,
    filter: filterQuery(choice.filter, host),
    queued,
    ids,
    topic: `${choice.source}-${word.word}`,
    newest,
    onProgress: (left) => {
      if (!json) runtime.print(`${manyText(left)} to go`, "error");
    },
  });
}

/** What was selected, and what is done about it. */
export function orderedLines(
  { selected, queued, already, unfit, problems }: ReplayAnswer,
  { isDryRun, isAgain }: Pick<ReplayArguments, "isDryRun" | "isAgain">,
): readonly string[] {
  const lines = [`${counted(selected, "letter")} selected, ${queued} ${isDryRun ? "would be replayed" : "to be replayed"}`];
  if (already > 0) {
    lines.push(`${already} left alone: ${isAgain ? "queued or purged before" : "queued, replayed or purged before; --again takes those that were replayed"}`);
  }
  if (unfit > 0) lines.push(`${unfit} cannot be replayed:`, ...problems.map(({ id, reason }) => `  letter ${id}: ${reason}`));
  if (unfit > problems.length) lines.push(`  … and ${unfit - problems.length} more`);
  return lines;
}

function endLines(
  word: LetterWord,
  asked: ReplayArguments,
  connection: Connection,
  { selected, queued }: ReplayAnswer,
  replayed: Replayed | null,
): readonly string[] {
  if (selected === 0) return [`No letter is like that. Which there are: ${commandText(asked)(`${word.word} list`, quoted(asked.choice.source))}`];
  if (replayed !== null) return replayedLines(word, asked.choice.source, replayed, commandText(asked));
  if (asked.isDryRun || queued === 0) return [];
  return [
    laterNote(connection, "the replay is ordered") ??
      `Ordered. What becomes of them: ${commandText(asked)(`${word.word} list`, `${quoted(asked.choice.source)} --letters --state all`)}`,
  ];
}

/** What came of it. */
export function replayedLines({ word, kind }: LetterWord, source: string, { taken, failedAgain, left }: Replayed, command: CommandText): readonly string[] {
  const lines = [`${taken} replayed: ${taken - failedAgain} went through, ${failedAgain} ${kind === "late" ? "late" : "failed"} again`];
  if (failedAgain > 0) lines.push(`Those are new letters: ${command(`${word} list`, quoted(source))}`);
  if (left > 0) {
    lines.push(
      `${manyText(left)} are not done, none for 30 s: they wait for their next try, or their partition is paused or has stopped: ${command("status")}`,
    );
  }
  return lines;
}

/** Beyond a page of them nobody counts. */
function manyText(left: number): string {
  return left < PAGE_MAX ? String(left) : `${left} or more`;
}
