/** `millrace backup`: copies log and state of an embedded app, running or not, into one file. */
import { DefinitionError } from "../../base/errors.ts";
import { removeQuietly, writeDurably } from "../../log/durable-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { verifyFile } from "../../sqlite/verify.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { connect, type OperatorArguments, type OperatorFlags, operatorFlags, understandOperator } from "../operator.ts";
import { text, type TextFlag, textFlag, typedArguments } from "../parameters.ts";
import { filePlace, fileSize } from "../file-place.ts";

interface BackupArguments extends OperatorArguments {
  readonly to: string;
}

interface Flags extends OperatorFlags {
  readonly to?: string;
}

const PROGRESS_MS = 1_000;

const to: TextFlag = textFlag("File to make; there must be none of this name", "file", text("to"));

/** The command. */
export const backupCommand: CliCommand = defineCommand<Flags, readonly string[], BackupArguments>({
  brief: "Copy log and state of an embedded app into one file, while it runs",
  description: [
    "The file holds records, positions, state, timers and ids as of one commit. It is a SQLite database; millrace restore puts it back.",
    "The app goes on working meanwhile. Where no process runs, the log is opened and copied here.",
    "The file gets its name when it is whole, on the device, and the checksum of each page was looked at.",
  ],
  usage: "<app.ts> --to <file>",
  positional: typedArguments("The module with the app", "app.ts"),
  flags: { ...operatorFlags, to },
  understand: (flags, ...typed) => {
    if (flags.to === undefined) return new Error("Cannot tell where to: wanted --to <file>");
    const operator = understandOperator(flags, typed, { wanted: 0, most: 0, usage: "millrace backup <app.ts> --to <file>" });
    return operator instanceof Error ? operator : { ...operator.asked, to: flags.to };
  },
  run: async (asked, host) => {
    const { runtime } = host;
    const startedAt = runtime.monotonic();
    await using connection = await connect(asked, host);
    const bytes = await makeFile(runtime, asked.to, async () => told(await connection.client.download("/admin/backup", {}), asked, runtime));
    const ms = Math.round(runtime.monotonic() - startedAt);
    runtime.print(
      asked.json
        ? JSON.stringify({ type: "backedUp", to: asked.to, bytes, ms })
        : `Backed up to ${asked.to}: ${fileSize(bytes)} in ${(ms / 1_000).toFixed(1)} s, each page verified. millrace restore puts it back.`,
    );
  },
});

/** Passes chunks on, and says once a second how far it is. */
async function* told(chunks: AsyncIterable<Uint8Array>, { json }: BackupArguments, runtime: Runtime): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let saidAt = runtime.monotonic();
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    const now = runtime.monotonic();
    if (now - saidAt < PROGRESS_MS) continue;
    saidAt = now;
    runtime.print(json ? JSON.stringify({ type: "backingUp", bytes }) : `${fileSize(bytes)} received`);
  }
}

/** Under another name until it is whole and verified. */
async function makeFile(runtime: Runtime, file: string, download: () => Promise<AsyncIterable<Uint8Array>>): Promise<number> {
  const { directory, name } = filePlace(file);
  const disk = runtime.disk(directory);
  if (disk.exists(name)) throw new DefinitionError(`Cannot back up to ${file}: there is a file. Remove it, or name another`, { code: "CONFIG_INVALID" });
  const draft = `${name}.partial`;
  await writeDurably(disk, draft, await download());
  try {
    const bytes = await verifyFile(runtime, disk, draft, file);
    disk.rename(draft, name);
    return bytes;
  } catch (error) {
    removeQuietly(disk, draft);
    throw error;
  }
}
