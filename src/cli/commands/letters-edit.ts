/** `millrace dlq edit` and `millrace late edit`: gives letters other values, which their replay takes. */
import type { GivenValue } from "../../letter/letter-values.ts";
import type { LetterView } from "../../letter/letter-view.ts";
import { type CliCommand, type CommandHost, defineCommand } from "../command.ts";
import { filterQuery, type LetterChoice, type LetterWord, SELECTION, type SelectionFlags, selectionFlags, understandChoice } from "../letters/letter-flags.ts";
import { LetterPages } from "../letters/letter-pages.ts";
import { type LetterChange, type Repair, repaired, repairFunctionOf } from "../letters/letter-repair.ts";
import { type Assignment, changeLines, parseAssignment, parseJson } from "../letters/value-edits.ts";
import { type CommandText, commandText, connect, type OperatorArguments, type OperatorFlags, operatorFlags, quoted } from "../operator.ts";
import { flag, text, textFlag, typedArguments } from "../parameters.ts";
import { counted } from "../text.ts";
import { printable } from "../../observe/logger.ts";

interface EditArguments extends OperatorArguments {
  readonly choice: LetterChoice;
  readonly repair: Repair;
  readonly isForced: boolean;
  readonly isDryRun: boolean;
}

interface Flags extends OperatorFlags, SelectionFlags {
  readonly value?: { readonly json: unknown };
  readonly valueBase64?: string;
  readonly tombstone: boolean;
  readonly set?: readonly Assignment[];
  readonly with?: string;
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Asked for side by side. */
const LETTERS_AT_ONCE = 16;
/** Sent in one request: what the pages take. */
const EDITS_MAX = 1_000;
const EDIT_CHARACTERS_MAX = 1_000_000;
/** More of them nobody reads; `--json` has them all. */
const SHOWN_MAX = 10;

/** The command for one kind of letters. */
export function editCommand(word: LetterWord): CliCommand {
  return defineCommand<Flags, readonly string[], EditArguments>({
    brief: `Give ${word.kind} letters other values, which their replay takes`,
    description: [
      "By a value for all that are selected, by parts of it (--set path=json, such as --set address.city='\"Berlin\"' --set items.0.price=12), or by a module with",
      "`export default (value, letter) => newValue`, which is run here; what it gives undefined for stays as it is. Selected by what they have in common, open letters are meant.",
      "New values are checked by the schema of their topic, and all of a request before the first is written. The letters keep what they held; `show` has both.",
    ],
    usage: `<app.ts> <source> ${SELECTION} (--value <json> | --set <path=json>... | --with <module>) [--dry-run]`,
    positional: typedArguments("The module with the app, then source and ids", "app.ts source id"),
    flags: {
      ...operatorFlags,
      ...selectionFlags,
      value: textFlag("The new value, in JSON", "json", (text) => ({ json: parseJson("value", text) })),
      valueBase64: textFlag("The bytes of the new value", "base64", text("value-base64")),
      tombstone: flag("No value: a tombstone"),
      set: {
        kind: "parsed",
        parse: parseAssignment,
        brief: "A part of the value; may be given more than once",
        placeholder: "path=json",
        optional: true,
        variadic: true,
      },
      with: textFlag("Module whose default export makes the new value of the old one", "module", text("with")),
      force: flag("Though the schema of the topic does not take it"),
      dryRun: flag("Show what would change, and change nothing"),
    },
    understand: (flags, ...typed) => {
      const understood = understandChoice(word, "edit", flags, typed);
      if (understood instanceof Error) return understood;
      const repair = repairOf(flags);
      if (repair instanceof Error) return repair;
      return { ...understood.operator, choice: understood.choice, repair, isForced: flags.force, isDryRun: flags.dryRun };
    },
    run: (asked, host) => edit(word, asked, host),
  });
}

function repairOf({ value, valueBase64, tombstone, set = [], with: file }: Flags): Repair | Error {
  const ways: readonly (Repair | null)[] = [
    value === undefined ? null : { how: "value", value: value.json },
    valueBase64 === undefined ? null : { how: "bytes", base64: valueBase64 },
    tombstone ? { how: "tombstone" } : null,
    set.length === 0 ? null : { how: "set", assignments: set },
    file === undefined ? null : { how: "with", file },
  ];
  const [repair, second] = ways.filter((way) => way !== null);
  if (repair === undefined || second !== undefined) {
    return new Error("How are they changed? Wanted one of --value, --set, --with, --value-base64 and --tombstone");
  }
  return repair;
}

async function edit(word: LetterWord, asked: EditArguments, host: CommandHost): Promise<void> {
  await using connection = await connect(asked, host);
  const pages = new LetterPages(connection.client, word, asked.choice.source);
  const { changes, selected } = await changesOf(pages, asked, host);
  if (!asked.isDryRun) {
    for (const edits of requests(changes, asked.isForced)) await pages.post("edit", { edits });
  }
  if (asked.json) {
    return host.runtime.print(
      JSON.stringify({ selected, [asked.isDryRun ? "wouldChange" : "changed"]: changes.map(({ id, before, after }) => ({ id, before, after })) }),
    );
  }
  for (const line of editLines(word, asked, changes, selected, commandText(asked))) host.runtime.print(line);
}

/** All changes are known before the first is made: what cannot be changed stops them all. */
async function changesOf(
  pages: LetterPages,
  { choice, repair }: EditArguments,
  host: CommandHost,
): Promise<{ readonly changes: readonly LetterChange[]; readonly selected: number }> {
  const repairFunction = repair.how === "with" ? repairFunctionOf(repair.file, await host.load(repair.file)) : null;
  const changes: LetterChange[] = [];
  let selected = 0;
  for await (const letters of chosen(pages, choice, host)) {
    selected += letters.length;
    for (const letter of letters) {
      const change = await repaired(letter, repair, repairFunction);
      if (change !== null) changes.push(change);
    }
  }
  return { changes, selected };
}

/** Those that were named, or the open ones that have in common what was said. */
async function* chosen(pages: LetterPages, { ids, filter }: LetterChoice, host: CommandHost): AsyncGenerator<readonly LetterView[]> {
  if (ids.length === 0) return yield* pages.whole({ ...filterQuery(filter, host), state: "open" });
  for (let at = 0; at < ids.length; at += LETTERS_AT_ONCE) yield await Promise.all(ids.slice(at, at + LETTERS_AT_ONCE).map((id) => pages.letter(id)));
}

function requests(changes: readonly LetterChange[], isForced: boolean): readonly (readonly (GivenValue & { readonly id: number })[])[] {
  const made: (GivenValue & { readonly id: number })[][] = [];
  let characters = Infinity;
  for (const { id, given } of changes) {
    const one = { id, ...given, ...(isForced ? { force: true } : {}) };
    const length = JSON.stringify(one).length;
    if (characters + length > EDIT_CHARACTERS_MAX || made.at(-1)!.length === EDITS_MAX) {
      made.push([]);
      characters = 0;
    }
    made.at(-1)!.push(one);
    characters += length;
  }
  return made;
}

/** What changed, or would; then how many. */
export function editLines(
  { word }: LetterWord,
  { choice, isDryRun }: Pick<EditArguments, "choice" | "isDryRun">,
  changes: readonly LetterChange[],
  selected: number,
  command: CommandText,
): readonly string[] {
  const shown = isDryRun ? changes.slice(0, SHOWN_MAX) : [];
  const lines = shown.flatMap(({ id, before, after }) => [`letter ${id}`, ...changeLines(before, after).map((line) => `  ${printable(line)}`), ""]);
  if (changes.length > shown.length && isDryRun) lines.push(`… and ${changes.length - shown.length} more: --json has them all`, "");
  lines.push(`${counted(selected, "letter")} selected, ${changes.length} ${isDryRun ? "would be changed" : "changed"}`);
  if (!isDryRun && changes.length > 0) lines.push(`To have them tried again: ${command(`${word} replay`, `${quoted(choice.source)} ${againText(choice)}`)}`);
  return lines;
}

function againText({ ids, filter: { fingerprint, step }, all }: LetterChoice): string {
  if (ids.length > 0) return ids.length <= SHOWN_MAX ? ids.join(" ") : "<id>...";
  if (all) return "--all";
  const parts = [fingerprint === undefined ? [] : ["--fingerprint", quoted(fingerprint)], step === undefined ? [] : ["--step", quoted(step)]].flat();
  return parts.length === 0 ? "<selection>" : parts.join(" ");
}
