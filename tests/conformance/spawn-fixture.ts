/** What the conformance cases of R8 start: it says what it was told, echoes, and ends when asked to. */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";

const runtime = await hostRuntime();
const { parent } = runtime;
if (parent === null || parent === undefined) throw new Error("wanted to be started by spawn()");
if (parent.told === "late") await new Promise<void>((resolve) => void runtime.setTimer(resolve, 200));
parent.send(`told ${parent.told}`);
parent.listen({
  onMessage: (message) => {
    if (message.startsWith("echo ")) parent.send(message.slice("echo ".length));
    else if (message.startsWith("exit ")) process.exit(Number(message.slice("exit ".length)));
  },
  onClosed: () => process.exit(0),
});
