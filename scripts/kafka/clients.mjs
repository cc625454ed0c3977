/** Which clients and runtimes a command is run with: `--client` and `--runtime`, as lists between commas. */
import process from "node:process";
import { installKafka } from "./jars.mjs";
import { installNative } from "./native.mjs";

/** The pairs to run, with all that they need installed; the process ends, with a word, where something cannot be. */
export function clientsAndRuntimes({ client: clients, runtime: runtimes }) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
  const missing = installKafka();
  if (missing !== null) end(`No broker can be started: ${missing}.`);
  return itemsOf(clients).flatMap((client) => {
    const fault = client === "confluent" ? installNative() : null;
    if (fault !== null) end(`The native client cannot be used: ${fault}.`);
    // It loads on Node alone.
    return itemsOf(runtimes).filter((runtime) => client !== "confluent" || runtime === "node").map((runtime) => ({ client, runtime }));
  });
}

/** The items of a list between commas. */
export function itemsOf(text) {
  return text.split(",").map((item) => item.trim());
}

function end(sentence) {
  console.error(sentence);
  process.exit(1);
}
