/** `millrace dlq show` and `millrace late show`: all that is known of one letter. */
import { type CliCommand, defineCommand } from "../command.ts";
import type { LetterView } from "../../letter/letter-view.ts";
import type { LetterWord } from "../letters/letter-flags.ts";
import { wholeLetterLines } from "../letters/letter-lines.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { typedArguments } from "../parameters.ts";

interface ShowArguments extends OperatorArguments {
  readonly source: string;
  readonly id: number;
}

/** The command for one kind of letters. */
export function showCommand(word: LetterWord): CliCommand {
  return defineCommand<OperatorFlags, readonly string[], ShowArguments>({
    brief: `Print all that is known of a ${word.kind} letter`,
    description: [
      "Why and where it failed, key, value, headers, what the stores of its task had for its key at that moment, the stack, and what was done with it since.",
    ],
    usage: "<app.ts> <source> <id>",
    positional: typedArguments("The module with the app, then source and id", "app.ts source id"),
    flags: operatorFlags,
    understand: (flags, ...typed) => {
      const operator = understandOperator(flags, typed, { wanted: 2, most: 2, usage: `millrace ${word.word} show <app.ts> <source> <id>` });
      if (operator instanceof Error) return operator;
      const [source, id] = operator.rest as [string, string];
      if (!/^\d{1,15}$/.test(id)) {
        return new Error(`${JSON.stringify(id)} is no id of a letter, wanted a whole number as \`millrace ${word.word} list … --letters\` shows it`);
      }
      return { ...operator.asked, source, id: Number(id) };
    },
    run: async (asked, host) => {
      await using connection = await connect(asked, host);
      const letter = await connection.client.get<LetterView>(`/admin/letters/${word.kind}/${encodeURIComponent(asked.source)}/${asked.id}`);
      if (asked.json) return host.runtime.print(JSON.stringify(letter));
      for (const line of wholeLetterLines(letter)) host.runtime.print(line);
    },
  });
}
