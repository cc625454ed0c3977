/** `millrace dlq list` and `millrace late list`: which sources have letters, what failed how, and single letters. */
import type { CliCommand, CommandHost } from "../command.ts";
import { defineCommand } from "../command.ts";
import { type FilterFlags, filterFlags, filterOf, filterQuery, type LetterWord } from "../letters/letter-flags.ts";
import type { GroupsAnswer, LettersAnswer, ShownState, SourcesAnswer } from "../letters/letter-answers.ts";
import { groupLines, letterLines, sourceLines } from "../letters/letter-lines.ts";
import { commandText, connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { choiceFlag, flag, textFlag, typedArguments, wholeNumber } from "../parameters.ts";

interface ListArguments extends OperatorArguments {
  /** undefined: all of them. */
  readonly source: string | undefined;
  readonly isSingle: boolean;
  readonly filter: FilterFlags;
  readonly state: ShownState | undefined;
  readonly limit: number | undefined;
  readonly after: number | undefined;
}

interface Flags extends OperatorFlags, FilterFlags {
  readonly letters: boolean;
  readonly state?: ShownState;
  readonly limit?: number;
  readonly after?: number;
}

const STATES: readonly ShownState[] = ["open", "queued", "replayed", "purged", "all"];
const LIMIT_MAX = 1_000;

/** The command for one kind of letters. */
export function listCommand(word: LetterWord): CliCommand {
  return defineCommand<Flags, readonly string[], ListArguments>({
    brief: `List ${word.kind} letters: by source, by what failed how, or one by one`,
    description: [
      "Without a source: each source with how many letters it has. With one: what failed how, and how often, by fingerprint: failures of one kind at one step have the same.",
      "With --letters, or a limit: one by one, open ones if nothing else is said.",
      "States: open (nothing was done), queued (its replay is ordered), replayed (it was tried again), purged; all is those three that were not purged.",
    ],
    usage:
      "<app.ts> [source] [--letters] [--fingerprint <digits>] [--step <name>] [--since <moment>] [--until <moment>] [--state <state>] [--limit <n>] [--after <id>]",
    positional: typedArguments("The module with the app, then the source", "app.ts source"),
    flags: {
      ...operatorFlags,
      ...filterFlags,
      letters: flag("One by one"),
      state: choiceFlag("Those in this state", STATES),
      limit: textFlag("How many at most, one by one", "number", wholeNumber(1, LIMIT_MAX)),
      after: textFlag("Go on behind this one, one by one", "id", wholeNumber(0, Number.MAX_SAFE_INTEGER)),
    },
    understand: (flags, ...typed) => {
      const operator = understandOperator(flags, typed, { wanted: 0, most: 1, usage: `millrace ${word.word} list <app.ts> [source]` });
      if (operator instanceof Error) return operator;
      const { letters, state, limit, after } = flags;
      const [source] = operator.rest;
      const filter = filterOf(flags);
      const isSingle = letters || limit !== undefined || after !== undefined;
      if (source === undefined && (isSingle || state !== undefined || Object.keys(filter).length > 0)) {
        return new Error(`Of which source? Filters want one: millrace ${word.word} list <app.ts> <source>`);
      }
      return { ...operator.asked, source, isSingle, filter, state, limit, after };
    },
    run: (asked, host) => list(word, asked, host),
  });
}

async function list(word: LetterWord, { source, ...asked }: ListArguments, host: CommandHost): Promise<void> {
  await using connection = await connect(asked, host);
  const { client } = connection;
  const command = commandText(asked);
  const say = (answer: unknown, lines: () => readonly string[]): void => {
    if (asked.json) return host.runtime.print(JSON.stringify(answer));
    for (const line of lines()) host.runtime.print(line);
  };
  if (source === undefined) {
    const { sources } = await client.get<SourcesAnswer>("/admin/letters");
    const own = sources.filter(({ kind }) => kind === word.kind);
    return say({ sources: own }, () => sourceLines(word, own, command));
  }
  const path = `/admin/letters/${word.kind}/${encodeURIComponent(source)}`;
  const state = asked.state ?? (asked.isSingle ? "open" : "all");
  // The pages have no word for all but those that were purged: it is what they give unasked.
  const query = { ...filterQuery(asked.filter, host), state: state === "all" ? undefined : state };
  if (asked.isSingle) {
    const answer = await client.get<LettersAnswer>(path, { ...query, limit: asked.limit, after: asked.after });
    return say(answer, () => letterLines(word, source, answer));
  }
  const answer = await client.get<GroupsAnswer>(`${path}/groups`, query);
  say(answer, () => groupLines(word, source, answer.groups, command));
}
