/**
 * The example on Kafka, in one command: `npm run earthquakes [-- --runtime node|bun|deno] [--seconds 10]`.
 *
 * Works on Node 20 and later with npm and a network. Installs what is missing (Java, Maven and Kafka's jars among it), starts a broker of its own, puts a week of real earthquakes on a topic,
 * runs two workers of examples/earthquakes, kills one of them in the middle and starts it again, and holds what was said against a brute force. Exit code 0 only when every number is right.
 */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { binaries, environment, install, root } from "./install.mjs";
import { startBroker } from "./kafka/broker-process.mjs";
import { installKafka } from "./kafka/jars.mjs";

/** How each runtime runs a program. */
const runtimes = { node: ["--disable-warning=ExperimentalWarning"], bun: ["run"], deno: ["run", "-A", "--quiet"] };
const directory = join(root, ".millrace", "earthquakes");

const { values: options } = parseArgs({ options: { runtime: { type: "string", default: "node" }, seconds: { type: "string", default: "10" } } });
if (!Object.hasOwn(runtimes, options.runtime)) {
  say(`--runtime is ${options.runtime}, wanted node, bun or deno`);
  process.exit(2);
}
install();
const missing = installKafka(say);
if (missing !== null) {
  say(`No broker can be started: ${missing}.`);
  process.exit(1);
}
rmSync(directory, { recursive: true, force: true });
const broker = await startBroker();
environment.KAFKA_BROKERS = broker.bootstrap;
say(`A Kafka broker listens on ${broker.bootstrap}, for as long as this runs.\n`);
const workers = new Set();
process.on("exit", () => workers.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
try {
  process.exitCode = await play();
} finally {
  await broker.remove();
}

async function play() {
  const first = startWorker("worker-1"), second = startWorker("worker-2");
  await Promise.all([first.started, second.started]);
  const feeding = run("examples/earthquakes/produce.ts", "--seconds", options.seconds, "--dir", inside("feed"));
  await pause(Number(options.seconds) * 400);
  say("\nkill -9 worker-1: the other one takes over; what was half done is as if it had not been.\n");
  first.child.kill("SIGKILL");
  await first.ended;
  await pause(1_000);
  const again = startWorker("worker-1");
  if (await feeding !== 0) return 1;
  const isRight = await run("examples/earthquakes/report.ts", "--dir", inside("report")) === 0;
  for (const { child } of [again, second]) child.kill("SIGTERM");
  const codes = await Promise.all([again.ended, second.ended]);
  if (codes.some((code) => code !== 0)) say(`✗ The workers ended with ${codes.join(" and ")} after SIGTERM, wanted 0.`);
  say(`\nThe program is examples/earthquakes/app.ts; what the workers kept lies in ${relative(process.cwd(), directory)}.`);
  return isRight && codes.every((code) => code === 0) ? 0 : 1;
}

function startWorker(name) {
  const args = ["bin/millrace.mjs", "run", "examples/earthquakes/app.ts", "--port", "0", "--dir", inside(name)];
  say(`$ KAFKA_BROKERS=${broker.bootstrap} millrace ${args.slice(1).join(" ")}`);
  const child = spawn(join(binaries, options.runtime), [...runtimes[options.runtime], ...args], {
    cwd: root,
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  workers.add(child);
  const ended = endOf(child).finally(() => workers.delete(child));
  // It tells its addresses once it works.
  const started = Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), ended]);
  child.stdout.resume();
  return { child, started, ended };
}

function run(file, ...args) {
  say(`$ ${options.runtime} ${file} ${args.join(" ")}`);
  return endOf(
    spawn(join(binaries, options.runtime), [...runtimes[options.runtime], file, ...args], {
      cwd: root,
      env: environment,
      stdio: ["ignore", "inherit", "inherit"],
    }),
  );
}

function inside(name) {
  return relative(root, join(directory, name));
}

/** The exit code, or the signal that ended it. */
function endOf(child) {
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
