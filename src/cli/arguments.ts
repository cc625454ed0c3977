/**
 * What the command line says, as a value: flags, files and help texts by `@stricli/core`, which is imported nowhere else. Nothing is run here.
 */
import { buildApplication, buildCommand, buildRouteMap, run } from "@stricli/core";
import type { CommandContext, StricliProcess } from "@stricli/core";
import { type Duration, finiteDurationMs } from "../base/duration.ts";

const WORKERS_MAX = 64;
/** Below this an honest worker on a busy machine would be ended. */
const TIME_MIN_MS = 500;
const TIME_MAX_MS = 3_600_000;

/** `millrace run`. */
export interface RunArguments {
  readonly command: "run";
  readonly file: string;
  readonly port: number | undefined;
  readonly host: string | undefined;
  /** Name of the environment variable that holds the admin token. */
  readonly tokenEnv: string | undefined;
  readonly directory: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  /** How many processes; 1 has the directory and the port for itself. */
  readonly workers: number;
  /** By a parent that starts workers again; false: the app runs in the process itself. */
  readonly isSupervised: boolean;
  /** How long the loop of a worker may not turn. */
  readonly stuckAfterMs: number;
  /** How long workers have to drain. */
  readonly stopWithinMs: number;
}

/** `millrace topology`. */
export interface TopologyArguments {
  readonly command: "topology";
  readonly file: string;
  readonly format: "text" | "json" | "mermaid";
  readonly json: boolean;
  readonly debug: boolean;
}

/** Nothing to run: help, the version, or what is wrong with the arguments. */
export interface Answer {
  readonly command: "answer";
  readonly out: string;
  readonly error: string;
  /** 0, or 2 for wrong arguments. */
  readonly exitCode: 0 | 2;
}

/** What was asked for. */
export type Arguments = RunArguments | TopologyArguments | Answer;

interface ParseContext extends CommandContext {
  readonly process: StricliProcess;
  parsed: RunArguments | TopologyArguments | null;
}

const file = { kind: "tuple", parameters: [{ brief: "Module that exports the app, as `app` or as default", placeholder: "file", parse: String }] } as const;

const debug = { kind: "boolean", brief: "Print stacks of errors", withNegated: false, default: false } as const;

interface RunFlags {
  readonly port?: number;
  readonly host?: string;
  readonly tokenEnv?: string;
  readonly dir?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  readonly workers: number;
  readonly supervise: boolean;
  readonly stuckAfter: number;
  readonly stopWithin: number;
}

const runCommand = buildCommand<RunFlags, [string], ParseContext>({
  docs: {
    brief: "Run an app until SIGTERM or SIGINT",
    fullDescription: [
      "Runs the app that a module exports, until SIGTERM or SIGINT: then it takes no more requests, finishes and commits what is in hand, and exits with 0.",
      "The app works in a process of its own, a worker. This one watches it: a worker whose loop does not turn any more is ended, and one that died is started again, after 100 ms at first, 10 s at most.",
      "Several workers share the partitions of a log such as Kafka; worker i works in <dir>/worker-<i> and listens on port + i.",
      "Exit codes: 0 stopped by a signal, 1 failed at its start or did not drain in time, 2 a definition, a setting or an argument is wrong, 130 interrupted twice.",
    ].join("\n"),
  },
  parameters: {
    positional: file,
    flags: {
      port: { kind: "parsed", parse: parsePort, brief: "Port to listen on; 0 picks a free one", placeholder: "number", optional: true },
      host: { kind: "parsed", parse: parseText("host"), brief: "Address to listen on; other machines need a token", placeholder: "address", optional: true },
      tokenEnv: { kind: "parsed", parse: String, brief: "Environment variable that holds the token of queries and admin", placeholder: "NAME", optional: true },
      dir: { kind: "parsed", parse: parseText("dir"), brief: "Directory of the log and the state", placeholder: "path", optional: true },
      workers: {
        kind: "parsed",
        parse: parseWorkers,
        brief: "Processes to run side by side, 1 to 64; more than one needs a log that processes share",
        placeholder: "number",
        default: "1",
      },
      supervise: { kind: "boolean", brief: "Watch workers and start them again; with --no-supervise the app runs in this process", default: true },
      stuckAfter: {
        kind: "parsed",
        parse: parseTime("stuck-after"),
        brief: "A worker whose loop has not turned for so long is started again",
        placeholder: "time",
        default: "30s",
      },
      stopWithin: {
        kind: "parsed",
        parse: parseTime("stop-within"),
        brief: "Workers that have not drained by then are ended, and the exit code is 1",
        placeholder: "time",
        default: "20s",
      },
      json: { kind: "boolean", brief: "Print JSON lines", withNegated: false, default: false },
      quiet: { kind: "boolean", brief: "Print warnings and errors only", withNegated: false, default: false },
      debug,
    },
  },
  func(this: ParseContext, flags: RunFlags, file: string): Error | void {
    const { port, host, tokenEnv, dir, json, quiet, debug, workers, supervise, stuckAfter, stopWithin } = flags;
    // Said without the text: it may be the token itself.
    if (tokenEnv !== undefined && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(tokenEnv)) {
      return new Error("--token-env takes the name of an environment variable, not the token itself");
    }
    if (workers > 1 && !supervise) return new Error(`Cannot run ${workers} workers with --no-supervise: in this process there is one`);
    const run = { file, port, host, tokenEnv, directory: dir, json, quiet, debug };
    this.parsed = { command: "run", ...run, workers, isSupervised: supervise, stuckAfterMs: stuckAfter, stopWithinMs: stopWithin };
  },
});

