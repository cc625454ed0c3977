/** What a letter's value becomes: by a value, by parts, or by a function of the operator's. */
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import { DefinitionError, HandlerError, messageOf } from "../../base/errors.ts";
import type { GivenValue } from "../../letter/letter-values.ts";
import type { LetterView } from "../../letter/letter-view.ts";
import { assigned, type Assignment } from "./value-edits.ts";

/** How values are changed. */
export type Repair =
  | { readonly how: "value"; readonly value: unknown }
  | { readonly how: "bytes"; readonly base64: string }
  | { readonly how: "tombstone" }
  | { readonly how: "set"; readonly assignments: readonly Assignment[] }
  | { readonly how: "with"; readonly file: string };

/** What a module of `--with` exports as default. */
export type RepairFunction = (value: unknown, letter: LetterView) => unknown;

/** A change to one letter. */
export interface LetterChange {
  readonly id: number;
  /** For people; undefined: a tombstone. */
  readonly before: unknown;
  readonly after: unknown;
  /** For the request. */
  readonly given: GivenValue;
}

/** The function of a module. Throws DefinitionError where it has none. */
export function repairFunctionOf(file: string, module: unknown): RepairFunction {
  const found = (module as { readonly default?: unknown }).default;
  if (typeof found === "function") return found as RepairFunction;
  throw new DefinitionError(`Cannot use ${file}: it has no default export that is a function, wanted \`export default (value, letter) => newValue\``, {
    code: "CONFIG_INVALID",
  });
}

/** The change to a letter; null: it is left as it is. Rejects with a DefinitionError where the value has no such parts, with a HandlerError when the operator's function throws. */
export async function repaired(letter: LetterView, repair: Repair, repairFunction: RepairFunction | null): Promise<LetterChange | null> {
  const before = valueOf(letter);
  const { id } = letter;
  switch (repair.how) {
    case "value":
      return { id, before, after: repair.value, given: { value: repair.value } };
    case "bytes":
      return { id, before, after: fromBase64(repair.base64), given: { valueBase64: repair.base64 } };
    case "tombstone":
      return { id, before, after: undefined, given: { tombstone: true } };
    case "set": {
      if (!("value" in letter)) {
        throw new DefinitionError(`The value of letter ${id} has no parts: it is no JSON. Give it as a whole with --value or --with`, {
          code: "OPTION_INVALID",
        });
      }
      const after = assigned(letter.value, repair.assignments);
      if (after instanceof Error) throw new DefinitionError(`Cannot change the value of letter ${id}: ${after.message}`, { code: "OPTION_INVALID" });
      return { id, before, after, given: { value: after } };
    }
    case "with":
      return await byFunction(letter, before, repair.file, repairFunction!);
  }
}

async function byFunction(letter: LetterView, before: unknown, file: string, repair: RepairFunction): Promise<LetterChange | null> {
  const { id } = letter;
  let after: unknown;
  try {
    // What it does to what it got must not change what stood there before.
    after = await repair(copyOf(before), letter);
  } catch (cause) {
    throw new HandlerError("HANDLER_FAILED", `${file} threw for letter ${id}: ${messageOf(cause)}. Nothing was changed`, { cause });
  }
  if (after === undefined) return null;
  return { id, before, after, given: after instanceof Uint8Array ? { valueBase64: toBase64(after) } : { value: after } };
}

/** What the operator's function gets: what the topic's codec reads, else text, else bytes; undefined for a tombstone. */
function valueOf(letter: LetterView): unknown {
  if ("tombstone" in letter) return undefined;
  if ("valueText" in letter) return letter.valueText;
  return "valueBase64" in letter ? fromBase64(letter.valueBase64) ?? new Uint8Array() : letter.value;
}

function copyOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
