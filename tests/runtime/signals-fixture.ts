/** Hears signals until the third one, then stops hearing and waits to be ended. Says what it hears, on both streams. */
import { hostRuntime } from "../../adapters/host/host.ts";

const runtime = await hostRuntime();
let heard = 0;
const stop = runtime.onSignal((signal) => {
  heard++;
  runtime.print(`heard ${signal}`);
  runtime.print(`count ${heard}`, "error");
  if (heard === 3) {
    stop();
    stop();
    runtime.print("deaf");
  }
});
runtime.print(`${runtime.name} ready ${runtime.env("MILLRACE_FIXTURE")}`);
runtime.setTimer(() => undefined, 60_000);
