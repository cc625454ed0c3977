/** Tells processes apart also when the system gives a process id anew, and when containers count their processes apart. */
import * as fs from "node:fs";
import process from "node:process";

/** What names a process for good. */
export interface ProcessIdentity {
  readonly processId: number;
  /** Clock ticks from boot to its start, with the boot's id; null where the host doesn't say. */
  readonly processStart: string | null;
  /** The set of process ids it is counted in; null where the host doesn't say. */
  readonly processSpace: string | null;
}

/** The identity of this process. */
export function processIdentity(): ProcessIdentity {
  return { processId: process.pid, processStart: startOf(process.pid), processSpace: spaceOf() };
}

/** Whether another process lives, as far as this one can see: one of another space of ids cannot be seen, nor is this process meant. */
export function isAlive({ processId, processStart, processSpace }: ProcessIdentity): boolean {
  if (processSpace !== null && processSpace !== spaceOf()) return false;
  if (processId === process.pid || processId <= 0) return false;
  try {
    process.kill(processId, 0);
  } catch (cause) {
    // EPERM: it lives, under another user.
    if ((cause as { code?: unknown }).code !== "EPERM") return false;
  }
  if (stateOf(processId) === "Z") return false;
  const start = startOf(processId);
  return processStart === null || start === null || start === processStart;
}

function statFields(processId: number): readonly string[] | null {
  try {
    const stat = fs.readFileSync(`/proc/${processId}/stat`, "utf8");
    // The second field, the program's name, is in brackets and may hold blanks and brackets.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** Field 3 of proc_pid_stat(5). */
function stateOf(processId: number): string | null {
  return statFields(processId)?.[0] ?? null;
}

/** Field 22 of proc_pid_stat(5), with the boot's id. */
function startOf(processId: number): string | null {
  const ticks = statFields(processId)?.[19];
  if (ticks === undefined) return null;
  try {
    return `${fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${ticks}`;
  } catch {
    return ticks;
  }
}

function spaceOf(): string | null {
  try {
    return fs.readlinkSync("/proc/self/ns/pid");
  } catch {
    return null;
  }
}
