/** Spawns a TypeScript program on one of the runtimes, from each of them. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Which runtime runs the program; `self` is the one that runs the test. */
export type ProgramRuntime = "node" | "bun" | "deno" | "self";

/** A running program. */
export interface Program {
  readonly pid: number;
  /** Sends a signal; nothing happens when the program has ended. */
  kill(signal?: "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Fulfils when the program has ended and its output is complete; `code` is null when a signal ended it. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Lines of standard output, from the first on; ends with the program. May be iterated in turns, each line is given once. */
  lines(): AsyncIterable<string>;
  /** The next line of standard output; null at the end. */
  line(): Promise<string | null>;
  /** All of standard error so far. */
  stderr(): string;
  /** Writes to standard input. */
  write(text: string): void;
}

/** Options of {@linkcode spawnProgram}. */
export interface SpawnOptions {
  /** Added to the environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly directory?: string;
  /** For the runtime, in front of the file. */
  readonly flags?: readonly string[];
}

const binaries = new URL("../../node_modules/.bin/", import.meta.url);

/** Which runtime runs this file. */
export function selfName(): "node" | "bun" | "deno" {
  const host = globalThis as { readonly Bun?: unknown; readonly Deno?: unknown };
  return host.Bun !== undefined ? "bun" : host.Deno !== undefined ? "deno" : "node";
}

/** Starts `file` (a path or a file URL) with `args`. */
export function spawnProgram(runtime: ProgramRuntime, file: string | URL, args: readonly string[] = [], { env = {}, directory, flags = [] }: SpawnOptions = {}): Program {
  const name = runtime === "self" ? selfName() : runtime;
  const binary = runtime === "self" ? process.execPath : fileURLToPath(new URL(name, binaries));
  const path = file instanceof URL || file.startsWith("file:") ? fileURLToPath(file) : file;
  const runtimeArgs = name === "deno" ? ["run", "-A", "--no-check", "--quiet", ...flags] : name === "bun" ? ["run", ...flags] : ["--disable-warning=ExperimentalWarning", ...flags];
  const environment: Record<string, string | undefined> = { ...process.env, ...env };
  // A child of `node --test` would speak the runner's own protocol instead of text.
  delete environment["NODE_TEST_CONTEXT"];
  for (const [key, value] of Object.entries(environment)) if (value === undefined) delete environment[key];
  const child = spawn(binary, [...runtimeArgs, path, ...args], { env: environment as NodeJS.ProcessEnv, stdio: ["pipe", "pipe", "pipe"], ...(directory === undefined ? {} : { cwd: directory }) });
  return watch(child);
}

function watch(child: ChildProcess): Program {
  const queue: string[] = [];
  const takers: ((line: string | null) => void)[] = [];
  let hasEnded = false;
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors += text));
  child.stdin?.on("error", () => undefined);
  const reader = createInterface({ input: child.stdout! });
  reader.on("line", (line) => {
    const taker = takers.shift();
    if (taker === undefined) queue.push(line);
    else taker(line);
  });
  reader.on("close", () => {
    hasEnded = true;
    for (const taker of takers.splice(0)) taker(null);
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const line = (): Promise<string | null> => {
    const first = queue.shift();
    if (first !== undefined) return Promise.resolve(first);
    return hasEnded ? Promise.resolve(null) : new Promise((resolve) => takers.push(resolve));
  };
  return {
    pid: child.pid ?? 0,
    // Deno's own `child.kill()` sends no second signal.
    kill: (signal = "SIGTERM") => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(child.pid, signal);
      } catch (error) {
        // It has ended, and the event that says so is on its way.
        if ((error as { code?: unknown }).code !== "ESRCH") throw error;
      }
    },
    exited,
    line,
    stderr: () => errors,
    write: (text) => void child.stdin?.write(text),
    async *lines() {
      for (let next = await line(); next !== null; next = await line()) yield next;
    },
  };
}
