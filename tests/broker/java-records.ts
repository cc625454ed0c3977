/** A broker's content by the Java client: what a test says of it then does not come from the code under test. Needs a JDK. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { delimiter } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { tempDirectory } from "../shim/temp.ts";
import type { Records, Standing } from "./records.ts";

/** Where Kafka's jars lie, and where the broker listens. */
export interface JavaSide {
  /** Of the jars. */
  readonly classPath: string;
  /** `host:port`. */
  readonly brokers: string;
}

let compiled: string | null = null;

/** Whether there is a compiler. */
export function hasCompiler(): boolean {
  return spawnSync("javac", ["-version"]).status === 0;
}

/** Compiles once a process: starting from source would cost a second each time. */
function classes(classPath: string): string {
  if (compiled !== null) return compiled;
  const { path } = tempDirectory();
  const source = fileURLToPath(new URL("records.java", import.meta.url));
  const { status, stderr } = spawnSync("javac", ["-cp", classPath, "-d", path, source], { encoding: "utf8" });
  if (status !== 0) throw new Error(`javac could not compile ${source}: ${stderr}`);
  return compiled = path;
}

function start({ classPath, brokers }: JavaSide, command: string, args: readonly string[]): { readonly child: ChildProcess; readonly exited: Promise<void> } {
  const child = spawn("java", [
    "-XX:+UseSerialGC",
    "-Dlog4j2.level=ERROR",
    "-cp",
    [classes(classPath), classPath].join(delimiter),
    "Records",
    command,
    brokers,
    ...args,
  ], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const end = (): void => void child.kill("SIGKILL");
  process.on("exit", end);
  child.once("close", () => process.off("exit", end));
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const exited = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => code === 0 ? resolve() : reject(new Error(`"${command} ${args.join(" ")}" ended with ${code}: ${errors}`)));
  });
  // Whoever waits for it is told.
  exited.catch(() => undefined);
  return { child, exited };
}

async function linesOf(side: JavaSide, command: string, args: readonly string[], onLine: (line: string) => void): Promise<void> {
  const { child, exited } = start(side, command, args);
  child.stdin!.end();
  for await (const line of createInterface({ input: child.stdout! })) onLine(line);
  await exited;
}

/** The Java client. */
export function javaRecords(side: JavaSide): Records {
  return {
    name: "the Java client",
    create: (partitions, topics) => linesOf(side, "create", [String(partitions), ...topics], () => undefined),
    load: (topic) => {
      const { child, exited } = start(side, "load", [topic]);
      child.stdout!.resume();
      // A process that has ended says why; the pipe says only that it has.
      child.stdin!.on("error", () => undefined);
      return {
        write: async (lines) => {
          let text = "";
          for (const { at, key, value, partition } of lines) {
            text += partition === null ? `${at}\t${key}\t${value}\n` : `${at}\t${key}\t${value}\t${partition}\n`;
          }
          await Promise.race([new Promise<void>((resolve, reject) => child.stdin!.write(text, (error) => error ? reject(error) : resolve())), exited]);
        },
        end: async () => {
          child.stdin!.end();
          await exited;
        },
      };
    },
    dump: (topic, onRecord) =>
      linesOf(side, "dump", [topic], (line) => {
        const first = line.indexOf("\t"), second = line.indexOf("\t", first + 1), third = line.indexOf("\t", second + 1);
        onRecord({
          partition: Number(line.slice(0, first)),
          position: Number(line.slice(first + 1, second)),
          key: line.slice(second + 1, third),
          value: line.slice(third + 1),
        });
      }),
    standings: async (group, topic) => {
      const found: Standing[] = [];
      await linesOf(side, "ends", [group, topic], (line) => {
        const [partition, committed, end] = line.split("\t").map(Number);
        found.push({ partition: partition!, committed: committed!, end: end! });
      });
      return found;
    },
    close: () => Promise.resolve(),
  };
}
