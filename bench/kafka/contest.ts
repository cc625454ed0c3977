/** Runs contenders, one after the other, and says what they cost. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** A program to measure: it tells its progress as `progress.ts` says. */
export interface Contender {
  /** For people. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** What one run cost. */
export interface Measure {
  /** CPU us a record, from the start of the process to its last result. */
  readonly withStart: number;
  /** CPU us a record over the later 60 % of the records. */
  readonly steady: number;
  readonly wallMs: number;
  readonly peakMb: number | null;
}

/** A run that says nothing for so long is given up. */
const SILENCE_MS = 120_000;

/** Runs it to its end. Rejects when it fails, with what it said. */
export async function measure({ command, args, name }: Contender, records: number): Promise<Measure> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "", silence: ReturnType<typeof setTimeout> | undefined;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const exited = new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal ?? "nothing"));
  });
  const marks: { readonly taken: number; readonly cpuUs: number; readonly ms: number }[] = [];
  let peakMb: number | null = null;
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(silence);
    silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
    const isDone = line.startsWith("done\t");
    const [taken, cpuUs, ms] = (isDone ? line.slice(5) : line).split("\t").map(Number);
    if (cpuUs === undefined || ms === undefined || Number.isNaN(cpuUs)) continue;
    if (taken! > (marks.at(-1)?.taken ?? -1) || isDone) marks.push({ taken: Math.min(taken!, records), cpuUs, ms });
    if (!isDone) continue;
    peakMb = peakOf(child.pid!);
    child.stdin.end();
  }
  clearTimeout(silence);
  const code = await exited;
  const last = marks.at(-1);
  if (code !== 0 || last === undefined || last.taken < records) {
    throw new Error(`${name} ended with ${code} after ${last?.taken ?? 0} of ${records} records: ${errors.slice(-3_000)}`);
  }
  return { withStart: last.cpuUs / records, steady: (last.cpuUs - cpuAt(marks, records * 0.4)) / (records * 0.6), wallMs: last.ms, peakMb };
}

/** When so many records were taken, between the two marks around it. */
function cpuAt(marks: readonly { readonly taken: number; readonly cpuUs: number }[], taken: number): number {
  const index = marks.findIndex((mark) => mark.taken >= taken);
  const after = marks[index]!, before = marks[index - 1] ?? { taken: 0, cpuUs: 0 };
  return before.cpuUs + (after.cpuUs - before.cpuUs) * (taken - before.taken) / (after.taken - before.taken);
}

/** Of resident memory, MB; null where the system does not tell. */
function peakOf(pid: number): number | null {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return peak === undefined ? null : Math.round(Number(peak) / 1024);
  } catch {
    return null;
  }
}
