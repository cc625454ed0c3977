/** How what a step keeps goes on in a new version of the app: what users give, and what is wrong with it. */

/**
 * How what a step kept goes on where its meaning has changed.
 *
 * All of it is migrated before the step goes on, and takes the place of what was kept in the first commit. When `migrate` throws the app does not start, and what is kept is as it was. A lower
 * version of the app is refused from then on (`STORE_NEWER`).
 */
export interface Migration<out Kept, in Stored = unknown> {
  /** Raised whenever what is kept changes its meaning: a whole number from 2 on. A step that never said so has 1. */
  readonly version: number;
  /** Makes what this version keeps of what version `version` kept. */
  readonly migrate: (stored: Stored, version: number) => Kept;
}

/** What aggregators keep, by name; see {@linkcode KeptAggregate}. */
export type StoredAggregates = Readonly<Record<string, unknown>>;

/**
 * What is kept of an aggregator, of a window and key: of `count`, `sum`, `min`, `max` and `collect` the result itself, of `mean` `[sum, count]`, of `first` and `last`
 * `[timestamp, value]`.
 */
export type KeptAggregate<R> = NonNullable<R> | readonly [number, NonNullable<R>];

/** What several aggregators keep, by name. */
export type KeptAggregates<R> = { readonly [P in keyof R]: KeptAggregate<R[P]> };

/** What is wrong with a version and its function; null: nothing. `what` names the step. */
export function migrationFault(what: string, migration: Partial<Migration<unknown, never>> | undefined): string | null {
  if (migration === undefined) return null;
  const { version, migrate } = migration;
  if (version === undefined && migrate === undefined) return null;
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 2) {
    return `version of ${what} is ${String(version)}, wanted a whole number from 2 on: what never had one has version 1`;
  }
  if (typeof migrate !== "function") {
    return `${what} has version ${version} and no migrate(stored, version), which makes what it keeps of what version ${version - 1} kept`;
  }
  return null;
}
