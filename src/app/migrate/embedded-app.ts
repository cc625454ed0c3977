/** The commands of a move, on an app that does not run: looks at what would move, moves it, takes that back. */
import { DefinitionError } from "../../base/errors.ts";
import type { Log } from "../../log/log.ts";
import { type MoveMark, readMoveMark, removeMoveMark } from "../../log/move-mark.ts";
import type { Observer } from "../../observe/events.ts";
import { type App, internalsOf } from "../app.ts";
import { moveApp, type MoveProgress, surveyMove } from "./migrate.ts";
import type { Survey } from "./survey.ts";

/** Which app, and where its log lies. */
export interface EmbeddedAppOptions {
  /** @default the app's own */
  readonly directory: string | undefined;
  /** Hears what the logs have to say. */
  readonly observer: Observer;
}

/** What would move. Throws `DISK_LOCKED` while a process has the log. */
export function surveyEmbeddedApp(app: App, options: EmbeddedAppOptions): Promise<Survey> {
  return withSource(app, options, async (source) => surveyMove({ source, ...internalsOf(app).definitions(), runtime: await internalsOf(app).runtime() }));
}

/** Moves everything to the log of this name, which the app has or the environment describes; what was moved. */
export function moveEmbeddedApp(app: App, to: string, options: EmbeddedAppOptions, onProgress: (progress: MoveProgress) => void): Promise<Survey> {
  return withSource(app, options, async (source, directory) => {
    const internals = internalsOf(app);
    const runtime = await internals.runtime();
    const { topology, webhooks } = internals.definitions();
    const openTarget = async () => (await internals.driver(to)).open({ app: app.name, runtime, directory, report: options.observer });
    return await moveApp({ runtime, topology, webhooks, source, openTarget, to, onProgress });
  });
}

/** Has the app go on with its embedded log, as that was left; the mark that is gone. */
export function takeBackMove(app: App, options: EmbeddedAppOptions): Promise<MoveMark> {
  return withSource(app, options, async (source, directory) => {
    const mark = readMoveMark(source.database!);
    if (mark === null) {
      throw new DefinitionError(`Cannot take back a move of "${app.name}": its log in ${directory} was not moved`, { code: "CONFIG_INVALID" });
    }
    await removeMoveMark(source.database!);
    return mark;
  });
}

async function withSource<T>(app: App, { directory, observer }: EmbeddedAppOptions, use: (source: Log, directory: string) => Promise<T>): Promise<T> {
  const internals = internalsOf(app);
  const [driver, runtime] = await Promise.all([internals.driver("embedded"), internals.runtime()]);
  const place = directory ?? internals.definitions().directory;
  const { log } = await driver.open({ app: app.name, runtime, directory: place, report: observer, isForMove: true });
  try {
    return await use(log, place);
  } finally {
    await log.close();
  }
}
