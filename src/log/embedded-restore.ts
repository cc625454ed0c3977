/**
 * Puts a copy of an embedded log in the place of its file. Whatever interrupts it, the next start finds the former file or the restored one, never half of one or none:
 *
 * 1. the copy is written beside it, flushed, and looked through: every page, and whose it is;
 * 2. it is given the name `<path>-restored-<stamp>`: from here on it counts;
 * 3. the former file and its logs get the name `<path>-replaced-<stamp>`, then the restored one theirs. Who opens the log, or restores again, does what is left of this first.
 */
import { DefinitionError, isStreamError, messageOf, StoreError } from "../base/errors.ts";
import type { Disk, DiskLock } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openDatabase } from "../sqlite/open.ts";
import { verifyFile } from "../sqlite/verify.ts";
import { copyPath } from "./embedded-copy.ts";
import type { RestoredLog, RestoreFrom } from "./driver.ts";
import { LOG_FORMAT, LOG_PATH } from "./embedded-tables.ts";
import { chunksOf, removeQuietly, writeDurably } from "./durable-file.ts";

/** Where to restore. */
export interface RestoreOptions {
  readonly runtime: Runtime;
  /** Where the log lies. */
  readonly disk: Disk;
  /** @default "millrace.db" */
  readonly path?: string;
  /** Whose positions must be in it: a copy of another app is refused. */
  readonly group: string;
}

/** The files of one database. The log goes after its file: without it, it is refused, while the file alone would be opened as of an older commit. */
const SUFFIXES = ["", "-journal", "-wal"] as const;
const RESTORED = "-restored-", REPLACED = "-replaced-";
/** Nobody else knows the draft's name, and the log's own lock is held. */
const noLock: DiskLock = Object.freeze({ release: () => {} });

/**
 * Restores the embedded log of a disk. Rejects with `StoreError` `DISK_LOCKED` while a process has it, with `DefinitionError` `CONFIG_INVALID` when a file lies there and `force` is false or the copy is
 * another app's, with `STORE_CORRUPT` when a page of the copy does not fit, with `STORE_NEWER`, `STORE_FULL` and `DISK_FAILED`. Then nothing has changed.
 */
export async function restoreEmbedded({ runtime, disk, path = LOG_PATH, group }: RestoreOptions, from: RestoreFrom): Promise<RestoredLog> {
  const lock = lockFor(disk, path);
  try {
    settleRestore(disk, path);
    const former = SUFFIXES.map((suffix) => path + suffix).filter((name) => disk.exists(name));
    if (former.length > 0 && !from.force) {
      throw new DefinitionError(
        `Cannot restore into "${path}": ${former.join(", ")} ${
          former.length === 1 ? "lies" : "lie"
        } there. Use an empty directory, or --force, which keeps what is there under another name`,
        {
          code: "CONFIG_INVALID",
          details: { path, former },
        },
      );
    }
    const draft = draftPath(path);
    try {
      const bytes = await writeDurably(disk, draft, chunksOf(from.disk, from.path, () => runtime.yield()));
      await verifyFile(runtime, disk, draft, from.path);
      await checkLog(runtime, disk, draft, from.path, group);
      const stamp = new Date(runtime.now()).toISOString().replaceAll(/[-:.]/g, "");
      disk.rename(draft, `${path}${RESTORED}${stamp}`);
      settleRestore(disk, path);
      return { bytes, replaced: former.length === 0 ? null : `${path}${REPLACED}${stamp}` };
    } catch (error) {
      removeQuietly(disk, draft);
      throw error;
    }
  } finally {
    lock.release();
  }
}

/** Ends a restore that was interrupted after its file was whole, and removes what earlier copies and restores have left. By whoever holds the lock, before the files are looked at. */
export function settleRestore(disk: Disk, path: string): void {
  for (const name of SUFFIXES.flatMap((suffix) => [copyPath(path) + suffix, draftPath(path) + suffix])) if (disk.exists(name)) disk.delete(name);
  for (const name of disk.list().filter((name) => name.startsWith(path + RESTORED))) {
    const replaced = path + REPLACED + name.slice(path.length + RESTORED.length);
    for (const suffix of SUFFIXES) if (disk.exists(path + suffix)) disk.rename(path + suffix, replaced + suffix);
    disk.rename(name, path);
  }
}

function draftPath(path: string): string {
  return `${path}-restoring`;
}

function lockFor(disk: Disk, path: string): DiskLock {
  try {
    return disk.lock(`${path}.lock`);
  } catch (cause) {
    if (!isStreamError(cause) || cause.code !== "DISK_LOCKED") throw cause;
    throw new StoreError("DISK_LOCKED", `Cannot restore into "${path}": ${messageOf(cause)}. Stop the app first`, { details: cause.details });
  }
}

/** That it is a log of this version or an older one, and the app's own. */
async function checkLog(runtime: Runtime, disk: Disk, draft: string, path: string, group: string): Promise<void> {
  const database = await openDatabase(runtime, disk, draft, { lock: noLock });
  const column = (sql: string): string[] => {
    const statement = database.prepare(sql);
    const values: string[] = [];
    while (statement.step()) values.push(statement.text(0));
    statement.finalize();
    return values;
  };
  try {
    const hasTables = column("SELECT name FROM sqlite_schema WHERE name IN ('log_meta', 'log_groups')").length === 2;
    if (!hasTables) throw new StoreError("STORE_CORRUPT", `Cannot restore "${path}": it is a database, but no log of an app`, { details: { path } });
    const format = Number(column("SELECT value FROM log_meta WHERE name = 'format'")[0]);
    if (format > LOG_FORMAT) {
      throw new StoreError("STORE_NEWER", `Cannot restore "${path}": its log has format ${format}, this version knows up to ${LOG_FORMAT}`, {
        details: { path, format },
      });
    }
    const groups = column("SELECT name FROM log_groups ORDER BY name");
    if (groups.includes(group)) return;
    const whose = groups.length === 0 ? "no app has worked on it" : `it is of ${groups.map((name) => `"${name}"`).join(", ")}`;
    throw new DefinitionError(`Cannot restore "${path}": ${whose}, wanted app "${group}"`, { code: "CONFIG_INVALID", details: { path, groups, group } });
  } finally {
    database.close();
  }
}
