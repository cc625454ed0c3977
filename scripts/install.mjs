/**
 * Installs what is missing for the commands of the README: the packages of package-lock.json, the runtimes among them. Works on Node 20 and later with npm and nothing else.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { installKafka } from "./kafka/jars.mjs";
import { installNative } from "./kafka/native.mjs";

/** The folder of the project. */
export const root = fileURLToPath(new URL("..", import.meta.url));
/** Where npm puts the runtimes. */
export const binaries = join(root, "node_modules", ".bin");
/** The environment in which the project's runtimes come first. */
export const environment = {
  ...process.env,
  PATH: binaries + delimiter + process.env.PATH,
  // Works also where the home directory cannot be written.
  DENO_DIR: join(root, "node_modules", ".cache", "deno"),
  DENO_NO_UPDATE_CHECK: "1",
};

/** Installs packages that are missing or of another version than in the lock file, and makes the runtimes start. Ends the process when it can't. */
export function install() {
  const missing = missingPackage();
  if (missing === null) say("Packages: as in package-lock.json.");
  else {
    say(`Packages: ${missing}; running npm ci …`);
    // `npm ci` also refuses where a registry lacks the binaries of some other platform.
    if (!npm(["ci", "--no-audit", "--no-fund"])) {
      say("npm ci failed; running npm install …");
      if (!npm(["install", "--no-save", "--no-audit", "--no-fund"])) stop("npm could not install the packages.");
    }
  }

  let broken = brokenRuntimes();
  if (broken.length > 0) {
    say(`Runtimes: ${broken.join(", ")} not ready; running their install scripts …`);
    if (!npm(["rebuild", "--foreground-scripts", ...broken])) stop("npm could not prepare the runtimes.");
    broken = brokenRuntimes();
  }
  if (broken.length > 0) stop(`These runtimes do not start: ${broken.join(", ")}. Remove node_modules and try again.`);
  say(`Runtimes: ${["node", "bun", "deno"].map((name) => `${name} ${versionOf(name)}`).join(", ")}.`);
}

/** Installs what only tests against Kafka need. What is missing in the end is no failure: `{ broker, native }` says why, each null when it is there. */
export function installForKafka() {
  const broker = installKafka(say);
  say(broker === null ? "Kafka: a broker can be started." : `Kafka: NO BROKER, and its tests are skipped: ${broker}.`);
  const native = installNative(say);
  say(native === null ? "Native Kafka client: ready." : `Native Kafka client: NOT THERE, and its tests are skipped: ${native}.`);
  return { broker, native };
}

/** What of package-lock.json is not in node_modules; null when all is. */
function missingPackage() {
  if (!existsSync(join(root, "package-lock.json"))) return existsSync(binaries) ? null : "none installed";
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  for (const [path, { version, optional, link }] of Object.entries(packages)) {
    if (path === "" || link) continue;
    const file = join(root, path, "package.json");
    // Optional ones are for other platforms, or were built where they could.
    if (!existsSync(file)) {
      if (optional) continue;
      return `${path} is missing`;
    }
    const installed = JSON.parse(readFileSync(file, "utf8")).version;
    if (installed !== version) return `${path} is ${installed}, wanted ${version}`;
  }
  return null;
}

function brokenRuntimes() {
  return ["node", "bun", "deno"].filter((name) => versionOf(name) === null);
}

function versionOf(name) {
  const { status, stdout } = spawnSync(name, ["--version"], { cwd: root, env: environment, encoding: "utf8" });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0] ?? null;
  // Without its own binary the name would find the system's Node, which may be too old.
  return status === 0 && existsSync(join(binaries, name)) ? version : null;
}

function npm(args) {
  const { status } = spawnSync(process.platform === "win32" ? "npm.cmd" : "npm", args, {
    cwd: root,
    stdio: "inherit",
    env: process.env,
    shell: process.platform === "win32",
  });
  return status === 0;
}

function say(text) {
  console.log(text);
}

function stop(text) {
  console.error(text);
  process.exit(1);
}
