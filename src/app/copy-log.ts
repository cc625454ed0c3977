/** A backup of an app, where its log can be copied; else what to do instead. */
import { StreamError } from "../base/errors.ts";
import type { Log, LogCopy } from "../log/log.ts";

/** Copies the log of an app. Rejects with `RUNTIME_UNSUPPORTED` where it is no file of this process. */
export async function copyLog(log: Log, app: string, signal: AbortSignal): Promise<LogCopy> {
  if (log.copy !== undefined) return await log.copy(signal);
  const why = log.capabilities.durable
    ? `others keep its records, and state here is restored from them: back its topics up by the means of ${log.name}`
    : "its records and its state end with the process; the embedded log keeps both";
  throw new StreamError("RUNTIME_UNSUPPORTED", "user", `Cannot back up app "${app}" on the ${log.name} log: ${why}`, { details: { log: log.name } });
}
