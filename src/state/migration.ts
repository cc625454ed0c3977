/**
 * Stores whose rows were kept in another form: what a form is, what may become of it, and how rows are brought into it.
 *
 * - **G1** The rows that are kept stay as they are until the commit that takes the new ones in their place: whatever fails before leaves the store as it was.
 * - **G2** Rows of a later version are never read by an earlier one: `STORE_NEWER`.
 * - **G3** Rows are in one form or in the other, never some in each.
 */
import { isStreamError, messageOf, StoreError } from "../base/errors.ts";
import type { StateStorage, StoredRow, StoreSpec } from "./storage.ts";

/** The fingerprint of a store whose rows were deleted because no step had it any more. */
export const RETIRED = "retired";

/** Rows that are taken at once. */
const PAGE_ROWS = 1_000;

/** What rows of a new form become of a row of an old one. */
export type RowMigration = (row: StoredRow) => Iterable<StoredRow>;

/** What rows of a store are, in the parts that its fingerprint is made of. */
export interface StoreForm {
  /** Of another kind nothing can be made: the kind and size of a window, the format of keys. */
  readonly kind: string;
  /** What is in a row, where the engine knows; else "". */
  readonly contents: string;
  /** Of the user's: 1 unless he says so. */
  readonly version: number;
}

/** Where the ways out of a form lead. */
export interface FormChanges {
  readonly store: string;
  readonly form: StoreForm;
  /** From a lower version; null: its user gave no function for it. */
  readonly migrate: ((version: number, contents: string) => RowMigration) | null;
  /** From other contents of the same version; null: that takes a function of the user's. */
  readonly reshape: ((contents: string) => RowMigration) | null;
  /** What gives the step another name, for people: `name: "…" of window()`. */
  readonly rename: string;
}

/** The fingerprint of a form. */
export function fingerprintOf({ kind, contents, version }: StoreForm): string {
  return `${kind}${contents === "" ? "" : ` ${contents}`}${version === 1 ? "" : ` v${version}`}`;
}

/** The version that a fingerprint tells. */
export function versionOf(fingerprint: string): number {
  return Number(/ v(\d+)$/.exec(fingerprint)?.[1] ?? 1);
}

/** How rows kept under `kept` come into the form. Throws `STORE_NEWER` for a later version, `STORE_INCOMPATIBLE` where there is no way. */
export function migrationOf({ store, form, migrate, reshape, rename }: FormChanges, kept: string): RowMigration {
  if (kept === RETIRED) return () => [];
  const { kind, version } = form;
  const keptVersion = versionOf(kept);
  const keptForm = kept.replace(/ v\d+$/, "");
  const contents = keptForm === kind ? "" : keptForm.startsWith(`${kind} `) ? keptForm.slice(kind.length + 1) : null;
  const open = `Cannot open store "${store}": it is kept as "${kept}" and is defined as "${fingerprintOf(form)}" now`;
  if (contents === null) {
    throw new StoreError(
      "STORE_INCOMPATIBLE",
      `${open}, of which nothing can be made. Put back what was, or give the step another name (${rename}): then it begins anew, and what is kept stays behind`,
    );
  }
  if (keptVersion > version) {
    throw new StoreError(
      "STORE_NEWER",
      `${open}: a later version of the app has migrated it to version ${keptVersion}. Run that version, or another directory and app name`,
      {
        details: { store, kept: keptVersion, version },
      },
    );
  }
  if (keptVersion < version) {
    if (migrate !== null) return migrate(keptVersion, contents);
    throw new StoreError("STORE_INCOMPATIBLE", `${open}: it has version ${version} and no migrate`);
  }
  if (reshape !== null) return reshape(contents);
  throw new StoreError("STORE_INCOMPATIBLE", `${open}: give it version: ${version + 1} and migrate(stored, version), or another name (${rename})`);
}

/** Brings the rows of one store of one partition into the form of its spec, beside those that are kept. */
export class StoreMigration {
  /** Rows taken so far. */
  rows = 0;
  readonly #storage: StateStorage;
  readonly #spec: StoreSpec;
  readonly #partition: number;
  readonly #kept: { readonly space: number; readonly fingerprint: string };
  readonly #migrate: RowMigration;
  readonly #aside: number;
  readonly #pages: Iterator<readonly StoredRow[], void>;

  private constructor(
    storage: StateStorage,
    spec: StoreSpec,
    partition: number,
    kept: { readonly space: number; readonly fingerprint: string },
    migrate: RowMigration,
  ) {
    this.#storage = storage;
    this.#spec = spec;
    this.#partition = partition;
    this.#kept = kept;
    this.#migrate = migrate;
    this.#aside = storage.makeAside(spec, partition);
    this.#pages = storage.pages(kept.space, PAGE_ROWS);
  }

  /** null: the rows are in that form, or there are none. Inside of a transaction. Throws as `StoreSpec.migration` does. */
  static begin(storage: StateStorage, spec: StoreSpec, partition: number): StoreMigration | null {
    const kept = storage.kept(spec.name, partition);
    if (kept === null || kept.fingerprint === spec.fingerprint || spec.migration === undefined) return null;
    return new StoreMigration(storage, spec, partition, kept, spec.migration(kept.fingerprint));
  }

  /** Takes some rows; true when all were. Inside of a transaction. Throws `STORE_INCOMPATIBLE` where a function of the user's does. */
  step(): boolean {
    const page = this.#pages.next();
    for (const row of page.value ?? []) {
      try {
        for (const made of this.#migrate(row)) this.#storage.put(this.#aside, made.time, made.key, made.value);
      } catch (error) {
        throw this.#failed(row, error);
      }
      this.rows++;
    }
    return page.done === true;
  }

  #failed(row: StoredRow, error: unknown): unknown {
    if (isStreamError(error) && error.domain !== "user") return error;
    const { name, fingerprint } = this.#spec;
    return new StoreError(
      "STORE_INCOMPATIBLE",
      `Cannot migrate store "${name}" of partition ${this.#partition} from "${this.#kept.fingerprint}" to "${fingerprint}": ${messageOf(error)} (row of key ${
        JSON.stringify(row.key)
      }). What is kept is as it was`,
      { cause: error },
    );
  }
}
