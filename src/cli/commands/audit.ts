/** `millrace audit`: who changed what, the newest first. */
import type { AuditView } from "../../letter/letter-view.ts";
import type { AuditPage } from "../admin-answers.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { textFlag, typedArguments, wholeNumber } from "../parameters.ts";
import { clipped, type Column, moment, tableLines } from "../text.ts";

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
  description: ["The newest first. It is kept for a year in the topic <app>-audit, one JSON record a change."],
  usage: "<app.ts> [--limit <number>]",
  positional: typedArguments("The module with the app", "app.ts"),
  flags: {
    ...operatorFlags,
    limit: textFlag(`How many, ${LIMIT} if not said`, "number", wholeNumber(1, LIMIT_MAX)),
    after: textFlag("Those older than this entry", "id", wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  },
  understand: (flags, ...typed) => {
    const operator = understandOperator(flags, typed, { wanted: 0, most: 0, usage: "millrace audit <app.ts>" });
    return operator instanceof Error ? operator : { ...operator.asked, limit: flags.limit ?? LIMIT, after: flags.after };
  },
  run: async (asked, host) => {
    await using connection = await connect(asked, host);
    const answer = await connection.client.get<AuditPage>("/admin/audit", { limit: asked.limit, after: asked.after });
    if (asked.json) return host.runtime.print(JSON.stringify(answer));
    for (const line of auditLines(answer)) host.runtime.print(line);
  },
});

const columns: readonly Column<AuditView>[] = [
  { name: "at", of: ({ at }) => moment(at) },
  { name: "by", of: ({ by }) => by },
  { name: "action", of: ({ action }) => action },
  { name: "what", of: (entry) => clipped(whatText(entry), FACTS_LENGTH_MAX) },
];

/** The lines for people. */
export function auditLines({ entries, next }: AuditPage): readonly string[] {
  if (entries.length === 0) return ["Nothing has been changed."];
  return [...tableLines(columns, entries), ...(next === null ? [] : [`Older ones: --after ${next}`])];
}

/** What was changed, then all that is said of it. */
function whatText({ id: _id, at: _at, by: _by, action: _action, letter, topic, partition, ...facts }: AuditView): string {
  const place = letter as { readonly topic: string; readonly position: number } | undefined;
  const what = place !== undefined
    ? `${place.topic}@${place.position}`
    : typeof topic === "string"
    ? `${topic}${typeof partition === "number" ? `/${partition}` : ""}`
    : null;
  const said = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  return [...(what === null ? [] : [what]), ...said.map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)].join(", ");
}
