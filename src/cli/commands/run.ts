/** `millrace run`: runs the app of a module until a signal. */
import { type CliCommand, defineCommand } from "../command.ts";
import { appFile, checkVariable, debug, flag, text, time, wholeNumber } from "../parameters.ts";
import { runWorker } from "../run-worker.ts";
import { supervise } from "../supervise.ts";

const WORKERS_MAX = 64;
/** Below this an honest worker on a busy machine would be ended. */
const TIME_MIN_MS = 500;
const TIME_MAX_MS = 3_600_000;
const TIME_BOUNDS = "500ms to 1h";

/** What `millrace run` is asked. */
export interface RunArguments {
  readonly file: string;
  readonly port: number | undefined;
  readonly host: string | undefined;
  /** Name of the environment variable that holds the admin token. */
  readonly tokenEnv: string | undefined;
  readonly directory: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  /** Whatever workers that run do not agree with: they were stopped. */
  readonly acceptChange: boolean;
  /** How many processes; 1 has the directory and the port for itself. */
  readonly workers: number;
  /** By a parent that starts workers again; false: the app runs in the process itself. */
  readonly isSupervised: boolean;
  /** How long the loop of a worker may not turn. */
  readonly stuckAfterMs: number;
  /** How long workers have to drain. */
  readonly stopWithinMs: number;
}

interface Flags {
  readonly port?: number;
  readonly host?: string;
  readonly tokenEnv?: string;
  readonly dir?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  readonly acceptChange: boolean;
  readonly workers: number;
  readonly supervise: boolean;
  readonly stuckAfter: number;
  readonly stopWithin: number;
}

/** The command. */
export const runCommand: CliCommand = defineCommand<Flags, [string], RunArguments>({
  brief: "Run an app until SIGTERM or SIGINT",
  description: [
    "Runs the app that a module exports, until SIGTERM or SIGINT: then it takes no more requests, finishes and commits what is in hand, and exits with 0.",
    "The app works in a process of its own, a worker. This one watches it: a worker whose loop does not turn any more is ended, and one that died is started again, after 100 ms at first, 10 s at most.",
    "Several workers share the partitions of a log such as Kafka; worker i works in <dir>/worker-<i> and listens on port + i.",
    "Exit codes: 0 stopped by a signal, 1 failed at its start or did not drain in time, 2 a definition, a setting or an argument is wrong, 130 interrupted twice.",
  ],
  positional: { kind: "tuple", parameters: [appFile] },
  flags: {
    port: { kind: "parsed", parse: wholeNumber(0, 65_535), brief: "Port to listen on; 0 picks a free one", placeholder: "number", optional: true },
    host: { kind: "parsed", parse: text("host"), brief: "Address to listen on; other machines need a token", placeholder: "address", optional: true },
    tokenEnv: { kind: "parsed", parse: String, brief: "Environment variable that holds the token of queries and admin", placeholder: "NAME", optional: true },
    dir: { kind: "parsed", parse: text("dir"), brief: "Directory of the log and the state", placeholder: "path", optional: true },
    workers: {
      kind: "parsed",
      parse: wholeNumber(1, WORKERS_MAX),
      brief: "Processes to run side by side, 1 to 64; more than one needs a log that processes share",
      placeholder: "number",
      default: "1",
    },
    supervise: { kind: "boolean", brief: "Watch workers and start them again; with --no-supervise the app runs in this process", default: true },
    stuckAfter: {
      kind: "parsed",
      parse: time("stuck-after", TIME_MIN_MS, TIME_MAX_MS, TIME_BOUNDS),
      brief: "A worker whose loop has not turned for so long is started again",
      placeholder: "time",
      default: "30s",
    },
    stopWithin: {
      kind: "parsed",
      parse: time("stop-within", TIME_MIN_MS, TIME_MAX_MS, TIME_BOUNDS),
      brief: "Workers that have not drained by then are ended, and the exit code is 1",
      placeholder: "time",
      default: "20s",
    },
    acceptChange: flag("Start what the workers that ran last could not run beside: once, after all of them were stopped"),
    json: flag("Print JSON lines"),
    quiet: flag("Print warnings and errors only"),
    debug,
  },
  understand: ({ port, host, tokenEnv, dir, json, quiet, debug, acceptChange, workers, supervise, stuckAfter, stopWithin }, file) => {
    const fault = checkVariable("token-env", tokenEnv);
    if (fault !== null) return fault;
    if (workers > 1 && !supervise) return new Error(`Cannot run ${workers} workers with --no-supervise: in this process there is one`);
    const own = { file, port, host, tokenEnv, directory: dir, json, quiet, debug, acceptChange };
    return { ...own, workers, isSupervised: supervise, stuckAfterMs: stuckAfter, stopWithinMs: stopWithin };
  },
  run: async (asked, { runtime, load, program, args, supervised }) => {
    const isParent = supervised === null && asked.isSupervised && program !== undefined && runtime.capabilities.spawns;
    if (isParent) return await supervise(asked, runtime, { program, args });
    await runWorker(asked, runtime, load, supervised);
  },
});
