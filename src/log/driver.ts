/** How a log is chosen and opened: an app holds a driver, and opens it when it starts. */
import type { ObservedEvent } from "../observe/events.ts";
import type { Disk } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Database } from "../sqlite/database.ts";
import type { Log } from "./log.ts";

/** What a driver is opened with. */
export interface LogDriverContext {
  /** The app's name. */
  readonly app: string;
  /** The app's host. */
  readonly runtime: Runtime;
  /** The app's directory. */
  readonly directory: string;
  /** Hears what the log has to say. */
  readonly report: (event: ObservedEvent) => void;
  /** Which of several processes on this machine it is, from 0; missing: the only one. */
  readonly workerIndex?: number;
  /** It is opened to be moved elsewhere, or to take that back: the mark of a move does not keep it shut. */
  readonly isForMove?: true;
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

/** What to restore. */
export interface RestoreFrom {
  /** Where the copy lies. */
  readonly disk: Disk;
  /** Its name there. */
  readonly path: string;
  /** Replaces what lies where it is restored to, and keeps that under another name. Without it that is refused. */
  readonly force: boolean;
}

/** What was restored. */
export interface RestoredLog {
  readonly bytes: number;
  /** The name that the former file has now; null: there was none. */
  readonly replaced: string | null;
}

/** Where the log is. */
export interface LogDriver {
  /** Short and stable: `embedded`, `memory`, `kafka`. */
  readonly "~log": string;
  /** Set: one process only can use it, and a second one is refused before anything is opened. */
  readonly isOneProcess?: true;
  /** @internal */
  open(context: LogDriverContext): Promise<OpenLog>;
  /** @internal Puts a copy in the place of the log, which nobody has open; not there where others keep the records. */
  readonly restore?: (context: Omit<LogDriverContext, "report">, from: RestoreFrom) => Promise<RestoredLog>;
}
