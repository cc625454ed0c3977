/** The logs that need no server. */
import { embeddedLog } from "../log/embedded.ts";
import { restoreEmbedded } from "../log/embedded-restore.ts";
import type { LogDriver } from "../log/driver.ts";
import { checkNotMoved } from "../log/move-mark.ts";
import { memoryLog } from "../log/memory.ts";
import { memoryDisk } from "../runtime/memory-disk.ts";
import type { Disk } from "../runtime/disk.ts";
import { openDatabase } from "../sqlite/open.ts";
import type { DatabaseOptions } from "../sqlite/database.ts";

/** Options of {@linkcode embedded}. */
export interface EmbeddedOptions {
  /** Where the file lies. @default the app's directory */
  readonly disk?: Disk;
  /** How SQLite is opened: disks with a transaction of their own want `{ journal: "memory" }`. */
  readonly database?: DatabaseOptions;
}

/** One SQLite file in the app's directory holds records and state: the default. */
export function embedded(options: EmbeddedOptions = {}): LogDriver {
  return {
    "~log": "embedded",
    isOneProcess: true,
    open: async ({ runtime, directory, report, isForMove }) => {
      const disk = options.disk ?? runtime.disk(directory);
      const { database } = options;
      const log = await embeddedLog(runtime, disk, {
        ...(database === undefined ? {} : { database }),
        onWarning: (message) => report({ type: "warning", message, error: null }),
      });
      const place = `${directory}/millrace.db`;
      try {
        if (isForMove !== true) checkNotMoved(log.database!, place);
      } catch (error) {
        await log.close();
        throw error;
      }
      return { log, database: null, place };
    },
    restore: ({ app, runtime, directory }, from) => restoreEmbedded({ runtime, disk: options.disk ?? runtime.disk(directory), group: app }, from),
  };
}

/** Records and state in memory: gone with the process. */
export function memory(): LogDriver {
  return {
    "~log": "memory",
    isOneProcess: true,
    open: async ({ runtime, report }) => {
      const log = memoryLog(runtime, { onWarning: (message) => report({ type: "warning", message, error: null }) });
      return { log, database: await openDatabase(runtime, memoryDisk(), "state.db"), place: "memory" };
    },
  };
}
