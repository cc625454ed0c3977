/** The members of a Durable Object's storage that are used, so that the package type-checks without the platform's types. */

/** What SQL takes and gives. */
export type SqlValue = ArrayBuffer | string | number | null;

/** A part of `ctx.storage` of a Durable Object with SQLite. */
export interface DurableStorage {
  readonly sql: {
    exec(query: string, ...bindings: readonly (SqlValue | Uint8Array)[]): { toArray(): readonly Readonly<Record<string, SqlValue>>[] };
  };
  /** Fulfils once everything written is durable. */
  sync(): Promise<void>;
}
