/** The stores of a task that were kept in another form, brought into the one they have now before the task is built. */
import type { Observer } from "../observe/events.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { StoreMigration } from "../state/migration.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import type { MissingTask } from "./task-restore.ts";

/** With what stores are migrated. */
export interface TaskMigrationOptions {
  readonly storage: StateStorage;
  readonly runtime: Runtime;
  readonly report: Observer;
  /** False once nobody waits for the task any more. */
  readonly isWanted: () => boolean;
}

/**
 * Migrates the stores of a task, and empties the retired ones that it has; false when it is not wanted any more. What is kept stays until the first commit, which says the new rows. Throws `STORE_INCOMPATIBLE` where there is no way to the
 * new form, `STORE_NEWER` where a later version of the app was there.
 */
export async function migrateStores(
  { sub, partition }: MissingTask,
  retired: readonly StoreSpec[],
  { storage, runtime, report, isWanted }: TaskMigrationOptions,
): Promise<boolean> {
  for (const spec of [...sub.nodes.flatMap((node) => node.stores), ...retired]) {
    const before = storage.kept(spec.name, partition)?.fingerprint ?? null;
    if (before === null || before === spec.fingerprint) {
      storage.forgetAside(spec.name, partition);
      continue;
    }
    const startedAt = runtime.monotonic();
    let migration: StoreMigration | null = null;
    storage.transaction(() => migration = StoreMigration.begin(storage, spec, partition));
    const begun = migration as StoreMigration | null;
    for (let isDone = begun === null; !isDone;) {
      storage.transaction(() => isDone = begun!.step());
      await runtime.yield();
      if (!isWanted()) return false;
    }
    if (begun !== null) {
      report({
        type: "storeMigrated",
        task: `${sub.name}/${partition}`,
        store: spec.name,
        from: before,
        to: spec.fingerprint,
        rows: begun.rows,
        durationMs: runtime.monotonic() - startedAt,
      });
    }
  }
  return true;
}
