/** How windowed aggregates are kept: the rows of open windows, and what becomes of them where the aggregates have changed. */
import { DefinitionError } from "../base/errors.ts";
import { fingerprintOf, type FormChanges, migrationOf, type RowMigration } from "../state/migration.ts";
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { KeyFormat } from "../record/key.ts";
import type { AlignedWindows } from "../time/aligned.ts";
import type { Fold } from "./aggregator.ts";
import type { Migration, StoredAggregates } from "./migration.ts";

/** What a windowed aggregation keeps. */
export interface KeptAggregation {
  readonly name: string;
  readonly windows: AlignedWindows;
  readonly keys: KeyFormat;
  /** By name; one under `""` gives the whole value. */
  readonly folds: readonly (readonly [name: string, fold: Fold<unknown, unknown, unknown>])[];
  /** From and to what is kept, by name. */
  readonly migration: Migration<unknown, StoredAggregates> | null;
}

/** One state a fold, then the largest timestamp. */
export type WindowState = readonly unknown[];

type Folds = KeptAggregation["folds"];

/** The store of a windowed aggregation: rows lie in the order of window ends. */
export function windowStore(aggregation: KeptAggregation): StoreSpec {
  const { name, windows: { sizeMs, advanceMs, offsetMs }, keys, folds, migration } = aggregation;
  const by = keys.name === "text" ? "" : `by ${keys.name} `;
  const form = { kind: `window ${by}${sizeMs}/${advanceMs}+${offsetMs}`, contents: contentsOf(folds), version: migration?.version ?? 1 };
  const changes: FormChanges = {
    store: name,
    form,
    migrate: migration === null ? null : (version, contents) => migrated(folds, namesIn(contents), (stored) => migration.migrate(stored, version)),
    reshape: (contents) => reshaped(name, folds, partsOf(contents), form.version + 1),
    rename: "the option name of window()",
  };
  const isPlain = folds.every(([, fold]) => fold.pack === undefined);
  const each = (state: WindowState, change: (fold: Fold<unknown, unknown, unknown>, kept: unknown) => unknown): unknown[] =>
    state.map((kept, index) => index < folds.length && kept !== undefined ? change(folds[index]![1], kept) : kept);
  return {
    name,
    fingerprint: fingerprintOf(form),
    migration: (kept) => {
      // Before the format of keys was part of it none was said; and text, of which none is said now, is a key of any type as well.
      const said = keys.name === "any" && kept.startsWith(`window ${sizeMs}/`) ? kept.replace("window ", `window ${by}`) : kept;
      return said === fingerprintOf(form) ? (row) => [row] : migrationOf(changes, said);
    },
    pack: isPlain ? packRow : (value) => packRow(each(value as WindowState, (fold, kept) => fold.pack?.(kept) ?? kept)),
    unpack: isPlain ? unpackRow : (bytes) => each(unpackRow(bytes) as WindowState, (fold, kept) => fold.unpack?.(kept) ?? kept),
    show: (state) => resultOf(folds, state as WindowState),
  };
}

/** What a window's state amounts to, as its user knows it. */
export function resultOf(folds: Folds, state: WindowState): unknown {
  if (folds.length === 1 && folds[0]![0] === "") return folds[0]![1].result(state[0]);
  const value: Record<string, unknown> = {};
  for (let i = 0; i < folds.length; i++) value[folds[i]![0]] = folds[i]![1].result(state[i]);
  return value;
}

/** The names and folds in the order of a row: `total:sum,n:count`. */
function contentsOf(folds: Folds): string {
  return folds.map(([as, fold]) => `${as.replaceAll(/[%,:]/g, encodeURIComponent)}:${fold.name}`).join(",");
}

function partsOf(contents: string): string[] {
  return contents.split(",");
}

function namesIn(contents: string): string[] {
  return partsOf(contents).map((part) => part.slice(0, part.lastIndexOf(":")).replaceAll(/%(?:25|2C|3A)/g, decodeURIComponent));
}

/** Aggregates in another order, or fewer: each goes on as it was. One that is new has missed what its windows had before. */
function reshaped(store: string, folds: Folds, kept: readonly string[], nextVersion: number): RowMigration {
  const wanted = partsOf(contentsOf(folds));
  const places = wanted.map((part) => kept.indexOf(part));
  const isNew = places.indexOf(-1);
  return (row) => {
    if (isNew !== -1) {
      throw new DefinitionError(
        `windows of "${store}" are open that ${JSON.stringify(folds[isNew]![0])} (${
          folds[isNew]![1].name
        }) has missed records of. Give aggregate() or reduce() as second argument { version: ${nextVersion}, migrate(stored, version) }, which says what it begins with in them; ` +
          "or give the window another name; or let the earlier version of the app close them first",
      );
    }
    const state = unpackRow(row.value) as WindowState;
    return [{ ...row, value: packRow([...places.map((place) => state[place]), state[kept.length]]) }];
  };
}

/** By the user's function, from and to what is kept by name. */
function migrated(folds: Folds, names: readonly string[], migrate: (stored: StoredAggregates) => unknown): RowMigration {
  return (row) => {
    const state = unpackRow(row.value) as WindowState;
    const stored = Object.fromEntries(names.map((name, index) => [name, state[index]]));
    const made = migrate(stored);
    if (typeof made !== "object" || made === null) throw new DefinitionError(`migrate() gave ${String(made)}, wanted an object of what is kept by aggregate`);
    const kept = folds.map(([as, fold]) => {
      const own = (made as Readonly<Record<string, unknown>>)[as];
      // Of nothing but tombstones there may have been nothing to keep.
      if (!fold.kept.is(own) && (own !== undefined || !(as in stored))) {
        throw new DefinitionError(`migrate() gave ${String(own)} for ${JSON.stringify(as)} (${fold.name}), wanted ${fold.kept.says}`);
      }
      return own;
    });
    return [{ ...row, value: packRow([...kept, state[names.length]]) }];
  };
}
