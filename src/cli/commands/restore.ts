/** `millrace restore`: puts a backup in the place of the log and state of an embedded app that does not run. */
import { internalsOf } from "../../app/app.ts";
import { type CliCommand, type CommonArguments, defineCommand } from "../command.ts";
import { findApp } from "../find-app.ts";
import { appFile, debug, flag, text, textFlag } from "../parameters.ts";
import { filePlace, fileSize } from "../file-place.ts";

interface RestoreArguments extends CommonArguments {
  readonly file: string;
  readonly from: string;
  readonly force: boolean;
  readonly directory: string | undefined;
}

interface Flags {
  readonly from?: string;
  readonly force: boolean;
  readonly dir?: string;
  readonly json: boolean;
  readonly debug: boolean;
}

/** The command. */
export const restoreCommand: CliCommand = defineCommand<Flags, [string], RestoreArguments>({
  brief: "Put a backup in the place of log and state of an embedded app",
  description: [
    "The app must not run. When it is started it goes on where the backup was taken; what came after that is not in it.",
    "The checksum of each page is looked at before anything is replaced. Cut off at any point, the app finds what was there before, or the backup.",
  ],
  usage: "<app.ts> --from <file> [--force]",
  positional: { kind: "tuple", parameters: [appFile] },
  flags: {
    from: textFlag("The file that millrace backup made", "file", text("from")),
    force: flag("Replace what is in the directory; it is kept under another name"),
    dir: textFlag("Directory of the log and the state", "path", text("dir")),
    json: flag("Print JSON"),
    debug,
  },
  understand: ({ from, force, dir, json, debug }, file) => {
    if (from === undefined) return new Error("Cannot tell what to restore: wanted --from <file>");
    return { file, from, force, directory: dir, json, debug };
  },
  run: async ({ file, from, force, directory, json }, { runtime, load }) => {
    const app = await findApp(file, load);
    const place = filePlace(from);
    const { bytes, replaced } = await internalsOf(app).restore(directory, { disk: runtime.disk(place.directory), path: place.name, force });
    if (json) return runtime.print(JSON.stringify({ type: "restored", app: app.name, from, bytes, replaced }));
    runtime.print(`"${app.name}" is restored from ${from} (${fileSize(bytes)}): it goes on where the backup was taken`);
    if (replaced !== null) runtime.print(`What was there is kept as ${replaced}, with its -wal if it had one`);
  },
});
