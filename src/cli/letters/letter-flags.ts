/** What commands on letters take: which kind, of which source, and which of them. */
import type { CommandHost } from "../command.ts";
import { type Moment, momentMs, parseMoment } from "../moments.ts";
import { type OperatorArguments, type OperatorFlags, understandOperator } from "../operator.ts";
import { flag, type PlainFlag, text, type TextFlag, textFlag } from "../parameters.ts";

/** Dead letters, or late ones. */
export interface LetterWord {
  readonly kind: "dead" | "late";
  /** The word of the command line. */
  readonly word: "dlq" | "late";
}

/** What letters must have in common, as flags give it. */
export interface FilterFlags {
  readonly fingerprint?: string;
  readonly step?: string;
  readonly since?: Moment;
  readonly until?: Moment;
}

/** Those flags. */
export const filterFlags: {
  readonly fingerprint: TextFlag;
  readonly step: TextFlag;
  readonly since: TextFlag<Moment>;
  readonly until: TextFlag<Moment>;
} = {
  fingerprint: textFlag("Those that failed in this way, as `list` shows it", "digits", text("fingerprint")),
  step: textFlag("Those that failed in this step", "name", text("step")),
  since: textFlag("Those given up since then: 2026-01-01T12:00Z, or 2h for two hours ago", "moment", parseMoment("since")),
  until: textFlag("Those given up before then", "moment", parseMoment("until")),
};

/** Filter and all. */
export interface SelectionFlags extends FilterFlags {
  readonly all: boolean;
}

/** Those flags. */
export const selectionFlags: typeof filterFlags & { readonly all: PlainFlag } = { ...filterFlags, all: flag("All of the source") };

/** Which letters are meant. */
export interface LetterChoice {
  readonly source: string;
  /** Empty: by filter, or all. */
  readonly ids: readonly number[];
  readonly filter: FilterFlags;
  readonly all: boolean;
}

/** How the selection is typed. */
export const SELECTION = "(<id>... | --fingerprint <digits> | --step <name> | --since <moment> | --until <moment> | --all)";

/** Source and letters of a command. `verb` says it in what is wrong. */
export function understandChoice(
  { word }: LetterWord,
  verb: string,
  flags: OperatorFlags & SelectionFlags,
  typed: readonly string[],
): { readonly operator: OperatorArguments; readonly choice: LetterChoice } | Error {
  const { fingerprint, step, since, until, all } = flags;
  const understood = understandOperator(flags, typed, {
    wanted: 1,
    most: Infinity,
    usage: `millrace ${word} ${verb} <app.ts> <source> and letters: ${SELECTION}`,
  });
  if (understood instanceof Error) return understood;
  const [source, ...texts] = understood.rest as [string, ...string[]];
  const odd = texts.find((text) => !/^\d{1,15}$/.test(text));
  if (odd !== undefined) {
    return new Error(`${JSON.stringify(odd)} is no id of a letter, wanted a whole number as \`millrace ${word} list … ${source} --letters\` shows it`);
  }
  const hasFilter = [fingerprint, step, since, until].some((given) => given !== undefined);
  const ways = Number(texts.length > 0) + Number(hasFilter) + Number(all);
  if (ways === 0) return new Error(`Which letters? Wanted ${SELECTION}`);
  if (ways > 1) return new Error("Ids, --all, and what letters have in common are three ways to select letters: choose one");
  return { operator: understood.asked, choice: { source, ids: texts.map(Number), filter: filterOf(flags), all } };
}

/** The filter alone. */
export function filterOf({ fingerprint, step, since, until }: FilterFlags): FilterFlags {
  return {
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(step === undefined ? {} : { step }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}

/** A filter with its moments in milliseconds. */
export interface FilterQuery {
  readonly fingerprint?: string;
  readonly step?: string;
  readonly since?: number;
  readonly until?: number;
}

/** A filter as the pages take it. */
export function filterQuery({ since, until, ...same }: FilterFlags, { runtime }: Pick<CommandHost, "runtime">): FilterQuery {
  const from = momentMs(since, runtime.now());
  const to = momentMs(until, runtime.now());
  return { ...same, ...(from === undefined ? {} : { since: from }), ...(to === undefined ? {} : { until: to }) };
}

/** The selection of a request. */
export function selectOf({ ids, filter, all }: LetterChoice, host: Pick<CommandHost, "runtime">): unknown {
  if (ids.length > 0) return { ids };
  return all ? { all: true } : filterQuery(filter, host);
}
