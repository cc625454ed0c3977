/**
 * Takes the lock of a directory again and again. While it holds it, it makes a file that must not be there, which proves that nobody else holds it; those numbered 6 and above die by SIGKILL in
 * the end, as the holder. Arguments: directory, how often to take the lock, number. Says `taken`, `broken` (two holders at once), and `done`.
 */
import { closeSync, openSync, unlinkSync } from "node:fs";
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";

const [directory = "", rounds = "1", number = "0"] = process.argv.slice(2);
const runtime = await hostRuntime();
const disk = runtime.disk(directory);
const proof = `${directory}/held`;

runtime.print("ready");
await new Promise<void>((resolve) => process.stdin.once("data", () => resolve()));

for (let taken = 0; taken < Number(rounds); ) {
  let lock;
  try {
    lock = disk.lock("store.lock");
  } catch (error) {
    if ((error as { code?: string }).code !== "DISK_LOCKED") throw error;
    await runtime.yield();
    continue;
  }
  taken++;
  try {
    closeSync(openSync(proof, "wx"));
  } catch {
    runtime.print("broken");
    process.exit(1);
  }
  runtime.print("taken");
  const untilMs = runtime.monotonic() + 1;
  while (runtime.monotonic() < untilMs);
  unlinkSync(proof);
  if (taken === Number(rounds) && Number(number) >= 6) process.kill(process.pid, "SIGKILL");
  lock.release();
}
runtime.print("done");
process.exit(0);
