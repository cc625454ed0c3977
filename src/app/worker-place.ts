/** What each of several processes of one app has for itself: its directory and its port. The log is what they share. */
import { DefinitionError } from "../base/errors.ts";
import type { LogDriver } from "../log/driver.ts";

/** Which of several processes one is. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number;
  /** How many there are on this machine; one alone has the directory and the port for itself. */
  readonly count: number;
}

/** Where its state lies: `<directory>/worker-<index>`; one alone has the directory itself. */
export function directoryOf({ index, count }: WorkerPlace, directory: string): string {
  return count === 1 ? directory : `${directory}/worker-${index}`;
}

/** Where it listens: `port + index`; 0 stays "any that is free" and null "nowhere". Throws DefinitionError where ports end. */
export function portOf({ index, count }: WorkerPlace, port: number | null): number | null {
  if (port === null || port === 0) return port;
  if (port + count - 1 > 65_535) {
    throw new DefinitionError(`Cannot listen on ports ${port} to ${port + count - 1}: ${count} workers from ${port} on, wanted none beyond 65535`, {
      code: "CONFIG_INVALID",
    });
  }
  return port + index;
}

/** The driver, told which worker it is for and held to a log that several processes can share. Throws DefinitionError, or has the driver reject with it, where the log belongs to one process. */
export function checkShared({ index, count }: WorkerPlace, app: string, driver: LogDriver): LogDriver {
  if (count === 1) return driver;
  const refused = (): DefinitionError =>
    new DefinitionError(
      `Cannot run ${count} workers of "${app}" on the ${driver["~log"]} log: one process has it for itself, so each worker would see other records. ` +
        'Wanted one worker, or a log that processes share: MILLRACE_LOG=kafka, or createApp("…", { log: kafka({ brokers: […] }) })',
      { code: "CONFIG_INVALID" },
    );
  if (driver.isOneProcess === true) throw refused();
  return {
    ...driver,
    open: async (context) => {
      const opened = await driver.open({ ...context, workerIndex: index });
      if (opened.log.capabilities.rebalances) return opened;
      opened.database?.close();
      await opened.log.close();
      throw refused();
    },
  };
}
