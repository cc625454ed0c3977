/** `millrace run` in a worker, or without any: runs the app of a module until a signal, and says what happens. */
import type { RunOptions } from "../app/app.ts";
import { version } from "../app/version.ts";
import type { WorkerPlace } from "../app/worker-place.ts";
import type { Observer } from "../observe/events.ts";
import { logger } from "../observe/logger.ts";
import { env, resolveSecret } from "../runtime/env-value.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { RunArguments } from "./commands/run.ts";
import { findApp } from "./find-app.ts";
import { startJson, startLines } from "./start-lines.ts";
import type { Supervised } from "./supervised.ts";

/** A worker says so often at least that it lives. */
const TICK_MS = 1_000;

const ALONE: WorkerPlace = { index: 0, count: 1 };

/** Fulfils when the app was stopped by a signal or its parent, and has drained. Rejects when it cannot start, or fails. */
export async function runWorker(
  asked: RunArguments,
  runtime: Runtime,
  load: (file: string) => Promise<unknown>,
  supervised: Supervised | null,
): Promise<void> {
  const worker = supervised?.told ?? ALONE;
  const said = { ...runtime, print: printOf(asked, worker, runtime) };
  if (supervised === null) return await run(asked, said, load, { worker });
  const everyMs = Math.min(TICK_MS, asked.stuckAfterMs / 4);
  let timer: Timer | null = null;
  const tick = (): void => {
    supervised.tick();
    timer = runtime.setTimer(tick, everyMs);
  };
  // Until the app works its own loop is none to be measured by.
  tick();
  let hasStarted = false;
  const onStart = (): void => {
    hasStarted = true;
    timer?.cancel();
    supervised.started();
  };
  const { signal, processId } = supervised;
  const running = run(asked, said, load, { worker, processId, onStart, options: { signal, watchdog: { everyMs, tick: () => supervised.tick() } } });
  // Nothing is in hand yet, so nothing is to be finished.
  const stoppedEarly = new Promise<void>((resolve) => {
    const stop = (): void => {
      if (!hasStarted) resolve();
    };
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    await Promise.race([running, stoppedEarly, supervised.overdue]);
  } finally {
    (timer as Timer | null)?.cancel();
    running.catch(() => {});
  }
}

interface Running {
  readonly worker: WorkerPlace;
  readonly processId?: number;
  readonly onStart?: () => void;
  readonly options?: Pick<RunOptions, "signal" | "watchdog">;
}

async function run(asked: RunArguments, runtime: Runtime, load: (file: string) => Promise<unknown>, running: Running): Promise<void> {
  const { worker, processId = null } = running;
  const token = asked.tokenEnv === undefined ? null : resolveSecret(runtime, env(asked.tokenEnv), "token of --token-env");
  const app = await findApp(asked.file, load);
  const options: RunOptions = {
    observer: observerOf(asked, runtime, token),
    worker,
    onStart: (started) => {
      // First: whoever reads that it stands may count on being watched.
      running.onStart?.();
      const facts = { version, needsToken: token !== null, worker, processId };
      if (asked.json) runtime.print(startJson(started, facts));
      else if (!asked.quiet) runtime.print(startLines(started, facts).join("\n"));
    },
    ...running.options,
    ...(asked.port === undefined ? {} : { port: asked.port }),
    ...(asked.host === undefined ? {} : { host: asked.host }),
    ...(asked.directory === undefined ? {} : { directory: asked.directory }),
    ...(token === null ? {} : { token }),
    ...(asked.acceptChange ? { acceptChange: true } : {}),
  };
  await app.run(options);
  if (!asked.json && !asked.quiet) runtime.print(`"${app.name}" has stopped; what was done is committed`);
}

/** Lines say which of several workers they are from; JSON says it always. */
function printOf({ json }: RunArguments, { index, count }: WorkerPlace, { print }: Runtime): Runtime["print"] {
  if (json) return (line, stream) => print(line.startsWith("{") ? `{"worker":${index},${line.slice(1)}` : line, stream);
  if (count === 1) return print;
  return (line, stream) => print(line.replaceAll(/^/gm, `[${index}] `), stream);
}

function observerOf({ json, quiet }: RunArguments, runtime: Runtime, token: string | null): Observer {
  const log = logger({ runtime, format: json ? "json" : "text", level: quiet ? "warn" : "info", secrets: token === null ? [] : [token] });
  return (event) => {
    // Said in other words, and with more, at the start and the end.
    if (event.type === "appStarted" || event.type === "listening") return;
    if (!json && (event.type === "appStopped" || (event.type === "taskStarted" && event.restoredRecords === 0))) return;
    log(event);
  };
}
