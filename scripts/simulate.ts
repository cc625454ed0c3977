/**
 * Runs the simulator by hand, on Node, Bun or Deno:
 *
 *   node scripts/simulate.ts --seeds 0..1000        these seeds
 *   node scripts/simulate.ts --seeds 17 --actions   one, with everything that happens
 *   node scripts/simulate.ts --seconds 60           as many as there is time for, from a random one on
 *   node scripts/simulate.ts --crash-points         the reference run, crashed before and after each operation of its disk
 *   node scripts/simulate.ts --planted              bugs put in on purpose, and how many seeds it takes to find each
 *
 * Prints each seed that fails with its genes and ends with exit code 1.
 */
import process from "node:process";
import { hostRuntime } from "../adapters/host/host.ts";
import { REFERENCE_SEED, referenceGenes } from "../tests/sim/crash-points.ts";
import { plantedBugs } from "../tests/sim/planted.ts";
import { simulate, type SimulationOptions, type SimulationResult } from "../tests/sim/simulation.ts";

const PLANTED_SEEDS_MAX = 1_000;
const host = await hostRuntime();
const args = process.argv.slice(2);
const faults = new Map<string, number>();
const started = host.monotonic();
let runs = 0, failures = 0;

if (args.includes("--crash-points")) await crashPoints();
else if (args.includes("--planted")) await planted();
else await seeds();
const kinds = [...faults].sort().map(([kind, count]) => `${kind} ${count}`).join(", ");
say(`${runs} runs, ${failures} failed, in ${((host.monotonic() - started) / 1_000).toFixed(1)} s; faults: ${kinds === "" ? "none" : kinds}`);
process.exitCode = failures === 0 ? 0 : 1;

async function seeds(): Promise<void> {
  const seconds = Number(valueOf("--seconds") ?? Infinity);
  const [first = "", last = first] = (valueOf("--seeds") ?? (seconds < Infinity ? `${host.now() % 1_000_000_000}..Infinity` : "0..499")).split("..");
  for (let seed = Number(first); seed <= Number(last) && host.monotonic() - started < seconds * 1_000; seed++) {
    report(await simulate(seed, { host, ...(args.includes("--actions") ? { onAction: say } : {}) }), "");
    if (runs % 1_000 === 0) say(`${runs} runs`);
  }
}

async function planted(): Promise<void> {
  for (const { name, plant, patch, genes } of plantedBugs) {
    const takeOut = patch?.();
    let violation: string | null = null, seed = 0;
    while (violation === null && seed < PLANTED_SEEDS_MAX) {
      runs++;
      violation = (await simulate(seed++, { host, plant, ...(genes === undefined ? {} : { genes }) })).violation;
    }
    takeOut?.();
    if (violation === null) failures++;
    say(`${name}: ${violation === null ? `not found by ${seed} seeds` : `found by ${seed}: ${violation.slice(0, 200)}`}`);
  }
}

async function crashPoints(): Promise<void> {
  const run = (more: Partial<SimulationOptions>): Promise<SimulationResult> => simulate(REFERENCE_SEED, { host, genes: referenceGenes, ...more });
  const reference = await run({});
  say(`The reference run has ${reference.operations} operations.`);
  report(reference, "the reference run");
  for (const how of ["power", "kill"] as const) {
    for (const when of ["before", "after"] as const) {
      for (let operation = 0; operation < reference.operations; operation++) {
        const result = await run({ crashAt: { operation, when, how } });
        const violation = result.violation ?? (result.outputs === reference.outputs ? null : "other outputs than the undisturbed run");
        report({ ...result, ok: violation === null, violation }, `${how} ${when} operation ${operation}`);
      }
      say(`${how} ${when} each: done, ${failures} failed so far`);
    }
  }
}

function report(result: SimulationResult, what: string): void {
  runs++;
  for (const [kind, count] of Object.entries(result.faults)) faults.set(kind, (faults.get(kind) ?? 0) + count);
  if (result.ok) return;
  failures++;
  say(`\nFAILED: seed ${result.seed} ${what}\n${result.violation}\n${JSON.stringify(result.genes)}\n`);
}

function valueOf(option: string): string | undefined {
  const at = args.indexOf(option);
  return at < 0 ? undefined : args[at + 1];
}

function say(text: string): void {
  host.print(text);
}
