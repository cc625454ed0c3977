/** Which log an app runs on: opened when the app starts, never before. */
import { embeddedLog } from "../log/embedded.ts";
import type { Log } from "../log/log.ts";
import { memoryLog } from "../log/memory.ts";
import type { ObservedEvent } from "../observe/events.ts";
import { memoryDisk } from "../runtime/memory-disk.ts";
import type { Disk } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openDatabase } from "../sqlite/open.ts";
import type { Database, DatabaseOptions } from "../sqlite/database.ts";

/** What a driver is opened with. */
export interface LogDriverContext {
  /** The app's host. */
  readonly runtime: Runtime;
  /** The app's directory. */
  readonly directory: string;
  /** Hears what the log has to say. */
  readonly report: (event: ObservedEvent) => void;
}

/** An open log, and where state lives when the log does not hold it. */
export interface OpenLog {
  /** Where records are. */
  readonly log: Log;
  /** Where state is; null where the log holds it. */
  readonly database: Database | null;
  /** For people: where records and state lie. */
  readonly place: string;
}

/** Where the log is. */
export interface LogDriver {
  /** Short and stable: `embedded`, `memory`. */
  readonly "~log": string;
  /** @internal */
  open(context: LogDriverContext): Promise<OpenLog>;
}

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
    open: async ({ runtime, directory, report }) => {
      const disk = options.disk ?? runtime.disk(directory);
      const { database } = options;
      const log = await embeddedLog(runtime, disk, {
        ...(database === undefined ? {} : { database }),
        onWarning: (message) => report({ type: "warning", message, error: null }),
      });
      return { log, database: null, place: `${directory}/millrace.db` };
    },
  };
}

/** Records and state in memory: gone with the process. */
export function memory(): LogDriver {
  return {
    "~log": "memory",
    open: async ({ runtime, report }) => {
      const log = memoryLog(runtime, { onWarning: (message) => report({ type: "warning", message, error: null }) });
      return { log, database: await openDatabase(runtime, memoryDisk(), "state.db"), place: "memory" };
    },
  };
}
