/** The stores of a feature set, newest values and history, and what becomes of them where the set has a new version. */
import { DefinitionError, StoreError } from "../base/errors.ts";
import type { KeyFormat } from "../record/key.ts";
import { fingerprintOf, migrationOf, type RowMigration } from "../state/migration.ts";
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StoredRow, StoreSpec } from "../state/storage.ts";

/** What is kept of a set. */
export interface KeptFeatures {
  readonly entity: string;
  readonly keys: KeyFormat;
  /** Its features. */
  readonly names: readonly string[];
  readonly version: number;
  readonly migrate: ((stored: Readonly<Record<string, unknown>>, version: number) => object) | null;
}

/** By feature: value and when it was observed. */
export type Online = Readonly<Record<string, readonly [value: unknown, observedAt: number]>>;

/** The name of the store of newest values. */
export function onlineStore(entity: string): string {
  return `${entity}#online`;
}

/** The name of the store of all values. */
export function historyStore(entity: string): string {
  return `${entity}#history`;
}

/** The stores of a set: newest values, and history. */
export function featureStores(kept: KeptFeatures): readonly [online: StoreSpec, history: StoreSpec] {
  const { entity } = kept;
  return [
    storeOf(kept, onlineStore(entity), "online", (version) => (row) => [{ ...row, value: packRow(onlineOf(kept, unpackRow(row.value) as Online, version)) }]),
    storeOf(kept, historyStore(entity), "history", (version) => (row) => historyOf(kept, row, version)),
  ];
}

function storeOf({ keys, version, migrate }: KeptFeatures, store: string, part: string, migrated: (version: number) => RowMigration): StoreSpec {
  const form = { kind: `features ${keys.name === "text" ? "" : `by ${keys.name} `}${part}`, contents: "", version };
  const changes = { store, form, migrate: migrate === null ? null : migrated, reshape: null, rename: "the name of features()" };
  return { name: store, fingerprint: fingerprintOf(form), migration: (before) => migrationOf(changes, before), pack: packRow, unpack: unpackRow };
}

/** What features of an earlier version are in this one. Throws `STORE_NEWER` for those of a later one. */
export function featuresOf(
  { entity, names, version, migrate }: KeptFeatures,
  stored: Readonly<Record<string, unknown>>,
  from: number,
): Readonly<Record<string, unknown>> {
  if (from > version || migrate === null) {
    throw new StoreError(
      "STORE_NEWER",
      `Cannot take a row of "${entity}": it is of version ${from}, this app has version ${version}: a later version of the app wrote it`,
    );
  }
  return Object.fromEntries(
    Object.entries(stored).flatMap(([feature, value]) => {
      const made: unknown = migrate({ [feature]: value }, from);
      if (typeof made !== "object" || made === null) throw new DefinitionError(`migrate() gave ${String(made)}, wanted an object of features`);
      const unknown = Object.keys(made).find((name) => !names.includes(name));
      if (unknown !== undefined) throw new DefinitionError(`migrate() gave a feature ${JSON.stringify(unknown)}, wanted some of ${names.join(", ")}`);
      return Object.entries(made);
    }),
  );
}

function onlineOf(kept: KeptFeatures, before: Online, from: number): Online {
  const after: Record<string, readonly [unknown, number]> = {};
  for (const [feature, [value, observedAt]] of Object.entries(before)) {
    for (const [name, made] of Object.entries(featuresOf(kept, { [feature]: value }, from))) {
      const known = Object.hasOwn(after, name) ? after[name] : undefined;
      if (made !== undefined && (known === undefined || observedAt >= known[1])) after[name] = [made, observedAt];
    }
  }
  return after;
}

function historyOf(kept: KeptFeatures, { time, key, value }: StoredRow, from: number): StoredRow[] {
  const idEnd = key.indexOf(":") + 1 + Number(key.slice(0, key.indexOf(":")));
  const featureEnd = key.lastIndexOf("\0");
  const feature = key.slice(idEnd + 1, featureEnd);
  const made = featuresOf(kept, { [feature]: (unpackRow(value) as readonly [unknown])[0] }, from);
  return Object.entries(made).flatMap(([name, of]) => {
    if (of === undefined) return [];
    // Packed into a shared buffer, and there may be several.
    return [{ time, key: `${key.slice(0, idEnd)}\0${name}${key.slice(featureEnd)}`, value: packRow([of]).slice() }];
  });
}

const TIME_OFFSET = 2 ** 52;

/** Keys of one feature of one entity lie together, in the order of time. The length in front keeps apart what the parts could confuse. */
export function historyKey(id: string, feature: string, observedAt: number): string {
  return `${id.length}:${id}\0${feature}\0${Math.max(0, Math.min(2 * TIME_OFFSET - 1, observedAt + TIME_OFFSET)).toString(16).padStart(14, "0")}`;
}
