/**
 * kill -9 under webhook load, by command: `node scripts/chaos-kill.mjs [node|bun|deno …] [--rounds 30] [--seed 1]`, with Node 22.18 or later. Prints figures; exit code 0 only when nothing
 * that was acknowledged was lost or counted twice.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { killRounds } from "../tests/runtime/kill-rounds.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "30" }, seed: { type: "string", default: "1" } },
});

for (const runtime of positionals.length > 0 ? positionals : ["node", "bun", "deno"]) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-kill-"));
  const startedAt = performance.now();
  const result = await killRounds({
    runtime,
    directory,
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    onRound: (round, acknowledged) => process.stdout.isTTY && process.stdout.write(`\r${runtime}: round ${round}, ${acknowledged} acknowledged `),
  });
  const { wrong, ...figures } = result;
  console.log(
    `${process.stdout.isTTY ? "\r" : ""}${runtime}: ${
      JSON.stringify({ seed: Number(values.seed), ...figures, wrong: wrong.length, seconds: Math.round((performance.now() - startedAt) / 1000) })
    }`,
  );
  for (const sentence of wrong.slice(0, 20)) console.log(`  ✗ ${sentence}`);
  if (wrong.length > 0) {
    process.exitCode = 1;
    console.log(`  The directory is kept: ${directory}`);
  } else rmSync(directory, { recursive: true, force: true });
}
