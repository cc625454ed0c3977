/** What a worker keeps in the app's directory: its state, which can be had again from the changelog, and its id. */
import { toHex } from "../../src/base/bytes.ts";
import { isStreamError, StoreError } from "../../src/base/errors.ts";
import type { Disk } from "../../src/runtime/disk.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import type { Warn } from "./kafka-membership.ts";

const STATE = "state.db";
const WORKER_ID = "worker-id";
const WORKER_ID_BYTES = 8;
/** The state's pages are all looked at when it is opened, up to this; it takes about a second. Of larger files damage is found where it is read. */
const CHECKED_BYTES_MAX = 536_870_912;

/** Opens the state. A damaged file is deleted: the changelog brings its content back. */
export async function openState(runtime: Runtime, disk: Disk, warn: Warn): Promise<Database> {
  try {
    return await openChecked(runtime, disk);
  } catch (error) {
    if (!isStreamError(error) || error.code !== "STORE_CORRUPT") throw error;
    warn(`[kafka] "${STATE}" is damaged and was deleted: state is restored from the changelog`, error);
    for (const name of [STATE, `${STATE}-wal`]) disk.delete(name);
    return await openDatabase(runtime, disk, STATE);
  }
}

async function openChecked(runtime: Runtime, disk: Disk): Promise<Database> {
  const database = await openDatabase(runtime, disk, STATE);
  try {
    checkPages(disk, database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function checkPages(disk: Disk, database: Database): void {
  const file = disk.open(STATE);
  const size = file.size();
  file.close();
  if (size > CHECKED_BYTES_MAX) return;
  const statement = database.prepare("PRAGMA quick_check(1)");
  try {
    const said = statement.step() ? statement.text(0) : "nothing";
    if (said !== "ok") throw new StoreError("STORE_CORRUPT", `Cannot open "${STATE}": SQLite finds ${said}`, { details: { path: STATE } });
  } finally {
    statement.finalize();
  }
}

/** The id that tells this worker from others of its app, the same after each restart: made up when there is none, and durable before it is used. */
export function keptWorkerId(runtime: Runtime, disk: Disk): string {
  const file = disk.open(WORKER_ID);
  try {
    const bytes = new Uint8Array(2 * WORKER_ID_BYTES);
    const known = new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
    if (new RegExp(`^[0-9a-f]{${2 * WORKER_ID_BYTES}}$`).test(known)) return known;
    const made = toHex(runtime.randomBytes(WORKER_ID_BYTES));
    file.truncate(0);
    file.write(new TextEncoder().encode(made), 0);
    file.sync();
    return made;
  } finally {
    file.close();
  }
}
