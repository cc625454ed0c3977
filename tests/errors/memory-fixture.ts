/** An errors run on the log in memory, for a runtime to run. Argument: its options as JSON; says what happens, and in its last line what came of it. */
import process from "node:process";
import { memoryErrorsRun } from "./memory-run.ts";
import type { ErrorsRunOptions } from "./run.ts";

const options = JSON.parse(process.argv[2]!) as ErrorsRunOptions;

console.log(JSON.stringify(await memoryErrorsRun({ ...options, onEvent: (sentence) => console.log(sentence) })));
// Workers that were killed left timers behind.
process.exit(0);
