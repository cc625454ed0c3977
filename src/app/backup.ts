/** Backup and restore of an app, where its log is a file of its own; else what to do instead. */
import { StreamError } from "../base/errors.ts";
import type { LogDriver, LogDriverContext, RestoredLog, RestoreFrom } from "../log/driver.ts";
import type { Log, LogCopy } from "../log/log.ts";

/** Copies the log of an app. Rejects with `RUNTIME_UNSUPPORTED` where it is no file of this process. */
export async function copyLog(log: Log, app: string, signal: AbortSignal): Promise<LogCopy> {
  if (log.copy !== undefined) return await log.copy(signal);
  throw unsupported("back up", app, log.name, log.capabilities.durable);
}

/** Puts a copy in the place of the log of an app that does not run. Rejects with `RUNTIME_UNSUPPORTED` where it is no file of its own. */
export async function restoreLog(driver: LogDriver, context: Omit<LogDriverContext, "report">, from: RestoreFrom): Promise<RestoredLog> {
  if (driver.restore !== undefined) return await driver.restore(context, from);
  throw unsupported("restore", context.app, driver["~log"], driver["~log"] !== "memory");
}

function unsupported(what: "back up" | "restore", app: string, log: string, isDurable: boolean): StreamError {
  const why = isDurable
    ? `others keep its records, and state here is restored from them: ${what} its topics by the means of ${log}`
    : "its records and its state end with the process; the embedded log keeps both";
  return new StreamError("RUNTIME_UNSUPPORTED", "user", `Cannot ${what} app "${app}" on the ${log} log: ${why}`, { details: { log } });
}
