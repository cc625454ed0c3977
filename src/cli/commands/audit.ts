/** `millrace audit`: who changed what, the newest first. */
import type { AuditView } from "../../letter/letter-view.ts";
import type { AuditPage } from "../admin-answers.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { textFlag, typedArguments, wholeNumber } from "../parameters.ts";
import { clipped, type Column, counted, moment, tableLines } from "../text.ts";

interface AuditArguments extends OperatorArguments {
  readonly limit: number;
  readonly after: number | undefined;
}

interface Flags extends OperatorFlags {
  readonly limit?: number;
  readonly after?: number;
}

const LIMIT = 50;
const LIMIT_MAX = 1_000;
const FACTS_LENGTH_MAX = 160;

/** The command. */
export const auditCommand: CliCommand = defineCommand<Flags, readonly string[], AuditArguments>({
  brief: "Print who changed what: pauses, seeks, edits, replays, purges",
  description: ["The newest first; letters that were changed together in one line. It is kept for a year in the topic <app>-audit, one JSON record a change."],
  usage: "<app.ts> [--limit <number>]",
  positional: typedArguments("The module with the app", "app.ts"),
  flags: {
    ...operatorFlags,
    limit: textFlag(`How many lines (with --json: entries), ${LIMIT} if not said`, "number", wholeNumber(1, LIMIT_MAX)),
    after: textFlag("Those older than this entry", "id", wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  },
  understand: (flags, ...typed) => {
    const operator = understandOperator(flags, typed, { wanted: 0, most: 0, usage: "millrace audit <app.ts>" });
    return operator instanceof Error ? operator : { ...operator.asked, limit: flags.limit ?? LIMIT, after: flags.after };
  },
  run: async (asked, host) => {
    await using connection = await connect(asked, host);
    // A line may stand for many entries.
    const answer = await connection.client.get<AuditPage>("/admin/audit", { limit: asked.json ? asked.limit : LIMIT_MAX, after: asked.after });
    if (asked.json) return host.runtime.print(JSON.stringify(answer));
    for (const line of auditLines(answer, asked.limit)) host.runtime.print(line);
  },
});

/** Entries that differ in the letter alone, as the commands that change many of them make them. */
interface Entries {
  readonly newest: AuditView;
  oldest: AuditView;
  count: number;
}

const columns: readonly Column<Entries>[] = [
  { name: "at", of: ({ newest: { at } }) => moment(at) },
  { name: "by", of: ({ newest: { by } }) => by },
  { name: "action", of: ({ newest: { action } }) => action },
  { name: "what", of: (entries) => clipped(whatText(entries), FACTS_LENGTH_MAX) },
];

/** The lines for people, so many of the newest at most. */
export function auditLines({ entries, next }: AuditPage, linesMax: number): readonly string[] {
  if (entries.length === 0) return ["Nothing has been changed."];
  const all = together(entries);
  const shown = all.slice(0, linesMax);
  const after = shown.length < all.length ? shown.at(-1)!.oldest.id : next;
  return [...tableLines(columns, shown), ...(after === null ? [] : [`Older ones: --after ${after}`])];
}

function together(entries: readonly AuditView[]): readonly Entries[] {
  const found: Entries[] = [];
  for (const entry of entries) {
    const last = found.at(-1);
    if (last !== undefined && letterOf(entry) !== null && kindOf(entry) === kindOf(last.newest)) {
      last.oldest = entry;
      last.count++;
    } else found.push({ newest: entry, oldest: entry, count: 1 });
  }
  return found;
}

/** What entries of one line have in common. */
function kindOf(entry: AuditView): string {
  return JSON.stringify([moment(entry.at), entry.by, entry.action, letterOf(entry)?.topic]);
}

interface LetterPlace {
  readonly topic: string;
  readonly position: number;
}

function letterOf({ letter }: AuditView): LetterPlace | null {
  return letter as LetterPlace | undefined ?? null;
}

/** What was changed, then all that is said of it. */
function whatText({ newest, oldest, count }: Entries): string {
  const { id: _id, at: _at, by: _by, action: _action, letter: _letter, topic, partition, ...facts } = newest;
  const last = letterOf(newest), first = letterOf(oldest);
  const what = last !== null && first !== null
    ? `${last.topic}@${first.position}${count === 1 ? "" : ` to ${last.position}, ${counted(count, "letter")}`}`
    : typeof topic === "string"
    ? `${topic}${typeof partition === "number" ? `/${partition}` : ""}`
    : null;
  const said = Object.entries(facts).filter(([name, value]) => value !== null && value !== undefined && oldest[name] === value);
  return [...(what === null ? [] : [what]), ...said.map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)].join(", ");
}
