/** How a contender tells how far it is: lines of "records taken, CPU us of the process, ms since its start", and a last one that begins with "done". */
import process from "node:process";

/** What a contender is started with. */
export interface Contest {
  readonly job: "J1" | "J2" | "J3";
  readonly brokers: string;
  /** Names its group. */
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly records: number;
  readonly results: number;
}

/** Reads the arguments; `rest` are the contender's own. */
export function readContest(): Contest & { readonly rest: readonly string[] } {
  const [job, brokers, name, input, output, records, results, ...rest] = process.argv.slice(2) as [Contest["job"], ...string[]];
  return { job, brokers: brokers!, name: name!, input: input!, output: output!, records: Number(records), results: Number(results), rest };
}

const MARK_MS = 20;

/** Tells `taken()` from now on; the answer says the last of it, and waits for whoever reads it: the process may end then. */
export function tellProgress(taken: () => number): () => Promise<void> {
  const say = (what: string): void => {
    const { user, system } = process.cpuUsage();
    process.stdout.write(`${what}${taken()}\t${user + system}\t${Math.round(process.uptime() * 1000)}\n`);
  };
  const timer = setInterval(() => say(""), MARK_MS);
  return async () => {
    clearInterval(timer);
    say("done\t");
    process.stdin.resume();
    await new Promise<void>((resolve) => process.stdin.once("end", () => resolve()));
  };
}
