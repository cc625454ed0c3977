/** Runs transactions on a real file until it is killed, and says which are durable: `kill-fixture.ts <directory> <first number>`. */
import process from "node:process";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { openBank, transact } from "./workload.ts";
import type { Progress } from "./workload.ts";

const [directory, first] = process.argv.slice(2) as [string, string];
const runtime = await hostRuntime();
const database = await openBank(runtime, runtime.disk(directory));
const progress: Progress = { attempted: [], committed: [], flushed: [] };
for (let number = Number(first); ; number++) {
  transact(database, number, progress);
  await database.flush();
  runtime.print(String(number));
}
