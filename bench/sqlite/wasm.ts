/** Ours, on the host's disk. */
import type { Runtime } from "../../src/runtime/runtime.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import { READ, TABLE, UPSERT } from "./native.ts";
import type { Side } from "./run.ts";

/** Opens a file of a directory. */
export async function openWasm(runtime: Runtime, directory: string, path: string, cacheKib: number, checksums: boolean): Promise<Side> {
  const database = await openDatabase(runtime, runtime.disk(directory), path, { checksums, cacheBytes: cacheKib * 1_024 });
  database.exec(TABLE);
  const begin = database.prepare("BEGIN"), commit = database.prepare("COMMIT"), upsert = database.prepare(UPSERT), read = database.prepare(READ);
  return {
    begin: () => begin.run(),
    commit: () => commit.run(),
    upsert: (key, value) => {
      upsert.bindText(0, key);
      upsert.bindBlob(1, value);
      upsert.run();
    },
    read: (key) => {
      read.bindText(0, key);
      read.step();
      const value = read.blob(0);
      read.reset();
      return value.length;
    },
    checkpoint: () => database.checkpoint(),
    close: () => database.close(),
  };
}
