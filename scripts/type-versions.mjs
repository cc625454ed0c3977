/**
 * Type-checks the public types under other versions of TypeScript: `node scripts/type-versions.mjs [version …]`, by default the oldest supported and those in between.
 *
 * Run by hand: each version is installed into a temporary directory. What is checked is what users compile: the programs of tests/types against mod.ts and the testing entry.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const versions = process.argv.length > 2 ? process.argv.slice(2) : ["5.9", "6.0"];
const windows = process.platform === "win32";

let failed = 0;
for (const version of versions) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-types-"));
  try {
    failed += check(version, directory) ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
process.exitCode = failed === 0 ? 0 : 1;

function check(version, directory) {
  const installed = spawnSync(windows ? "npm.cmd" : "npm", ["install", "--prefix", directory, "--no-audit", "--no-fund", "--silent", `typescript@${version}`], {
    encoding: "utf8",
    shell: windows,
  });
  if (installed.status !== 0) {
    console.log(`TypeScript ${version}: could not be installed\n${installed.stdout}${installed.stderr}`);
    return false;
  }
  const compiler = join(directory, "node_modules", "typescript", "bin", "tsc");
  const name = spawnSync(process.execPath, [compiler, "--version"], { encoding: "utf8" }).stdout.trim();
  const project = join(directory, "tsconfig.json");
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(root, "node_modules", "@types")] },
      files: [join(root, "mod.ts"), join(root, "src/testing/testing.ts")],
      include: [join(root, "tests/types/programs"), join(root, "tests/types/refused")],
      exclude: [],
    }),
  );
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "-p", project], { encoding: "utf8" });
  console.log(`${name}: ${status === 0 ? "ok" : "failed"} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (status !== 0) console.log(`${stdout}${stderr}`);
  return status === 0;
}
