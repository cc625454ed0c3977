/** Fetches Kafka Streams by Maven and compiles the jobs, once, into the project's cache. Needs a JDK and Maven. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache, installOnce } from "../../../scripts/kafka/install-once.mjs";

/** The version of Kafka Streams. */
export const STREAMS_VERSION = "4.1.0";

const pom = fileURLToPath(new URL("pom.xml", import.meta.url));
const source = fileURLToPath(new URL("jobs.java", import.meta.url));

/** The class path of the jobs, of which `Jobs` is the main class. Throws when they cannot be made. */
export function installStreams(say = console.log) {
  const jars = join(cache, `kafka-streams-${STREAMS_VERSION}`), classes = join(cache, "kafka-streams-jobs");
  installOnce(jars, `kafka-streams ${STREAMS_VERSION}, 1`, (directory) => {
    say(`Kafka Streams ${STREAMS_VERSION}: fetching its jars …`);
    const goal = ["-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${directory}`];
    if (spawnSync("mvn", ["-o", ...goal]).status === 0) return;
    run("mvn", goal);
  });
  const classPath = join(jars, "*");
  installOnce(classes, readFileSync(source, "utf8"), (directory) => run("javac", ["-cp", classPath, "-d", directory, source]));
  return [classes, classPath].join(delimiter);
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: 10 * 60_000 });
  if (status !== 0) {
    throw new Error(
      `${command} failed (${error?.message ?? `exit code ${status}`}): ${`${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n").slice(-5).join(" | ")}`,
    );
  }
}
