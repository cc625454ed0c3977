/** Java and Kafka's jars: finds them, or installs what is missing. Any Node from 20 on, Bun and Deno. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { installPackages } from "./debian.mjs";
import { cache, installOnce, isInstalled } from "./install-once.mjs";

const VERSION = "4.1.0";
const KEY = `kafka ${VERSION}, 1`;
const JAVA_MIN = 17;
const CLUSTER = "bWlsbHJhY2UtdGVzdC1icg";

const target = join(cache, `kafka-${VERSION}`);
const pom = fileURLToPath(new URL("pom.xml", import.meta.url));
/** What the JVM logs and where to. */
export const logging = new URL("log4j2.xml", import.meta.url).href;

/** `{ java, classPath, template }` to start a broker with, or `{ missing }`, a sentence that says what is not there. */
export function findKafka() {
  // Signals do not stop a process there, and Kafka loses hold of its own files.
  if (process.platform === "win32") return { missing: "Kafka's broker is not run on Windows" };
  const java = findJava();
  if (java === null) return { missing: `there is no Java ${JAVA_MIN} or later (JAVA_HOME, or java on the PATH)` };
  if (!isInstalled(target, KEY)) return { missing: "Kafka's jars are not installed: node scripts/kafka/broker.mjs install" };
  return { java, classPath: join(target, "lib", "*"), template: join(target, "template") };
}

/** Installs what is missing. Null when a broker can be started, else a sentence that says why not; says what it does. */
export function installKafka(say = console.log) {
  if (process.platform === "win32") return findKafka().missing;
  // A broker runs without the compiler; some tests compile a program for the Java client.
  if (findJava() === null || spawnSync("javac", ["-version"]).status !== 0) installPackages(["default-jdk-headless"], say);
  const java = findJava();
  if (java === null) return findKafka().missing;
  if (isInstalled(target, KEY)) return null;
  if (!hasMaven()) installPackages(["maven"], say);
  if (!hasMaven()) return "there is no Maven (mvn on the PATH) to install Kafka's jars with";
  try {
    installOnce(target, KEY, (directory) => {
      say(`Kafka ${VERSION}: fetching its jars …`);
      fetchJars(join(directory, "lib"));
      format(java, directory);
    });
    return null;
  } catch (error) {
    return error.message;
  }
}

/** The path of a Java that is new enough, or null. */
function findJava() {
  const home = process.env.JAVA_HOME;
  for (const java of [...(home ? [join(home, "bin", "java")] : []), "java"]) {
    const { status, stderr } = spawnSync(java, ["-version"], { encoding: "utf8" });
    if (status === 0 && Number(/version "(\d+)/.exec(stderr ?? "")?.[1] ?? 0) >= JAVA_MIN) return java;
  }
  return null;
}

function hasMaven() {
  return spawnSync("mvn", ["--version"]).status === 0;
}

function fetchJars(directory) {
  const goal = ["-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${directory}`];
  // Offline first: quick where an earlier clone has fetched them, and a second's loss where not.
  let result = spawnSync("mvn", ["-o", ...goal], { encoding: "utf8" });
  if (result.status !== 0) result = spawnSync("mvn", goal, { encoding: "utf8", timeout: 10 * 60_000 });
  if (result.status !== 0) throw new Error(`Maven could not fetch Kafka's jars (exit code ${result.status}): ${lastLines(result)}`);
  if (!readdirSync(directory).includes(`kafka_2.13-${VERSION}.jar`)) throw new Error(`Maven fetched no Kafka into ${directory}`);
}

/** A data directory before a broker's first start; formatting it takes a JVM, copying it does not. */
function format(java, directory) {
  const template = join(directory, "template");
  const config = join(directory, "format.properties");
  writeFileSync(
    config,
    [
      "process.roles=broker,controller",
      "node.id=1",
      "controller.quorum.voters=1@127.0.0.1:1",
      "listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1",
      "controller.listener.names=CONTROLLER",
      `log.dirs=${template}`,
    ].join("\n"),
  );
  const args = [`-Dlog4j2.configurationFile=${logging}`, "-cp", join(directory, "lib", "*"), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", config];
  const result = spawnSync(java, args, { encoding: "utf8" });
  if (result.status !== 0 || !existsSync(join(template, "meta.properties"))) throw new Error(`Kafka could not format a data directory: ${lastLines(result)}`);
}

function lastLines({ stdout, stderr, error }) {
  return error?.message ?? (`${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n").slice(-5).join(" | ") || "it said nothing");
}
