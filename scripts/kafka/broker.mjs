/** The command around Kafka for tests: `node scripts/kafka/broker.mjs --help`. Any Node from 20 on, Bun and Deno. */
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { startBroker } from "./broker-process.mjs";
import { installKafka } from "./jars.mjs";

const HELP = `Kafka for tests: one broker, on this machine, for as long as you like.

  node scripts/kafka/broker.mjs install
      Installs what is missing: Java and Maven where apt-get is there and we are root, and Kafka's jars.
  node scripts/kafka/broker.mjs start [--port N] [--heap MB] [--set name=value …]
      Installs what is missing, starts a broker, and prints its address as one line. Then takes commands, a line each, and answers each with a line "ok" or "failed: why":
        kill      ends it at once            stop     ends it in order
        restart   with its data and port     pause    it keeps its connections and answers nothing
        resume    goes on after pause        quit     ends all and deletes the data, as does the end of the input
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h" }, port: { type: "string" }, heap: { type: "string" }, set: { type: "string", multiple: true, default: [] } },
});

if (values.help || positionals.length === 0) process.stdout.write(HELP);
else if (positionals.length !== 1 || !["install", "start"].includes(positionals[0])) fail(`There is no command ${positionals.join(" ")}.\n\n${HELP}`);
else {
  const missing = installKafka((text) => process.stderr.write(`${text}\n`));
  if (missing !== null) fail(`No broker can be started: ${missing}.\n`);
  else if (positionals[0] === "start") await serve();
  else process.stdout.write("Kafka is installed.\n");
}

async function serve() {
  const broker = await startBroker({
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values.heap === undefined ? {} : { heapMb: Number(values.heap) }),
    config: Object.fromEntries(values.set.map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)])),
  });
  process.stdout.write(`${broker.bootstrap}\n`);
  const commands = new Map(["kill", "stop", "restart", "pause", "resume"].map((name) => [name, () => broker[name]()]));
  for await (const line of createInterface({ input: process.stdin })) {
    const name = line.trim();
    if (name === "quit") break;
    if (name === "") continue;
    try {
      const command = commands.get(name);
      if (command === undefined) throw new Error(`there is no command ${name}`);
      await command();
      process.stdout.write("ok\n");
    } catch (error) {
      process.stdout.write(`failed: ${error.message.split("\n")[0]}\n`);
    }
  }
  await broker.remove();
  process.exit(0);
}

function fail(text) {
  process.stderr.write(text);
  process.exitCode = 1;
}
