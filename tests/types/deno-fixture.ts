/** Runs a command of Deno's on the repository; prints all it says and ends as it does. */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const { status, stdout, stderr } = spawnSync(process.execPath, process.argv.slice(2), {
  cwd: fileURLToPath(new URL("../..", import.meta.url)),
  encoding: "utf8",
  env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
});
process.stdout.write(`${stdout}${stderr}`);
process.exitCode = status ?? 1;
