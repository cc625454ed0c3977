/** `millrace run`: runs the app of a module until a signal, and says what happens. */
import type { RunOptions } from "../app/app.ts";
import { version } from "../app/version.ts";
import type { Observer } from "../observe/events.ts";
import { logger } from "../observe/logger.ts";
import { env, resolveSecret } from "../runtime/env-value.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RunArguments } from "./arguments.ts";
import { findApp } from "./find-app.ts";
import { startJson, startLines } from "./start-lines.ts";

/** Fulfils when the app was stopped by a signal and has drained. Rejects when it cannot start, or fails. */
export async function runCommand(asked: RunArguments, runtime: Runtime, load: (file: string) => Promise<unknown>): Promise<void> {
  const token = asked.tokenEnv === undefined ? null : resolveSecret(runtime, env(asked.tokenEnv), "token of --token-env");
  const app = await findApp(asked.file, load);
  const options: RunOptions = {
    observer: observerOf(asked, runtime, token),
    onStart: (started) => {
      const facts = { version, needsToken: token !== null };
      if (asked.json) runtime.print(startJson(started, facts));
      else if (!asked.quiet) { for (const line of startLines(started, facts)) runtime.print(line); }
    },
    ...(asked.port === undefined ? {} : { port: asked.port }),
    ...(asked.host === undefined ? {} : { host: asked.host }),
    ...(asked.directory === undefined ? {} : { directory: asked.directory }),
    ...(token === null ? {} : { token }),
  };
  await app.run(options);
  if (!asked.json && !asked.quiet) runtime.print(`"${app.name}" has stopped; what was done is committed`);
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
