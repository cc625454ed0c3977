/**
 * Builds the native Kafka client for the project's own Node and puts it into node_modules, past package.json: it is an optional peer, no dependency. Any Node from 20 on, with npm.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { canInstall, installPackages } from "./debian.mjs";
import { cache, installOnce, isInstalled, withLock } from "./install-once.mjs";

const NAME = "@confluentinc/kafka-javascript";
const VERSION = "1.10.1";

const root = fileURLToPath(new URL("../..", import.meta.url));
const place = join(root, "node_modules", NAME);
const PATH = join(root, "node_modules", ".bin") + delimiter + process.env.PATH;

const COMPILERS = ["build-essential", "python3"];
const LIBRARIES = ["libcurl4-openssl-dev", "libssl-dev", "libsasl2-dev", "zlib1g-dev", "libzstd-dev"];

/** Makes the native client loadable by the project's Node. Null when it is, else why it is not; says what it does. */
export function installNative(say = console.log) {
  const host = spawnSync("node", ["-p", "`${process.version} ${process.platform} ${process.arch}`"], { encoding: "utf8", env: { ...process.env, PATH } }).stdout
    ?.trim();
  if (!host) return "the project's Node does not start";
  const key = `${NAME}@${VERSION} node ${host}`;
  if (isInstalled(place, key) && loadFault() === null) return null;

  const built = join(cache, "kafka-native");
  try {
    installOnce(built, key, (directory) => build(directory, say));
    withLock(`${built}.lock`, () => {
      if (!isInstalled(place, key)) copyInto(built);
    });
  } catch (error) {
    return error.message;
  }
  const fault = loadFault();
  if (fault !== null) rmSync(built, { recursive: true, force: true });
  return fault;
}

function build(directory, say) {
  if (canInstall()) {
    const compilers = hasCompilers() ? [] : COMPILERS;
    if (!installPackages([...compilers, ...LIBRARIES], say)) say("Native Kafka client: Debian's packages could not be installed; trying without.");
  }
  say(`Native Kafka client: installing ${NAME}@${VERSION}; where no binary can be had it is compiled, which takes a minute or two …`);
  // Outside of the project, so that npm neither sees nor prunes the project's packages.
  writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true, dependencies: { [NAME]: VERSION }, allowScripts: { [NAME]: true } }));
  const headers = join(root, "node_modules", "node", "node_modules", `node-${process.platform}-${process.arch}`);
  const isWindows = process.platform === "win32";
  const { status, stdout, stderr } = spawnSync(isWindows ? "npm.cmd" : "npm", ["install", "--no-audit", "--no-fund", "--foreground-scripts"], {
    cwd: directory,
    shell: isWindows,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 10 * 60_000,
    env: {
      ...process.env,
      PATH,
      CKJS_LINKING: "dynamic",
      ...(existsSync(join(headers, "include")) ? { npm_config_nodedir: headers } : {}),
    },
  });
  if (status !== 0) {
    const lines = `${stdout ?? ""}\n${stderr ?? ""}`.split("\n").filter((line) => /\berr(?:or)?\b/i.test(line));
    throw new Error(`npm could not build it (exit code ${status}): ${lines.slice(-5).join(" | ") || "it said nothing"}`);
  }
  // 300 MB of sources and objects, of which 20 are needed.
  const kept = join(directory, "kept");
  copyPackage(join(directory, "node_modules"), kept);
  for (const name of readdirSync(directory)) if (name !== "kept") rmSync(join(directory, name), { recursive: true, force: true });
}

/** The package with what it needs when it runs, nested: the project's own packages stay as they are. */
function copyPackage(modules, target) {
  const source = join(modules, NAME);
  const isNeeded = (path) => {
    const inside = relative(source, path).split(sep).join("/");
    if (/^(?:deps|src|node_modules)$/.test(inside) || /^build\/Release\/(?:obj\.target|\.deps)$/.test(inside)) return false;
    return !inside.startsWith("build/deps/") || /\.(?:so|dylib|dll)\b/.test(basename(path));
  };
  cpSync(source, target, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
  for (const name of ["bindings", "file-uri-to-path"]) cpSync(join(modules, name), join(target, "node_modules", name), { recursive: true });
}

function copyInto(built) {
  const fresh = `${place}.new`;
  mkdirSync(dirname(place), { recursive: true });
  rmSync(fresh, { recursive: true, force: true });
  cpSync(join(built, "kept"), fresh, { recursive: true, verbatimSymlinks: true });
  cpSync(join(built, "installed.json"), join(fresh, "installed.json"));
  rmSync(place, { recursive: true, force: true });
  renameSync(fresh, place);
}

function hasCompilers() {
  return ["g++", "make", "python3"].every((name) => spawnSync(name, ["--version"]).status === 0);
}

/** Why the project's Node cannot load it; null when it can. */
function loadFault() {
  const { status, stderr } = spawnSync("node", ["-e", `require(${JSON.stringify(NAME)})`], { cwd: root, encoding: "utf8", env: { ...process.env, PATH } });
  if (status === 0) return null;
  return `it does not load: ${/Error: .*/.exec(stderr)?.[0] ?? `exit code ${status}`}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reason = installNative();
  console.log(reason === null ? `Native Kafka client: ${NAME}@${VERSION}.` : `Native Kafka client: NOT INSTALLED: ${reason}.`);
  process.exitCode = reason === null ? 0 : 1;
}
