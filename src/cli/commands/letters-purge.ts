/** `millrace dlq purge` and `millrace late purge`: puts letters aside for good. */
import type { PurgeAnswer } from "../../letter/letter-desk.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { type LetterChoice, type LetterWord, SELECTION, type SelectionFlags, selectionFlags, selectOf, understandChoice } from "../letters/letter-flags.ts";
import { LetterPages } from "../letters/letter-pages.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags } from "../operator.ts";
import { flag, typedArguments } from "../parameters.ts";
import { counted } from "../text.ts";

interface PurgeArguments extends OperatorArguments {
  readonly choice: LetterChoice;
  readonly isDryRun: boolean;
}

interface Flags extends OperatorFlags, SelectionFlags {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** The command for one kind of letters. */
export function purgeCommand(word: LetterWord): CliCommand {
  return defineCommand<Flags, readonly string[], PurgeArguments>({
    brief: `Put ${word.kind} letters aside for good`,
    description: [
      "They are listed no more and never replayed. Their bytes stay in the log until its retention takes them; the audit says who purged them. --all wants --yes.",
    ],
    usage: `<app.ts> <source> ${SELECTION} [--dry-run] [--yes]`,
    positional: typedArguments("The module with the app, then source and ids", "app.ts source id"),
    flags: { ...operatorFlags, ...selectionFlags, dryRun: flag("Say what would be done, and do nothing"), yes: flag("All of them, on purpose") },
    understand: (flags, ...typed) => {
      const understood = understandChoice(word, "purge", flags, typed);
      if (understood instanceof Error) return understood;
      if (flags.all && !flags.yes && !flags.dryRun) {
        return new Error("All letters of the source would be gone: say --yes as well, or look first with --dry-run");
      }
      return { ...understood.operator, choice: understood.choice, isDryRun: flags.dryRun };
    },
    run: async (asked, host) => {
      await using connection = await connect(asked, host);
      const pages = new LetterPages(connection.client, word, asked.choice.source);
      const answer = await pages.post<PurgeAnswer>("purge", { select: selectOf(asked.choice, host), dryRun: asked.isDryRun });
      if (asked.json) return host.runtime.print(JSON.stringify(answer));
      for (const line of purgedLines(answer, asked)) host.runtime.print(line);
    },
  });
}

/** What was selected, and what came of it. */
export function purgedLines({ selected, purged, already }: PurgeAnswer, { isDryRun }: Pick<PurgeArguments, "isDryRun">): readonly string[] {
  const lines = [`${counted(selected, "letter")} selected, ${purged} ${isDryRun ? "would be purged" : "purged"}`];
  if (already > 0) lines.push(`${already} left alone: purged before, or waiting to be replayed`);
  return lines;
}