interface TopologyFlags {
  readonly json: boolean;
  readonly mermaid: boolean;
  readonly debug: boolean;
}

const topologyCommand = buildCommand<TopologyFlags, [string], ParseContext>({
  docs: { brief: "Print the topology of an app, without running it" },
  parameters: {
    positional: file,
    flags: {
      json: { kind: "boolean", brief: "Print JSON", withNegated: false, default: false },
      mermaid: { kind: "boolean", brief: "Print a Mermaid diagram", withNegated: false, default: false },
      debug,
    },
  },
  func(this: ParseContext, { json, mermaid, debug }: TopologyFlags, file: string): Error | void {
    if (json && mermaid) return new Error("Cannot print --json and --mermaid at once: choose one");
    this.parsed = { command: "topology", file, format: json ? "json" : mermaid ? "mermaid" : "text", json, debug };
  },
});

/** Understands arguments; `version` is what `--version` answers. Never throws for what a user typed. */
export async function parseArguments(args: readonly string[], version: string): Promise<Arguments> {
  const application = buildApplication(
    buildRouteMap({
      routes: { run: runCommand, topology: topologyCommand },
      docs: { brief: "Runs stream programs: topics, webhooks, windows and features, on Node, Bun and Deno" },
    }),
    {
      name: "millrace",
      versionInfo: { currentVersion: version },
      scanner: { caseStyle: "allow-kebab-for-camel" },
      documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true },
    },
  );
  const out: string[] = [];
  const error: string[] = [];
  const context: ParseContext = {
    parsed: null,
    process: {
      stdout: { write: (text: string) => void out.push(text) },
      stderr: { write: (text: string) => void error.push(text) },
      exitCode: null,
    },
  };
  await run(application, args, context);
  if (context.parsed !== null) return context.parsed;
  const isWrong = context.process.exitCode !== 0;
  const complaint = error.join("").trimEnd();
  return {
    command: "answer",
    out: out.join("").trimEnd(),
    error: isWrong && !complaint.includes("--help") ? `${complaint}\nSee millrace --help` : complaint,
    exitCode: isWrong ? 2 : 0,
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new RangeError(`wanted a whole number from 0 to 65535`);
  return port;
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (!/^\d+$/.test(text) || workers < 1 || workers > WORKERS_MAX) throw new RangeError(`wanted a whole number from 1 to ${WORKERS_MAX}`);
  return workers;
}

function parseTime(name: string): (text: string) => number {
  return (text) => {
    const ms = finiteDurationMs(text as Duration, `--${name}`);
    if (ms < TIME_MIN_MS || ms > TIME_MAX_MS) throw new RangeError(`--${name} is ${text}, wanted 500ms to 1h`);
    return ms;
  };
}

function parseText(name: string): (text: string) => string {
  return (text) => {
    if (text.trim() === "") throw new RangeError(`--${name} is empty`);
    return text;
  };
}
