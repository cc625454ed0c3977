/** Letters for people: sources, groups, lists, and one with all that is known of it. */
import { fromBase64 } from "../../base/bytes.ts";
import type { AuditView, LetterCounts, LetterGroup, LetterSummary, LetterView } from "../../letter/letter-view.ts";
import { printable } from "../../observe/logger.ts";
import { type CommandText, quoted } from "../operator.ts";
import { clipped, type Column, counted, indented, moment, tableLines } from "../text.ts";
import { hexLines } from "./hex.ts";
import type { LettersAnswer } from "./letter-answers.ts";
import type { LetterWord } from "./letter-flags.ts";

const MESSAGE_LENGTH_MAX = 100;
const KEY_LENGTH_MAX = 40;

const sourceColumns: readonly Column<LetterCounts>[] = [
  { name: "source", of: ({ source }) => source },
  { name: "open", of: ({ open }) => open },
  { name: "queued", of: ({ queued }) => queued },
  { name: "replayed", of: ({ replayed }) => replayed },
  { name: "purged", of: ({ purged }) => purged },
  { name: "topic", of: ({ topic }) => topic },
];

/** Each source that has letters, with how many. */
export function sourceLines({ kind, word }: LetterWord, sources: readonly LetterCounts[], command: CommandText): readonly string[] {
  const some = sources.filter(({ open, queued, replayed, purged }) => open + queued + replayed + purged > 0);
  if (some.length === 0) return [`There are no ${kind} letters.`];
  const hint = some.some(({ open }) => open > 0) ? [`What failed how: ${command(`${word} list`, "<source>")}`] : [];
  return [...tableLines(sourceColumns, some), ...hint];
}

const groupColumns: readonly Column<LetterGroup>[] = [
  { name: "fingerprint", of: ({ fingerprint }) => fingerprint },
  { name: "count", of: ({ count }) => count },
  { name: "open", of: ({ open }) => open },
  { name: "step", of: ({ step }) => step },
  { name: "first", of: ({ first }) => moment(first) },
  { name: "last", of: ({ last }) => moment(last) },
  { name: "example", of: ({ example }) => example },
  { name: "error", of: ({ error, code, message }) => errorText({ error, code, message }) },
];

/** What failed how, and how often. */
export function groupLines({ kind, word }: LetterWord, source: string, groups: readonly LetterGroup[], command: CommandText): readonly string[] {
  if (groups.length === 0) return [`"${source}" has no such ${kind} letters.`];
  return [...tableLines(groupColumns, groups), `All that is known of one: ${command(`${word} show`, `${quoted(source)} ${groups[0]!.example}`)}`];
}

const letterColumns: readonly Column<LetterSummary>[] = [
  { name: "id", of: ({ id }) => id },
  { name: "state", of: ({ state, isEdited }) => isEdited ? `${state}, edited` : state },
  { name: "failed", of: ({ at }) => moment(at) },
  { name: "step", of: ({ step }) => step },
  { name: "record", of: ({ from }) => placeText(from) },
  { name: "key", of: (letter) => clipped(keyText(letter), KEY_LENGTH_MAX) },
  { name: "fingerprint", of: ({ fingerprint }) => fingerprint },
  { name: "why", of: (letter) => whyText(letter) },
];

/** Single letters. */
export function letterLines({ kind }: LetterWord, source: string, { letters, next }: LettersAnswer): readonly string[] {
  if (letters.length === 0) return [`"${source}" has no such ${kind} letters.`];
  return [...tableLines(letterColumns, letters), ...(next === null ? [] : [`More of them: --after ${next}`])];
}

