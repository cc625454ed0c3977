/** L1 to L13 on the logs of the package. */
import { hostRuntime } from "../../adapters/host/host.ts";
import type { Log, LogCapabilities } from "../../src/log/log.ts";
import { memoryLog } from "../../src/log/memory.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { logCases } from "../../src/testing/conformance/log-cases.ts";
import type { LogSubject } from "../../src/testing/conformance/log-cases.ts";
import { registerCases } from "./register.ts";
import type { OpenedSubject } from "./register.ts";

/** A subject over whatever `open` opens, on a wall clock that the case moves. */
async function subjectOf(open: (runtime: Runtime) => Log | Promise<Log>): Promise<OpenedSubject<LogSubject>> {
  const runtime = await hostRuntime();
  let aheadMs = 0;
  const shifted: Runtime = { ...runtime, now: () => runtime.now() + aheadMs };
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
