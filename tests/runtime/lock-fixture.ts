/** Holds the lock of a directory until it is killed or gets a line; says how it went. */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";

const [directory = ""] = process.argv.slice(2);
const runtime = await hostRuntime();
try {
  const lock = runtime.disk(directory).lock("store.lock", { program: "fixture" });
  runtime.print("held");
  process.stdin.once("data", () => {
    lock.release();
    process.exit(0);
  });
} catch (error) {
  runtime.print(`refused ${(error as { code?: string }).code} ${(error as Error).message}`);
  process.exit(3);
}