/** All that is known of one. */
export function wholeLetterLines(letter: LetterView): readonly string[] {
  const { id, topic, state, step, from, timestamp, at, fingerprint, traceId, attempts, latenessMs, missed, replayOf } = letter;
  const facts: readonly (readonly [name: string, fact: string | null])[] = [
    ["why", whyText({ error: letter.error?.name ?? null, code: letter.error?.code ?? null, message: letter.error?.message ?? null, latenessMs }, Infinity)],
    ["missed", missed.length === 0 ? null : missed.map(({ start, end }) => `${moment(start)} to ${moment(end)}`).join(", ")],
    ["step", step === "" ? "not known: the engine did not write it" : step],
    ["record", `${placeText(from)}, event time ${moment(timestamp)}`],
    ["failed", `${moment(at)}${attempts === 0 ? "" : `, after ${attempts === 1 ? "1 try" : `${attempts} tries`}`}`],
    ["alike", fingerprint === "" ? null : `fingerprint ${fingerprint}`],
    ["trace", traceId],
    ["replay of", replayOf],
  ];
  return [
    `letter ${id} of ${topic}: ${state}`,
    ...facts.flatMap(([name, fact]) => fact === null ? [] : [`  ${name.padEnd(9)}  ${printable(fact)}`]),
    ...section("key", indented(keyText(letter))),
    ...section(letter.original === null ? "value" : "value, as it was edited", valueLines(letter)),
    ...(letter.original === null ? [] : section("value, as it was", valueLines(letter.original))),
    ...section("headers", letter.headers.flatMap(({ name, value }) => indented(`${name}: ${value ?? "(null)"}`))),
    ...section("what the stores had for its key", letter.stores === null ? [] : indented(JSON.stringify(letter.stores, null, 2))),
    ...section("history", letter.history.map((entry) => `  ${historyText(entry)}`)),
    ...section("stack", letter.error?.stack == null ? [] : indented(letter.error.stack)),
  ];
}

function section(name: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ["", name, ...lines];
}

/** What a value may be shown as. */
type AnyShown = { readonly value?: unknown; readonly valueText?: string; readonly valueBase64?: string; readonly tombstone?: true };

function valueLines(shown: AnyShown): readonly string[] {
  if (shown.tombstone === true) return ["  (none: a tombstone)"];
  if (shown.valueText !== undefined) return indented(shown.valueText);
  if (shown.valueBase64 !== undefined) return hexLines(fromBase64(shown.valueBase64) ?? new Uint8Array());
  return indented(JSON.stringify(shown.value, null, 2) ?? "(nothing)");
}

function keyText(shown: { readonly key?: unknown; readonly keyBase64?: string }): string {
  if (shown.keyBase64 !== undefined) return `base64 ${shown.keyBase64}`;
  return JSON.stringify(shown.key ?? null);
}

function placeText({ topic, partition, position }: LetterSummary["from"]): string {
  return `${topic}/${partition}${position < 0 ? "" : ` at ${position}`}`;
}

interface Why {
  readonly error: string | null;
  readonly code: string | null;
  readonly message: string | null;
}

function whyText(why: Why & { readonly latenessMs: number | null }, lengthMax: number = MESSAGE_LENGTH_MAX): string {
  return why.latenessMs === null ? errorText(why, lengthMax) : `${why.latenessMs / 1_000} s late`;
}

function errorText({ error, code, message }: Why, lengthMax: number = MESSAGE_LENGTH_MAX): string {
  if (error === null) return "late";
  return clipped(`${error}${code === null ? "" : ` (${code})`}: ${message ?? ""}`, lengthMax);
}

/** What was done to a letter. */
export function historyText({ at, by, action, ...details }: AuditView): string {
  const run = details["run"];
  const what: Readonly<Record<string, string>> = {
    edit: `${by} gave it another value${details["valueBytes"] === null ? ", a tombstone" : `, ${counted(Number(details["valueBytes"]), "byte")}`}`,
    replay: `${by} ordered its replay${run === 1 ? "" : `, number ${String(run)}`}`,
    replayed: `it was tried again${run === 1 ? "" : `, replay ${String(run)}`}`,
    purge: `${by} purged it`,
  };
  return `${moment(at)}  ${printable(what[action] ?? `${by}: ${action}`)}`;
}
