/** `millrace dlq …` and `millrace late …`: the same commands for letters that were given up, and for those that came too late. */
import { type CliGroup, commandGroup } from "../command.ts";
import type { LetterWord } from "../letters/letter-flags.ts";
import { editCommand } from "./letters-edit.ts";
import { listCommand } from "./letters-list.ts";
import { purgeCommand } from "./letters-purge.ts";
import { replayCommand } from "./letters-replay.ts";
import { showCommand } from "./letters-show.ts";

/** Dead letters. */
export const dlqCommands: CliGroup = letterCommands("Dead letters: find, understand, repair and replay records that were given up", {
  kind: "dead",
  word: "dlq",
});
/** Late letters. */
export const lateCommands: CliGroup = letterCommands("Late letters: the same for records that came after their windows had closed", {
  kind: "late",
  word: "late",
});

function letterCommands(brief: string, word: LetterWord): CliGroup {
  return commandGroup(brief, {
    list: listCommand(word),
    show: showCommand(word),
    edit: editCommand(word),
    replay: replayCommand(word),
    purge: purgeCommand(word),
  });
}
