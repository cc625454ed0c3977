/** How commands write for people: tables, moments, and nothing that a terminal would obey. */
import { printable } from "../observe/logger.ts";

/** A column of a table. */
export interface Column<Row> {
  readonly name: string;
  /** What stands in it; null: nothing is known. */
  readonly of: (row: Row) => string | number | null;
}

const GAP = "  ";
const NOTHING = "-";

/** Lines of a table: numbers to the right, texts to the left, the last column as long as it is. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): readonly string[] {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)));
  const isNumber = columns.map((_, column) => cells.some((row) => typeof row[column] === "number") && cells.every((row) => typeof row[column] !== "string"));
  const texts = [columns.map(({ name }) => name.toUpperCase()), ...cells.map((row) => row.map((cell) => cell === null ? NOTHING : printable(String(cell))))];
  const widths = columns.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  return texts.map((row) => row.map((text, column) => isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)).join(GAP).trimEnd());
}

/** A moment in UTC, to the second. */
export function moment(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString().replace(/\.\d+Z$/, "Z") : String(ms);
}

/** At most so many characters of a text, as one line. */
export function clipped(text: string, charactersMax: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= charactersMax ? line : `${line.slice(0, charactersMax - 1)}…`;
}

/** Lines of a text, each behind two spaces, with nothing that a terminal would obey. */
export function indented(text: string): readonly string[] {
  return text.split(/\r?\n/).map((line) => `  ${printable(line)}`);
}

/** `1 letter`, `2 letters`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
