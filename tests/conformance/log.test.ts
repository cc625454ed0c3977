/** L1 to L14 on the logs of the package. */
import { hostRuntime } from "../../adapters/host/host.ts";
import { embeddedLog } from "../../src/log/embedded.ts";
import type { Log, LogCapabilities } from "../../src/log/log.ts";
import { memoryLog } from "../../src/log/memory.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { logCases } from "../../src/testing/conformance/log-cases.ts";
import type { LogSubject } from "../../src/testing/conformance/log-cases.ts";
import { tempDirectory } from "../shim/temp.ts";
import { registerCases } from "./register.ts";
import type { OpenedSubject } from "./register.ts";

const START_MS = Date.UTC(2026, 0, 1);

/** A subject over whatever `open` opens, on a wall clock that stands until the case moves it. */
async function subjectOf(open: (runtime: Runtime) => Log | Promise<Log>): Promise<OpenedSubject<LogSubject>> {
  let aheadMs = 0;
  const shifted: Runtime = { ...await hostRuntime(), now: () => START_MS + aheadMs };
  let log = await open(shifted);
  const subject: LogSubject = {
    prefix: "",
    get log() {
      return log;
    },
    async reopen() {
      await log.close();
      return log = await open(shifted);
    },
    advance(ms) {
      aheadMs += ms;
    },
  };
  return { subject, close: () => log.close() };
}

function capabilities(all: LogCapabilities): string[] {
  return Object.entries(all).filter(([, has]) => has).map(([name]) => name);
}

registerCases("memory log", logCases, {
  open: () => subjectOf((runtime) => memoryLog(runtime)),
  has: capabilities({ holdsState: false, durable: false, rebalances: true, deduplicates: true }),
});

const embedded = capabilities({ holdsState: true, durable: true, rebalances: false, deduplicates: true });

registerCases("embedded log on a memory disk", logCases, {
  open: () => {
    const disk = memoryDisk();
    return subjectOf((runtime) => embeddedLog(runtime, disk));
  },
  has: embedded,
});

registerCases("embedded log on the runtime's disk", logCases, {
  open: async () => {
    const directory = tempDirectory();
    const { subject, close } = await subjectOf((runtime) => embeddedLog(runtime, runtime.disk(directory.path)));
    return {
      subject,
      async close() {
        await close?.();
        directory.remove();
      },
    };
  },
  has: embedded,
});
