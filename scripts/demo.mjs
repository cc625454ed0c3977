/**
 * The main job, in one command: `npm start [-- --runtime node|bun|deno] [--forever] [--seconds 30] [--port 8787]`.
 *
 * Works on Node 20 and later with npm and nothing else. Installs what is missing, runs examples/github-activity by `millrace run`, posts real GitHub webhooks to it, shows what the app makes of
 * them, checks that each one that was acknowledged counts exactly once, and stops the app by SIGTERM. Exit code 0 only when all of that went right.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join, relative } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { binaries, environment, install, root } from "./install.mjs";

const app = "examples/github-activity/app.ts";
const sender = "examples/github-activity/send.ts";

/** How each runtime runs a program. */
const runtimes = { node: ["--disable-warning=ExperimentalWarning"], bun: ["run"], deno: ["run", "-A", "--quiet"] };

const options = readOptions();
install();
process.exitCode = await demo();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        runtime: { type: "string", default: "node" },
        seconds: { type: "string", default: "30" },
        port: { type: "string" },
        forever: { type: "boolean", default: false },
      },
    });
    if (!Object.hasOwn(runtimes, values.runtime)) throw new Error(`--runtime is ${values.runtime}, wanted node, bun or deno`);
    if (!(Number(values.seconds) > 0)) throw new Error(`--seconds is ${values.seconds}, wanted a number above 0`);
    if (values.port !== undefined && !/^\d{1,5}$/.test(values.port)) throw new Error(`--port is ${values.port}, wanted a number`);
    return values;
  } catch (error) {
    say(`${error.message}\nUsage: npm start -- [--runtime node|bun|deno] [--seconds 30] [--port 8787] [--forever]`);
    process.exit(2);
  }
}

async function demo() {
  const directory = join(root, ".millrace", "demo");
  rmSync(directory, { recursive: true, force: true });
  const port = options.port ?? String(await freePort(8787));
  environment.GITHUB_WEBHOOK_SECRET = randomBytes(24).toString("hex");

  say("GitHub's webhooks in, features and windows out: one app on its embedded log. No broker, no account, nothing to configure.\n");
  const appArgs = ["run", app, "--port", port, "--dir", relative(process.cwd(), directory) || directory];
  say(`$ millrace ${appArgs.join(" ")}`);
  // In a process group of its own, so that Ctrl-C stops the sender first.
  const appProcess = launch(["bin/millrace.mjs", ...appArgs], { env: environment, stdio: ["ignore", "pipe", "inherit"], detached: true });
  process.on("exit", () => appProcess.kill("SIGKILL"));
  const url = await Promise.race([addressOf(appProcess), ended(appProcess).then(() => null)]);
  if (url === null) {
    say("The app did not start: see above.");
    return 1;
  }

  say("\nOpen these while it runs:");
  for (const path of ["/features/repository/Codertocat%2FHello-World", "/features/person/Codertocat", "/admin/topology?format=mermaid", "/metrics"]) {
    say(`  ${url}${path}`);
  }
  const senderArgs = ["--url", url, "--seconds", options.seconds, ...(options.forever ? ["--forever"] : [])];
  say(`\n$ ${options.runtime} ${sender} ${senderArgs.join(" ")}`);
  const senderProcess = launch([sender, ...senderArgs], { env: environment, stdio: ["ignore", "inherit", "inherit"] });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => senderProcess.kill(signal));

  const first = await Promise.race([ended(senderProcess), ended(appProcess).then(() => "app")]);
  if (first === "app") {
    senderProcess.kill("SIGKILL");
    say("The app ended before its time: see above.");
    return 1;
  }
  appProcess.kill("SIGTERM");
  const code = await ended(appProcess);
  if (code !== 0) say(`✗ The app ended with ${code} after SIGTERM, wanted 0.`);
  else say(`✓ The app finished what was in hand and stopped. Its log and state lie in ${relative(process.cwd(), directory)}.`);
  say(`\nThe program is ${app}: change it and run this again; README.md says how to go on.`);
  return first === 0 && code === 0 ? 0 : 1;
}

function launch(args, spawnOptions) {
  return spawn(join(binaries, options.runtime), [...runtimes[options.runtime], ...args], { cwd: root, ...spawnOptions });
}

/** Prints what the app says; fulfils with its address once it listens. */
function addressOf(child) {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      say(line);
      const address = /(http:\/\/\S+)\/admin\/health/.exec(line)?.[1];
      // The lines of the start come at once: those behind this one are let out first.
      if (address !== undefined) setTimeout(() => resolve(address), 100);
    });
  });
}

/** The exit code, or the signal that ended it. */
function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? child.signalCode);
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
}

/** The wanted port if it is free, else any. */
function freePort(wanted) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(0));
    server.listen(wanted, "127.0.0.1", () => server.close(() => resolve(wanted)));
  });
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
